//! Where a run's process lives. An executor starts a worker for a run directory, tells whether it lives, asks it to stop
//! and, if it must, kills it. It does not know why a run should start, what it trains, or what its logs say.

pub mod device;
#[cfg(test)]
pub mod fake;
pub mod library;
pub mod local;
mod memory;

use std::io;

use crate::record::{Process, RunDir};
pub use device::{DeviceError, Slot};
pub use library::{Has, LibraryError};
pub use local::Local;

/// What identifies a started worker, also to a scheduler that comes later.
pub type Ticket = Process;

/// A worker to start: the run, a device for each of its ranks, and its share of the cores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    pub dir: RunDir,
    pub devices: Vec<String>,
    pub threads: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobState {
    Alive,
    /// It lives, and a signal keeps it from running.
    Suspended,
    Exited(i32),
    /// Ended by this signal.
    Killed(i32),
    /// Killed by the kernel, because memory ran out.
    OutOfMemory,
    /// Gone, and nobody saw how: it was the child of a scheduler that is gone itself.
    Vanished,
}

impl JobState {
    pub fn is_alive(&self) -> bool {
        matches!(self, Self::Alive | Self::Suspended)
    }

    /// How it ended, for people; none while it lives.
    pub fn ending(&self) -> Option<String> {
        match self {
            Self::Alive | Self::Suspended => None,
            Self::Exited(code) => Some(format!("exit status {code}")),
            Self::Killed(signal) => Some(format!("signal {signal}")),
            Self::OutOfMemory => Some("killed by the kernel: memory ran out".into()),
            Self::Vanished => Some("its process is gone".into()),
        }
    }
}

/// A worker that could not be started. The reason stands in the run's `worker.log` too, if that can be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot start {program}: {source}")]
pub struct SubmitError {
    pub program: String,
    #[source]
    pub source: io::Error,
}

pub trait Executor {
    /// The name that leases carry.
    fn name(&self) -> &'static str;

    /// What runs can be placed on.
    fn slots(&self) -> &[Slot];

    fn submit(&mut self, job: &Job) -> Result<Ticket, SubmitError>;

    /// The state of each ticket, in their order: one call for all, because a batch system answers slowly.
    fn poll(&mut self, tickets: &[Ticket]) -> Vec<JobState>;

    /// Ask a worker to save a checkpoint and stop. False when it is gone already.
    fn stop(&mut self, ticket: &Ticket) -> io::Result<bool>;

    /// End a worker and all that it started, now. False when nothing of it is left.
    fn kill(&mut self, ticket: &Ticket) -> io::Result<bool>;

    /// The most memory that a worker has held at one time so far, in bytes; none when it is gone.
    fn peak(&self, ticket: &Ticket) -> Option<u64>;

    /// Bytes that the workers can hold together; none where nobody knows.
    fn memory(&self) -> Option<u64>;
}
