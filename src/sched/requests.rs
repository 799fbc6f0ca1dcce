//! Runs that the scheduler at work is asked to take on: one file a request in `requests/`, made whole by a face and
//! removed by the scheduler that took it in. It does not know what becomes of the runs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::SchedulerLock;
use crate::record::RunId;
use crate::util::{disk, write_atomic};

fn folder(workspace: &Path) -> PathBuf {
    workspace.join("requests")
}

/// Ask for `runs`, which are in the workspace already. The file is gone once they are taken on.
pub fn ask(workspace: &Path, runs: &[RunId]) -> io::Result<PathBuf> {
    let folder = folder(workspace);
    fs::create_dir_all(&folder)?;
    // After those that wait already. Clocks are set back; numbers are not. Two that come at once are told apart by who asks.
    let last = waiting(&folder)?
        .into_iter()
        .filter_map(|path| number(&path));
    let next = last.max().map_or(0, |last| last + 1);
    let path = folder.join(format!("{next:010}-{}.json", std::process::id()));
    write_atomic(&path, &serde_json::to_vec(runs)?)?;
    Ok(path)
}

/// The requests that nobody has taken in yet, oldest first.
fn waiting(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    // A request on its way is a hidden file.
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    paths.sort();
    Ok(paths)
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.split('-').next()?.parse().ok()
}

/// Take in what was asked for, oldest first. A request that cannot be read is left where it is and told. Refused when the
/// lock is lost: it is for the next scheduler then.
pub(super) fn take(lock: &SchedulerLock) -> io::Result<Vec<RunId>> {
    let mut runs = Vec::new();
    for path in waiting(&folder(lock.workspace()))? {
        lock.check()?;
        let asked: Vec<RunId> = serde_json::from_slice(&disk::read_small(&path)?)
            .map_err(|e| io::Error::other(format!("{}: {e}", path.display())))?;
        fs::remove_file(&path)?;
        runs.extend(asked);
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_taken_once_and_in_order() {
        let tmp = tempfile::tempdir().unwrap();
        let lock = SchedulerLock::acquire(tmp.path()).unwrap();
        assert_eq!(take(&lock).unwrap(), []);
        let runs: Vec<RunId> = vec!["0123456789".parse().unwrap(), "abcdef0123".parse().unwrap()];
        let paths: Vec<PathBuf> = [1, 0]
            .map(|n| ask(tmp.path(), &runs[n..=n]).unwrap())
            .into();
        assert!(paths[0].exists() && paths[1].exists());
        assert_eq!(take(&lock).unwrap(), [runs[1].clone(), runs[0].clone()]);
        assert!(!paths[0].exists() && !paths[1].exists());
        assert_eq!(take(&lock).unwrap(), []);
    }

    #[test]
    fn a_request_is_left_to_whoever_has_the_lock() {
        let tmp = tempfile::tempdir().unwrap();
        let stale = SchedulerLock::acquire(tmp.path()).unwrap();
        fs::remove_file(tmp.path().join("scheduler.lock")).unwrap();
        let lock = SchedulerLock::acquire(tmp.path()).unwrap();
        let runs: Vec<RunId> = vec!["0123456789".parse().unwrap()];
        ask(tmp.path(), &runs).unwrap();
        take(&stale).unwrap_err();
        assert_eq!(take(&lock).unwrap(), runs);
    }
}
