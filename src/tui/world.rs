//! The workspace as the screens see it: the store, and what is worked out from it once and not for each picture:
//! labels, standings, spikes, a forecast. It changes when the store does, and knows nothing of what is on the screen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use crate::analysis::Forecast;
use crate::analysis::spikes::{Detector, Spike, SpikeConfig};
use crate::spec::{RunSpec, Schema, label};
use crate::store::{Change, Delta, Run, RunId, Store};
use crate::workbench::{View, Workbench, prospect, why};

/// Rows that spikes are looked for in at one go, so that a key is never kept waiting.
const ROWS_AT_ONCE: usize = 200_000;

#[derive(Debug)]
pub struct World {
    pub bench: Workbench,
    pub schema: Schema,
    /// Who schedules the workspace, if anybody does.
    pub scheduler: Option<String>,
    /// How runs stand, with those of the grid that the workspace lacks.
    pub view: View,
    /// Milliseconds since 1970.
    pub now: u64,
    pub forecast: Forecast,
    labels: BTreeMap<RunId, String>,
    spikes: BTreeMap<RunId, Detector>,
    spike_config: SpikeConfig,
    /// Runs with rows that spikes were not looked for in.
    unseen: BTreeSet<RunId>,
}

impl World {
    pub fn new(bench: Workbench, spike_config: SpikeConfig) -> Self {
        Self {
            bench,
            schema: Schema::learn(),
            scheduler: None,
            view: View::default(),
            now: 0,
            forecast: Forecast::default(),
            labels: BTreeMap::new(),
            spikes: BTreeMap::new(),
            spike_config,
            unseen: BTreeSet::new(),
        }
    }

    pub fn store(&self) -> &Store {
        self.bench.store()
    }

    pub fn run(&self, id: &RunId) -> Option<&Run> {
        self.store().get(id)
    }

    /// What sets a run apart from the defaults, in words.
    pub fn label(&self, id: &RunId) -> &str {
        self.labels.get(id).map_or("", String::as_str)
    }

    /// Spikes of a run as far as they were looked for.
    pub fn spikes(&self, id: &RunId) -> &[Spike] {
        self.spikes.get(id).map_or(&[], Detector::spikes)
    }

    /// Why a run stands where it stands, if its state alone does not say.
    pub fn why(&self, run: &Run) -> Option<String> {
        why(self.store(), run, &self.view)
    }

    /// Who schedules the workspace, asked anew. True when that changed.
    pub fn ask_for_scheduler(&mut self) -> io::Result<bool> {
        let now = self.bench.scheduler()?;
        let changed = now != self.scheduler;
        self.scheduler = now;
        Ok(changed)
    }

    /// Work out what `deltas` changed; `grid` are the runs of the experiment.
    pub fn take_in(&mut self, deltas: &[Delta], grid: &[RunSpec]) {
        let mut finished = false;
        for Delta { id, change } in deltas {
            match change {
                Change::Appeared => {
                    if let Some(run) = self.bench.store().get(id) {
                        let label = label::of_run(&self.schema, &run.spec.config);
                        self.labels.insert(id.clone(), label);
                    }
                }
                Change::Vanished => {
                    self.labels.remove(id);
                    self.spikes.remove(id);
                    self.unseen.remove(id);
                }
                Change::Rewound => {
                    // The rows that stand are read again: what was found in void ones must not stay.
                    self.spikes.remove(id);
                    self.unseen.insert(id.clone());
                }
                Change::Rows { .. } => {
                    self.unseen.insert(id.clone());
                }
                Change::State { .. } => finished = true,
                Change::Evaluated { .. } | Change::Warned { .. } => {}
            }
        }
        if finished || !deltas.is_empty() && self.view.tasks.is_empty() {
            self.forecast = Forecast::learn(self.bench.store().runs());
        }
        self.stand(grid);
    }

    /// How the runs of the workspace and of `grid` stand.
    pub fn stand(&mut self, grid: &[RunSpec]) {
        self.view = prospect(self.bench.store(), grid);
    }

    /// Look for spikes in new rows, some at a time. True while there are more.
    pub fn look_for_spikes(&mut self) -> bool {
        let mut left = ROWS_AT_ONCE;
        while let Some(id) = self.unseen.first().cloned() {
            let Some(run) = self.bench.store().get(&id) else {
                self.unseen.remove(&id);
                continue;
            };
            let config = &self.spike_config;
            let detector = self.spikes.entry(id.clone()).or_insert_with(|| Detector::new(config.clone()));
            let before = detector.rows();
            detector.catch_up(&run.series, left);
            left = left.saturating_sub(detector.rows() - before);
            if detector.rows() < run.series.len() {
                return true;
            }
            self.unseen.remove(&id);
        }
        false
    }

    /// Time since a wall-clock moment, none when that is unknown or to come.
    pub fn since(&self, at: u64) -> Option<Duration> {
        self.now.checked_sub(at).map(Duration::from_millis)
    }
}
