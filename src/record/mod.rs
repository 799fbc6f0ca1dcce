//! The run directory: the one contract between a worker, which writes what happened, and the workbench, which
//! reads it. Every file here has one writer. This layer knows names, formats and durability; it knows nothing of
//! what a run trains or who asked for it.

pub mod checkpoint;
mod device;
mod event;
mod flood;
mod lease;
mod lines;
mod lock;
mod log;
mod process;
mod provenance;
mod pulse;
mod room;
mod row;
mod setback;
mod tail;
mod want;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use device::{DeviceName, Library, each_device, gauge, gpu, library};
pub use event::{Event, Line, Outcome};
pub use flood::Flood;
pub use lease::{Lease, WorkerLock, at_work};
pub use lines::LogLost;
pub use lock::FileLock;
pub use log::end_of_log;
pub use process::{Process, Work, ticks_since_boot};
pub use provenance::{Git, Provenance};
pub use pulse::{Heart, Phase, Pulse};
pub use room::{Room, Space};
pub use row::{Row, RowReader};
pub use setback::{Cause, Lack, Setback};
pub use tail::{Bite, Block, Tail};
pub use want::{Want, Wish};
pub use writer::{EventLog, MetricLog, read_events};

/// The version of the files below. A reader refuses a directory of a newer one.
pub const FORMAT: u32 = 1;

/// The name of a run: ten hexadecimal digits, a hash of what its settings change from the defaults.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    pub const LENGTH: usize = 10;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hexadecimal = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() == Self::LENGTH && hexadecimal {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!(
                "`{}` is not a run id: expected {} hexadecimal digits",
                crate::util::printable(text),
                Self::LENGTH
            ))
        }
    }
}

impl TryFrom<String> for RunId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> String {
        id.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The paths of one run. Making one touches no disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// The files that are small and replaced as a whole.
    pub const REPLACED: [&str; 3] = ["spec.json", "want.json", "lease.json"];

    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What to train: written once, by the workbench.
    pub fn spec(&self) -> PathBuf {
        self.path.join("spec.json")
    }

    /// What the faces want of the run: run, pause or stop.
    pub fn want(&self) -> PathBuf {
        self.path.join("want.json")
    }

    /// Where the run's process lives: written by the scheduler.
    pub fn lease(&self) -> PathBuf {
        self.path.join("lease.json")
    }

    /// What the worker is at just now: written by the worker, and no record of anything.
    pub fn pulse(&self) -> PathBuf {
        self.path.join("pulse")
    }

    /// Locked by the worker for as long as it lives.
    pub fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Locked by the worker for as long as it waits for room on the disk.
    pub fn waiting(&self) -> PathBuf {
        self.path.join("waiting")
    }

    /// What happened, one [`Line`] a line: written by the worker.
    pub fn events(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// One [`Row`] a logged step: written by the worker.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// One directory a checkpoint, see [`checkpoint`].
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// What the locked tower that reads `what` made of the training set, while the run is not complete and if it is told
    /// to keep that here: written by the worker.
    pub fn embeddings(&self, what: &str) -> PathBuf {
        self.path.join(format!("embeddings-{what}.bin"))
    }

    /// Standard output and error of the worker, all attempts in turn.
    pub fn log(&self) -> PathBuf {
        self.path.join("worker.log")
    }

    /// What came before that, when it got too long.
    pub fn old_log(&self) -> PathBuf {
        self.path.join("worker.log.1")
    }

    /// The directory of another run of the same workspace.
    pub fn sibling(&self, id: &RunId) -> RunDir {
        RunDir::new(
            self.path
                .parent()
                .unwrap_or(Path::new("."))
                .join(id.as_str()),
        )
    }
}

#[cfg(test)]
mod tests;
