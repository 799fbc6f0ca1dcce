//! Checkpoints as directories that are whole or absent: files and a manifest go into `step-N.tmp/`, everything is
//! made durable, and one rename commits them. The newest whose sizes and hashes agree is the one to resume from;
//! two are kept. What the files hold is the trainer's affair.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{FORMAT, RunDir};
use crate::util::sync_dir;

const KEPT: usize = 2;
const MANIFEST: &str = "manifest.json";

/// What a checkpoint holds, by file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub step: u64,
    pub examples: u64,
    pub files: BTreeMap<String, Content>,
}

/// One file's size and hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    pub bytes: u64,
    pub blake3: String,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        }
    }
}

/// A committed checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub path: PathBuf,
    pub manifest: Manifest,
}

impl Checkpoint {
    /// One file of the checkpoint, after its size and hash were checked.
    pub fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.path.join(name);
        let expected = self.manifest.files.get(name).ok_or_else(|| {
            io::Error::other(format!(
                "{} lists no file `{name}`",
                self.path.join(MANIFEST).display()
            ))
        })?;
        let bytes = fs::read(&path)?;
        if Content::of(&bytes) != *expected {
            return Err(io::Error::other(format!(
                "{} is damaged: its hash is not the manifest's",
                path.display()
            )));
        }
        Ok(bytes)
    }
}

/// Commit `files` as the checkpoint of `step` and drop all but it and the one before. Returns its name in `checkpoints/`.
pub fn save(
    dir: &RunDir,
    step: u64,
    examples: u64,
    files: &[(&str, Vec<u8>)],
) -> io::Result<String> {
    let root = dir.checkpoints();
    fs::create_dir_all(&root)?;
    let name = format!("step-{step}");
    let (temporary, path) = (root.join(format!("{name}.tmp")), root.join(&name));
    for stale in [&temporary, &path] {
        // The same step again, after a resume: what stands there is a leftover or an equal.
        if stale.exists() {
            fs::remove_dir_all(stale)?;
        }
    }
    fs::create_dir(&temporary)?;
    let contents = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), Content::of(bytes)))
        .collect();
    let manifest = serde_json::to_vec_pretty(&Manifest {
        format: FORMAT,
        step,
        examples,
        files: contents,
    })?;
    for (name, bytes) in files
        .iter()
        .map(|(name, bytes)| (*name, bytes))
        .chain([(MANIFEST, &manifest)])
    {
        let mut file = File::create(temporary.join(name))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    sync_dir(&temporary)?;
    fs::rename(&temporary, &path)?;
    sync_dir(&root)?;
    // Later steps are of an attempt that this one has made void.
    let (standing, void): (Vec<_>, Vec<_>) = steps(dir)?.into_iter().partition(|(s, _)| *s <= step);
    for (_, old) in standing.into_iter().rev().skip(KEPT).chain(void) {
        fs::remove_dir_all(old)?;
    }
    Ok(name)
}

/// The newest checkpoint whose manifest is readable and whose files are as it says. Damaged ones are passed over
/// and named in the second part.
pub fn latest(dir: &RunDir) -> io::Result<(Option<Checkpoint>, Vec<String>)> {
    let mut damaged = Vec::new();
    for (step, path) in steps(dir)?.into_iter().rev() {
        match open(path.clone()) {
            Ok(checkpoint) if checkpoint.manifest.step == step => {
                return Ok((Some(checkpoint), damaged));
            }
            Ok(_) => damaged.push(format!("{} holds another step", path.display())),
            Err(e) => damaged.push(format!("{e:#}")),
        }
    }
    Ok((None, damaged))
}

fn open(path: PathBuf) -> io::Result<Checkpoint> {
    let manifest_path = path.join(MANIFEST);
    let manifest: Manifest = fs::read(&manifest_path)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(|e| io::Error::other(format!("{}: {e}", manifest_path.display())))?;
    let checkpoint = Checkpoint { path, manifest };
    for name in checkpoint.manifest.files.keys() {
        checkpoint.read(name)?;
    }
    Ok(checkpoint)
}

/// Committed checkpoints by step, oldest first. Temporary directories of a worker that died are not among them.
fn steps(dir: &RunDir) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(dir.checkpoints()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(step) = entry
            .file_name()
            .to_str()
            .and_then(|n| n.strip_prefix("step-"))
            .and_then(|n| n.parse().ok())
        {
            found.push((step, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps_of(dir: &RunDir) -> Vec<u64> {
        steps(dir)
            .unwrap()
            .into_iter()
            .map(|(step, _)| step)
            .collect()
    }

    #[test]
    fn the_newest_whole_one_wins_and_two_are_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        for step in [10, 20, 30] {
            save(
                &dir,
                step,
                step * 8,
                &[("model", vec![step as u8; 100]), ("optimiser", vec![1; 10])],
            )
            .unwrap();
        }
        assert_eq!(steps_of(&dir), [20, 30]);
        assert_eq!(
            latest(&dir).unwrap().0.unwrap().read("model").unwrap(),
            vec![30; 100]
        );
        fs::write(dir.checkpoints().join("step-30/model"), vec![30; 99]).unwrap();
        let (checkpoint, damaged) = latest(&dir).unwrap();
        assert_eq!(checkpoint.unwrap().manifest.step, 20);
        assert_eq!(damaged.len(), 1);
    }

    #[test]
    fn steps_of_a_void_attempt_do_not_outlive_the_next_save() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        for step in [90, 99, 20] {
            save(&dir, step, step * 8, &[("model", vec![step as u8])]).unwrap();
        }
        assert_eq!(steps_of(&dir), [20]);
    }

    #[test]
    fn a_save_that_died_half_way_is_not_a_checkpoint() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        save(&dir, 1, 8, &[("model", vec![1])]).unwrap();
        fs::create_dir(dir.checkpoints().join("step-2.tmp")).unwrap();
        fs::write(dir.checkpoints().join("step-2.tmp/model"), b"half").unwrap();
        assert_eq!(latest(&dir).unwrap().0.unwrap().manifest.step, 1);
        save(&dir, 2, 16, &[("model", vec![2])]).unwrap();
        assert_eq!(latest(&dir).unwrap().0.unwrap().manifest.step, 2);
    }
}
