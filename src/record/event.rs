//! The lines of `events.jsonl`. A new variant of [`Event`] is a compile error in every fold
//! until somebody has thought about it; a reader older than the line counts it as unknown and goes on.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Lack, Provenance};

/// One line of `events.jsonl`. `seq` grows by one a line over all attempts and gives the order; `at` (milliseconds
/// since 1970) is for display.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    pub seq: u64,
    pub attempt: u32,
    pub at: u64,
    pub event: Event,
}

/// What comes before the digits of a line's checksum, and after them.
const SUM: (&str, &str) = (",\"sum\":\"", "\"}");
/// Hexadecimal digits of it.
const DIGITS: usize = 8;

impl Line {
    /// The line as it stands in the file, with a checksum as its last field: JSON alone does not tell a digit from
    /// another.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)?;
        let sum = sum_of(&bytes);
        bytes.pop();
        bytes.extend([SUM.0, &sum, SUM.1].concat().bytes());
        Ok(bytes)
    }

    /// The line that `text` holds; none if it is damaged or of a version that this one does not know. Lines from before
    /// there were checksums have none.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((content, sum)) = text
            .strip_suffix(SUM.1)
            .and_then(|text| text.split_at_checked(text.len().checked_sub(DIGITS)?))
            && let Some(content) = content.strip_suffix(SUM.0)
            && sum_of(format!("{content}}}").as_bytes()) != sum
        {
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

fn sum_of(content: &[u8]) -> String {
    blake3::hash(content).to_hex()[..DIGITS].to_owned()
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
        /// What the files looked like that it reads, by the setting that names them.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        files: BTreeMap<String, String>,
        /// What the attempt's numbers come from; empty in logs from before it was noted.
        #[serde(default, skip_serializing_if = "Provenance::is_empty")]
        provenance: Box<Provenance>,
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
    /// The attempt ended at `step`, for the reason given, and steps after `to` are void: another goes on from the newest
    /// checkpoint that is not later. Batches `left_out`, first and last of each range, counted from 1, are left out from
    /// then on, beside those of earlier events.
    RolledBack {
        step: u64,
        examples: u64,
        to: u64,
        left_out: Vec<[u64; 2]>,
        reason: String,
    },
    /// The attempt ended because it was asked to; the run can go on from its last checkpoint.
    Stopped { step: u64, examples: u64 },
    /// The machine failed the attempt and the run is not to blame: it can go on elsewhere, or with more room.
    Interrupted { lack: Lack, reason: String },
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
                provenance,
                ..
            } => {
                let devices = devices.join(", ");
                write!(
                    f,
                    "started: siglab {siglab} on {host}, process {pid}, {devices}, threads {threads}, steps {total_steps}"
                )?;
                match &provenance.git {
                    Some(git) => write!(f, ", git {git}"),
                    None => Ok(()),
                }
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
            Self::RolledBack {
                step,
                to,
                left_out,
                reason,
                ..
            } => {
                write!(
                    f,
                    "goes back from step {step} to {to}: {reason}; leaves out batches"
                )?;
                let ranges = left_out.iter();
                let mut ranges = ranges.map(|[first, last]| format!(" {first} to {last}"));
                ranges.try_for_each(|range| f.write_str(&range))
            }
            Self::Interrupted { reason, .. } => write!(f, "interrupted: {reason}"),
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

    /// As siglab wrote it before it noted provenance.
    #[test]
    fn a_start_without_provenance_reads_on() {
        let old = r#"{"seq":0,"attempt":1,"at":5,"event":{"kind":"started","siglab":"0.1.0","host":"h","pid":1,"devices":["cpu"],"threads":2,"total_steps":3,"total_examples":4}}"#;
        let line = Line::parse(old).unwrap();
        let Event::Started { provenance, .. } = &line.event else {
            panic!("{line:?}")
        };
        assert!(provenance.is_empty());
        assert!(
            !String::from_utf8(line.to_bytes().unwrap())
                .unwrap()
                .contains("provenance")
        );
        let newer = old.replace(
            "\"threads\"",
            "\"provenance\":{\"cpu\":\"x\",\"moon\":1},\"threads\"",
        );
        assert!(
            Line::parse(&newer).is_some(),
            "of a later version with more to say"
        );
    }

    fn line() -> Line {
        Line {
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
        }
    }

    #[test]
    fn an_event_round_trips() {
        let text = String::from_utf8(line().to_bytes().unwrap()).unwrap();
        assert!(text.contains("\"sum\""), "{text}");
        assert_eq!(Line::parse(&text), Some(line()));
        let old = serde_json::to_string(&line()).unwrap();
        assert_eq!(Line::parse(&old), Some(line()), "from before checksums");
    }

    #[test]
    fn no_flipped_bit_changes_what_a_line_says() {
        let bytes = line().to_bytes().unwrap();
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(text) = str::from_utf8(&flipped)
                && let Some(found) = Line::parse(text)
            {
                assert_eq!(found, line(), "{text}");
            }
        }
    }
}
