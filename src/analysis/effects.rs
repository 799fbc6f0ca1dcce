//! What each axis does to a metric over the whole grid, and what pairs of two-level axes do together. Levels are
//! compared at the same positions of all other axes and with the same seed, so that an effect is never the trace of a
//! cell that is missing; where a level is missing, the position is dropped for all levels and counted. Where a design
//! varies one factor at a time, each level is compared with the design's baseline. How much of all differences is whose,
//! [`super::anova`] says.

use std::collections::BTreeMap;

use serde::Serialize;

use super::anova::Variance;
use super::answer::{Answer, Asked, answer};
use super::compare::{Comparison, compare, differences, holm};
use super::interval::{Estimate, mean};
use super::metric::require_metric;
use super::moment::When;
use crate::spec::{Axis, Cell, Experiment, Grid, Interval, Report, RunSpec};
use crate::store::Run;

/// The effects on one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effects {
    /// The file that asks for it.
    pub experiment: String,
    pub metric: String,
    /// When each run was asked for it.
    pub asked: Asked,
    /// How intervals of differences are made.
    pub interval: Interval,
    /// In the order of the experiment; an axis of one point has none.
    pub axes: Vec<AxisEffect>,
    pub interactions: Vec<Interaction>,
    /// Where a design of one factor at a time stands while another varies, as words; none for other designs.
    pub baseline: Option<String>,
    /// None for a design of one factor at a time, which crosses nothing.
    pub variance: Option<Variance>,
    /// The runs that were measured, in the order of the grid.
    pub runs: Vec<String>,
}

/// An axis's levels against its first one, or that of the baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AxisEffect {
    pub axis: String,
    /// What its levels are compared with.
    pub reference: String,
    pub levels: Vec<LevelEffect>,
    pub matched: Matched,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelEffect {
    pub level: String,
    /// Of the difference to the reference.
    pub effect: Estimate,
    /// Against the baseline of a design of one factor at a time, with Holm's correction over all levels of all axes.
    pub comparison: Option<Comparison>,
}

/// How much the second level of one axis changes the effect of the second level of another: (y₁₁ − y₀₁) − (y₁₀ − y₀₀).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interaction {
    pub axes: [String; 2],
    /// The level of each that is not its first.
    pub levels: [String; 2],
    pub effect: Estimate,
    pub matched: Matched,
}

/// Positions of the other axes, counted once a seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Matched {
    /// Measured at every level.
    pub used: usize,
    /// Asked for at some level and not measured at all of them.
    pub dropped: usize,
}

/// A run that the grid asks for: its seed, its position on the axes, and its metric.
pub(super) type Observation = (u64, Vec<usize>, Option<f64>);

/// The metric of each run that the grid asks for, by seed and position.
struct Measured {
    runs: Vec<Observation>,
}

/// What every axis of `experiment` does to the metric of `report`.
///
/// # Errors
/// As of [`tables`](super::tables).
pub fn effects<'s>(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Effects> {
    let metric = report.metric();
    let found = || grid.cells.iter().filter_map(Cell::run).filter_map(&run_of);
    require_metric(found(), metric, report.at)?;
    let at = When::of(report.at, metric, found())?;
    let (mut readings, mut names) = (Vec::new(), Vec::new());
    let runs = grid.cells.iter().filter_map(|cell| {
        let spec = cell.run()?;
        let answer = answer(run_of(spec), metric, &at);
        if let Answer::Measured(reading) = answer {
            readings.push(reading);
            names.push(spec.id.to_string());
        }
        Some((cell.seed, cell.position.clone(), answer.value()))
    });
    let measured = Measured {
        runs: runs.collect(),
    };
    let axes = &experiment.axes;
    let several: Vec<usize> = (0..axes.len())
        .filter(|axis| axes[*axis].points.len() > 1)
        .collect();
    let mut effects = Effects {
        experiment: experiment.path.display().to_string(),
        metric: metric.to_owned(),
        interval: Interval::T,
        asked: Asked::of(at, readings.iter()),
        axes: Vec::new(),
        interactions: Vec::new(),
        baseline: None,
        variance: None,
        runs: names,
    };
    if let Some(baseline) = experiment.baseline() {
        effects.axes = several
            .iter()
            .map(|axis| measured.around(&baseline, *axis, &axes[*axis]))
            .collect();
        correct(&mut effects.axes);
        effects.baseline = Some(position_label(axes, &baseline));
        return Ok(effects);
    }
    let of_axis = |axis: &usize| measured.main(*axis, &axes[*axis], 0);
    effects.axes = several.iter().map(of_axis).collect();
    let pairs = several
        .iter()
        .flat_map(|one| several.iter().map(move |other| [*one, *other]));
    effects.interactions = pairs
        .filter(|[one, other]| one < other)
        .filter(|pair| pair.iter().all(|axis| axes[*axis].points.len() == 2))
        .map(|pair| measured.interaction(pair, pair.map(|axis| &axes[axis])))
        .collect();
    effects.variance = Some(Variance::of(axes, &measured.runs));
    Ok(effects)
}

/// `loss.kind = sigmoid, train.batch_size = 64`
fn position_label(axes: &[Axis], position: &[usize]) -> String {
    let points = axes.iter().zip(position);
    let points =
        points.map(|(axis, point)| format!("{} = {}", axis.name(), axis.points[*point].label()));
    points.collect::<Vec<_>>().join(", ")
}

/// Holm's correction over all comparisons.
fn correct(axes: &mut [AxisEffect]) {
    let levels = axes.iter_mut().flat_map(|axis| &mut axis.levels);
    let mut compared: Vec<&mut Comparison> = levels
        .filter_map(|level| level.comparison.as_mut())
        .collect();
    let ps: Vec<f64> = compared.iter().map(|comparison| comparison.p).collect();
    for (comparison, adjusted) in compared.iter_mut().zip(holm(&ps)) {
        comparison.adjusted = adjusted;
    }
}

impl Measured {
    /// Each level against the one at `reference`.
    fn main(&self, axis: usize, named: &Axis, reference: usize) -> AxisEffect {
        let levels = named.points.len();
        let (complete, matched) = self.matched(&[axis], &[levels]);
        let label = |level: usize| named.points[level].label();
        let effect = |level: usize| LevelEffect {
            level: label(level),
            effect: over_seeds(&complete, |values| values[level] - values[reference]),
            comparison: None,
        };
        let others = (0..levels).filter(|level| *level != reference);
        AxisEffect {
            axis: named.name(),
            reference: label(reference),
            levels: others.map(effect).collect(),
            matched,
        }
    }

    /// Each level against the baseline, all other axes where it stands.
    fn around(&self, baseline: &[usize], axis: usize, named: &Axis) -> AxisEffect {
        let stands = |(other, (at, base)): (usize, (&usize, &usize))| other == axis || at == base;
        let alone = self
            .runs
            .iter()
            .filter(|(_, position, _)| position.iter().zip(baseline).enumerate().all(stands));
        let alone = Self {
            runs: alone.cloned().collect(),
        };
        let reference = baseline[axis];
        let of_level = |level: usize| -> Vec<(u64, f64)> {
            let at_level = alone.runs.iter().filter(|(_, at, _)| at[axis] == level);
            let measured = at_level.filter_map(|(seed, _, value)| Some((*seed, (*value)?)));
            measured.collect()
        };
        let base = of_level(reference);
        let mut effect = alone.main(axis, named, reference);
        let others = (0..named.points.len()).filter(|level| *level != reference);
        for (level, found) in others.zip(&mut effect.levels) {
            let values = of_level(level);
            found.comparison = compare(&values, &base);
            // Of the seeds that this level shares with the baseline, whatever other levels lack.
            found.effect = Estimate::of(&differences(&values, &base));
        }
        effect
    }

    fn interaction(&self, axes: [usize; 2], named: [&Axis; 2]) -> Interaction {
        let (complete, matched) = self.matched(&axes, &[2, 2]);
        Interaction {
            axes: named.map(Axis::name),
            levels: named.map(|axis| axis.points[1].label()),
            effect: over_seeds(&complete, |y| (y[3] - y[1]) - (y[2] - y[0])),
            matched,
        }
    }

    /// By seed, the values of each position of the other axes that is measured at every combination of the levels of
    /// `axes`, the last axis fastest.
    fn matched(&self, axes: &[usize], levels: &[usize]) -> (BTreeMap<u64, Vec<Vec<f64>>>, Matched) {
        let mut positions: BTreeMap<(u64, Vec<usize>), Vec<Option<f64>>> = BTreeMap::new();
        for (seed, position, value) in &self.runs {
            let along = axes.iter().zip(levels);
            let place = along.fold(0, |place, (axis, levels)| place * levels + position[*axis]);
            let mut others = position.clone();
            axes.iter().for_each(|axis| others[*axis] = 0);
            positions
                .entry((*seed, others))
                .or_insert_with(|| vec![None; levels.iter().product()])[place] = *value;
        }
        let mut complete: BTreeMap<u64, Vec<Vec<f64>>> = BTreeMap::new();
        let mut matched = Matched::default();
        for ((seed, _), values) in positions {
            match values.into_iter().collect::<Option<Vec<f64>>>() {
                Some(values) => {
                    complete.entry(seed).or_default().push(values);
                    matched.used += 1;
                }
                None => matched.dropped += 1,
            }
        }
        (complete, matched)
    }
}

/// The mean over seeds of a contrast that is first averaged over the positions of each seed.
fn over_seeds(
    complete: &BTreeMap<u64, Vec<Vec<f64>>>,
    contrast: impl Fn(&[f64]) -> f64,
) -> Estimate {
    let of_seed = |positions: &Vec<Vec<f64>>| {
        mean(
            &positions
                .iter()
                .map(|values| contrast(values))
                .collect::<Vec<_>>(),
        )
    };
    Estimate::of(&complete.values().map(of_seed).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record::{RunDir, RunId};
    use crate::store::{Evaluation, RunState};

    /// Loss by batch by learning rate, 3 seeds.
    fn grid(design: &str) -> (Experiment, Grid) {
        let text = r#"
            [axes]
            "loss.kind" = ["sigmoid", "softmax"]
            "train.batch_size" = [64, 128, 256]
            "optim.lr" = [1e-3, 3e-4]
            [seeds]
            count = 3
        "#;
        let text = format!("{text}{design}");
        let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        (experiment, grid)
    }

    /// A response with main effects, interactions and something like noise, in whole numbers.
    fn response(seed: u64, position: &[usize]) -> f64 {
        let [loss, batch, lr] = [position[0], position[1], position[2]];
        let cell = seed as usize * 12 + loss * 6 + batch * 2 + lr;
        let noise = (cell.pow(3) * 7 + cell * 13) % 17;
        (50 + 5 * loss + 3 * batch * batch + 2 * lr + 4 * loss * lr + noise) as f64
    }

    fn measure(grid: &Grid, is_there: impl Fn(u64, &[usize]) -> bool) -> BTreeMap<RunId, Run> {
        let run = |cell: &crate::spec::Cell| {
            let spec = cell.run().unwrap();
            let mut run = Run::new(RunDir::new("x"), spec.clone());
            let value = response(cell.seed, &cell.position);
            run.evaluations.push(Evaluation {
                step: 1,
                examples: 1,
                metrics: BTreeMap::from([("zeroshot/top1".into(), value)]),
                ..Evaluation::default()
            });
            if is_there(cell.seed, &cell.position) {
                run.state = RunState::Completed;
            }
            (spec.id.clone(), run)
        };
        grid.cells.iter().map(run).collect()
    }

    fn of(is_there: impl Fn(u64, &[usize]) -> bool) -> Effects {
        of_design("", is_there)
    }

    fn of_design(design: &str, is_there: impl Fn(u64, &[usize]) -> bool) -> Effects {
        let (experiment, grid) = grid(design);
        let runs = measure(&grid, is_there);
        let report = Report::table(None, None, "zeroshot/top1");
        effects(&experiment, &grid, &report, |spec| runs.get(&spec.id)).unwrap()
    }

    fn close(estimate: Estimate, mean: f64, half_width: f64) -> bool {
        let near = |x: Option<f64>, y: f64| x.is_some_and(|x| (x - y).abs() < 1e-8);
        near(estimate.mean, mean) && near(estimate.half_width, half_width)
    }

    /// statsmodels 0.15.0 on the table of [`response`], `d`: the means are the coefficients of
    /// `ols("y ~ C(loss) + C(batch) + C(lr)", d)` and the interaction of `ols("y ~ C(loss) * C(lr) + C(batch)", d)`;
    /// half-widths are of `ols("v ~ 1").fit().conf_int()`, `v` the three seeds' differences of group means.
    #[test]
    fn a_balanced_grid_has_the_effects_of_least_squares() {
        let found = of(|_, _| true);
        let main = |axis: usize, level: usize| found.axes[axis].levels[level].effect;
        assert_eq!(
            (
                found.axes[1].axis.as_str(),
                found.axes[1].reference.as_str()
            ),
            ("train.batch_size", "64")
        );
        for (axis, level, mean, half_width) in [
            (0, 0, 6.833_333_333_3, 6.098_938_926_6),
            (1, 0, 1.583_333_333_3, 11.983_443_588_0),
            (1, 1, 9.583_333_333_3, 8.724_004_935_1),
            (2, 0, 4.166_666_666_7, 10.644_497_082_5),
        ] {
            let effect = main(axis, level);
            assert!(
                close(effect, mean, half_width),
                "{axis} {level}: {effect:?}"
            );
            assert_eq!(effect.n, 3);
        }
        assert_eq!(found.interactions.len(), 1, "of the axes with two levels");
        let interaction = &found.interactions[0];
        assert!(
            close(interaction.effect, 7.222_222_222_2, 20.423_267_243_2),
            "{interaction:?}"
        );
        assert_eq!(interaction.axes, ["loss.kind", "optim.lr"]);
        assert_eq!(
            (found.axes[0].matched.used, interaction.matched.used),
            (18, 9)
        );
    }

    #[test]
    fn a_position_that_lacks_a_level_is_dropped_for_all_of_them() {
        // Seed 0 lacks softmax at 256 and 1e-3.
        let found = of(|seed, position| (seed, position) != (0, &[1, 2, 0]));
        let [loss, batch, lr] = &found.axes[..] else {
            panic!("three axes")
        };
        let matched = |used, dropped| Matched { used, dropped };
        assert_eq!(loss.matched, matched(17, 1));
        assert_eq!(batch.matched, matched(11, 1));
        assert_eq!(lr.matched, matched(17, 1));
        assert_eq!(found.interactions[0].matched, matched(8, 1));
        // By hand: the mean over seeds of the mean over what is left.
        let mut of_seed = [0.0; 3];
        for (seed, mean) in (0..).zip(&mut of_seed) {
            let positions = (0..3).flat_map(|b| (0..2).map(move |l| (b, l)));
            let left: Vec<f64> = positions
                .filter(|at| (seed, *at) != (0, (2, 0)))
                .map(|(b, l)| response(seed, &[1, b, l]) - response(seed, &[0, b, l]))
                .collect();
            *mean = left.iter().sum::<f64>() / left.len() as f64;
        }
        let expected = of_seed.iter().sum::<f64>() / 3.0;
        assert!((loss.levels[0].effect.mean.unwrap() - expected).abs() < 1e-12);
    }

    #[test]
    fn without_a_matched_position_there_is_no_effect() {
        let found = of(|_, position| position[0] == 0);
        assert_eq!(found.axes[0].levels[0].effect, Estimate::default());
        assert_eq!(
            found.axes[0].matched,
            Matched {
                used: 0,
                dropped: 18
            }
        );
        assert_eq!(found.axes[2].matched.used, 9);
    }

    /// statsmodels 0.15.0 on the table of [`response`], `d`:
    /// `anova_lm(ols("y ~ C(seed) + (C(loss) + C(batch) + C(lr))**2", d).fit(), typ=2)`; typ=1 is the same, for the grid is
    /// balanced.
    #[test]
    fn the_variance_of_a_balanced_grid_is_that_of_statsmodels() {
        let found = of(|_, _| true);
        let Some(Variance::Analysed(anova)) = found.variance else {
            panic!("{:?}", found.variance)
        };
        let expected = [
            (
                "seed",
                2,
                2.722_222_222_222,
                0.051_201_671_891,
                0.950_190_538_345,
            ),
            (
                "loss.kind",
                1,
                420.25,
                15.808_777_429_467,
                0.000_559_803_497,
            ),
            (
                "train.batch_size",
                2,
                633.388_888_888_889,
                11.913_270_637_409,
                0.000_254_980_639,
            ),
            ("optim.lr", 1, 156.25, 5.877_742_946_708, 0.023_232_055_651),
            (
                "loss.kind × train.batch_size",
                2,
                21.166_666_666_667,
                0.398_119_122_257,
                0.675_935_560_933,
            ),
            (
                "loss.kind × optim.lr",
                1,
                117.361_111_111_111,
                4.414_838_035_528,
                0.046_311_219_790,
            ),
            (
                "train.batch_size × optim.lr",
                2,
                43.166_666_666_667,
                0.811_912_225_705,
                0.455_834_820_017,
            ),
        ];
        assert_eq!(anova.sources.len(), expected.len());
        for (source, (name, df, sum, f, p)) in anova.sources.iter().zip(expected) {
            assert_eq!((source.name.as_str(), source.part.df), (name, df));
            let near =
                |found: f64, expected: f64| (found - expected).abs() < 1e-9 * expected.max(1.0);
            assert!(near(source.part.sum_of_squares, sum), "{source:?}");
            assert!(near(source.f, f) && near(source.p, p), "{source:?}");
        }
        assert_eq!(anova.residual.df, 24);
        assert!((anova.residual.sum_of_squares - 638.0).abs() < 1e-9);
    }

    #[test]
    fn an_unbalanced_grid_has_no_variance_but_a_reason() {
        let reason = |found: Effects| match found.variance {
            Some(Variance::Refused { reason }) => reason,
            other => panic!("{other:?}"),
        };
        // A seed that lacks a cell is left out; two are enough.
        let found = of(|seed, position| (seed, position) != (0, &[1, 2, 0]));
        let Some(Variance::Analysed(anova)) = found.variance else {
            panic!("{:?}", found.variance)
        };
        assert_eq!((anova.seeds, anova.left_out), (2, 1));
        assert_eq!(
            reason(of(|seed, position| seed == 2 || position != [1, 2, 0])),
            "1 of 3 seeds are measured at all 12 cells, and it takes 2"
        );
        let random = "[design]\nkind = 'random'\ncount = 5";
        assert_eq!(
            reason(of_design(random, |_, _| true)),
            "the design leaves out 7 of the 12 cells that its axes make"
        );
    }

    /// scipy 1.17.1 and statsmodels 0.15.0, `at` the three seeds' values at a position and `base = at(1, 0, 0)`:
    /// ```python
    /// tests = [at(0,0,0), at(1,1,0), at(1,2,0), at(1,0,1)]
    /// p = [ttest_rel(t, base).pvalue for t in tests]
    /// multipletests(p, method="holm")[1]
    /// [(c.high - c.low) / 2 for c in (ttest_rel(t, base).confidence_interval() for t in tests)]
    /// ```
    #[test]
    fn one_factor_at_a_time_is_held_against_the_baseline() {
        let found = of_design(
            "[design]\nkind = 'one-factor'\naround = { loss.kind = 'softmax' }",
            |_, _| true,
        );
        assert_eq!(
            found.baseline.as_deref(),
            Some("loss.kind = softmax, train.batch_size = 64, optim.lr = 0.001")
        );
        assert_eq!((found.variance, found.interactions.len()), (None, 0));
        let levels: Vec<&LevelEffect> = found.axes.iter().flat_map(|axis| &axis.levels).collect();
        let expected = [
            (
                "sigmoid",
                -5.0,
                22.357_239_405_752,
                0.437_456_049_537,
                0.831_386_91,
            ),
            (
                "128",
                4.333_333_333_333,
                18.310_864_241_967,
                0.415_693_452_532,
                0.831_386_91,
            ),
            (
                "256",
                8.666_666_666_667,
                15.178_332_134_387,
                0.133_333_333_333,
                0.417_511_4,
            ),
            (
                "0.0003",
                10.0,
                15.110_419_793_136,
                0.104_377_848_960,
                0.417_511_4,
            ),
        ];
        assert_eq!(levels.len(), expected.len());
        for (level, (name, mean, half_width, p, adjusted)) in levels.into_iter().zip(expected) {
            assert_eq!(level.level, name);
            assert!(close(level.effect, mean, half_width), "{level:?}");
            let compared = level.comparison.unwrap();
            assert!((compared.p - p).abs() < 1e-9, "{level:?}");
            assert!((compared.adjusted - adjusted).abs() < 1e-7, "{level:?}");
        }
        assert_eq!(found.axes[0].reference, "softmax");
        assert_eq!(
            found.axes[1].matched,
            Matched {
                used: 3,
                dropped: 0
            }
        );
    }
}
