//! One run in memory, and the questions that every face asks of it. How the logs become one is the fold's affair.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Along, Series};
use crate::record::{Provenance, RunDir, RunId, Setback, Want};
use crate::spec::RunSpec;

/// Zero-shot top-1 of the data set that a run trains on.
pub const TOP1: &str = "zeroshot/top1";

/// One run as its directory tells it.
#[derive(Clone, Debug)]
pub struct Run {
    pub dir: RunDir,
    pub spec: RunSpec,
    pub state: RunState,
    /// Its worker waits for room on the disk.
    pub waits: bool,
    /// What the faces want of it.
    pub want: Want,
    /// The attempt that wrote last; 0 before the first.
    pub attempt: u32,
    /// When each attempt started, in milliseconds since 1970.
    pub starts: BTreeMap<u32, u64>,
    /// The version, the machine and the threads of the last attempt.
    pub siglab: Option<String>,
    pub host: Option<String>,
    pub threads: Option<usize>,
    /// What else the last attempt's numbers come from; empty in logs from before it was noted.
    pub provenance: Provenance,
    /// What the last attempt ran on, one entry a rank; empty before the first.
    pub devices: Vec<String>,
    /// What the files looked like that the last attempt read, by the setting that names them.
    pub files: BTreeMap<String, String>,
    /// Updates that the run takes, as its last attempt said.
    pub total_steps: Option<u64>,
    /// Time that its attempts took, each from its start to its newest event, by the wall clock. What passed since that
    /// event is not in it.
    pub busy: Duration,
    /// When the newest event was written, in milliseconds since 1970.
    pub last_at: Option<u64>,
    /// When a run that is over ended, in milliseconds since 1970.
    pub finished_at: Option<u64>,
    /// Examples seen, as far as the log tells.
    pub examples: u64,
    /// Rows that stand: those a resume made void are gone.
    pub series: Series,
    /// Evaluations that stand, in order of step.
    pub evaluations: Vec<Evaluation>,
    pub warnings: Vec<String>,
    /// The most memory that the last worker was seen to hold, in bytes.
    pub peak: Option<u64>,
    /// How attempts came to a bad end that was no result, oldest first.
    pub setbacks: Vec<Setback>,
    /// Lines of the logs that could not be read, or were not where they belong.
    pub damaged: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    pub attempt: u32,
    /// When it was done, in milliseconds since 1970.
    pub at: u64,
    pub step: u64,
    pub examples: u64,
    pub metrics: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// No worker has touched it.
    New,
    /// A worker lives: it holds the run's lock, or is the process of the lease.
    Running,
    /// Its last attempt stopped on request, or its failure was forgiven. It can go on.
    Stopped,
    /// Its last attempt ended without a word: killed, or the machine went down. It can go on.
    Interrupted {
        cause: Option<String>,
    },
    Completed,
    Diverged {
        step: u64,
        reason: String,
    },
    Failed {
        reason: String,
    },
}

impl RunState {
    /// Whether no further attempt will follow by itself.
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Diverged { .. } | Self::Failed { .. }
        )
    }

    /// One word for a column or a script.
    pub fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Interrupted { .. } => "interrupted",
            Self::Completed => "completed",
            Self::Diverged { .. } => "diverged",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Run {
    /// A run before its logs are read.
    pub fn new(dir: RunDir, spec: RunSpec) -> Self {
        Self {
            dir,
            spec,
            state: RunState::New,
            waits: false,
            want: Want::default(),
            attempt: 0,
            starts: BTreeMap::new(),
            siglab: None,
            host: None,
            threads: None,
            provenance: Provenance::default(),
            devices: Vec::new(),
            files: BTreeMap::new(),
            total_steps: None,
            busy: Duration::ZERO,
            last_at: None,
            finished_at: None,
            examples: 0,
            series: Series::default(),
            evaluations: Vec::new(),
            warnings: Vec::new(),
            peak: None,
            setbacks: Vec::new(),
            damaged: 0,
        }
    }

    pub fn id(&self) -> &RunId {
        &self.spec.id
    }

    /// The part of its budget that the run has seen, 0 to 1.
    pub fn progress(&self) -> f64 {
        (self.examples as f64 / self.spec.config.examples().max(1) as f64).min(1.0)
    }

    /// The newest logged value of `key`.
    pub fn latest(&self, key: &str) -> Option<f64> {
        self.series.latest(key)
    }

    /// The newest evaluated value of `key`.
    pub fn evaluated(&self, key: &str) -> Option<f64> {
        self.evaluations
            .iter()
            .rev()
            .find_map(|evaluation| evaluation.metrics.get(key).copied())
    }

    /// The metric that is the run's zero-shot top-1: of the data set that it trains on, and where that has no classes, of
    /// the first by name of `eval.sets`. None before it was evaluated.
    pub fn top1_key(&self) -> Option<&str> {
        let metrics = &self.evaluations.last()?.metrics;
        let of_set = |key: &&String| key.starts_with("zeroshot/") && key.ends_with("/top1");
        let own = metrics.get_key_value(TOP1).map(|(key, _)| key);
        own.or_else(|| metrics.keys().find(of_set))
            .map(String::as_str)
    }

    /// The newest zero-shot top-1, see [`top1_key`](Self::top1_key).
    pub fn top1(&self) -> Option<f64> {
        self.evaluated(self.top1_key()?)
    }

    /// Examples a second over the last ten seconds of training; none before two rows of one attempt exist.
    pub fn speed(&self) -> Option<f64> {
        let series = &self.series;
        let last = series.len().checked_sub(1)?;
        let attempt = series.attempt(last);
        let recent = series.first_at(Along::Seconds, series.seconds()[last] - 10.0);
        let first = (recent..=last).find(|&row| series.attempt(row) == attempt)?;
        let seconds = series.seconds()[last] - series.seconds()[first];
        let examples = series.examples()[last].saturating_sub(series.examples()[first]);
        (seconds > 0.0).then(|| examples as f64 / seconds)
    }
}
