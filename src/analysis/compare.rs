//! Which cells of a table can be told from what they are compared with: its best one, or a baseline each. Cells are
//! compared over seeds: paired where two share at least two, for a seed is the same data in the same order, else by Welch's
//! test; Holm's correction keeps the chance of one false difference in the table at 5 %. A cell of one seed is not tested
//! and never called worse.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::interval::{deviation, mean, t_quantile};
use super::table::Cell;

/// Chance of a false difference that a table may have.
const LEVEL: f64 = 0.05;

/// Which way a metric is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Higher,
    Lower,
}

impl Direction {
    /// By the words of the metric's name; none for a metric that is neither good nor bad, such as a temperature.
    pub fn of(metric: &str) -> Option<Self> {
        const HIGHER: [&str; 6] = ["acc", "accuracy", "recall", "precision", "map", "auc"];
        const LOWER: [&str; 5] = ["loss", "norm", "error", "perplexity", "spikes"];
        let metric = metric.to_ascii_lowercase();
        let numbered = |word: &str| {
            let name = word.trim_end_matches(|c: char| c.is_ascii_digit());
            name.len() < word.len() && ["top", "acc", "r", "recall", "map"].contains(&name)
        };
        let mut words = metric.split(|c: char| !c.is_ascii_alphanumeric());
        words.find_map(|word| match word {
            "r" if metric.contains("r@") => Some(Self::Higher),
            word if HIGHER.contains(&word) || numbered(word) => Some(Self::Higher),
            word if LOWER.contains(&word) => Some(Self::Lower),
            _ => None,
        })
    }
}

/// How a cell stands to what it is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// Nothing was measured, or the table has nothing to compare.
    #[default]
    None,
    /// The cell that others are compared with.
    Best,
    Baseline,
    Better,
    Worse,
    /// Of a metric that is neither better high nor low.
    Differs,
    /// Not distinguishable.
    Tied,
    /// It or the other one has a single seed, or none.
    Untested,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Student's t on the differences of the seeds that both have.
    Paired,
    /// Welch's t.
    Welch,
}

/// A cell against the one that it is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Comparison {
    pub test: Test,
    /// The cell minus the other: over the seeds that both have if paired, else of the means.
    pub difference: f64,
    /// Of its 95 % interval, by the same test and by itself: not corrected.
    pub half_width: f64,
    /// Seeds that both have, and the standard deviation of their differences; none by Welch's test.
    pub pairs: Option<u32>,
    pub sd: Option<f64>,
    /// Two-sided.
    pub p: f64,
    /// By Holm's correction over the table.
    pub adjusted: f64,
}

/// What one seed came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sample {
    pub seed: u64,
    pub value: f64,
    /// Updates that the run had done by then.
    pub step: u64,
    /// The id of the run that it is from.
    pub run: String,
}

/// What a cell is compared with.
#[derive(Clone, Debug)]
pub(super) enum Reference {
    /// It is the one that others are compared with.
    Itself,
    Other(Vec<(u64, f64)>),
}

/// Mark the cells of one table against the best of them, which is that of the best mean among those of two seeds or more,
/// and among all where no cell has two; the first of equals.
pub(super) fn mark_best(cells: &mut [Vec<Cell>], direction: Direction) {
    let mut measured: Vec<&mut Cell> = cells.iter_mut().flatten().collect();
    measured.retain(|cell| cell.mean.is_some());
    let rank = |cell: &Cell| {
        let mean = cell.mean.unwrap_or(f64::NAN);
        let good = match direction {
            Direction::Higher => mean,
            Direction::Lower => -mean,
        };
        (cell.samples.len() > 1, good)
    };
    // From behind, for `max_by` takes the last of equals.
    let best = (0..measured.len()).rev().max_by(|&a, &b| {
        let (a, b) = (rank(measured[a]), rank(measured[b]));
        a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
    });
    let Some(best) = best.filter(|_| measured.len() > 1) else {
        return;
    };
    let reference = measured[best].by_seed();
    let against = measured.into_iter().enumerate().map(|(i, cell)| {
        let reference = match i == best {
            true => Reference::Itself,
            false => Reference::Other(reference.clone()),
        };
        (cell, reference)
    });
    mark(against.collect(), Mark::Best, |_| Mark::Worse);
}

/// Mark the cells of one table against a baseline each, the one that `baseline_of` gives for row and column.
pub(super) fn mark_baseline(
    cells: &mut [Vec<Cell>],
    direction: Option<Direction>,
    baseline_of: impl Fn(usize, usize) -> Reference,
) {
    let rows = cells.iter_mut().enumerate();
    let cells = rows.flat_map(|(row, cells)| {
        let columns = cells.iter_mut().enumerate();
        columns.map(move |(column, cell)| (row, column, cell))
    });
    let measured = cells.filter(|(.., cell)| cell.mean.is_some());
    let against = measured.map(|(row, column, cell)| (cell, baseline_of(row, column)));
    mark(
        against.collect(),
        Mark::Baseline,
        |difference| match direction {
            None => Mark::Differs,
            Some(Direction::Higher) if difference > 0.0 => Mark::Better,
            Some(Direction::Lower) if difference < 0.0 => Mark::Better,
            Some(_) => Mark::Worse,
        },
    );
}

/// Compare each cell with its reference; what is the reference itself has the mark `itself`, and what can be told from it
/// that of the difference.
fn mark(cells: Vec<(&mut Cell, Reference)>, itself: Mark, told: impl Fn(f64) -> Mark) {
    let mut tested: Vec<(&mut Cell, Comparison)> = Vec::new();
    for (cell, reference) in cells {
        let Reference::Other(other) = reference else {
            cell.mark = itself;
            continue;
        };
        cell.mark = Mark::Untested;
        if let Some(comparison) = compare(&cell.by_seed(), &other) {
            tested.push((cell, comparison));
        }
    }
    let ps: Vec<f64> = tested.iter().map(|(_, comparison)| comparison.p).collect();
    for ((cell, comparison), adjusted) in tested.into_iter().zip(holm(&ps)) {
        cell.mark = match adjusted <= LEVEL {
            true => told(comparison.difference),
            false => Mark::Tied,
        };
        cell.comparison = Some(Comparison {
            adjusted,
            ..comparison
        });
    }
}

/// Of the seeds that both have, how much more the first have.
pub(super) fn differences(values: &[(u64, f64)], others: &[(u64, f64)]) -> Vec<f64> {
    let of_other: BTreeMap<u64, f64> = others.iter().copied().collect();
    let shared = values.iter();
    shared
        .filter_map(|(seed, value)| Some(value - of_other.get(seed)?))
        .collect()
}

/// One set of values by seed against another; none where a set has a single one. The p-value is not corrected yet.
pub(super) fn compare(values: &[(u64, f64)], others: &[(u64, f64)]) -> Option<Comparison> {
    let differences = differences(values, others);
    if differences.len() > 1 {
        let (pairs, sd) = (differences.len() as u32, deviation(&differences)?);
        let error = sd / f64::from(pairs).sqrt();
        let found = by_t(mean(&differences), error, f64::from(pairs) - 1.0)?;
        return Some(Comparison {
            test: Test::Paired,
            pairs: Some(pairs),
            sd: Some(sd),
            ..found
        });
    }
    let alone = |values: &[(u64, f64)]| values.iter().map(|(_, value)| *value).collect::<Vec<_>>();
    let (a, b) = (alone(values), alone(others));
    let of_mean = |x: &[f64]| Some(deviation(x)?.powi(2) / x.len() as f64);
    let (va, vb) = (of_mean(&a)?, of_mean(&b)?);
    let part = |v: f64, x: &[f64]| v.powi(2) / (x.len() - 1) as f64;
    // Without any spread there is nothing to weigh.
    let freedom = match va + vb > 0.0 {
        true => (va + vb).powi(2) / (part(va, &a) + part(vb, &b)),
        false => (a.len() + b.len() - 2) as f64,
    };
    by_t(mean(&a) - mean(&b), (va + vb).sqrt(), freedom)
}

/// A difference with its standard error, by Welch's test unless somebody says otherwise.
fn by_t(difference: f64, error: f64, freedom: f64) -> Option<Comparison> {
    let p = two_sided(difference, error, freedom);
    Some(Comparison {
        test: Test::Welch,
        difference,
        half_width: t_quantile(freedom)? * error,
        pairs: None,
        sd: None,
        p,
        adjusted: p,
    })
}

/// The chance of a t as far from zero. Without any spread a difference is certain, and none is none.
fn two_sided(difference: f64, error: f64, freedom: f64) -> f64 {
    if difference == 0.0 {
        return 1.0;
    }
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(t) if error > 0.0 => 2.0 * t.cdf(-(difference / error).abs()),
        _ => 0.0,
    }
}

/// Holm's step-down correction, in the order of `ps`.
pub(super) fn holm(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
    let mut adjusted = vec![0.0; ps.len()];
    let mut least = 0.0_f64;
    for (before, i) in order.into_iter().enumerate() {
        least = least.max((ps.len() - before) as f64 * ps[i]).min(1.0);
        adjusted[i] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(samples: &[(u64, f64)]) -> Cell {
        let samples: Vec<Sample> = samples
            .iter()
            .map(|&(seed, value)| Sample {
                seed,
                value,
                step: 1,
                run: String::new(),
            })
            .collect();
        let values: Vec<f64> = samples.iter().map(|s| s.value).collect();
        Cell {
            mean: (!values.is_empty()).then(|| mean(&values)),
            n: values.len() as u32,
            expected: 4,
            samples,
            ..Cell::default()
        }
    }

    fn seeds(first: u64, values: &[f64]) -> Cell {
        cell(&(first..).zip(values.iter().copied()).collect::<Vec<_>>())
    }

    fn marks(cells: &[Cell]) -> Vec<Mark> {
        cells.iter().map(|cell| cell.mark).collect()
    }

    fn close(found: f64, expected: f64) -> bool {
        (found - expected).abs() < 1e-9
    }

    /// scipy 1.17.1 and statsmodels 0.15.0:
    /// ```python
    /// best, near, far = [.52,.55,.50,.58], [.51,.53,.505,.55], [.40,.44,.39,.45]
    /// other = [.45,.47,.50]
    /// p = [ttest_rel(best, near).pvalue, ttest_rel(best, far).pvalue,
    ///      ttest_ind(best, other, equal_var=False).pvalue]
    /// multipletests(p, alpha=0.05, method="holm")
    /// for r in (ttest_rel(near, best), ttest_rel(far, best), ttest_ind(other, best, equal_var=False)):
    ///     ci = r.confidence_interval(0.95); print((ci.high - ci.low) / 2)
    /// ```
    #[test]
    fn marks_are_those_of_scipy_and_statsmodels() {
        let mut cells = [vec![
            seeds(0, &[0.51, 0.53, 0.505, 0.55]),
            seeds(0, &[0.52, 0.55, 0.50, 0.58]),
            seeds(0, &[0.40, 0.44, 0.39, 0.45]),
            seeds(10, &[0.45, 0.47, 0.50]),
            seeds(0, &[0.60]),
            cell(&[]),
        ]];
        mark_best(&mut cells, Direction::Higher);
        let [cells] = cells;
        assert_eq!(
            marks(&cells),
            [
                Mark::Tied,
                Mark::Best,
                Mark::Worse,
                Mark::Tied,
                Mark::Untested,
                Mark::None
            ]
        );
        let of = |i: usize| cells[i].comparison.unwrap();
        let expected = [
            (
                0,
                Test::Paired,
                0.162_733_109_824_293_37,
                0.162_733_11,
                0.023_757_588_7,
            ),
            (
                2,
                Test::Paired,
                0.000_148_250_183_677_305_38,
                0.000_444_75,
                0.015_234_801_8,
            ),
            (
                3,
                Test::Welch,
                0.037_073_519_723_817_16,
                0.074_147_04,
                0.058_474_111_1,
            ),
        ];
        for (i, test, p, adjusted, half_width) in expected {
            assert_eq!(of(i).test, test);
            assert!(close(of(i).p, p), "{i}: {:?}", of(i));
            assert!((of(i).adjusted - adjusted).abs() < 1e-8, "{i}: {:?}", of(i));
            assert!(
                (of(i).half_width - half_width).abs() < 1e-9,
                "{i}: {:?}",
                of(i)
            );
        }
        assert!(close(of(0).difference, -0.013_75));
        assert_eq!(cells[4].comparison, None);
    }

    /// scipy 1.17.1: `ttest_ind([1,2,4,8], [3,3.5,4.5], equal_var=False)` has df 3.47 and this p-value.
    #[test]
    fn welch_has_its_own_degrees_of_freedom() {
        let found = compare(
            &seeds(0, &[1.0, 2.0, 4.0, 8.0]).by_seed(),
            &seeds(3, &[3.0, 3.5, 4.5]).by_seed(),
        );
        let found = found.unwrap();
        assert_eq!(found.test, Test::Welch, "one shared seed is no pair");
        assert!(close(found.p, 0.961_543_903_008_879_6), "{found:?}");
    }

    #[test]
    fn pairs_are_of_the_seeds_that_both_have() {
        let found = compare(
            &[(3, 1.5), (1, 1.0), (7, 90.0)],
            &[(1, 2.0), (2, 40.0), (3, 2.25)],
        );
        let found = found.unwrap();
        assert_eq!((found.test, found.difference), (Test::Paired, -0.875));
    }

    #[test]
    fn a_loss_is_best_where_it_is_lowest_and_equals_are_tied() {
        let mut cells = [vec![
            seeds(0, &[2.0, 2.5]),
            seeds(0, &[1.0, 1.5]),
            seeds(0, &[1.0, 1.5]),
        ]];
        mark_best(&mut cells, Direction::Lower);
        let [cells] = cells;
        assert_eq!(marks(&cells), [Mark::Worse, Mark::Best, Mark::Tied]);
        assert_eq!(cells[2].comparison.unwrap().p, 1.0);
        assert_eq!(cells[0].comparison.unwrap().p, 0.0, "no spread at all");
    }

    #[test]
    fn single_seeds_have_a_best_one_and_no_worse_one() {
        let mut cells = [vec![seeds(0, &[1.0]), seeds(0, &[2.0])]];
        mark_best(&mut cells, Direction::Higher);
        assert_eq!(marks(&cells[0]), [Mark::Untested, Mark::Best]);
        let mut alone = [vec![seeds(0, &[1.0, 2.0]), cell(&[])]];
        mark_best(&mut alone, Direction::Higher);
        assert_eq!(marks(&alone[0]), [Mark::None, Mark::None]);
    }

    #[test]
    fn directions_come_from_names() {
        let of = Direction::of;
        for higher in [
            "zeroshot/top1",
            "zeroshot/top5_held_out",
            "retrieval/image_recall@5",
            "retrieval/text_r1",
            "retrieval/i2t_r@1",
            "probe/accuracy",
            "acc1",
        ] {
            assert_eq!(of(higher), Some(Direction::Higher), "{higher}");
        }
        for lower in ["loss", "spikes", "eval/loss", "grad_norm", "param_norm"] {
            assert_eq!(of(lower), Some(Direction::Lower), "{lower}");
        }
        for neither in [
            "log_t",
            "bias",
            "lr",
            "examples_per_second",
            "stop1/x",
            "normal",
        ] {
            assert_eq!(of(neither), None, "{neither}");
        }
    }
}
