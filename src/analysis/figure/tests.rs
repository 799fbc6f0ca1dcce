use std::collections::BTreeMap;
use std::path::Path;

use super::super::UnknownMetric;
use super::*;
use crate::record::{RunDir, RunId};
use crate::spec::Along;
use crate::store::{Evaluation, Position, RunState};

/// Loss by batch size, 3 seeds, and one report.
fn experiment(report: &str) -> (Experiment, Grid) {
    let text = format!(
        r#"
        [axes]
        "loss.kind" = ["sigmoid", "softmax"]
        "train.batch_size" = [64, 128]
        [seeds]
        count = 3
        [[report]]
        {report}
        "#
    );
    let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
    let grid = experiment.expand().unwrap();
    (experiment, grid)
}

/// A run of 200 rows: the loss is its seed plus a hundredth of the row, and 50 in the row that `spike` names. Accuracy is
/// evaluated twice.
fn run(spec: &RunSpec, spike: Option<u64>) -> Run {
    let mut run = Run::new(RunDir::new("x"), spec.clone());
    let (batch, seed) = (spec.config.train.batch_size as u64, spec.config.seed as f64);
    for step in 1..=200u64 {
        let at = Position {
            attempt: 1,
            step,
            examples: step * batch,
            seconds: step as f64 / 10.0,
        };
        let loss = match Some(step) == spike {
            true => 50.0,
            false => 1.0 + seed + step as f64 / 1000.0,
        };
        run.series.push(at, [("loss", loss)]);
    }
    for step in [100, 200] {
        run.evaluations.push(Evaluation {
            attempt: 1,
            at: 0,
            step,
            examples: step * batch,
            metrics: BTreeMap::from([("zeroshot/top1".into(), 0.1 * seed + step as f64 / 1000.0)]),
        });
    }
    run.state = RunState::Completed;
    run
}

fn drawn(
    (experiment, grid): &(Experiment, Grid),
    runs: &BTreeMap<RunId, Run>,
) -> anyhow::Result<Vec<Figure>> {
    let report = &experiment.reports[0];
    figures(experiment, grid, report, &SpikeConfig::default(), |spec| {
        runs.get(&spec.id)
    })
}

fn all(grid: &Grid, spike: Option<u64>) -> BTreeMap<RunId, Run> {
    let runs = grid.runs().into_iter();
    runs.map(|spec| (spec.id.clone(), run(spec, spike)))
        .collect()
}

fn curves(figure: &Figure) -> &Curves {
    match &figure.plot {
        Plot::Curves(curves) => curves,
        other => panic!("{other:?}"),
    }
}

#[test]
fn curves_are_means_over_seeds_and_other_axes_have_figures_of_their_own() {
    let asked = experiment(
        "kind = 'curves'\ncolumns = 'loss.kind'\nmetric = ['loss', 'zeroshot/top1']\nlog = 'loss'",
    );
    let mut runs = all(&asked.1, None);
    // One seed of sigmoid at 64 is not begun, one of softmax diverged.
    let of = |kind: &str, seed: u64| {
        let mut cells = asked.1.cells.iter();
        let cell = cells.find(|cell| {
            let values: Vec<_> = cell.settings().map(|(_, value)| value).collect();
            cell.seed == seed && *values[0] == kind && *values[1] == 64
        });
        cell.unwrap().run().unwrap().id.clone()
    };
    runs.remove(&of("sigmoid", 2));
    runs.get_mut(&of("softmax", 1)).unwrap().state = RunState::Diverged {
        step: 200,
        reason: String::new(),
    };
    let figures = drawn(&asked, &runs).unwrap();
    let given: Vec<_> = figures.iter().map(|figure| figure.given.clone()).collect();
    let batch = |size: &str| vec![("train.batch_size".to_owned(), size.to_owned())];
    assert_eq!(given, [batch("64"), batch("128")]);
    assert_eq!((figures[0].runs.len(), figures[1].runs.len()), (5, 6));
    let drawn = curves(&figures[0]);
    let counts = |line: &Curve| {
        (
            line.label.clone(),
            line.n,
            line.expected,
            line.diverged.clone(),
        )
    };
    assert_eq!(
        drawn.lines.iter().map(counts).collect::<Vec<_>>(),
        [
            ("sigmoid".into(), 2, 3, Vec::new()),
            ("softmax".into(), 3, 3, vec![12_800.0])
        ]
    );
    let [loss, top1] = &drawn.panels[..] else {
        panic!("two panels")
    };
    assert_eq!(
        (loss.log, loss.evaluated, top1.log, top1.evaluated),
        (true, false, false, true)
    );
    let Trace::Mean(points) = &loss.traces[0] else {
        panic!("a mean")
    };
    // Seeds 0 and 1: the mean of 1 and 2, and the row's share, at every place along 12,800 examples.
    let halfway = points.iter().find(|point| point.x > 6_400.0).unwrap();
    let row = halfway.x / 64.0;
    assert_eq!(halfway.n, 2);
    assert!(
        (halfway.mean.unwrap() - (1.5 + row / 1000.0)).abs() < 1e-3,
        "{halfway:?}"
    );
    // Student's t of one degree of freedom, 12.7062, times 0.5.
    assert!(
        (halfway.half_width.unwrap() - 6.353_1).abs() < 1e-3,
        "{halfway:?}"
    );
    let Trace::Mean(points) = &top1.traces[1] else {
        panic!("a mean")
    };
    let places: Vec<(f64, u32)> = points.iter().map(|point| (point.x, point.n)).collect();
    assert_eq!(places, [(6_400.0, 3), (12_800.0, 3)]);
    assert!((points[0].mean.unwrap() - 0.2).abs() < 1e-12);
}

#[test]
fn where_spikes_are_marked_no_mean_levels_them() {
    let asked = experiment(
        "kind = 'curves'\ncolumns = 'loss.kind'\nmetric = 'loss'\nspikes = true\nalong = 'steps'",
    );
    let figures = drawn(&asked, &all(&asked.1, Some(150))).unwrap();
    let drawn = curves(&figures[0]);
    assert_eq!(drawn.along, Along::Steps);
    assert_eq!(drawn.lines[0].spikes, [150.0; 3], "one a seed");
    let Trace::Runs(runs) = &drawn.panels[0].traces[0] else {
        panic!("runs by themselves")
    };
    assert_eq!(runs.len(), 3);
    for run in runs {
        assert!(run.contains(&(150.0, 50.0)), "the highest row is there");
        assert!(run.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

/// Each column keeps its extremes, however many rows fall into it.
#[test]
fn no_row_of_a_long_run_can_hide() {
    let asked = experiment("kind = 'curves'\nmetric = 'loss'\nspikes = true");
    let spec = asked.1.runs()[0].clone();
    let mut long = Run::new(RunDir::new("x"), spec.clone());
    for step in 1..=50_000u64 {
        let at = Position {
            attempt: 1,
            step,
            examples: step,
            seconds: step as f64,
        };
        let loss = if step == 33_333 { 9.0 } else { 1.0 };
        long.series.push(at, [("loss", loss)]);
    }
    let runs = BTreeMap::from([(spec.id.clone(), long)]);
    let figures = drawn(&asked, &runs).unwrap();
    let mut traces = figures
        .iter()
        .flat_map(|figure| &curves(figure).panels[0].traces);
    let found = traces.find_map(|trace| match trace {
        Trace::Runs(runs) => runs.iter().find(|run| !run.is_empty()).cloned(),
        Trace::Mean(_) => None,
    });
    let points = found.unwrap();
    assert!(points.len() <= 1_200, "{}", points.len());
    assert!(points.contains(&(33_333.0, 9.0)));
}

#[test]
fn a_line_knows_where_its_rows_lie_and_bars_need_not() {
    let line = "kind = 'line'\nrows = 'train.batch_size'\ncolumns = 'loss.kind'\nmetric = 'zeroshot/top1'\nlog = 'zeroshot/top1'";
    let asked = experiment(line);
    let figures = drawn(&asked, &all(&asked.1, None)).unwrap();
    let [figure] = &figures[..] else {
        panic!("one figure")
    };
    assert_eq!(figure.runs.len(), 12);
    match &figure.plot {
        Plot::Line { table, places, log } => {
            assert_eq!(places.as_deref(), Some(&[64.0, 128.0][..]));
            assert!(*log);
            assert!((table.cells[0][0].mean.unwrap() - 0.3).abs() < 1e-12);
        }
        other => panic!("{other:?}"),
    }
    let asked = experiment("kind = 'bars'\nrows = 'loss.kind'\nmetric = 'loss'");
    let figures = drawn(&asked, &all(&asked.1, None)).unwrap();
    assert_eq!(figures.len(), 2, "one for each batch size");
    assert!(matches!(figures[0].plot, Plot::Bars(_)));
}

#[test]
fn what_nobody_measured_is_refused_in_words() {
    let asked = experiment("kind = 'curves'\nmetric = 'los'");
    let refusal = drawn(&asked, &all(&asked.1, None)).unwrap_err();
    assert!(refusal.is::<UnknownMetric>());
    assert_eq!(
        refusal.to_string(),
        "no run of this experiment has the metric `los`; there are loss, zeroshot/top1"
    );
    for kind in ["curves", "effects", "line'\nrows = 'train.batch_size"] {
        let asked = experiment(&format!("kind = '{kind}'\nmetric = 'loss'"));
        let refusal = drawn(&asked, &BTreeMap::new()).unwrap_err().to_string();
        assert!(
            refusal.contains("nothing to draw") && refusal.contains("`siglab run`"),
            "{refusal}"
        );
    }
}
