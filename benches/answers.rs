//! What a table costs once the runs are in memory: 500 runs of 1,000 rows of 20 metrics, 10,000,000 points, in a grid of
//! 100 cells with five seeds each.
//!
//! `cargo bench --bench answers`

use std::collections::BTreeMap;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use siglab::analysis::{effects, tables};
use siglab::record::{RunDir, RunId};
use siglab::spec::{Experiment, Grid, Report};
use siglab::store::{Evaluation, Position, Run, RunState};

const GRID: &str = r#"
    [base]
    train.batch_size = 64
    [axes]
    "optim.lr" = [1e-4, 2e-4, 3e-4, 4e-4, 5e-4, 6e-4, 7e-4, 8e-4, 9e-4, 1e-3]
    "optim.weight_decay" = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    [seeds]
    count = 5
    [[report]]
    rows = "optim.lr"
    columns = "optim.weight_decay"
    metric = "zeroshot/top1"
    [[report]]
    rows = "optim.lr"
    columns = "optim.weight_decay"
    metric = "metric/00"
    at = { device_hours = "matched" }
    against = { "optim.lr" = 1e-3 }
    [[report]]
    rows = "optim.lr"
    columns = "optim.weight_decay"
    metric = "loss"
    at = "best"
    [[report]]
    rows = "optim.lr"
    columns = "optim.weight_decay"
    metric = "zeroshot/top1"
    interval = "bootstrap"
"#;

/// Rows of a run, and metrics beside the loss.
const SHAPE: (u64, usize) = (1_000, 19);

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = answers, grids
}
criterion_main!(benches);

fn answers(criterion: &mut Criterion) {
    let experiment = Experiment::parse(Path::new("x.toml"), GRID, &[]).unwrap();
    let grid = experiment.expand().unwrap();
    let runs = runs(&grid);
    let points: usize = runs
        .values()
        .map(|run| run.series.len() * (SHAPE.1 + 1))
        .sum();
    assert_eq!(points, 10_000_000);
    let mut group = criterion.benchmark_group("10,000,000 points");
    let names = [
        "table at the end, t, against the best",
        "table of rows at a matched budget, against a baseline",
        "table of rows at their best",
        "table at the end, bootstrap",
    ];
    for (name, report) in names.into_iter().zip(&experiment.reports) {
        group.bench_function(name, |bencher| {
            bencher.iter(|| tables(&experiment, &grid, report, |spec| runs.get(&spec.id)).unwrap());
        });
    }
    let report = Report::table(None, None, "zeroshot/top1");
    group.bench_function("effects and analysis of variance", |bencher| {
        bencher.iter(|| effects(&experiment, &grid, &report, |spec| runs.get(&spec.id)).unwrap());
    });
    group.finish();
}

/// Grids as large as they may be: with a run for each cell, and with nine cells in ten left out.
fn grids(criterion: &mut Criterion) {
    let grid = |rows: u32, excludes: &str| {
        let axis = |n: u32| {
            let values: Vec<String> = (1..=n).map(|i| i.to_string()).collect();
            values.join(",")
        };
        let (rows, columns) = (axis(rows), axis(100));
        let text = format!(
            "[axes]\n\"train.batch_size\" = [{rows}]\n\"train.log_every\" = [{columns}]\n{excludes}"
        );
        Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap()
    };
    let excludes: String = (1..=100)
        .filter(|i| i % 10 > 0)
        .map(|i| format!("[[exclude]]\nwhen = {{ train.log_every = {i} }}\n"))
        .collect();
    let mut group = criterion.benchmark_group("expand");
    group.sample_size(10);
    for (name, experiment) in [
        ("100,000 cells", grid(1_000, "")),
        ("1,000,000 cells, 100,000 runs", grid(10_000, &excludes)),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| experiment.expand().unwrap())
        });
    }
    group.finish();
}

fn runs(grid: &Grid) -> BTreeMap<RunId, Run> {
    let names: Vec<String> = (0..SHAPE.1).map(|n| format!("metric/{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).chain(["loss"]).collect();
    let run = |(number, spec): (usize, &siglab::spec::RunSpec)| {
        let mut run = Run::new(RunDir::new("x"), spec.clone());
        let noise = |step: u64| (step as f64 * 0.37 + number as f64).sin();
        for step in 1..=SHAPE.0 {
            let at = Position {
                attempt: 1,
                step,
                examples: 64 * step,
                seconds: 0.5 * step as f64,
            };
            let value = noise(step);
            run.series.push(at, names.iter().map(|name| (*name, value)));
        }
        run.examples = 64 * SHAPE.0;
        run.evaluations = (1..=10)
            .map(|n| Evaluation {
                step: 100 * n,
                examples: 6_400 * n,
                metrics: BTreeMap::from([
                    ("zeroshot/top1".into(), 0.5 + 0.1 * noise(n)),
                    ("zeroshot/n".into(), 1_024.0),
                ]),
                ..Evaluation::default()
            })
            .collect();
        run.state = RunState::Completed;
        (spec.id.clone(), run)
    };
    grid.runs().into_iter().enumerate().map(run).collect()
}
