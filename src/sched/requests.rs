//! Runs that the scheduler at work is asked to take on: one file a request in `requests/`, made whole by a face and
//! removed by the scheduler that took it in. It does not know what becomes of the runs.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::record::RunId;
use crate::util::{wall_clock_ms, write_atomic};

fn folder(workspace: &Path) -> PathBuf {
    workspace.join("requests")
}

/// Ask for `runs`, which are in the workspace already. The file is gone once they are taken on.
pub fn ask(workspace: &Path, runs: &[RunId]) -> io::Result<PathBuf> {
    let folder = folder(workspace);
    fs::create_dir_all(&folder)?;
    let name = format!("{}-{}.json", wall_clock_ms(), std::process::id());
    let path = folder.join(name);
    write_atomic(&path, &serde_json::to_vec(runs)?)?;
    Ok(path)
}

/// Take in what was asked for, oldest first. A request that cannot be read is left where it is and told.
pub(super) fn take(workspace: &Path) -> io::Result<Vec<RunId>> {
    let entries = match fs::read_dir(folder(workspace)) {
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
    let mut runs = Vec::new();
    for path in paths {
        let asked: Vec<RunId> = serde_json::from_slice(&fs::read(&path)?)
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
    fn what_was_asked_for_is_taken_once() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(take(tmp.path()).unwrap(), []);
        let runs: Vec<RunId> = vec!["0123456789".parse().unwrap(), "abcdef0123".parse().unwrap()];
        let path = ask(tmp.path(), &runs).unwrap();
        assert!(path.exists());
        assert_eq!(take(tmp.path()).unwrap(), runs);
        assert!(!path.exists());
        assert_eq!(take(tmp.path()).unwrap(), []);
    }
}
