//! A report as a table: rows, columns, and in each cell the mean over seeds with its 95 % interval and what is
//! missing. Axes that are neither rows nor columns are never pooled: each of their positions has a table of its own.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;

use super::aggregate::{Answer, Place, Summary, summarise};
use super::compare::{Comparison, Direction, Mark, Sample, mark};
use super::interval::half_width;
use super::metric::final_value;
use crate::spec::{Axis, Experiment, Grid, Report, RunSpec};
use crate::store::{Run, RunState};

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    pub title: String,
    pub metric: String,
    /// Axes that this table holds fixed, and where.
    pub given: Vec<(String, String)>,
    /// Name of the axis; empty if there is none.
    pub row_axis: String,
    pub column_axis: String,
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// One list a row, one cell a column.
    pub cells: Vec<Vec<Cell>>,
}

/// The runs of one cell that differ by seed alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    pub mean: Option<f64>,
    /// Of the 95 % interval of the mean, by Student's t; none below two runs.
    pub half_width: Option<f64>,
    /// Runs in the mean.
    pub n: u32,
    /// Runs that should be; 0 where the experiment excludes the cell.
    pub expected: u32,
    /// Not done, or done without this metric.
    pub missing: u32,
    pub diverged: u32,
    pub failed: u32,
    /// What the mean is of, by seed.
    pub samples: Vec<Sample>,
    pub mark: Mark,
    /// Against the best cell of the table; none for that one, and where nothing could be tested.
    pub against_best: Option<Comparison>,
    /// What somebody else reports for these settings.
    pub reported: Option<Reported>,
}

/// A number that was not measured here.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reported {
    pub value: f64,
    pub source: String,
    /// What it is of, in the source's words.
    pub what: String,
}

/// The tables of one report.
pub fn tables<'s>(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Vec<Table>> {
    let fixed: Vec<usize> = (0..experiment.axes.len())
        .filter(|axis| Some(*axis) != report.rows && Some(*axis) != report.columns)
        .collect();
    let mut points: Vec<Vec<usize>> = Vec::new();
    let mut table_of: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
    let mut observations: Vec<(Place, Answer)> = Vec::new();
    let mut reported: BTreeMap<Place, Reported> = BTreeMap::new();
    let mut samples: BTreeMap<Place, Vec<Sample>> = BTreeMap::new();
    for cell in &grid.cells {
        let at: Vec<usize> = fixed.iter().map(|axis| cell.position[*axis]).collect();
        let table = *table_of.entry(at).or_insert_with_key(|at| {
            points.push(at.clone());
            points.len() as u32 - 1
        });
        let along = |axis: Option<usize>| axis.map_or(0, |axis| cell.position[axis] as u32);
        if let Some(spec) = cell.run() {
            let place = (table, along(report.rows), along(report.columns));
            for numbers in experiment
                .reported
                .iter()
                .filter(|numbers| numbers.metric == report.metric)
            {
                if let Some(value) = numbers.value_of(cell) {
                    let source = numbers.source.clone();
                    let what = numbers.what.clone();
                    reported.entry(place).or_insert(Reported {
                        value,
                        source,
                        what,
                    });
                }
            }
            let answer = answer(run_of(spec), &report.metric);
            if let Answer::Measured(value) = answer {
                let seed = cell.seed;
                samples
                    .entry(place)
                    .or_default()
                    .push(Sample { seed, value });
            }
            observations.push((place, answer));
        }
    }
    let summaries = summarise(&observations).context("cannot aggregate the runs")?;
    let axis = |axis: Option<usize>| axis.map(|axis| &experiment.axes[axis]);
    let rows = labels(axis(report.rows), "all");
    let columns = labels(axis(report.columns), &report.metric);
    let name = |axis: Option<&Axis>| axis.map_or(String::new(), Axis::name);
    let table = |(table, at): (u32, &Vec<usize>)| {
        let given = fixed.iter().zip(at).map(|(axis, point)| {
            (
                experiment.axes[*axis].name(),
                experiment.axes[*axis].points[*point].label(),
            )
        });
        let cell = |row, column| {
            let place = (table, row, column);
            let Some(summary) = summaries.get(&place) else {
                return Cell::default();
            };
            Cell {
                samples: samples.get(&place).cloned().unwrap_or_default(),
                reported: reported.get(&place).cloned(),
                ..Cell::new(summary)
            }
        };
        let of_row = |row| {
            (0..columns.len() as u32)
                .map(|column| cell(row, column))
                .collect()
        };
        let mut cells: Vec<Vec<Cell>> = (0..rows.len() as u32).map(of_row).collect();
        if let Some(direction) = Direction::of(&report.metric) {
            mark(&mut cells, direction);
        }
        Table {
            title: report
                .title
                .clone()
                .unwrap_or_else(|| report.metric.clone()),
            metric: report.metric.clone(),
            given: given.collect(),
            row_axis: name(axis(report.rows)),
            column_axis: name(axis(report.columns)),
            cells,
            rows: rows.clone(),
            columns: columns.clone(),
        }
    };
    Ok((0..).zip(&points).map(table).collect())
}

/// The labels along an axis; without one there is a single row or column with this label.
fn labels(axis: Option<&Axis>, alone: &str) -> Vec<String> {
    let along = |axis: &Axis| axis.points.iter().map(|point| point.label()).collect();
    axis.map_or_else(|| vec![alone.to_owned()], along)
}

/// What a run says about `metric` in the end. Only a completed run has a say.
pub(super) fn answer(run: Option<&Run>, metric: &str) -> Answer {
    let Some(run) = run else {
        return Answer::Missing;
    };
    match run.state {
        RunState::Completed => final_value(run, metric)
            .filter(|x| x.is_finite())
            .map_or(Answer::Missing, Answer::Measured),
        RunState::Diverged { .. } => Answer::Diverged,
        RunState::Failed { .. } => Answer::Failed,
        RunState::New | RunState::Running | RunState::Stopped | RunState::Interrupted { .. } => {
            Answer::Missing
        }
    }
}

impl Table {
    /// The most seeds that a cell was asked for.
    pub fn seeds(&self) -> u32 {
        let cells = self.cells.iter().flatten();
        cells.map(|cell| cell.expected).max().unwrap_or(0)
    }
}

impl Cell {
    fn new(summary: &Summary) -> Self {
        let &Summary {
            n,
            mean,
            sd,
            expected,
            missing,
            diverged,
            failed,
        } = summary;
        Self {
            mean,
            half_width: sd.and_then(|sd| half_width(sd, n)),
            n,
            expected,
            missing,
            diverged,
            failed,
            ..Self::default()
        }
    }

    /// Whether runs that were asked for are not in the mean.
    pub fn is_partial(&self) -> bool {
        self.n < self.expected
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::compare::Test;
    use super::*;
    use crate::record::{RunDir, RunId};
    use crate::store::{Evaluation, Position};

    fn experiment(reports: &str) -> (Experiment, Grid) {
        let text = format!(
            r#"
            [axes]
            "loss.kind" = ["sigmoid", "softmax"]
            "train.batch_size" = [64, 128]
            "optim.lr" = [1e-3, 3e-4]
            [[exclude]]
            when = {{ "loss.kind" = "softmax", "train.batch_size" = 128 }}
            [seeds]
            count = 3
            [[report]]
            {reports}
            "#
        );
        let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        (experiment, grid)
    }

    /// Every run completed with 10 times its batch size plus its seed, but for those that `state` says otherwise of.
    fn runs(grid: &Grid, state: impl Fn(&Run) -> RunState) -> BTreeMap<RunId, Run> {
        let run = |spec: &RunSpec| {
            let mut run = Run::new(RunDir::new("x"), spec.clone());
            let value = (10 * spec.config.train.batch_size) as f64 + spec.config.seed as f64;
            run.evaluations = [0.0, value]
                .iter()
                .zip(1..)
                .map(|(x, step)| Evaluation {
                    step,
                    examples: step,
                    metrics: BTreeMap::from([("zeroshot/top1".into(), *x)]),
                })
                .collect();
            let at = Position {
                attempt: 1,
                step: 2,
                examples: 2,
                seconds: 1.0,
            };
            run.series.push(at, [("loss", 0.5)]);
            run.state = state(&run);
            (spec.id.clone(), run)
        };
        grid.runs().into_iter().map(run).collect()
    }

    #[test]
    fn other_axes_have_tables_of_their_own() {
        let (experiment, grid) = experiment(
            "rows = 'train.batch_size'\ncolumns = 'loss.kind'\nmetric = 'zeroshot/top1'",
        );
        let runs = runs(&grid, |_| RunState::Completed);
        let tables = tables(&experiment, &grid, &experiment.reports[0], |spec| {
            runs.get(&spec.id)
        })
        .unwrap();
        assert_eq!(
            tables.iter().map(|t| t.given.clone()).collect::<Vec<_>>(),
            [
                [("optim.lr".to_string(), "0.001".to_string())],
                [("optim.lr".into(), "0.0003".into())]
            ]
        );
        let table = &tables[0];
        assert_eq!(
            (table.rows.as_slice(), table.columns.as_slice()),
            (
                ["64".to_string(), "128".into()].as_slice(),
                ["sigmoid".to_string(), "softmax".into()].as_slice()
            )
        );
        assert_eq!(table.cells[0][0].mean, Some(641.0));
        // t(0.975; 2) = 4.30265, sd = 1, n = 3
        assert!(
            (table.cells[0][0].half_width.unwrap() - 4.302_652_73 / 3.0_f64.sqrt()).abs() < 1e-6
        );
        assert_eq!(
            table.cells[1][1],
            Cell::default(),
            "an excluded cell expects nothing"
        );
        // 128 pairs are 640 better on each of the three seeds.
        let marks = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(r, c)| table.cells[r][c].mark);
        assert_eq!(marks, [Mark::Worse, Mark::Worse, Mark::Best, Mark::None]);
        let found = table.cells[0][0].against_best.unwrap();
        assert_eq!((found.test, found.difference), (Test::Paired, -640.0));
    }

    #[test]
    fn what_is_missing_is_counted_and_not_averaged() {
        let (experiment, grid) = experiment("rows = 'train.batch_size'\nmetric = 'zeroshot/top1'");
        let runs = runs(&grid, |run| match run.spec.config.seed {
            0 => RunState::Completed,
            1 => RunState::Diverged {
                step: 1,
                reason: String::new(),
            },
            _ => RunState::Running,
        });
        let tables = tables(&experiment, &grid, &experiment.reports[0], |spec| {
            runs.get(&spec.id)
        })
        .unwrap();
        assert_eq!(tables.len(), 4);
        assert_eq!(
            tables[0].cells[0][0],
            Cell {
                mean: Some(640.0),
                half_width: None,
                n: 1,
                expected: 3,
                missing: 1,
                diverged: 1,
                failed: 0,
                samples: vec![Sample {
                    seed: 0,
                    value: 640.0
                }],
                mark: Mark::Untested,
                against_best: None,
                reported: None,
            }
        );
    }

    #[test]
    fn a_metric_of_the_rows_is_found_and_an_unknown_one_is_missing() {
        let (experiment, grid) = experiment("metric = 'loss'");
        let runs = runs(&grid, |_| RunState::Completed);
        let mean = |metric: &str| {
            let report = Report {
                metric: metric.into(),
                ..experiment.reports[0].clone()
            };
            tables(&experiment, &grid, &report, |spec| runs.get(&spec.id)).unwrap()[0].cells[0][0]
                .clone()
        };
        assert_eq!(
            (mean("loss").mean, mean("loss").half_width),
            (Some(0.5), Some(0.0))
        );
        assert_eq!((mean("los").mean, mean("los").missing), (None, 3));
    }
}
