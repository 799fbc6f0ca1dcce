//! One scheduler a workspace: an OS file lock that the kernel drops when its holder dies, with a line in the file
//! that says who holds it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::FileLock;
use crate::util::printable;

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another scheduler works in {}: {holder}; `siglab run --detach` hands runs to it, or wait for it, or stop it with Ctrl-C or `kill`", .workspace.display())]
    Held { workspace: PathBuf, holder: String },
    #[error("cannot lock {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The right to start and stop the runs of a workspace, for as long as the value lives.
#[derive(Debug)]
pub struct SchedulerLock {
    workspace: PathBuf,
    _held: FileLock,
}

fn path(workspace: &Path) -> PathBuf {
    workspace.join("scheduler.lock")
}

impl SchedulerLock {
    pub fn acquire(workspace: &Path) -> Result<Self, LockError> {
        let path = path(workspace);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let held = FileLock::acquire(&path, Duration::from_millis(200)).map_err(failed)?;
        let Some(lock) = held else {
            return Err(LockError::Held {
                workspace: workspace.to_owned(),
                holder: text(&path).unwrap_or_else(|| "it left no name".into()),
            });
        };
        let mut file = lock.file();
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        file.set_len(0)
            .and_then(|()| writeln!(file, "process {} on {host}", std::process::id()))
            .map_err(failed)?;
        Ok(Self {
            workspace: workspace.to_owned(),
            _held: lock,
        })
    }

    /// The workspace that it is the right to.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }
}

/// Who holds the workspace, if anybody does.
pub fn holder(workspace: &Path) -> io::Result<Option<String>> {
    let path = path(workspace);
    let held = FileLock::is_held(&path)?;
    Ok(held.then(|| text(&path).unwrap_or_default()))
}

fn text(path: &Path) -> Option<String> {
    fs::read_to_string(path)
        .ok()
        .map(|text| printable(text.trim()))
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_scheduler_learns_who_is_there() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(holder(tmp.path()).unwrap(), None);
        let lock = SchedulerLock::acquire(tmp.path()).unwrap();
        let me = format!("process {} on ", std::process::id());
        assert!(holder(tmp.path()).unwrap().unwrap().starts_with(&me));
        let error = SchedulerLock::acquire(tmp.path()).unwrap_err().to_string();
        assert!(error.contains(&me), "{error}");
        // As a child has it between its birth and its programme.
        let _inherited = lock._held.file().try_clone().unwrap();
        drop(lock);
        assert_eq!(holder(tmp.path()).unwrap(), None);
        SchedulerLock::acquire(tmp.path()).unwrap();
    }
}
