//! A report as a table: rows, columns, and in each cell the mean over seeds with its 95 % interval and what is
//! missing. Axes that are neither rows nor columns are never pooled: each of their positions has a table of its own.

use std::collections::BTreeMap;

use anyhow::Context;
use serde::Serialize;

use super::aggregate::{Place, Summary, summarise};
use super::answer::{Answer, Asked, Reading, answer};
use super::compare::{Comparison, Direction, Mark, Reference, Sample, mark_baseline, mark_best};
use super::interval::{Estimate, interval, mean, wilson};
use super::metric::require_metric;
use super::moment::When;
use super::power::Resolution;
use crate::spec::{
    Against, Axis, Cell as GridCell, Conditions, Experiment, Grid, Interval, Report, RunSpec,
};
use crate::store::Run;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// The file that asks for it.
    pub experiment: String,
    pub title: String,
    pub metric: String,
    /// When each run was asked for it.
    pub asked: Asked,
    /// How intervals of means are made.
    pub interval: Interval,
    /// The baseline that cells are compared with, as words; none where it is the best cell.
    pub against: Option<String>,
    /// Axes that this table holds fixed, and where.
    pub given: Vec<(String, String)>,
    /// Name of the axis; empty if there is none.
    pub row_axis: String,
    pub column_axis: String,
    pub rows: Vec<String>,
    pub columns: Vec<String>,
    /// One list a row, one cell a column.
    pub cells: Vec<Vec<Cell>>,
    /// What it would take to tell a difference, where somebody asks; by [`resolve`](super::resolve).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
}

/// The runs of one cell that differ by seed alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    pub mean: Option<f64>,
    /// Of the sample; none below two runs.
    pub sd: Option<f64>,
    /// The ends of the 95 % interval of the mean; none where there are too few runs for it.
    pub interval: Option<[f64; 2]>,
    /// Of the interval, where it reaches as far to either side: Student's does.
    pub half_width: Option<f64>,
    /// Runs in the mean.
    pub n: u32,
    /// Runs that should be; 0 where the experiment excludes the cell.
    pub expected: u32,
    /// Not done, done without this metric, or done before the budget was reached.
    pub missing: u32,
    pub diverged: u32,
    pub failed: u32,
    /// What the mean is of, by seed.
    pub samples: Vec<Sample>,
    pub mark: Mark,
    /// Against the best cell of the table, or the cell's baseline; none for that one, and where nothing could be tested.
    pub comparison: Option<Comparison>,
    /// What the evaluation itself leaves open, whatever the number of seeds: all runs see the same pictures.
    pub evaluation: Option<EvaluationError>,
    /// What somebody else reports for these settings.
    pub reported: Option<Reported>,
}

/// The error of a share because so many pictures or queries were looked at and no more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EvaluationError {
    /// Of Wilson's 95 % interval at the cell's mean.
    pub half_width: f64,
    /// Pictures or queries of one evaluation; the fewest, where seeds differ.
    pub items: f64,
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
///
/// # Errors
/// [`UnknownMetric`](super::UnknownMetric) when runs are complete and none has measured what the report is of, and
/// [`NoBest`](super::NoBest) when it asks for the best of what is neither good nor bad.
pub fn tables<'s>(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Vec<Table>> {
    let specs = grid.cells.iter().filter_map(GridCell::run);
    require_metric(specs.filter_map(&run_of), report.metric(), report.at)?;
    let layout = Layout::of(experiment, grid, report);
    let mut whens = layout.whens(grid, report, &run_of)?;
    let baselines = match &report.against {
        Against::Best => None,
        Against::Baseline(conditions) => Some(layout.baselines(experiment, grid, conditions)),
    };
    let crosses = |(one, other): (&Place, &Place)| one.table != other.table;
    if baselines.iter().flatten().any(crosses) {
        // What is compared is asked at the same moment.
        let shared = whens.iter().copied().reduce(When::shared);
        whens.fill(shared.unwrap_or_default());
    }
    let mut gathered: BTreeMap<Place, Gathered> = BTreeMap::new();
    let mut observations: Vec<(Place, Answer)> = Vec::new();
    for cell in &grid.cells {
        if let (Some(spec), Some(place)) = (cell.run(), layout.place(&cell.position)) {
            let answer = answer(run_of(spec), report.metric(), &whens[place.table]);
            let gathered = gathered.entry(place).or_default();
            gathered.take(answer, cell.seed, spec);
            observations.push((place, answer));
            if gathered.reported.is_none() {
                gathered.reported = Reported::of(experiment, report.metric(), cell);
            }
        }
    }
    let summaries = summarise(&observations).context("cannot aggregate the runs")?;
    let axis = |axis: Option<usize>| axis.map(|axis| &experiment.axes[axis]);
    let rows = labels(axis(report.rows), "all");
    let columns = labels(axis(report.columns), report.metric());
    let name = |axis: Option<&Axis>| axis.map_or(String::new(), Axis::name);
    let table = |(table, at): (usize, When)| {
        let here = gathered.range(Place::first(table)..Place::first(table + 1));
        let readings = here.flat_map(|(_, gathered)| &gathered.readings);
        let cell = |row, column| {
            let place = Place { table, row, column };
            match (gathered.get(&place), summaries.get(&place)) {
                (Some(gathered), Some(summary)) => gathered.cell(summary, report.interval),
                _ => Cell::default(),
            }
        };
        let of_row = |row| (0..columns.len()).map(|column| cell(row, column)).collect();
        let mut cells: Vec<Vec<Cell>> = (0..rows.len()).map(of_row).collect();
        let direction = Direction::of(report.metric());
        match (&baselines, direction) {
            (Some(baselines), direction) => mark_baseline(&mut cells, direction, |row, column| {
                let place = Place { table, row, column };
                match baselines.get(&place) {
                    Some(baseline) if *baseline == place => Reference::Itself,
                    baseline => Reference::Other(
                        baseline
                            .and_then(|baseline| gathered.get(baseline))
                            .map_or_else(Vec::new, |gathered| gathered.by_seed()),
                    ),
                }
            }),
            (None, Some(direction)) => mark_best(&mut cells, direction),
            (None, None) => {}
        }
        Table {
            experiment: experiment.path.display().to_string(),
            title: report
                .title
                .clone()
                .unwrap_or_else(|| report.metric().to_owned()),
            metric: report.metric().to_owned(),
            asked: Asked::of(at, readings),
            interval: report.interval,
            against: baselines.as_ref().map(|_| report.against.label()),
            given: layout.given(experiment, table),
            row_axis: name(axis(report.rows)),
            column_axis: name(axis(report.columns)),
            cells,
            rows: rows.clone(),
            columns: columns.clone(),
            resolution: None,
        }
    };
    Ok(whens.into_iter().enumerate().map(table).collect())
}

/// Which table, row and column each position on the axes has.
struct Layout {
    rows: Option<usize>,
    columns: Option<usize>,
    /// Axes that each table holds fixed, and where each table does.
    fixed: Vec<usize>,
    points: Vec<Vec<usize>>,
    tables: BTreeMap<Vec<usize>, usize>,
}

impl Layout {
    fn of(experiment: &Experiment, grid: &Grid, report: &Report) -> Self {
        let mut layout = Self {
            rows: report.rows,
            columns: report.columns,
            fixed: (0..experiment.axes.len())
                .filter(|axis| Some(*axis) != report.rows && Some(*axis) != report.columns)
                .collect(),
            points: Vec::new(),
            tables: BTreeMap::new(),
        };
        for cell in &grid.cells {
            let points = layout.fixed_points(&cell.position);
            if !layout.tables.contains_key(&points) {
                layout.tables.insert(points.clone(), layout.points.len());
                layout.points.push(points);
            }
        }
        layout
    }

    fn fixed_points(&self, position: &[usize]) -> Vec<usize> {
        self.fixed.iter().map(|axis| position[*axis]).collect()
    }

    /// None for a position that no table has.
    fn place(&self, position: &[usize]) -> Option<Place> {
        let along = |axis: Option<usize>| axis.map_or(0, |axis| position[axis]);
        Some(Place {
            table: *self.tables.get(&self.fixed_points(position))?,
            row: along(self.rows),
            column: along(self.columns),
        })
    }

    /// For each place that of its baseline: it has these values on the axes that they are of, and is where the place is on
    /// the others. None for a place whose baseline the grid does not have.
    fn baselines(
        &self,
        experiment: &Experiment,
        grid: &Grid,
        values: &Conditions,
    ) -> BTreeMap<Place, Place> {
        let named = experiment.axes_in(values);
        let others = |cell: &GridCell| -> Vec<usize> {
            let place = |(axis, at): (usize, &usize)| if named.contains(&axis) { 0 } else { *at };
            cell.position.iter().enumerate().map(place).collect()
        };
        let cells = || grid.cells.iter().filter(|cell| cell.run().is_some());
        let placed = |cell: &GridCell| Some((others(cell), self.place(&cell.position)?));
        let baselines: BTreeMap<Vec<usize>, Place> = cells()
            .filter(|cell| cell.meets(values))
            .filter_map(placed)
            .collect();
        let all = cells().filter_map(placed);
        all.filter_map(|(others, place)| Some((place, *baselines.get(&others)?)))
            .collect()
    }

    /// The axes that a table holds fixed, and where, as words.
    fn given(&self, experiment: &Experiment, table: usize) -> Vec<(String, String)> {
        let fixed = self.fixed.iter().zip(&self.points[table]);
        let words = fixed.map(|(axis, point)| {
            let axis = &experiment.axes[*axis];
            (axis.name(), axis.points[*point].label())
        });
        words.collect()
    }

    /// When the runs of each table are asked: a matched budget is the table's own.
    fn whens<'s>(
        &self,
        grid: &Grid,
        report: &Report,
        run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
    ) -> anyhow::Result<Vec<When>> {
        let mut runs: Vec<Vec<&Run>> = vec![Vec::new(); self.points.len()];
        for cell in &grid.cells {
            if let (Some(run), Some(place)) =
                (cell.run().and_then(&run_of), self.place(&cell.position))
            {
                runs[place.table].push(run);
            }
        }
        let each = runs.into_iter();
        let whens = each.map(|runs| When::of(report.at, report.metric(), runs.into_iter()));
        Ok(whens.collect::<Result<_, _>>()?)
    }
}

/// The labels along an axis; without one there is a single row or column with this label.
fn labels(axis: Option<&Axis>, alone: &str) -> Vec<String> {
    let along = |axis: &Axis| axis.points.iter().map(|point| point.label()).collect();
    axis.map_or_else(|| vec![alone.to_owned()], along)
}

/// What the runs of one place said.
#[derive(Debug, Default)]
struct Gathered {
    samples: Vec<Sample>,
    /// One a sample.
    readings: Vec<Reading>,
    reported: Option<Reported>,
}

impl Gathered {
    fn take(&mut self, answer: Answer, seed: u64, spec: &RunSpec) {
        if let Answer::Measured(reading) = answer {
            self.samples.push(Sample {
                seed,
                value: reading.value,
                step: reading.step,
                run: spec.id.to_string(),
            });
            self.readings.push(reading);
        }
    }

    fn by_seed(&self) -> Vec<(u64, f64)> {
        by_seed(&self.samples)
    }

    fn cell(&self, summary: &Summary, by: Interval) -> Cell {
        let values: Vec<f64> = self.samples.iter().map(|sample| sample.value).collect();
        Cell {
            mean: summary.mean,
            sd: summary.sd,
            half_width: match by {
                Interval::T => Estimate::of(&values).half_width,
                Interval::Bootstrap => None,
            },
            interval: interval(&values, by),
            n: summary.n,
            expected: summary.expected,
            missing: summary.missing,
            diverged: summary.diverged,
            failed: summary.failed,
            samples: self.samples.clone(),
            evaluation: self.evaluation(&values),
            reported: self.reported.clone(),
            ..Cell::default()
        }
    }
}

impl Gathered {
    /// None for what is no share.
    fn evaluation(&self, values: &[f64]) -> Option<EvaluationError> {
        let items = self.readings.iter().map(|reading| reading.trials);
        let items = items.collect::<Option<Vec<f64>>>()?;
        let items = items.into_iter().reduce(f64::min).filter(|n| *n >= 1.0)?;
        let share = Some(mean(values)).filter(|share| (0.0..=1.0).contains(share))?;
        Some(EvaluationError {
            half_width: wilson(share, items),
            items,
        })
    }
}

impl Reported {
    /// What the file says that somebody reports for the settings of a cell; the first that fits.
    fn of(experiment: &Experiment, metric: &str, cell: &GridCell) -> Option<Self> {
        let mut reported = experiment.reported.iter();
        reported.find_map(|numbers| {
            let value = numbers
                .value_of(cell)
                .filter(|_| numbers.metric == metric)?;
            Some(Self {
                value,
                source: numbers.source.clone(),
                what: numbers.what.clone(),
            })
        })
    }
}

impl Table {
    /// The fewest and the most seeds that a cell with a number has it of; those that were asked for where none has.
    pub fn counts(&self) -> [u32; 2] {
        let cells = || self.cells.iter().flatten();
        let found = || cells().map(|cell| cell.n).filter(|n| *n > 0);
        let asked = cells().map(|cell| cell.expected).max().unwrap_or(0);
        [found().min(), found().max()].map(|n| n.unwrap_or(asked))
    }
}

fn by_seed(samples: &[Sample]) -> Vec<(u64, f64)> {
    let samples = samples.iter();
    samples.map(|sample| (sample.seed, sample.value)).collect()
}

impl Cell {
    pub(super) fn by_seed(&self) -> Vec<(u64, f64)> {
        by_seed(&self.samples)
    }

    /// Whether runs that were asked for are not in the mean.
    pub fn is_partial(&self) -> bool {
        self.n < self.expected
    }

    /// How far the interval reaches on either side of the mean.
    pub fn reach(&self) -> Option<[f64; 2]> {
        let ([low, high], mean) = (self.interval?, self.mean?);
        Some([mean - low, high - mean])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::compare::Test;
    use super::*;
    use crate::record::{RunDir, RunId};
    use crate::store::{Evaluation, Position, RunState};

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
                    ..Evaluation::default()
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
        let [down, up] = table.cells[0][0].reach().unwrap();
        let half_width = 4.302_652_73 / 3.0_f64.sqrt();
        assert!((down - half_width).abs() < 1e-6 && (up - half_width).abs() < 1e-6);
        assert_eq!(table.cells[0][0].sd, Some(1.0));
        assert_eq!(
            table.cells[1][1],
            Cell::default(),
            "an excluded cell expects nothing"
        );
        // 128 pairs are 640 better on each of the three seeds.
        let marks = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(r, c)| table.cells[r][c].mark);
        assert_eq!(marks, [Mark::Worse, Mark::Worse, Mark::Best, Mark::None]);
        let found = table.cells[0][0].comparison.unwrap();
        assert_eq!((found.test, found.difference), (Test::Paired, -640.0));
    }

    /// Batch size by loss, the rate fixed: each cell against softmax of its batch size, or the rate 1e-3 of its place.
    #[test]
    fn a_baseline_has_the_same_position_elsewhere() {
        let shown = |against: &str| {
            let (experiment, grid) = experiment(&format!(
                "rows = 'train.batch_size'\ncolumns = 'loss.kind'\nmetric = 'zeroshot/top1'\nagainst = {against}"
            ));
            // Sigmoid is 5 better than softmax, a rate of 3e-4 is 2 worse; both with some noise.
            let mut runs = runs(&grid, |_| RunState::Completed);
            for cell in grid.cells.iter().filter(|cell| cell.run().is_some()) {
                let run = runs.get_mut(&cell.run().unwrap().id).unwrap();
                let noise = [0.0, 0.1, 0.3][cell.seed as usize] * cell.position[2] as f64;
                let shift = -5.0 * cell.position[0] as f64 - 2.0 * cell.position[2] as f64 + noise;
                let metrics = &mut run.evaluations.last_mut().unwrap().metrics;
                *metrics.get_mut("zeroshot/top1").unwrap() += shift;
            }
            tables(&experiment, &grid, &experiment.reports[0], |spec| {
                runs.get(&spec.id)
            })
            .unwrap()
        };
        let marks =
            |table: &Table| [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(r, c)| table.cells[r][c].mark);
        let by_loss = shown("{ loss.kind = 'softmax' }");
        // Softmax at 128 is excluded: sigmoid has nothing to be compared with there.
        assert_eq!(
            marks(&by_loss[0]),
            [Mark::Better, Mark::Baseline, Mark::Untested, Mark::None]
        );
        assert_eq!(by_loss[0].against.as_deref(), Some("loss.kind = softmax"));
        let found = by_loss[0].cells[0][0].comparison.unwrap();
        assert_eq!(
            (found.difference, found.half_width, found.pairs),
            (5.0, 0.0, Some(3))
        );
        let by_rate = shown("{ optim.lr = 1e-3 }");
        assert_eq!(
            marks(&by_rate[0]),
            [Mark::Baseline, Mark::Baseline, Mark::Baseline, Mark::None]
        );
        assert_eq!(
            marks(&by_rate[1]),
            [Mark::Worse, Mark::Worse, Mark::Worse, Mark::None]
        );
        let found = by_rate[1].cells[1][0].comparison.unwrap();
        assert!(
            (found.difference - (-2.0 + 0.4 / 3.0)).abs() < 1e-9,
            "{found:?}"
        );
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
                sd: None,
                interval: None,
                half_width: None,
                n: 1,
                expected: 3,
                missing: 1,
                diverged: 1,
                failed: 0,
                samples: vec![Sample {
                    seed: 0,
                    value: 640.0,
                    step: 2,
                    run: grid.runs()[0].id.to_string(),
                }],
                mark: Mark::Untested,
                comparison: None,
                evaluation: None,
                reported: None,
            }
        );
    }

    #[test]
    fn a_metric_of_the_rows_is_found_and_an_unknown_one_is_refused() {
        let (experiment, grid) = experiment("metric = 'loss'");
        let runs = runs(&grid, |_| RunState::Completed);
        let tables = |metric: &str| {
            let report = Report {
                metrics: vec![metric.into()],
                ..experiment.reports[0].clone()
            };
            tables(&experiment, &grid, &report, |spec| runs.get(&spec.id))
        };
        let found = &tables("loss").unwrap()[0].cells[0][0];
        assert_eq!((found.mean, found.interval), (Some(0.5), Some([0.5, 0.5])));
        let error = tables("los").unwrap_err();
        assert!(error.is::<super::super::UnknownMetric>(), "{error}");
    }
}
