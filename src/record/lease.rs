//! Who holds a run: the scheduler's note of the process it started (`lease.json`) and the lock that the worker
//! itself holds (`lock`). A process is known by boot id, pid and start time, so a recycled pid is a stranger and a
//! zombie is dead. Linux only: it reads `/proc`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

use super::{FileLock, RunDir};

/// One process of this or an earlier boot of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub boot_id: String,
    pub pid: i32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

impl Process {
    /// The process that has `pid` now; none when there is none or it is a zombie.
    pub fn with_pid(pid: u32) -> io::Result<Option<Self>> {
        let found =
            Self::read(pid)?.filter(|(_, state)| !matches!(state.as_str(), "Z" | "X" | "x"));
        Ok(found.map(|(process, _)| process))
    }

    /// A child that was not waited for: its pid is its own even if it has ended.
    pub fn of_child(child: &Child) -> io::Result<Self> {
        let (process, _) = Self::read(child.id())?
            .ok_or_else(|| io::Error::other("the child was waited for already"))?;
        Ok(process)
    }

    /// The process with `pid` and the letter of its state, zombies included.
    fn read(pid: u32) -> io::Result<Option<(Self, String)>> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned();
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat,
            Err(e)
                if e.kind() == io::ErrorKind::NotFound
                    || e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) =>
            {
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        // The name in field 2 may hold spaces and parentheses: fields are counted from the last ')'.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .map(|(_, rest)| rest.split_whitespace().collect())
            .unwrap_or_default();
        let (Some(state), Some(start)) = (fields.first(), fields.get(19)) else {
            return Err(io::Error::other(format!(
                "/proc/{pid}/stat has an unknown form"
            )));
        };
        let start_time = start.parse().map_err(io::Error::other)?;
        Ok(Some((
            Self {
                boot_id,
                pid: pid as i32,
                start_time,
            },
            (*state).to_owned(),
        )))
    }

    pub fn is_alive(&self) -> bool {
        Self::with_pid(self.pid as u32).ok().flatten().as_ref() == Some(self)
    }

    /// Send `signal` to the process group that this process leads. False, and no signal, when it is gone.
    pub fn signal_group(&self, signal: Signal) -> io::Result<bool> {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return Ok(false);
        };
        // The handle pins the process before its identity is read, so the two cannot be about different ones.
        let _handle: OwnedFd = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            Err(e) => return Err(e.into()),
        };
        if !self.is_alive() {
            return Ok(false);
        }
        match rustix::process::kill_process_group(pid, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

/// `lease.json`: the scheduler's note of where the run's process lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub executor: String,
    pub process: Process,
    pub devices: Vec<String>,
    /// Why the process is gone, when the scheduler saw it go: `exit status 1`, `signal 9`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}

impl Lease {
    pub fn read(dir: &RunDir) -> io::Result<Option<Lease>> {
        match fs::read(dir.lease()) {
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
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_zombie_is_dead_and_a_recycled_pid_is_a_stranger() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let process = Process::with_pid(child.id())
            .unwrap()
            .expect("the child lives");
        assert!(process.is_alive());
        let stranger = Process {
            start_time: process.start_time + 1,
            ..process.clone()
        };
        assert!(!stranger.is_alive());
        assert!(
            !stranger.signal_group(Signal::KILL).unwrap(),
            "a stranger gets no signal"
        );
        child.kill().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while process.is_alive() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(
            !process.is_alive(),
            "killed and not yet waited for: a zombie"
        );
        child.wait().unwrap();
    }

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
}
