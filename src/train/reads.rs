//! The files that a run reads, by the settings that name them: whether they are there, and what they look like from
//! outside. It opens none, so it cannot say whether they are any good.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::config::TrainConfig;

/// What one setting names: files, or folders of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reads {
    pub key: &'static str,
    pub paths: Vec<PathBuf>,
}

/// Files of one setting that are looked at; of more their names alone count.
const MOST: usize = 100_000;

impl TrainConfig {
    /// All that the run reads besides other runs.
    pub fn reads(&self) -> Vec<Reads> {
        let one = |key, path: &str| Reads {
            key,
            paths: vec![path.into()],
        };
        let mut all = self.data.reads();
        let towers = [
            ("model.image.init", self.model.image.init.file()),
            (
                "model.text.init",
                self.model
                    .text
                    .init
                    .file()
                    .filter(|_| self.has_text_tower()),
            ),
        ];
        let towers = towers.into_iter();
        all.extend(towers.filter_map(|(key, init)| Some(one(key, &init?.file))));
        all.extend(self.eval.reads());
        all
    }

    /// What the files of each setting look like: changed files look otherwise, unless their lengths and times are what
    /// they were.
    pub fn look_of_files(&self) -> BTreeMap<String, String> {
        let looks = self.reads().into_iter().map(|reads| {
            let look = reads.look();
            (reads.key.to_owned(), look)
        });
        looks.collect()
    }
}

impl Reads {
    /// The first path that is not there.
    pub fn missing(&self) -> Option<&Path> {
        let mut paths = self.paths.iter().map(PathBuf::as_path);
        paths.find(|path| !path.exists())
    }

    /// How many files there are, and a hash of their names, lengths and times.
    pub fn look(&self) -> String {
        let mut hash = blake3::Hasher::new();
        let mut count = 0;
        let mut rest: Vec<PathBuf> = self.paths.iter().rev().cloned().collect();
        while let Some(path) = rest.pop() {
            hash.update(path.as_os_str().as_encoded_bytes());
            let metadata = if count < MOST {
                fs::metadata(&path).ok()
            } else {
                None
            };
            if metadata.as_ref().is_some_and(fs::Metadata::is_dir) {
                let entries = fs::read_dir(&path).into_iter().flatten().flatten();
                let mut inside: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
                inside.sort_by(|a, b| b.cmp(a));
                rest.extend(inside);
                continue;
            }
            count += 1;
            let Some(metadata) = metadata else { continue };
            let changed = metadata.modified().ok();
            let changed = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            hash.update(&metadata.len().to_le_bytes());
            hash.update(&changed.map_or(0, |time| time.as_nanos()).to_le_bytes());
        }
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} file{plural}, {}", &hash.finalize().to_hex()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::{DataConfig, FilesConfig};

    fn config(folder: &Path) -> TrainConfig {
        let files = FilesConfig {
            path: folder.join("{0..1}.tar").display().to_string(),
            ..FilesConfig::default()
        };
        TrainConfig {
            data: DataConfig::Webdataset(files),
            ..TrainConfig::default()
        }
    }

    #[test]
    fn shapes_need_no_file_and_a_shard_that_is_not_there_is_named() {
        assert!(TrainConfig::default().reads().is_empty());
        let tmp = tempfile::tempdir().unwrap();
        fs::write(tmp.path().join("0.tar"), "x").unwrap();
        let reads = config(tmp.path()).reads();
        assert_eq!(reads.len(), 1);
        assert_eq!(reads[0].key, "data.path");
        assert_eq!(reads[0].missing(), Some(&*tmp.path().join("1.tar")));
    }

    #[test]
    fn a_file_that_changed_looks_otherwise_wherever_it_lies() {
        let tmp = tempfile::tempdir().unwrap();
        let inner = tmp.path().join("0.tar/inner");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("a"), "x").unwrap();
        fs::write(tmp.path().join("1.tar"), "x").unwrap();
        let config = config(tmp.path());
        let before = config.look_of_files();
        assert!(before["data.path"].starts_with("2 files, "), "{before:?}");
        assert_eq!(before, config.look_of_files());
        fs::write(inner.join("a"), "yz").unwrap();
        assert_ne!(before, config.look_of_files());
    }
}
