//! What each axis does to a metric over the whole grid, and what pairs of two-level axes do together. Levels are
//! compared at the same positions of all other axes and with the same seed, so that an effect is never the trace of a
//! cell that is missing; where a level is missing, the position is dropped for all levels and counted.

use std::collections::BTreeMap;

use serde::Serialize;

use super::aggregate::Answer;
use super::interval::{Estimate, mean};
use super::table::answer;
use crate::spec::{Axis, Experiment, Grid, RunSpec};
use crate::store::Run;

/// The effects on one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effects {
    pub metric: String,
    /// In the order of the experiment; an axis of one point has none.
    pub axes: Vec<AxisEffect>,
    pub interactions: Vec<Interaction>,
}

/// An axis's levels against its first one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AxisEffect {
    pub axis: String,
    /// The first level.
    pub reference: String,
    pub levels: Vec<LevelEffect>,
    pub matched: Matched,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LevelEffect {
    pub level: String,
    /// Of the difference to the first level.
    pub effect: Estimate,
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

/// The metric of each run that the grid asks for, by seed and position.
struct Measured {
    runs: Vec<(u64, Vec<usize>, Option<f64>)>,
}

/// The effects on `metric` of every axis of `experiment`.
pub fn effects<'s>(
    experiment: &Experiment,
    grid: &Grid,
    metric: &str,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> Effects {
    let runs = grid.cells.iter().filter_map(|cell| {
        let value = match answer(run_of(cell.run()?), metric) {
            Answer::Measured(value) => Some(value),
            Answer::Missing | Answer::Diverged | Answer::Failed => None,
        };
        Some((cell.seed, cell.position.clone(), value))
    });
    let measured = Measured {
        runs: runs.collect(),
    };
    let axes = &experiment.axes;
    let several = || (0..axes.len()).filter(|&axis| axes[axis].points.len() > 1);
    let pairs = several().flat_map(|one| several().map(move |other| (one, other)));
    let binary = |axis: usize| axes[axis].points.len() == 2;
    let pairs = pairs.filter(|&(one, other)| one < other && binary(one) && binary(other));
    Effects {
        metric: metric.to_owned(),
        axes: several()
            .map(|axis| measured.main(axis, &axes[axis]))
            .collect(),
        interactions: pairs
            .map(|(one, other)| measured.interaction([one, other], [&axes[one], &axes[other]]))
            .collect(),
    }
}

impl Measured {
    fn main(&self, axis: usize, named: &Axis) -> AxisEffect {
        let levels = named.points.len();
        let (complete, matched) = self.matched(&[axis], &[levels]);
        let label = |level: usize| named.points[level].label();
        let effect = |level: usize| LevelEffect {
            level: label(level),
            effect: over_seeds(&complete, |values| values[level] - values[0]),
        };
        AxisEffect {
            axis: named.name(),
            reference: label(0),
            levels: (1..levels).map(effect).collect(),
            matched,
        }
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
    fn grid() -> (Experiment, Grid) {
        let text = r#"
            [axes]
            "loss.kind" = ["sigmoid", "softmax"]
            "train.batch_size" = [64, 128, 256]
            "optim.lr" = [1e-3, 3e-4]
            [seeds]
            count = 3
        "#;
        let experiment = Experiment::parse(Path::new("x.toml"), text, &[]).unwrap();
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
            });
            if is_there(cell.seed, &cell.position) {
                run.state = RunState::Completed;
            }
            (spec.id.clone(), run)
        };
        grid.cells.iter().map(run).collect()
    }

    fn of(is_there: impl Fn(u64, &[usize]) -> bool) -> Effects {
        let (experiment, grid) = grid();
        let runs = measure(&grid, is_there);
        effects(&experiment, &grid, "zeroshot/top1", |spec| {
            runs.get(&spec.id)
        })
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
}
