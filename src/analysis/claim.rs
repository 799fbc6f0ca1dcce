//! Whether the runs bear out what an experiment claims. Cells are compared at the same positions of all other axes
//! and with the same seed; what is left is one difference a seed, and the verdict is where its interval lies.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::answer::answer;
use super::effects::Matched;
use super::interval::{Estimate, mean};
use super::moment::When;
use crate::spec::{Cell, Claim, ClaimSort, Experiment, Grid, RunSpec};
use crate::store::Run;

/// What the runs say of one claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The claim's sentence.
    pub says: String,
    pub metric: String,
    pub outcome: Outcome,
    /// Of the difference of the metric, first averaged over the positions of each seed.
    pub difference: Estimate,
    pub matched: Matched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole 95 % interval is on the side of the claim.
    Shown,
    /// The whole interval is on the other side.
    Opposite,
    /// The interval has both sides.
    NotSeen,
    /// Fewer than two seeds were measured on both sides.
    Untested,
}

impl Outcome {
    pub fn words(self) -> &'static str {
        match self {
            Self::Shown => "shown",
            Self::Opposite => "opposite",
            Self::NotSeen => "not seen at this scale",
            Self::Untested => "not tested yet",
        }
    }
}

/// The verdict on each claim of `experiment`, in the order of the file.
pub fn verdicts<'s>(
    experiment: &Experiment,
    grid: &Grid,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> Vec<Verdict> {
    let on = |claim| verdict(experiment, grid, claim, &run_of);
    experiment.claims.iter().map(on).collect()
}

fn verdict<'s>(
    experiment: &Experiment,
    grid: &Grid,
    claim: &Claim,
    run_of: &impl Fn(&RunSpec) -> Option<&'s Run>,
) -> Verdict {
    let mut compared = experiment.axes_in(&claim.of);
    compared.extend(experiment.axes_in(&claim.than));
    // By seed and position of all other axes, the values of both sides.
    let mut sides: BTreeMap<(u64, Vec<usize>), [Side; 2]> = BTreeMap::new();
    for cell in grid.cells.iter().filter(|cell| cell.meets(&claim.when)) {
        let Some(spec) = cell.run() else { continue };
        let of = [&claim.of, &claim.than].map(|conditions| cell.meets(conditions));
        if of == [false, false] {
            continue;
        }
        let value = answer(run_of(spec), &claim.metric, &When::End).value();
        let sides = sides
            .entry((cell.seed, others(cell, &compared)))
            .or_default();
        for (side, _) in sides.iter_mut().zip(of).filter(|(_, of)| *of) {
            side.push(value);
        }
    }
    let mut by_seed: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    let mut matched = Matched::default();
    for ((seed, _), [of, than]) in sides {
        match (whole(&of), whole(&than)) {
            (Some(of), Some(than)) => {
                by_seed.entry(seed).or_default().push(of - than);
                matched.used += 1;
            }
            _ => matched.dropped += 1,
        }
    }
    let differences: Vec<f64> = by_seed.values().map(|positions| mean(positions)).collect();
    let difference = Estimate::of(&differences);
    Verdict {
        says: claim.says.clone(),
        metric: claim.metric.clone(),
        outcome: outcome(claim.sort, difference),
        difference,
        matched,
    }
}

/// The values of the cells on one side of a comparison; none in place of one that was not measured.
type Side = Vec<Option<f64>>;

/// The mean of a side that was measured whole.
fn whole(side: &Side) -> Option<f64> {
    let values = side.iter().copied().collect::<Option<Vec<f64>>>()?;
    (!values.is_empty()).then(|| mean(&values))
}

/// Where a cell lies on the axes that are not `compared`.
fn others(cell: &Cell, compared: &BTreeSet<usize>) -> Vec<usize> {
    let place = |(axis, at): (usize, &usize)| if compared.contains(&axis) { 0 } else { *at };
    cell.position.iter().enumerate().map(place).collect()
}

fn outcome(sort: ClaimSort, difference: Estimate) -> Outcome {
    let (Some(mean), Some(half_width)) = (difference.mean, difference.half_width) else {
        return Outcome::Untested;
    };
    let (low, high) = (mean - half_width, mean + half_width);
    let (shown, opposite) = match sort {
        ClaimSort::Higher => (low > 0.0, high < 0.0),
        ClaimSort::Lower => (high < 0.0, low > 0.0),
        ClaimSort::Equal { within } => (
            -within < low && high < within,
            low > within || high < -within,
        ),
    };
    match (shown, opposite) {
        (true, _) => Outcome::Shown,
        (_, true) => Outcome::Opposite,
        _ => Outcome::NotSeen,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::record::{RunDir, RunId};
    use crate::store::{Evaluation, RunState};

    /// Softmax is 0.5 everywhere; sigmoid differs from it by `by[seed]`, and by 0.1 more at a batch of 128.
    fn verdicts_on(claim: &str, by: &[f64], is_there: impl Fn(&Cell) -> bool) -> Vec<Verdict> {
        let text = format!(
            r#"
            [axes]
            "loss.kind" = ["sigmoid", "softmax"]
            "train.batch_size" = [64, 128]
            [seeds]
            count = {}
            [[claim]]
            says = "It is so."
            metric = "zeroshot/top1"
            {claim}
            "#,
            by.len()
        );
        let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        let run = |cell: &Cell| {
            let spec = cell.run().unwrap();
            let mut run = Run::new(RunDir::new("x"), spec.clone());
            let value = match cell.position[0] {
                0 => 0.5 + by[cell.seed as usize] + 0.1 * cell.position[1] as f64,
                _ => 0.5,
            };
            run.evaluations.push(Evaluation {
                step: 1,
                examples: 1,
                metrics: BTreeMap::from([("zeroshot/top1".into(), value)]),
                ..Evaluation::default()
            });
            if is_there(cell) {
                run.state = RunState::Completed;
            }
            (spec.id.clone(), run)
        };
        let runs: BTreeMap<RunId, Run> = grid.cells.iter().map(run).collect();
        verdicts(&experiment, &grid, |spec| runs.get(&spec.id))
    }

    const AHEAD: &str = "higher = { loss.kind = 'sigmoid' }\nthan = { loss.kind = 'softmax' }\nwhen = { train.batch_size = 64 }";

    /// scipy 1.17.1: `t.interval(0.95, 2, mean([.03, .01, .02]), sem([.03, .01, .02]))` is 0.02 ∓ 0.024841377118.
    #[test]
    fn the_verdict_is_where_the_interval_lies() {
        let of = |claim: &str, by: &[f64]| verdicts_on(claim, by, |_| true).swap_remove(0);
        let close = of(AHEAD, &[0.03, 0.01, 0.02]);
        assert_eq!(close.outcome, Outcome::NotSeen);
        assert!((close.difference.mean.unwrap() - 0.02).abs() < 1e-12);
        assert!((close.difference.half_width.unwrap() - 0.024_841_377_118).abs() < 1e-9);
        assert_eq!(of(AHEAD, &[0.03, 0.025, 0.02]).outcome, Outcome::Shown);
        assert_eq!(
            of(AHEAD, &[-0.03, -0.025, -0.02]).outcome,
            Outcome::Opposite
        );
        assert_eq!(of(AHEAD, &[0.03]).outcome, Outcome::Untested);
        let lower = AHEAD.replace("higher", "lower");
        assert_eq!(of(&lower, &[0.03, 0.025, 0.02]).outcome, Outcome::Opposite);
        let equal = AHEAD.replace("higher", "within = 0.05\nequal");
        assert_eq!(of(&equal, &[0.03, 0.025, 0.02]).outcome, Outcome::Shown);
        assert_eq!(of(&equal, &[0.04, 0.01, 0.07]).outcome, Outcome::NotSeen);
        assert_eq!(of(&equal, &[0.08, 0.081, 0.079]).outcome, Outcome::Opposite);
    }

    #[test]
    fn other_axes_are_averaged_within_a_seed_and_what_lacks_a_side_is_dropped() {
        let everywhere = "higher = { loss.kind = 'sigmoid' }\nthan = { loss.kind = 'softmax' }";
        let all = verdicts_on(everywhere, &[0.01, 0.03], |_| true).swap_remove(0);
        assert!((all.difference.mean.unwrap() - 0.07).abs() < 1e-12);
        assert_eq!((all.difference.n, all.matched.used), (2, 4));
        // Seed 0 lacks softmax at 128: what is left of it is its difference at 64.
        let there = |cell: &Cell| (cell.seed, &cell.position[..]) != (0, &[1, 1]);
        let some = verdicts_on(everywhere, &[0.01, 0.03], there).swap_remove(0);
        assert!((some.difference.mean.unwrap() - (0.01 + 0.08) / 2.0).abs() < 1e-12);
        assert_eq!((some.matched.used, some.matched.dropped), (3, 1));
    }
}
