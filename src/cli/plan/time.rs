//! How long what a plan has left to do will take, by the finished runs of the workspace.

use std::fmt;

use serde::Serialize;

use crate::analysis::forecast::{Forecast, Remaining, Total};
use crate::spec::{Grid, RunSpec};
use crate::store::{RunState, Store};
use crate::workbench::{Standing, View, at_a_time, standing};

#[derive(Debug, Serialize)]
pub(super) struct Time {
    /// Runs that are left to do, those that run included.
    runs: usize,
    /// Runs at a time.
    jobs: usize,
    /// None while no run of the workspace has finished.
    total: Option<Total>,
}

/// What is left of `grid` on `jobs` devices at a time; none if nothing is left.
pub(super) fn of(store: &Store, view: &View, grid: &Grid, jobs: Option<usize>) -> Option<Time> {
    let goes_on = |spec: &&RunSpec| {
        let standing = standing(view, &spec.id);
        matches!(
            standing,
            Some(Standing::Running | Standing::Ready | Standing::Waiting { .. })
        )
    };
    let left = |spec: &RunSpec| store.get(&spec.id).map_or(1.0, |run| 1.0 - run.progress());
    let (running, ready): (Vec<&RunSpec>, Vec<&RunSpec>) =
        grid.runs().into_iter().filter(goes_on).partition(|spec| {
            let run = store.get(&spec.id);
            run.is_some_and(|run| run.state == RunState::Running)
        });
    let remaining: Vec<Remaining> = running
        .into_iter()
        .chain(ready)
        .map(|spec| Remaining {
            spec,
            left: left(spec),
        })
        .collect();
    if remaining.is_empty() {
        return None;
    }
    let jobs = at_a_time(&["cpu".to_owned()], jobs, remaining.len());
    Some(Time {
        runs: remaining.len(),
        jobs,
        total: Forecast::learn(store.runs()).grid(&remaining, jobs),
    })
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (runs, noun) = (self.runs, if self.runs == 1 { "run" } else { "runs" });
        match &self.total {
            Some(total) => write!(f, "{runs} {noun} to do: {total}, {} at a time", self.jobs),
            None => write!(
                f,
                "{runs} {noun} to do: unknown how long, since no run of this workspace has finished"
            ),
        }
    }
}
