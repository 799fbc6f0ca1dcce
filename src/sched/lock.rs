//! One scheduler a workspace: an OS file lock that the kernel drops when its holder dies, with a line in the file
//! that says who holds it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

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
    file: File,
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
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        // `holder` takes the lock for an instant to see whether it is free: one refusal is not yet an answer.
        let deadline = Instant::now() + Duration::from_millis(200);
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(TryLockError::WouldBlock) => {
                    let holder = text(&path).unwrap_or_else(|| "it left no name".into());
                    return Err(LockError::Held {
                        workspace: workspace.to_owned(),
                        holder,
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        file.set_len(0)
            .and_then(|()| writeln!(file, "process {} on {host}", std::process::id()))
            .map_err(failed)?;
        Ok(Self {
            workspace: workspace.to_owned(),
            file,
        })
    }
}

impl Drop for SchedulerLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread has forked keeps it open until it executes its
        // programme. Nobody is left to tell of a failure, and then the kernel does it with the last of them.
        let _ = self.file.unlock();
    }
}

impl SchedulerLock {
    /// The workspace that it is the right to.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }
}

/// Who holds the workspace, if anybody does.
pub fn holder(workspace: &Path) -> io::Result<Option<String>> {
    let path = path(workspace);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => Ok(Some(text(&path).unwrap_or_default())),
        Err(TryLockError::Error(e)) => Err(e),
    }
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
        let _inherited = lock.file.try_clone().unwrap();
        drop(lock);
        assert_eq!(holder(tmp.path()).unwrap(), None);
        SchedulerLock::acquire(tmp.path()).unwrap();
    }
}
