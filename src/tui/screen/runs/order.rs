//! In which order runs are listed, and in which groups.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Words;
use super::column::Column;
use crate::store::{Run, RunId, RunState};
use crate::tui::world::World;

/// A line of the list.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    Group { label: String, runs: usize },
    Run(RunId),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SortBy {
    /// What is at work first, what is over last.
    #[default]
    State,
    Settings,
    Progress,
    Loss,
    Top1,
    Spikes,
    Age,
}

const ALL: [SortBy; 7] = [
    SortBy::State,
    SortBy::Settings,
    SortBy::Progress,
    SortBy::Loss,
    SortBy::Top1,
    SortBy::Spikes,
    SortBy::Age,
];

impl SortBy {
    pub(super) fn next(self) -> Self {
        let at = ALL.iter().position(|sort| *sort == self).unwrap_or(0);
        ALL[(at + 1) % ALL.len()]
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Settings => "settings",
            Self::Progress => "progress",
            Self::Loss => "loss",
            Self::Top1 => "top-1",
            Self::Spikes => "spikes",
            Self::Age => "last news",
        }
    }

    /// The column that shows what it sorts by.
    pub(super) fn column(self) -> Option<Column> {
        match self {
            Self::State => Some(Column::State),
            Self::Settings => Some(Column::Settings),
            Self::Progress => Some(Column::Progress),
            Self::Loss => Some(Column::Loss),
            Self::Top1 => Some(Column::Top1),
            Self::Spikes => Some(Column::Spikes),
            Self::Age => None,
        }
    }

    /// Put `runs` in order: the most telling first; equals by their settings; runs without the value last.
    pub(super) fn order(
        self,
        runs: &mut [&Run],
        labels: &BTreeMap<RunId, Words>,
        world: &World,
        reversed: bool,
    ) {
        let key = |run: &Run| -> Option<f64> {
            match self {
                Self::State => Some(urgency(&run.state)),
                Self::Settings => Some(0.0),
                Self::Progress => Some(-run.progress()),
                Self::Loss => run.latest("loss"),
                Self::Top1 => run.top1().map(|x| -x),
                Self::Spikes => Some(-(world.spikes(run.id()).len() as f64)),
                Self::Age => run.last_at.map(|at| -(at as f64)),
            }
        };
        let place = |run: &Run| labels.get(run.id()).map_or(0, |words| words.place);
        let keyed = runs.iter().map(|run| (key(run), place(run), *run));
        let mut keyed: Vec<(Option<f64>, usize, &Run)> = keyed.collect();
        keyed.sort_by(|(left, a, one), (right, b, other)| {
            let order = match (left, right) {
                (Some(left), Some(right)) if reversed => right.total_cmp(left),
                (Some(left), Some(right)) => left.total_cmp(right),
                (left, right) => right.is_some().cmp(&left.is_some()),
            };
            let labels = match reversed && self == Self::Settings {
                true => b.cmp(a),
                false => a.cmp(b),
            };
            order.then(labels).then_with(|| one.id().cmp(other.id()))
        });
        for (place, (.., run)) in runs.iter_mut().zip(keyed) {
            *place = run;
        }
    }

    /// Whether rows and evaluations can change the order.
    pub(super) fn follows_rows(self) -> bool {
        !matches!(self, Self::State | Self::Settings)
    }
}

/// The place of each label in natural order; equal ones share theirs.
pub(super) fn places(labels: &[String]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| natural(&labels[*a], &labels[*b]));
    let mut places = vec![0; labels.len()];
    for (place, pair) in order.windows(2).enumerate() {
        let [before, here] = [pair[0], pair[1]];
        let same = natural(&labels[before], &labels[here]).is_eq();
        places[here] = if same { places[before] } else { place + 1 };
    }
    places
}

fn urgency(state: &RunState) -> f64 {
    match state {
        RunState::Running => 0.0,
        RunState::Failed { .. } => 1.0,
        RunState::Diverged { .. } => 2.0,
        RunState::Interrupted { .. } => 3.0,
        RunState::Stopped => 4.0,
        RunState::New => 5.0,
        RunState::Completed => 6.0,
    }
}

/// Runs under the label of their group, groups in natural order, runs in theirs.
pub(super) fn grouped(runs: &[&Run], label: impl Fn(&Run) -> String) -> Vec<Entry> {
    let mut groups: Vec<(String, Vec<RunId>)> = Vec::new();
    for run in runs {
        let label = label(run);
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, ids)) => ids.push(run.id().clone()),
            None => groups.push((label, vec![run.id().clone()])),
        }
    }
    groups.sort_by(|(left, _), (right, _)| natural(left, right));
    let entries = groups.into_iter().flat_map(|(label, ids)| {
        let head = Entry::Group {
            label,
            runs: ids.len(),
        };
        std::iter::once(head).chain(ids.into_iter().map(Entry::Run))
    });
    entries.collect()
}

/// As people count: `lr=3 batch=64` before `lr=3 batch=128`.
fn natural(left: &str, right: &str) -> Ordering {
    let mut words = left
        .split([' ', '=', '/', ','])
        .zip(right.split([' ', '=', '/', ',']));
    let difference = words.find_map(|(left, right)| {
        let order = match (left.parse::<f64>(), right.parse::<f64>()) {
            (Ok(left), Ok(right)) => left.total_cmp(&right),
            _ => left.cmp(right),
        };
        order.is_ne().then_some(order)
    });
    difference.unwrap_or_else(|| left.len().cmp(&right.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_labels_count_as_numbers() {
        let mut labels = [
            "batch_size=128 seed=0",
            "batch_size=64 seed=10",
            "batch_size=64 seed=2",
        ];
        labels.sort_by(|a, b| natural(a, b));
        assert_eq!(
            labels,
            [
                "batch_size=64 seed=2",
                "batch_size=64 seed=10",
                "batch_size=128 seed=0"
            ]
        );
    }
}
