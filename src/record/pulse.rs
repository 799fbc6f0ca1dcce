//! `pulse`: what a worker is at, for whoever wonders at its silence. It is a sign of life and no record: nothing is
//! computed from it, it is not durable, and a reader that finds half of it takes it for none.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::RunDir;
use crate::util::disk;

/// Steps are told no more often than this.
const OFTEN: Duration = Duration::from_secs(1);
/// Every pulse is padded to this, so that one written over another leaves nothing of it.
const LENGTH: usize = 96;

/// What takes a worker's time. Only training is bound to show something soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Reading data and weights, compiling, and the first step, which does much of that.
    Starting,
    Training,
    Evaluating,
    Saving,
}

/// The content of `pulse`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pulse {
    /// Of the worker: a pulse that an earlier one left is none.
    pub pid: u32,
    pub phase: Phase,
    /// Updates that are done.
    pub step: u64,
}

impl Pulse {
    /// The pulse of the process `pid` that works on the run.
    pub fn read(dir: &RunDir, pid: i32) -> Option<Self> {
        let bytes = disk::read_small(&dir.pulse()).ok()?;
        let pulse: Self = serde_json::from_slice(&bytes).ok()?;
        (i32::try_from(pulse.pid) == Ok(pid)).then_some(pulse)
    }
}

/// The worker's side.
#[derive(Debug)]
pub struct Heart {
    file: File,
    last: Option<(Phase, Instant)>,
}

impl Heart {
    pub fn new(dir: &RunDir) -> io::Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.pulse())?;
        let mut heart = Self { file, last: None };
        heart.beat(Phase::Starting, 0);
        Ok(heart)
    }

    /// Say what the worker is at after `step` updates: at once when that is something else than before, else once a second
    /// at most.
    pub fn beat(&mut self, phase: Phase, step: u64) {
        let now = Instant::now();
        let fresh = |(last, at): (Phase, Instant)| last == phase && now - at < OFTEN;
        if self.last.is_some_and(fresh) {
            return;
        }
        self.last = Some((phase, now));
        let pulse = Pulse {
            pid: std::process::id(),
            phase,
            step,
        };
        let text = serde_json::to_string(&pulse).expect("a pulse is plain data");
        // A disk that does not take a sign of life is no reason to stop training.
        let _ = self
            .file
            .write_all_at(format!("{text:LENGTH$}").as_bytes(), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_phase_is_told_at_once_and_only_of_the_process_that_is_meant() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let me = std::process::id() as i32;
        assert_eq!(Pulse::read(&dir, me), None);
        let mut heart = Heart::new(&dir).unwrap();
        let phase = || Pulse::read(&dir, me).map(|pulse| (pulse.phase, pulse.step));
        assert_eq!(phase(), Some((Phase::Starting, 0)));
        heart.beat(Phase::Training, u64::MAX);
        assert_eq!(phase(), Some((Phase::Training, u64::MAX)));
        heart.beat(Phase::Training, 2);
        assert_eq!(
            phase(),
            Some((Phase::Training, u64::MAX)),
            "within a second"
        );
        heart.beat(Phase::Evaluating, 2);
        assert_eq!(
            phase(),
            Some((Phase::Evaluating, 2)),
            "nothing of the longer one is left"
        );
        assert_eq!(Pulse::read(&dir, me + 1), None);
        std::fs::write(dir.pulse(), "{\"pid\":").unwrap();
        assert_eq!(phase(), None);
    }
}
