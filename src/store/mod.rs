//! Every run's logs folded into memory. Nothing here writes: what is not in the logs did not happen.

use std::collections::BTreeMap;

use crate::record::{Row, RunDir};
use crate::spec::RunSpec;

/// One run as its directory tells it.
#[derive(Clone, Debug)]
pub struct Run {
    pub dir: RunDir,
    pub spec: RunSpec,
    pub state: RunState,
    /// The attempt that wrote last; 0 before the first.
    pub attempt: u32,
    /// Rows that stand: those a resume made void are gone. In order of step.
    pub rows: Vec<Row>,
    /// Evaluations that stand, in order of step.
    pub evaluations: Vec<Evaluation>,
    pub warnings: Vec<String>,
    /// Lines of the logs that could not be read.
    pub damaged: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    pub step: u64,
    pub examples: u64,
    pub metrics: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// No worker has touched it.
    New,
    /// A worker holds the run's lock.
    Running,
    /// Its last attempt stopped on request, and can go on.
    Stopped,
    /// Its last attempt ended without a word: killed, or the machine went down. It can go on.
    Interrupted { cause: Option<String> },
    Completed,
    Diverged { step: u64, reason: String },
    Failed { reason: String },
}
