//! Checkpoints as directories that are whole or absent: files and a manifest go into `step-N.tmp/`, everything is
//! made durable, and one rename commits them. The newest whose sizes and hashes agree is the one to resume from;
//! two are kept, and more for a run that may want to go back. What the files hold is the trainer's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{FORMAT, RunDir};
use crate::util::{disk, sync_dir};

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
        let bytes = disk::read(&path)?;
        if Content::of(&bytes) != *expected {
            return Err(io::Error::other(format!(
                "{} is damaged: its hash is not the manifest's",
                path.display()
            )));
        }
        Ok(bytes)
    }
}

/// Commit `files` as the checkpoint of `step`. Besides it the one before is kept and, when `back` is not 0, one that is at
/// least `back` steps behind, so that the run can go back to it; the others go. Returns its name in `checkpoints/`.
///
/// # Errors
/// The checkpoints from before stand, and it may be tried again.
pub fn save(
    dir: &RunDir,
    step: u64,
    examples: u64,
    files: &[(&str, Vec<u8>)],
    back: u64,
) -> io::Result<String> {
    let root = dir.checkpoints();
    match disk::make_dir(&root).and_then(|()| sync_dir(dir.path())) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(of(&root, &e)),
        _ => {}
    }
    // What workers that died left of their saves takes the room of this one.
    for unfinished in unfinished(&root)? {
        disk::remove_tree(&unfinished).map_err(|e| of(&unfinished, &e))?;
    }
    let name = format!("step-{step}");
    let (temporary, path) = (root.join(format!("{name}{UNFINISHED}")), root.join(&name));
    let committed = write(&temporary, step, examples, files).and_then(|()| {
        // The same step again, after a resume or a save that failed late: an equal stands there.
        if fs::exists(&path)? {
            remove(&path)?;
        }
        disk::rename(&temporary, &path)?;
        sync_dir(&root)
    });
    if let Err(e) = committed {
        // Where there is no room for it, its half is in the way of everybody.
        let _ = fs::remove_dir_all(&temporary);
        return Err(of(&path, &e));
    }
    discard_after(dir, step)?;
    // Of others' files that are called like checkpoints none is in the place of one.
    let mut steps = steps(dir)?;
    steps.retain(|(found, path)| *found <= step && manifest_of(path).is_ok());
    let kept = kept(steps.iter().map(|(step, _)| *step), back);
    for (_, old) in steps.iter().filter(|(step, _)| !kept.contains(step)) {
        remove(old).map_err(|e| of(old, &e))?;
    }
    Ok(name)
}

/// Write the files of a checkpoint and its manifest to `place`, and make them durable.
fn write(place: &Path, step: u64, examples: u64, files: &[(&str, Vec<u8>)]) -> io::Result<()> {
    disk::make_dir(place)?;
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
        let path = place.join(name);
        let mut file = disk::create(&path)?;
        disk::write_all(&mut file, &path, bytes)?;
        disk::sync(&file, &path)?;
    }
    sync_dir(place)
}

/// Which of the steps that have checkpoints keep them, `steps` being in their order: the newest, and of those that are
/// `back` behind the last one the newest. The oldest after that takes its place in time.
fn kept(steps: impl Iterator<Item = u64>, back: u64) -> BTreeSet<u64> {
    let steps: Vec<u64> = steps.collect();
    let newest = &steps[steps.len().saturating_sub(KEPT)..];
    let mut kept: BTreeSet<u64> = newest.iter().copied().collect();
    if let Some(last) = steps.last().filter(|_| back > 0) {
        let behind = steps.partition_point(|step| step.saturating_add(back) <= *last);
        kept.extend(steps[..behind].last());
        kept.extend(steps[behind..].first());
    }
    kept
}

/// Remove the checkpoints of later steps than `step`, for good: they are of an attempt that went another way.
pub fn discard_after(dir: &RunDir, step: u64) -> io::Result<()> {
    let mut steps = steps(dir)?;
    steps.retain(|(later, _)| *later > step);
    for (_, void) in &steps {
        remove(void).map_err(|e| of(void, &e))?;
    }
    if steps.is_empty() {
        return Ok(());
    }
    sync_dir(&dir.checkpoints())
}

/// Remove a checkpoint, and nothing that somebody else has put there.
fn remove(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    let Ok(manifest) = manifest_of(path) else {
        return Ok(());
    };
    // The manifest last: what is left of a removal that was cut short can still be told for what it is.
    let names = manifest.files.keys().map(String::as_str);
    for name in names.filter(|name| is_plain(name)).chain([MANIFEST]) {
        match disk::remove_file(&path.join(name)) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            removed => removed?,
        }
    }
    match disk::remove_dir(path) {
        Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        removed => removed,
    }
}

/// Whether `name` is that of a file in the same directory.
fn is_plain(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == name)
}

/// The newest checkpoint whose manifest is readable and whose files are as it says. Damaged ones are passed over
/// and named in the second part.
pub fn latest(dir: &RunDir) -> io::Result<(Option<Checkpoint>, Vec<String>)> {
    latest_until(dir, u64::MAX)
}

/// The [`latest`] of those of step `last` or before.
pub fn latest_until(dir: &RunDir, last: u64) -> io::Result<(Option<Checkpoint>, Vec<String>)> {
    let mut damaged = Vec::new();
    let steps = steps(dir)?.into_iter().rev();
    for (step, path) in steps.filter(|(step, _)| *step <= last) {
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
    let manifest = manifest_of(&path)?;
    let checkpoint = Checkpoint { path, manifest };
    for name in checkpoint.manifest.files.keys() {
        checkpoint.read(name)?;
    }
    Ok(checkpoint)
}

fn manifest_of(path: &Path) -> io::Result<Manifest> {
    let path = path.join(MANIFEST);
    let manifest: Manifest = disk::read_small(&path)
        .and_then(|bytes| Ok(serde_json::from_slice(&bytes)?))
        .map_err(|e| of(&path, &e))?;
    if manifest.format > FORMAT {
        return Err(io::Error::other(format!(
            "{} has format {}, and this siglab knows {FORMAT}: a newer siglab wrote it",
            path.display(),
            manifest.format
        )));
    }
    Ok(manifest)
}

/// `e` with the path that it is about.
fn of(path: &Path, e: &io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{}: {e}", path.display()))
}

/// What the name of a checkpoint ends in until it is committed.
const UNFINISHED: &str = ".tmp";

/// Saves that were not committed.
fn unfinished(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let step = name.to_str().and_then(|name| name.strip_suffix(UNFINISHED));
        if step.is_some_and(|name| step_of(name).is_some()) && entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The step of the checkpoint that is called `name`.
fn step_of(name: &str) -> Option<u64> {
    name.strip_prefix("step-")?.parse().ok()
}

/// Committed checkpoints by step, oldest first. Temporary directories of a worker that died are not among them.
fn steps(dir: &RunDir) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(dir.checkpoints()) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some(step) = entry.file_name().to_str().and_then(step_of) {
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
                0,
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
            save(&dir, step, step * 8, &[("model", vec![step as u8])], 0).unwrap();
        }
        assert_eq!(steps_of(&dir), [20]);
    }

    #[test]
    fn a_save_that_died_half_way_is_not_a_checkpoint() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        save(&dir, 1, 8, &[("model", vec![1])], 0).unwrap();
        fs::create_dir(dir.checkpoints().join("step-2.tmp")).unwrap();
        fs::write(dir.checkpoints().join("step-2.tmp/model"), b"half").unwrap();
        assert_eq!(latest(&dir).unwrap().0.unwrap().manifest.step, 1);
        // A dead worker's save of another step would else stay for ever.
        fs::create_dir(dir.checkpoints().join("step-7.tmp")).unwrap();
        save(&dir, 2, 16, &[("model", vec![2])], 0).unwrap();
        assert_eq!(latest(&dir).unwrap().0.unwrap().manifest.step, 2);
    }

    #[test]
    fn a_run_that_may_go_back_keeps_a_checkpoint_to_go_to() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let back = 10;
        for step in (1..=60).filter(|step| step % 7 != 3) {
            save(&dir, step, step, &[("model", vec![1])], back).unwrap();
            let steps = steps_of(&dir);
            assert!(steps.len() <= KEPT + 2, "{steps:?}");
            let behind = steps.iter().rev().find(|s| **s + back <= step);
            match behind {
                Some(behind) => assert!(step - behind <= 2 * back + 2, "{steps:?}"),
                None => assert!(step <= back, "{steps:?}"),
            }
        }
        let (checkpoint, damaged) = latest_until(&dir, 60 - back).unwrap();
        assert!(damaged.is_empty());
        let step = checkpoint.unwrap().manifest.step;
        discard_after(&dir, step).unwrap();
        assert_eq!(steps_of(&dir).last(), Some(&step));
    }

    #[test]
    fn what_somebody_else_put_there_stays() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(MANIFEST), "precious").unwrap();
        save(&dir, 1, 1, &[("model", vec![1])], 0).unwrap();
        let root = dir.checkpoints();
        fs::write(root.join("step-1/notes.txt"), "mine").unwrap();
        fs::create_dir(root.join("step-900")).unwrap();
        fs::write(root.join("step-900/thesis.tex"), "mine").unwrap();
        fs::write(root.join("step-901"), "a file").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), root.join("step-902")).unwrap();
        std::os::unix::fs::symlink(&root, root.join("step-903")).unwrap();
        for step in [2, 3, 4] {
            save(&dir, step, step, &[("model", vec![1])], 0).unwrap();
        }
        for kept in [
            "step-1/notes.txt",
            "step-900/thesis.tex",
            "step-901",
            "step-902/manifest.json",
            "step-903",
        ] {
            assert!(fs::symlink_metadata(root.join(kept)).is_ok(), "{kept}");
        }
        assert!(!root.join("step-1/model").exists());
        assert_eq!(latest_until(&dir, 10).unwrap().0.unwrap().manifest.step, 4);
        assert_eq!(latest(&dir).unwrap().0.unwrap().manifest.step, 4);
    }

    #[test]
    fn one_of_a_newer_format_is_passed_over_and_kept() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        for step in [1, 2] {
            save(&dir, step, step, &[("model", vec![1])], 0).unwrap();
        }
        let path = dir.checkpoints().join("step-2").join(MANIFEST);
        let text = fs::read_to_string(&path).unwrap();
        let newer = text.replace("\"format\": 1", "\"format\": 99");
        assert_ne!(newer, text);
        fs::write(&path, newer).unwrap();
        let (checkpoint, damaged) = latest(&dir).unwrap();
        assert_eq!(checkpoint.unwrap().manifest.step, 1);
        assert!(damaged[0].contains("newer siglab"), "{damaged:?}");
        save(&dir, 1, 1, &[("model", vec![1])], 0).unwrap();
        assert!(path.exists());
    }
}
