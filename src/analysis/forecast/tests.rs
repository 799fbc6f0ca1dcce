use std::path::Path;

use super::*;
use crate::record::RunDir;
use crate::spec::Experiment;
use crate::store::Position;
use crate::train::TrainConfig;

/// A run that took `rate` seconds an example.
fn finished(config: TrainConfig, rate: f64) -> Run {
    let mut run = Run::new(RunDir::new("x"), RunSpec::new(config));
    let at = Position {
        attempt: 1,
        step: 1,
        examples: 1_000,
        seconds: 1_000.0 * rate,
    };
    run.series.push(at, [("loss", 1.0)]);
    run.examples = 1_000;
    run.state = RunState::Completed;
    run
}

fn config(batch_size: usize, tile: usize, seed: u64) -> TrainConfig {
    let mut config = TrainConfig::default();
    config.train.batch_size = batch_size;
    config.train.tile = tile;
    config.seed = seed;
    config
}

/// Three runs of one kind, two with another batch, one with another tile.
fn workspace() -> Vec<Run> {
    let rates = [
        (64, 256, 0, 1e-3),
        (64, 256, 1, 1.1e-3),
        (64, 256, 2, 1.05e-3),
        (128, 256, 0, 2e-3),
        (128, 256, 1, 2.2e-3),
        (64, 128, 0, 5e-4),
    ];
    rates
        .map(|(batch, tile, seed, rate)| finished(config(batch, tile, seed), rate))
        .to_vec()
}

fn near(found: Span, expected: [f64; 3]) -> bool {
    let close = |x: f64, y: f64| (x / y - 1.0).abs() < 1e-9;
    close(found.seconds, expected[0])
        && found.low.is_some_and(|x| close(x, expected[1]))
        && found.high.is_some_and(|x| close(x, expected[2]))
}

/// numpy 2.4.6 and scipy 1.17.1:
/// ```python
/// A, B, C = log([1e-3, 1.1e-3, 1.05e-3]), log([2e-3, 2.2e-3]), log([5e-4])
/// twins = [a - delete(A, i).mean() for i, a in enumerate(A)] + [B[0] - B[1], B[1] - B[0]]
/// half = t.ppf(0.975, 4) * sqrt(mean(square(twins)))        # then exp(A.mean() ± half)
/// BC = concatenate([B, C])
/// squares = [mean((A - BC.mean())**2), mean((B - A.mean())**2), mean((C - A.mean())**2)]
/// half = t.ppf(0.975, 2) * sqrt(mean(squares))
/// ```
#[test]
fn a_run_is_predicted_by_its_twins_or_else_by_the_nearest() {
    let forecast = Forecast::learn(&workspace());
    let mut twin = config(64, 256, 7);
    // None of these changes what an example costs.
    twin.train.examples = 1_000;
    twin.optim.lr = 0.5;
    twin.optim.image.lr_mult = 0.5;
    let found = forecast.run(&RunSpec::new(twin.clone())).unwrap();
    assert_eq!((found.from, found.differences), (3, 0));
    let expected = [
        1.049_205_748_562_268_1,
        0.851_141_486_983_863_5,
        1.293_360_410_285_087_7,
    ];
    assert!(near(found.span, expected), "{found:?}");

    // A locked tower costs less.
    let mut locked = twin.clone();
    locked.optim.image.lr_mult = 0.0;
    let found = forecast.run(&RunSpec::new(locked)).unwrap();
    assert_eq!((found.from, found.differences), (3, 1));

    // A key on which no two finished runs differ.
    twin.eval.images += 1;
    let found = forecast.run(&RunSpec::new(twin)).unwrap();
    assert_eq!((found.from, found.differences), (3, 1));
    let expected = [
        1.049_205_748_562_268_1,
        0.079_452_450_237_491_74,
        13.855_239_196_847_984,
    ];
    assert!(near(found.span, expected), "{found:?}");

    // As far from both groups that share its batch or its tile.
    let found = forecast.run(&RunSpec::new(config(128, 128, 0))).unwrap();
    assert_eq!((found.from, found.differences), (3, 1));
}

#[test]
fn what_is_not_known_is_not_claimed() {
    let spec = RunSpec::new(config(64, 256, 9));
    let all = workspace();
    assert_eq!(Forecast::learn([]).run(&spec), None);
    let interval = |runs: &[Run]| {
        let found = Forecast::learn(runs).run(&spec).unwrap().span;
        (
            found.seconds > 0.0,
            found.low.is_some(),
            found.high.is_some(),
        )
    };
    assert_eq!(interval(&all[..2]), (true, false, false));
    assert_eq!(interval(&all[..3]), (true, true, true));
    // Twins of one kind say nothing about the error for other settings.
    let other = RunSpec::new(config(128, 256, 0));
    let found = Forecast::learn(&all[..3]).run(&other).unwrap();
    assert_eq!((found.from, found.span.low), (3, None));
    // Only what is complete teaches.
    let mut running = all[0].clone();
    running.state = RunState::Running;
    assert_eq!(Forecast::learn([&running]).run(&spec), None);
}

#[test]
fn a_grid_takes_its_runs_in_order_and_what_is_left_of_them() {
    let forecast = Forecast::learn(&workspace());
    let mut wide = config(64, 256, 3);
    wide.train.examples = 10_000;
    let mut specs = [
        RunSpec::new(wide.clone()),
        RunSpec::new(config(64, 256, 4)),
        RunSpec::new(config(128, 256, 5)),
    ];
    for spec in &mut specs {
        spec.config.train.examples = 10_000;
    }
    let left = [0.5, 1.0, 1.0];
    let remaining: Vec<Remaining> = specs
        .iter()
        .zip(left)
        .map(|(spec, left)| Remaining { spec, left })
        .collect();
    let total = forecast.grid(&remaining, 2).unwrap();
    let of = |spec: &RunSpec| forecast.run(spec).unwrap().span;
    let [a, b, c] = [&specs[0], &specs[1], &specs[2]].map(of);
    let sum = |part: fn(&Span) -> f64| 0.5 * part(&a) + part(&b) + part(&c);
    let low = sum(|span| span.low.unwrap());
    let high = sum(|span| span.high.unwrap());
    let seconds = sum(|span| span.seconds);
    assert!(near(total.device, [seconds, low, high]), "{total:?}");
    // The third starts when the half of the first is done.
    let done = 0.5 * a.seconds + c.seconds;
    assert!(
        near(
            total.done,
            [done, done * low / seconds, done * high / seconds]
        ),
        "{total:?}"
    );
    assert_eq!(forecast.grid(&[], 2).unwrap().device.seconds, 0.0);
    assert_eq!(Forecast::learn([]).grid(&remaining, 2), None);
}

#[test]
fn a_run_on_two_ranks_takes_two_devices_and_a_prerequisite_comes_first() {
    let text = r#"
        [runs.p]
        loss.kind = "classify"
        [axes]
        "train.ranks" = [1, 2]
        "model.image.init" = ["random", { from = "p" }]
    "#;
    let grid = Experiment::parse(Path::new("x.toml"), text, &[])
        .unwrap()
        .expand()
        .unwrap();
    let forecast = Forecast::learn([&finished(TrainConfig::default(), 1e-3)]);
    let runs = grid.runs();
    let remaining: Vec<Remaining> = runs
        .iter()
        .map(|spec| Remaining { spec, left: 1.0 })
        .collect();
    let total = forecast.grid(&remaining, 2).unwrap();
    let each = 60.0;
    assert!((total.device.seconds - 7.0 * each).abs() < 1e-6);
    // The prerequisite beside the first cell, the cell that needs it alone before the wide ones, one after the other.
    assert!((total.done.seconds - 4.0 * each).abs() < 1e-6, "{total:?}");
    assert_eq!(total.device.low, None, "one run is no error");
}
