//! The lines of `events.jsonl`. A new variant of [`Event`] is a compile error in every fold
//! until somebody has thought about it; a reader older than the line counts it as unknown and goes on.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One line of `events.jsonl`. `seq` grows by one a line over all attempts and gives the order; `at` (milliseconds
/// since 1970) is for display.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub seq: u64,
    pub attempt: u32,
    pub at: u64,
    pub event: Event,
}

/// What happened to a run. Steps count updates, examples pairs seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A worker took the run. `devices` has one entry a rank; `threads` is each process's share of the cores.
    Started {
        siglab: String,
        host: String,
        pid: u32,
        devices: Vec<String>,
        threads: usize,
        total_steps: u64,
        total_examples: u64,
    },
    /// This attempt goes on from a checkpoint, or at step 0 from nothing: what earlier attempts said of later steps
    /// is void. Every attempt that gets to training says so before anything else of it.
    Resumed { step: u64, examples: u64 },
    /// One evaluation; a name that the evaluation could not compute is absent, never zero.
    Evaluated {
        step: u64,
        examples: u64,
        metrics: BTreeMap<String, f64>,
    },
    /// A checkpoint is durable under this name in `checkpoints/`.
    Saved {
        step: u64,
        examples: u64,
        name: String,
    },
    /// Something that a person should know and that stops nothing.
    Warned { step: u64, message: String },
    /// The attempt ended because it was asked to; the run can go on from its last checkpoint.
    Stopped { step: u64, examples: u64 },
    /// The run is over and no attempt will follow, save one that `want.json` asks for after a failure.
    Finished {
        step: u64,
        examples: u64,
        outcome: Outcome,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    Completed,
    /// The loss or a gradient stopped being finite: a result, not an accident.
    Diverged {
        reason: String,
    },
    /// The worker could not do its work, for the reason given.
    Failed {
        reason: String,
    },
}

/// One sentence for the worker's log.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started {
                siglab,
                host,
                pid,
                devices,
                threads,
                total_steps,
                ..
            } => {
                let devices = devices.join(", ");
                write!(
                    f,
                    "started: siglab {siglab} on {host}, process {pid}, {devices}, threads {threads}, steps {total_steps}"
                )
            }
            Self::Resumed { step: 0, .. } => f.write_str("from the start"),
            Self::Resumed { step, examples } => {
                write!(f, "goes on from step {step}, {examples} examples")
            }
            Self::Evaluated {
                step,
                examples,
                metrics,
            } => {
                write!(f, "step {step}, {examples} examples:")?;
                metrics
                    .iter()
                    .try_for_each(|(name, value)| write!(f, " {name} {value:.4}"))
            }
            Self::Saved { name, .. } => write!(f, "saved {name}"),
            Self::Warned { step, message } => write!(f, "warning at step {step}: {message}"),
            Self::Stopped { step, .. } => write!(f, "stopped on request at step {step}"),
            Self::Finished { step, outcome, .. } => match outcome {
                Outcome::Completed => write!(f, "completed at step {step}"),
                Outcome::Diverged { reason } => write!(f, "diverged at step {step}: {reason}"),
                Outcome::Failed { reason } => write!(f, "failed: {reason}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_round_trips() {
        let line = Line {
            seq: 3,
            attempt: 1,
            at: 0,
            event: Event::Finished {
                step: 9,
                examples: 90,
                outcome: Outcome::Diverged {
                    reason: "loss is NaN".into(),
                },
            },
        };
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
