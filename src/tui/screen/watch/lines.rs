//! Which lines are drawn: one a run, or one a group of runs that share their settings or a value on an axis. A line's
//! label is what tells it from the others; its letter stands beside its colour.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spec::{label, path};
use crate::store::{Run, RunId};
use crate::tui::world::World;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Grouping {
    /// Each run by itself.
    #[default]
    Runs,
    /// Mean and interval over the seeds of each cell.
    Seeds,
    /// Mean and interval over all runs with the same value at this key.
    Axis(String),
}

impl Grouping {
    pub(super) fn name(&self) -> String {
        match self {
            Self::Runs => "each run".into(),
            Self::Seeds => "mean and 95 % interval over seeds".into(),
            Self::Axis(key) => format!("mean and 95 % interval by {key}"),
        }
    }

    /// The next one, with `axes` the keys to group by.
    pub(super) fn next(&self, axes: &[String]) -> Self {
        let axis = |n: usize| {
            axes.get(n)
                .map_or(Self::Runs, |key| Self::Axis(key.clone()))
        };
        match self {
            Self::Runs => Self::Seeds,
            Self::Seeds => axis(0),
            Self::Axis(key) => axes
                .iter()
                .position(|known| known == key)
                .map_or(Self::Runs, |at| axis(at + 1)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub label: String,
    pub runs: Vec<RunId>,
    pub hidden: bool,
}

/// Letters in the order of the lines; after the last they begin again, and colours have changed by then.
pub(super) fn letter(n: usize) -> char {
    char::from(b'a' + (n % 26) as u8)
}

/// The lines of these runs.
pub(super) fn lines(ids: &[RunId], grouping: &Grouping, world: &World) -> Vec<Line> {
    let runs: Vec<&Run> = ids.iter().filter_map(|id| world.run(id)).collect();
    let changes: Vec<&path::Flat> = runs.iter().map(|run| world.changes(run.id())).collect();
    let settings = label::distinguish(&world.schema, &changes);
    let words = |told: &[(String, Value)], with_seed: bool| {
        let kept = told.iter().filter(|(key, _)| with_seed || key != "seed");
        label::label(kept.map(|(key, value)| (key.as_str(), value)))
    };
    let named = |run: &Run, told: &[(String, Value)]| match grouping {
        Grouping::Runs => {
            let words = words(told, true);
            if words.is_empty() {
                run.id().to_string()
            } else {
                words
            }
        }
        Grouping::Seeds => words(told, false),
        Grouping::Axis(key) => {
            let value = world
                .schema
                .setting(world.changes(run.id()), key)
                .map_or("-".into(), path::label);
            format!("{key} = {value}")
        }
    };
    let mut order: Vec<Line> = Vec::new();
    let mut place: BTreeMap<String, usize> = BTreeMap::new();
    for (run, told) in runs.iter().zip(&settings) {
        let label = named(run, told);
        // Two runs by themselves may read alike; they are two lines all the same.
        let key = if *grouping == Grouping::Runs {
            run.id().to_string()
        } else {
            label.clone()
        };
        let at = *place.entry(key).or_insert_with(|| {
            order.push(Line {
                label,
                runs: Vec::new(),
                hidden: false,
            });
            order.len() - 1
        });
        order[at].runs.push(run.id().clone());
    }
    for line in &mut order {
        if line.label.is_empty() {
            line.label = if line.runs.len() == 1 {
                line.runs[0].to_string()
            } else {
                "all runs".into()
            };
        }
        if line.runs.len() > 1 {
            line.label += &format!("  n = {}", line.runs.len());
        }
    }
    order
}
