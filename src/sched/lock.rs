//! One scheduler a workspace: an OS file lock that the kernel drops when its holder dies, with who holds it and its epoch
//! in the file. Each holder's epoch is higher than those before it. A file lock is only as good as its file: somebody may
//! replace it, and a network file system may forget. So what a scheduler writes it writes only while the file says that
//! it is still the one.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::posted;
use crate::record::FileLock;
use crate::util::{disk, printable};

#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another scheduler works in {}: {holder}; `siglab run --detach` hands runs to it, or wait for it, or stop it with Ctrl-C or `kill`", .workspace.display())]
    Held { workspace: PathBuf, holder: String },
    #[error("the workspace {} is no longer this scheduler's: {holder}", .workspace.display())]
    Lost { workspace: PathBuf, holder: String },
    #[error("cannot lock {}", .path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The right to start and stop the runs of a workspace, for as long as the value lives.
#[derive(Debug)]
pub struct SchedulerLock {
    workspace: PathBuf,
    epoch: u64,
    held: FileLock,
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
        let Some(held) = held else {
            return Err(LockError::Held {
                workspace: workspace.to_owned(),
                holder: note(&path).map_or_else(|| "it left no name".into(), |note| note.holder),
            });
        };
        // The file may be a new one: what was posted under the old one is older all the same.
        let before = note(&path).map_or(0, |note| note.epoch);
        let epoch = before.max(posted::last_epoch(workspace)) + 1;
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let mut file = held.file();
        file.set_len(0)
            .and_then(|()| {
                let me = std::process::id();
                file.write_all(format!("process {me} on {host}\nepoch {epoch}\n").as_bytes())
            })
            .and_then(|()| file.sync_all())
            .map_err(failed)?;
        let lock = Self {
            workspace: workspace.to_owned(),
            epoch,
            held,
        };
        // Of two that come at once the file of one may have been replaced before it was locked.
        lock.check()?;
        Ok(lock)
    }

    /// Whether the right still stands. To be asked before each write.
    pub fn check(&self) -> Result<(), LockError> {
        let path = path(&self.workspace);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let lost = |holder: String| LockError::Lost {
            workspace: self.workspace.clone(),
            holder,
        };
        let there = match fs::metadata(&path) {
            Ok(there) => there,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                return Err(lost(format!("{} is gone", path.display())));
            }
            Err(e) => return Err(failed(e)),
        };
        let ours = self.held.file().metadata().map_err(failed)?;
        let note = note(&path);
        let same = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
        match note {
            Some(note) if same && note.epoch == self.epoch => Ok(()),
            Some(note) => Err(lost(note.holder)),
            None => Err(lost(format!("{} was replaced", path.display()))),
        }
    }

    /// The workspace that it is the right to.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// What the kernel does when the holder dies, for tests in which it lives on.
    #[cfg(test)]
    pub(super) fn let_go(&self) {
        self.held.file().unlock().expect("a lock that is held");
    }

    /// Grows by one at least with each holder.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl From<LockError> for io::Error {
    fn from(error: LockError) -> Self {
        io::Error::other(error)
    }
}

/// Who holds the workspace, if anybody does.
pub fn holder(workspace: &Path) -> io::Result<Option<String>> {
    Ok(held(workspace)?.map(|note| note.holder))
}

/// The epoch of who holds the workspace, if anybody does.
pub(super) fn epoch_at_work(workspace: &Path) -> io::Result<Option<u64>> {
    Ok(held(workspace)?.map(|note| note.epoch))
}

fn held(workspace: &Path) -> io::Result<Option<Note>> {
    let path = path(workspace);
    let held = FileLock::is_held(&path)?;
    Ok(held.then(|| note(&path).unwrap_or_default()))
}

/// What stands in the file.
#[derive(Debug, Default)]
struct Note {
    holder: String,
    epoch: u64,
}

/// None when nothing stands there.
fn note(path: &Path) -> Option<Note> {
    let text = String::from_utf8(disk::read_small(path).ok()?).ok()?;
    let mut lines = text.lines();
    let holder = printable(lines.next()?.trim());
    let epoch = lines.find_map(|line| line.strip_prefix("epoch ")?.trim().parse().ok());
    Some(Note {
        holder,
        epoch: epoch.unwrap_or_default(),
    })
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
        let named = holder(tmp.path()).unwrap().unwrap();
        assert!(
            named.starts_with(&me) && !named.contains("epoch"),
            "{named}"
        );
        let error = SchedulerLock::acquire(tmp.path()).unwrap_err().to_string();
        assert!(error.contains(&me), "{error}");
        // As a child has it between its birth and its programme.
        let _inherited = lock.held.file().try_clone().unwrap();
        drop(lock);
        assert_eq!(holder(tmp.path()).unwrap(), None);
        SchedulerLock::acquire(tmp.path()).unwrap();
    }

    #[test]
    fn epochs_grow_and_a_lock_whose_file_is_another_is_lost() {
        let tmp = tempfile::tempdir().unwrap();
        let path = path(tmp.path());
        let epochs: Vec<u64> = (0..3)
            .map(|_| SchedulerLock::acquire(tmp.path()).unwrap().epoch())
            .collect();
        assert_eq!(epochs, [1, 2, 3]);

        let first = SchedulerLock::acquire(tmp.path()).unwrap();
        first.check().unwrap();
        fs::remove_file(&path).unwrap();
        assert!(matches!(first.check(), Err(LockError::Lost { .. })));
        posted::post(&first, &Default::default()).unwrap_err();

        let second = SchedulerLock::acquire(tmp.path()).unwrap();
        second.check().unwrap();
        let error = first.check().unwrap_err().to_string();
        assert!(error.contains("process "), "{error}");

        // A file system that forgets locks leaves the file where it is.
        fs::write(&path, "process 1 on elsewhere\nepoch 99\n").unwrap();
        let error = second.check().unwrap_err().to_string();
        assert!(error.contains("elsewhere"), "{error}");
        fs::write(&path, "").unwrap();
        assert!(matches!(second.check(), Err(LockError::Lost { .. })));
    }

    #[test]
    fn a_lock_file_from_before_there_were_epochs_begins_them() {
        let tmp = tempfile::tempdir().unwrap();
        fs::write(path(tmp.path()), "process 1 on here\n").unwrap();
        assert_eq!(SchedulerLock::acquire(tmp.path()).unwrap().epoch(), 1);
    }
}
