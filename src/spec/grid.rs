//! The cells that an experiment's design chooses on its axes: each with its settings, and the run it asks for or the
//! reason why it asks for none. Nothing here looks at what has been run.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::RunSpec;
use super::design::Design;
use super::error::SpecError;
use super::experiment::{Experiment, shown};
use super::path;
use super::prerequisite::Named;
use super::source::Place;
use crate::record::RunId;
use crate::util::printable;

/// Cells of a grid that may ask for a run.
pub const LIMIT: usize = 100_000;
/// Cells of a grid in all, those included that an `[[exclude]]` leaves out.
const MOST: usize = 1_000_000;

#[derive(Clone, Debug)]
pub struct Grid {
    /// The named runs that some cell starts from, each after those that it needs itself.
    pub prerequisites: Vec<(String, RunSpec)>,
    /// In the order of the axes, the last one fastest, then the seeds; a design of one factor at a time in its own.
    pub cells: Vec<Cell>,
}

#[derive(Clone, Debug)]
pub struct Cell {
    /// The point on each of [`Experiment::axes`].
    pub position: Vec<usize>,
    pub seed: u64,
    pub kind: CellKind,
    axes: Arc<[Points]>,
}

/// What each point of an axis sets, as the file says it.
type Points = Vec<Vec<(String, Value)>>;

#[derive(Clone, Debug)]
pub enum CellKind {
    Run(Box<RunSpec>),
    /// Left out by this one of [`Experiment::excludes`].
    Excluded {
        by: usize,
    },
    /// Its settings do not go together.
    Invalid {
        reason: Box<SpecError>,
    },
}

impl Grid {
    /// Every run to be done, once: prerequisites first, then cells in order.
    pub fn runs(&self) -> Vec<&RunSpec> {
        let mut seen = BTreeSet::new();
        let cells = self.cells.iter().filter_map(Cell::run);
        self.prerequisites
            .iter()
            .map(|(_, spec)| spec)
            .chain(cells)
            .filter(|spec| seen.insert(&spec.id))
            .collect()
    }

    /// Refuse a grid with cells that cannot run: whoever starts runs asks this first.
    pub fn require_valid(&self, experiment: &Experiment) -> Result<(), SpecError> {
        let mut reasons = self.cells.iter().filter_map(|cell| match &cell.kind {
            CellKind::Invalid { reason } => Some(reason),
            _ => None,
        });
        let Some(first) = reasons.next() else {
            return Ok(());
        };
        match reasons.count() {
            0 => Err((**first).clone()),
            others => Err(SpecError::InvalidCells {
                file: Place::File.show(&experiment.path),
                cells: self.cells.len(),
                others,
                first: first.clone(),
            }),
        }
    }
}

impl Cell {
    /// What the axes set, as the file says it.
    pub fn settings(&self) -> impl Iterator<Item = &(String, Value)> + Clone {
        let axes = self.axes.iter().zip(&self.position);
        axes.flat_map(|(points, &point)| &points[point])
    }

    /// Whether the axes give the cell all these values.
    pub fn meets(&self, conditions: &[(String, Value)]) -> bool {
        let has = |(key, value): &(String, Value)| {
            self.settings()
                .any(|(axis, set)| match key.strip_prefix(axis.as_str()) {
                    Some("") => set == value,
                    Some(rest) => {
                        rest.strip_prefix('.').and_then(|rest| path::get(set, rest)) == Some(value)
                    }
                    None => false,
                })
        };
        conditions.iter().all(has)
    }

    pub fn run(&self) -> Option<&RunSpec> {
        match &self.kind {
            CellKind::Run(spec) => Some(spec),
            CellKind::Excluded { .. } | CellKind::Invalid { .. } => None,
        }
    }
}

impl Experiment {
    /// The chosen cells with each seed. Cells that cannot run are in the grid, with their reason.
    pub fn expand(&self) -> Result<Grid, SpecError> {
        let count = self.check_count()?;
        let positions = self.design.positions(self).map_err(|problem| {
            let key = shown("design", problem.key);
            self.error(self.design_at, &key, &problem.problem, &problem.expected)
        })?;
        let named = Named::resolve(self)?;
        let expansion = Expansion::new(self, &named)?;
        let seeds = &self.seeds;
        if count > LIMIT as u128 {
            let chosen = (0..positions.len())
                .into_par_iter()
                .map_init(Vec::new, |at, index| {
                    positions.write(index, at);
                    expansion.excluded(at)
                });
            let chosen = chosen.filter(Option::is_none);
            let left = (chosen.count() * seeds.len()) as u128;
            if left > LIMIT as u128 {
                return Err(self.too_many(left, "cells that no exclude leaves out", LIMIT));
            }
        }
        let cells: Vec<Cell> = (0..positions.len() * seeds.len())
            .into_par_iter()
            .map(|index| {
                let position = positions.get(index / seeds.len());
                expansion.cell(position, seeds[index % seeds.len()])
            })
            .collect();
        let mut needed: BTreeSet<&RunId> = cells
            .iter()
            .filter_map(Cell::run)
            .flat_map(|spec| spec.config.model.prerequisites())
            .collect();
        for (_, spec) in named.0.iter().rev() {
            if needed.contains(&spec.id) {
                needed.extend(spec.config.model.prerequisites());
            }
        }
        let prerequisites = named
            .0
            .iter()
            .filter(|(_, spec)| needed.contains(&spec.id))
            .cloned()
            .collect();
        Ok(Grid {
            prerequisites,
            cells,
        })
    }

    /// How many cells the design chooses, with all seeds. More than a grid may have are refused before one is made; an
    /// exclude may leave few enough of them that ask for a run.
    fn check_count(&self) -> Result<u128, SpecError> {
        let count = self
            .design
            .count(self)
            .saturating_mul(self.seeds.len() as u128);
        let limit = if self.excludes.is_empty() {
            LIMIT
        } else {
            MOST
        };
        if count <= limit as u128 {
            return Ok(count);
        }
        Err(self.too_many(count, "cells", limit))
    }

    fn too_many(&self, count: u128, cells: &'static str, limit: usize) -> SpecError {
        if let Design::Random { count: drawn, .. } | Design::LatinHypercube { count: drawn, .. } =
            self.design
        {
            let seeds = self.seeds.len();
            return self.error(
                self.design_at,
                "design.count",
                &format!("{drawn} cells with {seeds} seeds each are {count}"),
                &format!("at most {limit} in one grid"),
            );
        }
        let lengths = self
            .axes
            .iter()
            .map(|axis| (axis.name(), axis.points.len()))
            .chain([("seeds".into(), self.seeds.len())]);
        let lengths: Vec<String> = lengths
            .map(|(name, length)| format!("{name}: {length}"))
            .collect();
        // The first of the longest: `max_by_key` alone would take the last.
        let longest = self.axes.iter().rev().max_by_key(|axis| axis.points.len());
        let (at, key) = longest.map_or((Place::File, "seeds".into()), |axis| {
            (axis.at, shown(axis.section, &axis.keys[0]))
        });
        SpecError::TooManyCells {
            place: at.show(&self.path),
            key: printable(&key),
            count,
            cells,
            lengths: lengths.join(", "),
            limit,
        }
    }
}

/// Axes, each with whether something holds at its points.
type Conditions = Vec<(usize, Vec<bool>)>;

/// What all cells of one expansion share.
struct Expansion<'e> {
    experiment: &'e Experiment,
    named: &'e Named,
    base: Value,
    /// Per axis and point, the values with names of runs replaced by ids.
    values: Vec<Vec<Vec<Value>>>,
    /// Axis and index of each key, tables before the keys inside them.
    order: Vec<(usize, usize)>,
    /// Per axis and point, the first exclude that holds there whatever the other axes say.
    alone: Vec<Vec<Option<usize>>>,
    /// The other excludes by number: the axes that each speaks of and, for each, the points it holds at.
    together: Vec<(usize, Conditions)>,
    axes: Arc<[Points]>,
}

impl<'e> Expansion<'e> {
    fn new(experiment: &'e Experiment, named: &'e Named) -> Result<Self, SpecError> {
        let mut base = json!({});
        for setting in &experiment.base {
            path::set(
                &mut base,
                &setting.key,
                named.with_ids(experiment, setting.at, "base", &setting.key, &setting.value)?,
            );
        }
        let mut values = Vec::with_capacity(experiment.axes.len());
        for axis in &experiment.axes {
            let point = |point: &super::Point| {
                let value = |(i, key): (usize, &String)| {
                    named.with_ids(experiment, point.at[i], axis.section, key, &point.values[i])
                };
                axis.keys
                    .iter()
                    .enumerate()
                    .map(value)
                    .collect::<Result<Vec<_>, _>>()
            };
            values.push(
                axis.points
                    .iter()
                    .map(point)
                    .collect::<Result<Vec<_>, _>>()?,
            );
        }
        let keys = experiment
            .axes
            .iter()
            .enumerate()
            .flat_map(|(a, axis)| (0..axis.keys.len()).map(move |i| (a, i)));
        let mut order: Vec<(usize, usize)> = keys.collect();
        order.sort_by_key(|&(a, i)| experiment.axes[a].keys[i].matches('.').count());
        let holds = |setting: &super::Setting| {
            let (axis, index, rest) = experiment.locate(&setting.key)?;
            let points = &experiment.axes[axis].points;
            Some((
                axis,
                points
                    .iter()
                    .map(|point| point.value_at(index, rest) == Some(&setting.value))
                    .collect(),
            ))
        };
        let no_point = |axis: &super::Axis| vec![None; axis.points.len()];
        let mut alone: Vec<Vec<Option<usize>>> = experiment.axes.iter().map(no_point).collect();
        let mut together = Vec::new();
        for (number, exclude) in experiment.excludes.iter().enumerate() {
            let conditions: Conditions = exclude.when.iter().filter_map(holds).collect();
            match &conditions[..] {
                [(axis, holds)] => {
                    let points = alone[*axis].iter_mut().zip(holds);
                    for (first, _) in points.filter(|(_, holds)| **holds) {
                        first.get_or_insert(number);
                    }
                }
                _ => together.push((number, conditions)),
            }
        }
        let settings = |axis: &super::Axis| -> Points {
            let set = |point: &super::Point| {
                let values = point.values.iter().cloned();
                axis.keys.iter().cloned().zip(values).collect()
            };
            axis.points.iter().map(set).collect()
        };
        Ok(Self {
            experiment,
            named,
            base,
            values,
            order,
            alone,
            together,
            axes: experiment.axes.iter().map(settings).collect(),
        })
    }

    /// The exclude that leaves out the cells at `position`, if one does.
    fn excluded(&self, position: &[usize]) -> Option<usize> {
        let points = self.alone.iter().zip(position);
        let alone = points.filter_map(|(points, point)| points[*point]).min();
        let holds = |(_, conditions): &&(usize, Conditions)| {
            let mut conditions = conditions.iter();
            conditions.all(|(axis, holds)| holds[position[*axis]])
        };
        let together = self.together.iter().find(holds).map(|(number, _)| *number);
        alone.into_iter().chain(together).min()
    }

    fn cell(&self, position: Vec<usize>, seed: u64) -> Cell {
        let kind = match self.excluded(&position) {
            Some(by) => CellKind::Excluded { by },
            None => match self.run(&position, seed) {
                Ok(spec) => CellKind::Run(Box::new(spec)),
                Err(reason) => CellKind::Invalid {
                    reason: Box::new(reason),
                },
            },
        };
        Cell {
            position,
            seed,
            kind,
            axes: self.axes.clone(),
        }
    }

    fn run(&self, position: &[usize], seed: u64) -> Result<RunSpec, SpecError> {
        let experiment = self.experiment;
        let mut document = self.base.clone();
        for &(axis, index) in &self.order {
            path::set(
                &mut document,
                &experiment.axes[axis].keys[index],
                self.values[axis][position[axis]][index].clone(),
            );
        }
        path::set(&mut document, "seed", json!(seed));
        self.named.run(experiment, &document).map_err(|problem| {
            let (at, section) = self.origin(&problem.key, position);
            experiment.problem(at, section, problem)
        })
    }

    /// Who said the value of `key` in a cell: the last to set it, its table or a part of it.
    fn origin(&self, key: &str, position: &[usize]) -> (Place, &'static str) {
        let related = |other: &str| {
            other == key || path::is_inside(key, other) || path::is_inside(other, key)
        };
        let axes = &self.experiment.axes;
        let axis = self
            .order
            .iter()
            .rev()
            .find(|&&(axis, index)| related(&axes[axis].keys[index]));
        let base = || {
            self.experiment
                .base
                .iter()
                .rev()
                .find(|setting| related(&setting.key))
                .map(|setting| (setting.at, "base"))
        };
        axis.map(|&(a, i)| (axes[a].points[position[a]].at[i], axes[a].section))
            .or_else(base)
            .unwrap_or((Place::File, ""))
    }
}
