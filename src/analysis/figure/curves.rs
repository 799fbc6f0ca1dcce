//! The course of training: a panel for each metric, a line for each position of an axis. A line is the mean over seeds
//! with its interval. Where spikes are to be seen, which a mean over seeds would level, and where there is one seed, it is
//! each run by itself.

use std::collections::BTreeMap;

use super::super::band::{BandPoint, band};
use super::super::interval::Estimate;
use super::super::metric::require_measured;
use super::super::spikes::{SpikeConfig, Spikes};
use crate::spec::{Cell, Experiment, Grid, Report, RunSpec};
use crate::store::{Along, Column, Run, RunState, Series};

/// Places along x that a mean over seeds is taken at, and at which a run shows its least and its greatest value. Twice
/// what a column of print can tell apart.
const MEANS: usize = 240;
const EXTREMES: usize = 600;

#[derive(Clone, Debug, PartialEq)]
pub struct Curves {
    pub along: Along,
    /// The axis that the lines are positions of; empty if there is none.
    pub axis: String,
    /// Where the longest run is.
    pub end: f64,
    pub lines: Vec<Curve>,
    /// From the top.
    pub panels: Vec<Panel>,
    /// Whether spikes were looked for.
    pub spikes: bool,
}

/// What holds for a line in every panel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curve {
    pub label: String,
    /// Runs that have begun, and those that should have.
    pub n: u32,
    pub expected: u32,
    /// Runs that will still go on.
    pub unfinished: u32,
    /// Where runs diverged.
    pub diverged: Vec<f64>,
    /// Where loss spikes began.
    pub spikes: Vec<f64>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub metric: String,
    /// Whether its axis is logarithmic.
    pub log: bool,
    /// Whether it is measured now and then and not with every row.
    pub evaluated: bool,
    /// In the order of the lines.
    pub traces: Vec<Trace>,
}

/// How a line runs through a panel.
#[derive(Clone, Debug, PartialEq)]
pub enum Trace {
    /// The mean over runs.
    Mean(Vec<BandPoint>),
    /// Each run by itself, as it was logged.
    Runs(Vec<Vec<(f64, f64)>>),
}

impl Curves {
    /// Whether its lines are runs by themselves and not means.
    pub fn are_raw(&self) -> bool {
        let mut traces = self.panels.iter().flat_map(|panel| &panel.traces);
        traces.any(|trace| matches!(trace, Trace::Runs(_)))
    }

    pub(super) fn has_data(&self) -> bool {
        let mut traces = self.panels.iter().flat_map(|panel| &panel.traces);
        traces.any(|trace| match trace {
            Trace::Mean(points) => points.iter().any(|point| point.mean.is_some()),
            Trace::Runs(runs) => runs.iter().any(|run| !run.is_empty()),
        })
    }
}

/// What a figure holds fixed, its curves, and the runs in it.
type Drawn = (Vec<(String, String)>, Curves, Vec<String>);

pub(super) fn curves<'s>(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    spikes: &SpikeConfig,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Vec<Drawn>> {
    let specs = || grid.cells.iter().filter_map(Cell::run);
    for metric in &report.metrics {
        require_measured(specs().filter_map(&run_of), metric)?;
    }
    let fixed: Vec<usize> = (0..experiment.axes.len())
        .filter(|axis| Some(*axis) != report.columns)
        .collect();
    let positions = report
        .columns
        .map_or(1, |axis| experiment.axes[axis].points.len());
    // By the positions of the fixed axes, in the order of the grid: the cells of each line.
    let mut points: Vec<(Vec<usize>, Vec<Vec<&Cell>>)> = Vec::new();
    for cell in &grid.cells {
        let at: Vec<usize> = fixed.iter().map(|axis| cell.position[*axis]).collect();
        let place = points.iter().position(|(known, _)| *known == at);
        let place = place.unwrap_or_else(|| {
            points.push((at, vec![Vec::new(); positions]));
            points.len() - 1
        });
        let line = report.columns.map_or(0, |axis| cell.position[axis]);
        points[place].1[line].push(cell);
    }
    let drawn = |(at, lines): (Vec<usize>, Vec<Vec<&Cell>>)| {
        let named = fixed.iter().zip(&at).map(|(axis, point)| {
            let axis = &experiment.axes[*axis];
            (axis.name(), axis.points[*point].label())
        });
        let label = |line: usize| match report.columns {
            Some(axis) => experiment.axes[axis].points[line].label(),
            None => String::new(),
        };
        let runs: Vec<Vec<&Run>> = lines
            .iter()
            .map(|cells| {
                let specs = cells.iter().filter_map(|cell| cell.run());
                let runs = specs.filter_map(&run_of);
                runs.filter(|run| !run.series.is_empty() || !run.evaluations.is_empty())
                    .collect()
            })
            .collect();
        let expected = |line: usize| lines[line].iter().filter(|c| c.run().is_some()).count();
        let curve = |line: usize| Curve {
            label: label(line),
            n: runs[line].len() as u32,
            expected: expected(line) as u32,
            unfinished: runs[line].iter().filter(|run| !run.state.is_over()).count() as u32,
            diverged: runs[line]
                .iter()
                .filter_map(|run| end(run, report.along))
                .collect(),
            spikes: match report.spikes {
                true => onsets(&runs[line], report.along, spikes),
                false => Vec::new(),
            },
        };
        // Where no line has two runs there is nothing to take a mean of.
        let raw = report.spikes || runs.iter().all(|runs| runs.len() < 2);
        let end = longest(runs.iter().flatten(), report.along);
        let (means, extremes) = (edges(end, MEANS), edges(end, EXTREMES));
        let panel = |metric: &String| {
            let evaluated = |run: &&Run| {
                run.evaluations
                    .iter()
                    .any(|e| e.metrics.contains_key(metric))
            };
            let evaluated = runs.iter().flatten().any(evaluated);
            let trace = |runs: &Vec<&Run>| match (raw, evaluated) {
                (false, true) => Trace::Mean(over_evaluations(runs, metric, report.along)),
                (true, true) => Trace::Runs(
                    runs.iter()
                        .map(|run| {
                            evaluations(run, metric, report.along)
                                .into_values()
                                .collect()
                        })
                        .collect(),
                ),
                (false, false) => {
                    let columns: Vec<(&Series, &Column)> = runs
                        .iter()
                        .filter_map(|run| Some((&run.series, run.series.column(metric)?)))
                        .collect();
                    Trace::Mean(band(&columns, report.along, &means))
                }
                (true, false) => Trace::Runs(
                    runs.iter()
                        .map(|run| thin(&run.series, metric, report.along, &extremes))
                        .collect(),
                ),
            };
            Panel {
                metric: metric.clone(),
                log: report.log.contains(metric),
                evaluated,
                traces: runs.iter().map(trace).collect(),
            }
        };
        let ids = runs.iter().flatten().map(|run| run.id().to_string());
        let curves = Curves {
            along: report.along,
            axis: report
                .columns
                .map_or(String::new(), |axis| experiment.axes[axis].name()),
            end,
            lines: (0..positions).map(curve).collect(),
            panels: report.metrics.iter().map(panel).collect(),
            spikes: report.spikes,
        };
        (named.collect(), curves, ids.collect())
    };
    Ok(points.into_iter().map(drawn).collect())
}

/// Where a run diverged: its last row, or its last step where it logged none.
fn end(run: &Run, along: Along) -> Option<f64> {
    let RunState::Diverged { .. } = run.state else {
        return None;
    };
    let last = run.series.len().checked_sub(1)?;
    Some(run.series.x(along, last))
}

/// Where the loss spikes of these runs began.
fn onsets(runs: &[&Run], along: Along, config: &SpikeConfig) -> Vec<f64> {
    let found = runs.iter().flat_map(|run| {
        let spikes = Spikes::of(&run.series, config.clone());
        let onsets = spikes
            .found()
            .iter()
            .map(|spike| run.series.x(along, spike.onset.row));
        onsets.collect::<Vec<_>>()
    });
    let mut onsets: Vec<f64> = found.collect();
    onsets.sort_by(f64::total_cmp);
    onsets
}

/// Where the last row or evaluation of these runs is.
fn longest<'r>(runs: impl Iterator<Item = &'r &'r Run>, along: Along) -> f64 {
    let last = |run: &&Run| {
        let row = run.series.len().checked_sub(1);
        let row = row.map(|row| run.series.x(along, row));
        let evaluated = run.evaluations.last();
        let evaluated = evaluated.and_then(|e| place(run, e.step, e.examples, along));
        row.into_iter().chain(evaluated).reduce(f64::max)
    };
    runs.filter_map(last).fold(0.0, f64::max)
}

/// `count` columns from zero to `end`, which is in the last one.
fn edges(end: f64, count: usize) -> Vec<f64> {
    let edge = |column: usize| match column {
        column if column == count => end.next_up(),
        column => end * (column as f64 / count as f64),
    };
    (0..=count).map(edge).collect()
}

/// The rows of a run with the least and the greatest value of each column, in order.
fn thin(series: &Series, metric: &str, along: Along, edges: &[f64]) -> Vec<(f64, f64)> {
    let Some(column) = series.column(metric) else {
        return Vec::new();
    };
    let mut points = Vec::new();
    for ends in edges.windows(2) {
        let rows = series.rows_between(along, ends[0], ends[1]);
        let values = rows.filter_map(|row| Some((row, column.get(row).filter(|x| x.is_finite())?)));
        let values: Vec<(usize, f64)> = values.collect();
        let by_value = |a: &&(usize, f64), b: &&(usize, f64)| a.1.total_cmp(&b.1);
        let (least, greatest) = (
            values.iter().min_by(by_value),
            values.iter().max_by(by_value),
        );
        let mut kept: Vec<(usize, f64)> = least.into_iter().chain(greatest).copied().collect();
        kept.sort_by_key(|(row, _)| *row);
        kept.dedup();
        points.extend(kept.into_iter().map(|(row, y)| (series.x(along, row), y)));
    }
    points
}

/// Where an evaluation lies.
fn place(run: &Run, step: u64, examples: u64, along: Along) -> Option<f64> {
    match along {
        Along::Examples => Some(examples as f64),
        Along::Steps => Some(step as f64),
        Along::Seconds => {
            let row = run.series.first_at(Along::Steps, step as f64);
            let last = run.series.len().checked_sub(1)?;
            Some(run.series.seconds()[row.min(last)])
        }
    }
}

/// What a run's evaluations say of `metric`, by step: where on x, and the value.
fn evaluations(run: &Run, metric: &str, along: Along) -> BTreeMap<u64, (f64, f64)> {
    let values = run.evaluations.iter().filter_map(|evaluation| {
        let value = *evaluation.metrics.get(metric)?;
        let x = place(run, evaluation.step, evaluation.examples, along)?;
        value.is_finite().then_some((evaluation.step, (x, value)))
    });
    values.collect()
}

/// The mean over runs at each step that some of them evaluated at. Runs that differ by seed alone evaluate together.
fn over_evaluations(runs: &[&Run], metric: &str, along: Along) -> Vec<BandPoint> {
    let mut at: BTreeMap<u64, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
    for run in runs {
        for (step, (x, value)) in evaluations(run, metric, along) {
            let (places, values) = at.entry(step).or_default();
            places.push(x);
            values.push(value);
        }
    }
    let point = |(places, values): (Vec<f64>, Vec<f64>)| {
        let estimate = Estimate::of(&values);
        BandPoint {
            x: places.iter().sum::<f64>() / places.len() as f64,
            n: estimate.n,
            mean: estimate.mean,
            half_width: estimate.half_width,
        }
    };
    at.into_values().map(point).collect()
}
