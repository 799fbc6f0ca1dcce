//! The workspace as the screens see it: the store, and what is worked out from it once and not for each picture:
//! labels, standings, spikes, a forecast. It changes when the store does, and knows nothing of what is on the screen.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::{Duration, Instant};

use rayon::prelude::*;

use crate::analysis::forecast::Forecast;
use crate::analysis::spikes::{Spike, SpikeConfig, Spikes};
use crate::spec::path::Flat;
use crate::spec::{KnownKey, RunSpec, Schema, label};
use crate::store::{Change, Delta, Run, RunId, RunState, Store};
use crate::workbench::{View, Workbench, log_of, prospect, renew, why};

/// Looking for spikes may hold up a key for this long.
const LOOK: Duration = Duration::from_millis(3);

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
    /// Every setting, to pick from.
    pub catalogue: Vec<KnownKey>,
    /// What there is to say of a disk that is full.
    pub full: Option<String>,
    /// The end of the log that is looked at.
    pub log: Option<(RunId, Vec<String>)>,
    /// What each run changes from the defaults.
    changes: BTreeMap<RunId, Flat>,
    spikes: BTreeMap<RunId, Spikes>,
    spike_config: SpikeConfig,
    /// Runs with rows that spikes were not looked for in.
    unseen: BTreeSet<RunId>,
    /// Runs have ended that the forecast has not learnt from.
    learn: bool,
}

impl World {
    pub fn new(bench: Workbench, spike_config: SpikeConfig) -> Self {
        let schema = Schema::learn();
        Self {
            bench,
            catalogue: schema.catalogue(),
            schema,
            full: None,
            log: None,
            scheduler: None,
            view: View::default(),
            now: 0,
            forecast: Forecast::default(),
            changes: BTreeMap::new(),
            spikes: BTreeMap::new(),
            spike_config,
            unseen: BTreeSet::new(),
            learn: true,
        }
    }

    pub fn store(&self) -> &Store {
        self.bench.store()
    }

    pub fn run(&self, id: &RunId) -> Option<&Run> {
        self.store().get(id)
    }

    /// What sets a run apart from the defaults, in words.
    pub fn label(&self, id: &RunId) -> String {
        label::label(
            self.changes(id)
                .iter()
                .map(|(key, value)| (key.as_str(), value)),
        )
    }

    /// What a run changes from the defaults.
    pub fn changes(&self, id: &RunId) -> &Flat {
        static NONE: Flat = Flat::new();
        self.changes.get(id).unwrap_or(&NONE)
    }

    /// Spikes of a run as far as they were looked for.
    pub fn spikes(&self, id: &RunId) -> &[Spike] {
        self.spikes.get(id).map_or(&[], Spikes::found)
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

    /// Whether the disk is full, asked anew. True when there is something else to say of that.
    pub fn ask_for_room(&mut self) -> bool {
        let now = self.store().full().map(|full| full.to_string());
        let changed = now != self.full;
        self.full = now;
        changed
    }

    /// Work out what `deltas` changed; `grid` are the runs of the experiment.
    pub fn take_in(&mut self, deltas: &[Delta], grid: &[RunSpec]) {
        let (mut appeared, mut moved, mut gone) = (Vec::new(), BTreeSet::new(), false);
        for Delta { id, change } in deltas {
            match change {
                Change::Appeared => {
                    appeared.extend(self.bench.store().get(id));
                    moved.insert(id);
                }
                Change::State { .. } | Change::Prospects => {
                    moved.insert(id);
                }
                Change::Vanished => {
                    gone = true;
                    self.changes.remove(id);
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
                Change::Waits | Change::Evaluated { .. } | Change::Warned { .. } => {}
            }
            self.learn |= matches!(
                change,
                Change::Appeared | Change::Vanished | Change::State { .. }
            );
        }
        // A workspace is opened with thousands of them.
        let schema = &self.schema;
        let changes: Vec<(RunId, Flat)> = appeared
            .par_iter()
            .map(|run| (run.id().clone(), schema.changes(&run.spec.config)))
            .collect();
        self.changes.extend(changes);
        match gone {
            // It may be one of the grid, which would still begin.
            true => self.stand(grid),
            false => renew(&mut self.view, self.bench.store(), moved),
        }
    }

    /// What is due once a second: what the scheduler at work says, and what is to be learnt of runs that ended.
    pub fn review(&mut self) {
        self.view.waits = self.bench.waits();
        if self.unread() == 0 && std::mem::take(&mut self.learn) {
            self.forecast = Forecast::learn(self.bench.store().runs());
        }
    }

    /// How the runs of the workspace and of `grid` stand.
    pub fn stand(&mut self, grid: &[RunSpec]) {
        self.view = View {
            waits: self.bench.waits(),
            ..prospect(self.bench.store(), grid)
        };
    }

    /// Look for spikes in new rows, some at a time. True while there are more.
    pub fn look_for_spikes(&mut self) -> bool {
        let began = Instant::now();
        while let Some(id) = self.unseen.pop_first() {
            if let Some(run) = self.bench.store().get(&id) {
                let known = self.spikes.remove(&id);
                let mut spikes = known.unwrap_or_else(|| Spikes::new(self.spike_config.clone()));
                spikes.follow(&run.series);
                // What comes after the end of a run is looked at from the beginning again.
                if !(run.state.is_over() && spikes.found().is_empty()) {
                    self.spikes.insert(id, spikes);
                }
            }
            if began.elapsed() > LOOK {
                break;
            }
        }
        !self.unseen.is_empty()
    }

    /// Keep the end of the log of `wanted` at hand. True when it reads otherwise than before.
    pub fn read_log(&mut self, wanted: Option<RunId>, lines: usize, again: bool) -> bool {
        let known = self.log.as_ref().map(|(id, _)| id);
        if known == wanted.as_ref() && !again {
            return false;
        }
        let run = wanted.and_then(|id| self.bench.store().get(&id));
        let log = run.map(|run| (run.id().clone(), log_of(run, lines)));
        let changed = log != self.log;
        self.log = log;
        changed
    }

    /// Runs that are not read to the end yet.
    pub fn unread(&self) -> usize {
        let reading = self.store().reading();
        reading.of - reading.read
    }

    pub fn any_running(&self) -> bool {
        self.store()
            .runs()
            .any(|run| run.state == RunState::Running)
    }
}
