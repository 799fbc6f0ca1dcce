//! The lines of `events.jsonl` and `metrics.jsonl`. A new variant of [`Event`] is a compile error in every fold
//! until somebody has thought about it; a reader older than the line counts it as unknown and goes on.

use std::collections::BTreeMap;

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
    /// This attempt goes on from a checkpoint: rows of earlier attempts after `step` are void.
    Resumed {
        step: u64,
        examples: u64,
    },
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
    Warned {
        step: u64,
        message: String,
    },
    /// The attempt ended because it was asked to; the run can go on from its last checkpoint.
    Stopped {
        step: u64,
        examples: u64,
    },
    /// The run is over and no attempt will follow, save one that `want.json` asks for after a failure.
    Finished {
        step: u64,
        examples: u64,
        outcome: Outcome,
    },
}

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

/// One line of `metrics.jsonl`, flat on disk so that polars, jq and pandas read it as it is. Values are finite;
/// what is not finite is left out here and told by an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub attempt: u32,
    /// Updates done when the row was taken: the first update logs step 1.
    pub step: u64,
    /// Image-text pairs seen so far.
    pub examples: u64,
    /// Seconds of training in this attempt, by a monotonic clock.
    pub seconds: f64,
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_flat_json() {
        let row = Row {
            attempt: 1,
            step: 2,
            examples: 128,
            seconds: 0.5,
            values: BTreeMap::from([("loss".into(), 3.25)]),
        };
        let text = serde_json::to_string(&row).unwrap();
        assert_eq!(
            text,
            r#"{"attempt":1,"step":2,"examples":128,"seconds":0.5,"loss":3.25}"#
        );
        assert_eq!(serde_json::from_str::<Row>(&text).unwrap(), row);
    }

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
