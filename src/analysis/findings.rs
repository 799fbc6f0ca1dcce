//! All that an experiment has to say for itself: its question, what was expected, the verdict on each claim, its
//! tables, and what the answer cost.

use std::collections::BTreeSet;

use serde::Serialize;

use super::claim::{Verdict, verdicts};
use super::table::{Table, tables};
use crate::spec::{Experiment, Grid, RunSpec};
use crate::store::{Run, RunState};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Findings {
    /// The file that asks.
    pub experiment: String,
    pub question: String,
    /// What somebody expected before it was run; empty where nobody said.
    pub prediction: String,
    pub verdicts: Vec<Verdict>,
    pub tables: Vec<Table>,
    pub cost: Cost,
}

/// What the runs of an experiment took, those that others start from included.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// Runs that were asked for.
    pub runs: usize,
    pub completed: usize,
    pub diverged: usize,
    pub failed: usize,
    /// Examples seen, over all runs.
    pub examples: u64,
    /// Time that workers were at it, times the devices of each, in seconds.
    pub device_seconds: f64,
    /// What they ran on.
    pub devices: BTreeSet<String>,
}

/// What `experiment` has found so far.
///
/// # Errors
/// [`UnknownMetric`](super::UnknownMetric) for a table of something that no complete run has measured.
pub fn findings<'s>(
    experiment: &Experiment,
    grid: &Grid,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Findings> {
    let reports = experiment.tables();
    let each = reports
        .iter()
        .map(|report| tables(experiment, grid, report, &run_of));
    Ok(Findings {
        experiment: experiment.path.display().to_string(),
        question: experiment.question.clone(),
        prediction: experiment.prediction.clone(),
        verdicts: verdicts(experiment, grid, &run_of),
        tables: each.collect::<Result<Vec<_>, _>>()?.concat(),
        cost: cost(grid, run_of),
    })
}

fn cost<'s>(grid: &Grid, run_of: impl Fn(&RunSpec) -> Option<&'s Run>) -> Cost {
    let mut cost = Cost::default();
    for spec in grid.runs() {
        cost.runs += 1;
        let Some(run) = run_of(spec) else { continue };
        match run.state {
            RunState::Completed => cost.completed += 1,
            RunState::Diverged { .. } => cost.diverged += 1,
            RunState::Failed { .. } => cost.failed += 1,
            RunState::New
            | RunState::Running
            | RunState::Stopped
            | RunState::Interrupted { .. } => {}
        }
        cost.examples += run.examples;
        cost.device_seconds += run.busy.as_secs_f64() * run.devices.len().max(1) as f64;
        cost.devices.extend(run.devices.iter().cloned());
    }
    cost
}
