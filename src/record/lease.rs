//! Who holds a run: the scheduler's note of the process it started and of what became of it (`lease.json`), and the
//! lock that the worker itself holds (`lock`).

use std::io;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{FileLock, Process, RunDir, Setback};
use crate::util::disk;

/// `lease.json`: the scheduler's note of where the run's process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub executor: String,
    pub process: Process,
    pub devices: Vec<String>,
    /// Of the scheduler that wrote this: each that holds the workspace has a higher one than those before it.
    #[serde(default)]
    pub epoch: u64,
    /// Why the process is gone, when the scheduler saw it go: `exit status 1`, `signal 9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The most memory that the process was seen to hold, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// How attempts came to a bad end, this one and those before it, oldest first. They outlive the scheduler, so that the
    /// next one goes on counting.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setbacks: Vec<Setback>,
}

impl Lease {
    /// A process that was just started.
    pub fn new(executor: &str, process: Process, devices: Vec<String>) -> Self {
        Self {
            executor: executor.into(),
            process,
            devices,
            epoch: 0,
            ended: None,
            peak: None,
            setbacks: Vec::new(),
        }
    }

    pub fn read(dir: &RunDir) -> io::Result<Option<Lease>> {
        match disk::read_small(&dir.lease()) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|e| io::Error::other(format!("{}: {e}", dir.lease().display()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    pub fn write(&self, dir: &RunDir) -> io::Result<()> {
        crate::util::write_atomic(&dir.lease(), &serde_json::to_vec_pretty(self)?)
    }
}

/// The process that works on the run: the one that was `leased` or, where that is gone, whoever holds the run's lock.
pub fn at_work(dir: &RunDir, leased: Option<Process>) -> io::Result<Option<Process>> {
    match leased.filter(Process::is_alive) {
        Some(process) => Ok(Some(process)),
        None => WorkerLock::holder(dir),
    }
}

/// The lock a worker holds while it lives; the kernel drops it however the worker dies.
#[derive(Debug)]
pub struct WorkerLock {
    _held: FileLock,
}

impl WorkerLock {
    /// Take the run's lock. None when another worker has it. Waits two seconds first, for a worker that is just dying.
    pub fn acquire(dir: &RunDir) -> io::Result<Option<Self>> {
        let held = FileLock::acquire(&dir.lock(), Duration::from_secs(2))?;
        Ok(held.map(|held| Self { _held: held }))
    }

    /// Whether a worker holds the run's lock now.
    pub fn is_held(dir: &RunDir) -> io::Result<bool> {
        FileLock::is_held(&dir.lock())
    }

    /// The worker that holds the run's lock, where it is another process of this machine: it is at work whatever a lease says.
    pub fn holder(dir: &RunDir) -> io::Result<Option<Process>> {
        let holder = || FileLock::holder(&dir.lock());
        let Some(pid) = holder()?.filter(|pid| *pid != std::process::id()) else {
            return Ok(None);
        };
        let process = Process::with_pid(pid)?;
        // It had the lock before it was looked at and has it still: no other process had its pid in between.
        Ok(process.filter(|_| holder().is_ok_and(|now| now == Some(pid))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_is_exclusive_and_visible() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        assert!(!WorkerLock::is_held(&dir).unwrap());
        let lock = WorkerLock::acquire(&dir).unwrap().expect("free");
        assert!(WorkerLock::is_held(&dir).unwrap());
        assert!(WorkerLock::acquire(&dir).unwrap().is_none());
        // As a child has it between its birth and its programme.
        let _inherited = lock._held.file().try_clone().unwrap();
        drop(lock);
        assert!(!WorkerLock::is_held(&dir).unwrap());
    }

    #[test]
    fn whoever_holds_the_lock_is_known_without_a_lease() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        assert_eq!(WorkerLock::holder(&dir).unwrap(), None, "no file");
        let lock = WorkerLock::acquire(&dir).unwrap();
        let me = std::process::id();
        assert_eq!(FileLock::holder(&dir.lock()).unwrap(), Some(me));
        assert_eq!(WorkerLock::holder(&dir).unwrap(), None, "not oneself");
        drop(lock);
        assert_eq!(FileLock::holder(&dir.lock()).unwrap(), None);
        let mut other = std::process::Command::new("flock")
            .arg(dir.lock())
            .args(["-c", "echo; exec sleep 600"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // It has said something: it has the lock.
        let mut said = [0];
        io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut said).unwrap();
        let held = WorkerLock::holder(&dir).unwrap();
        assert_eq!(held.map(|process| process.pid as u32), Some(other.id()));
        other.kill().unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn a_lease_from_before_there_were_setbacks_is_read() {
        let old = r#"{"executor":"local","process":{"boot_id":"b","pid":7,"start_time":9},
                      "devices":["cpu"],"ended":"signal 9"}"#;
        let lease: Lease = serde_json::from_str(old).unwrap();
        assert_eq!((lease.epoch, lease.ended.as_deref()), (0, Some("signal 9")));
        assert!(lease.setbacks.is_empty() && lease.peak.is_none());
    }
}
