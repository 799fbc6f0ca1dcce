//! What the scheduler at work lets the faces know and no run directory can tell: why each run waits. Written by the
//! scheduler alone, in a directory of its own, because what changes in the workspace's makes every reader list it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{SchedulerLock, Wait, lock};
use crate::record::RunId;
use crate::util::{disk, write_atomic};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Posted {
    epoch: u64,
    waits: BTreeMap<RunId, Wait>,
}

fn path(workspace: &Path) -> PathBuf {
    workspace.join("schedule").join("waits.json")
}

/// Let the faces know why runs wait. Refused when the lock is lost.
pub(super) fn post(lock: &SchedulerLock, waits: &BTreeMap<RunId, Wait>) -> io::Result<()> {
    lock.check()?;
    let path = path(lock.workspace());
    fs::create_dir_all(path.parent().unwrap_or(lock.workspace()))?;
    let posted = Posted {
        epoch: lock.epoch(),
        waits: waits.clone(),
    };
    write_atomic(&path, &serde_json::to_vec(&posted)?)
}

/// Why runs wait, as the scheduler at work says; empty when none is. What cannot be read is not known.
pub fn waits(workspace: &Path) -> BTreeMap<RunId, Wait> {
    let at_work = lock::epoch_at_work(workspace).ok().flatten();
    match (at_work, read(workspace)) {
        (Some(epoch), Some(posted)) if posted.epoch == epoch => posted.waits,
        _ => BTreeMap::new(),
    }
}

/// Whether the scheduler at work has been through its first round, after which it lets the faces know.
pub fn has_begun(workspace: &Path) -> bool {
    let at_work = lock::epoch_at_work(workspace).ok().flatten();
    at_work.is_some_and(|epoch| last_epoch(workspace) == epoch)
}

/// The epoch of the scheduler that posted last; 0 when none did.
pub(super) fn last_epoch(workspace: &Path) -> u64 {
    read(workspace).map_or(0, |posted| posted.epoch)
}

fn read(workspace: &Path) -> Option<Posted> {
    serde_json::from_slice(&disk::read_small(&path(workspace)).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_scheduler_posted_holds_while_it_is_at_work() {
        let tmp = tempfile::tempdir().unwrap();
        assert!(waits(tmp.path()).is_empty());
        let id: RunId = "0123456789".parse().unwrap();
        let posts = BTreeMap::from([(id, Wait::Slots { needs: 4, free: 2 })]);
        let lock = SchedulerLock::acquire(tmp.path()).unwrap();
        post(&lock, &posts).unwrap();
        assert_eq!(waits(tmp.path()), posts);
        drop(lock);
        assert!(waits(tmp.path()).is_empty());
        let _next = SchedulerLock::acquire(tmp.path()).unwrap();
        assert!(waits(tmp.path()).is_empty(), "of an earlier one");
        assert_eq!(last_epoch(tmp.path()), 1);
    }
}
