//! Where an export goes, and how it gets there whole or not at all: its files are written beside the place and moved to it
//! when all of them are. What is there already is not touched unless that is asked for, and what is none of them never.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::ExportError;
use crate::util::{disk, sync_dir};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Standard output.
    Out,
    File(PathBuf),
    Dir(PathBuf),
}

/// Files that are not yet where they belong. Dropped before it is finished it leaves nothing.
#[derive(Debug)]
pub struct Staged {
    /// Where they belong.
    target: PathBuf,
    /// What is said to have been written.
    place: PathBuf,
    /// Where they are meanwhile, on the same file system.
    stage: PathBuf,
    names: Vec<PathBuf>,
    force: bool,
}

impl Staged {
    /// `force` lets files that are there be written over.
    pub fn begin(place: &Place, force: bool) -> anyhow::Result<Self> {
        let (place, target) = match place {
            Place::Out => unreachable!("nothing is staged of what is printed"),
            Place::File(path) => (path.clone(), parent(path)),
            Place::Dir(path) => (path.clone(), path.clone()),
        };
        let beside = if target.is_dir() {
            target.clone()
        } else {
            parent(&target)
        };
        let stage = beside.join(format!(".siglab-export.{}.tmp", std::process::id()));
        fs::create_dir_all(&beside)
            .and_then(|()| disk::make_dir(&stage))
            .with_context(|| format!("cannot write in {}", beside.display()))?;
        Ok(Self {
            target,
            place,
            stage,
            names: Vec::new(),
            force,
        })
    }

    /// A new file that is to be `name` in the place.
    ///
    /// # Errors
    /// [`ExportError::Exists`] when one is there and is not to be written over.
    pub fn create(&mut self, name: &Path) -> anyhow::Result<File> {
        let there = self.target.join(name);
        if there.exists() && !self.force {
            return Err(ExportError::Exists(there.display().to_string()).into());
        }
        let path = self.stage.join(name);
        let made = fs::create_dir_all(parent(&path)).and_then(|()| disk::create(&path));
        self.names.push(name.to_owned());
        made.with_context(|| format!("cannot make {}", path.display()))
    }

    /// Move the files to their place, which is returned.
    pub fn finish(self) -> anyhow::Result<PathBuf> {
        let cannot = |path: &Path| format!("cannot write {}", path.display());
        for name in &self.names {
            let path = self.target.join(name);
            fs::create_dir_all(parent(&path))
                .and_then(|()| disk::rename(&self.stage.join(name), &path))
                .and_then(|()| sync_dir(&parent(&path)))
                .with_context(|| cannot(&path))?;
        }
        Ok(self.place.clone())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be taken away has a name that says what it is.
        let _ = fs::remove_dir_all(&self.stage);
    }
}

fn parent(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<String> = entries
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn stage(place: &Place, text: &str, force: bool) -> anyhow::Result<Staged> {
        let mut staged = Staged::begin(place, force)?;
        for name in ["rows.csv", "deep/er.csv"] {
            let mut file = staged.create(Path::new(name))?;
            file.write_all(text.as_bytes())?;
        }
        Ok(staged)
    }

    #[test]
    fn all_files_come_or_none() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("new/out");
        let place = Place::Dir(dir.clone());
        drop(stage(&place, "lost", false).unwrap());
        assert!(!dir.exists() && names(&tmp.path().join("new")).is_empty());
        stage(&place, "one", false).unwrap().finish().unwrap();
        assert_eq!(names(&dir), ["deep", "rows.csv"]);
        assert_eq!(names(&tmp.path().join("new")), ["out"]);
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_written_over() {
        let tmp = tempfile::tempdir().unwrap();
        let place = Place::Dir(tmp.path().to_owned());
        fs::write(tmp.path().join("mine.txt"), "mine").unwrap();
        stage(&place, "one", false).unwrap().finish().unwrap();
        let error = stage(&place, "two", false).unwrap_err();
        assert!(error.is::<ExportError>(), "{error:#}");
        let read = |name: &str| fs::read_to_string(tmp.path().join(name)).unwrap();
        assert_eq!(
            (read("rows.csv"), read("deep/er.csv")),
            ("one".into(), "one".into())
        );
        stage(&place, "two", true).unwrap().finish().unwrap();
        assert_eq!(
            (read("rows.csv"), read("deep/er.csv")),
            ("two".into(), "two".into())
        );
        assert_eq!(read("mine.txt"), "mine");
        assert_eq!(names(tmp.path()), ["deep", "mine.txt", "rows.csv"]);
    }
}
