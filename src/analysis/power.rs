//! How many seeds would tell a difference of a given size, from the spread that the seeds so far have shown: the number at
//! which a paired t-test at 5 %, two-sided, sees it in 80 % of cases. One comparison by itself: Holm's correction would ask
//! for more.

use serde::Serialize;
use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};
use statrs::function::beta::beta_reg;

use super::interval::t_quantile;
use super::table::Table;

/// The chance of seeing the difference if it is there.
const POWER: f64 = 0.8;
/// Seeds beyond which nobody goes.
pub const MOST: u32 = 10_000;

/// What it would take to tell a difference in the comparisons of one table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resolution {
    /// In the metric's own unit.
    pub difference: f64,
    /// Of the cells that are compared by pairs of seeds.
    pub cells: Vec<Needed>,
}

/// For one cell and the one that it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Needed {
    pub row: String,
    pub column: String,
    /// Seeds that both have.
    pub pairs: u32,
    /// Of the differences of these pairs.
    pub sd: f64,
    /// Seeds in all; none where [`MOST`] are not enough.
    pub seeds: Option<u32>,
}

/// What it would take to tell `difference` in each comparison of `table`.
pub fn resolve(table: &Table, difference: f64) -> Resolution {
    let rows = table.rows.iter().zip(&table.cells);
    let cells = rows.flat_map(|(row, cells)| {
        let cells = table.columns.iter().zip(cells);
        cells.filter_map(move |(column, cell)| {
            let found = cell.comparison?;
            let (pairs, sd) = (found.pairs?, found.sd?);
            Some(Needed {
                row: row.clone(),
                column: column.clone(),
                pairs,
                sd,
                seeds: seeds(difference.abs() / sd),
            })
        })
    });
    Resolution {
        difference,
        cells: cells.collect(),
    }
}

/// By what the sd of `pairs` differences may be too large and too small a guess: the true one lies in 95 % of cases
/// between these multiples of it.
pub fn sd_reach(pairs: u32) -> Option<[f64; 2]> {
    let freedom = f64::from(pairs.checked_sub(1)?);
    let chi = ChiSquared::new(freedom).ok()?;
    Some([0.975, 0.025].map(|level| (freedom / chi.inverse_cdf(level)).sqrt()))
}

/// The fewest pairs that see a difference of `effect` standard deviations; none where [`MOST`] do not.
fn seeds(effect: f64) -> Option<u32> {
    let sees = |pairs: u32| power(effect, pairs) >= POWER;
    let (mut few, mut enough) = (1, 2);
    while !sees(enough) {
        if enough >= MOST {
            return None;
        }
        (few, enough) = (enough, (2 * enough).min(MOST));
    }
    while enough - few > 1 {
        let middle = few + (enough - few) / 2;
        match sees(middle) {
            true => enough = middle,
            false => few = middle,
        }
    }
    Some(enough)
}

/// The chance that a paired t-test over `pairs` sees a difference of `effect` standard deviations.
fn power(effect: f64, pairs: u32) -> f64 {
    let freedom = f64::from(pairs) - 1.0;
    let shift = effect * f64::from(pairs).sqrt();
    let Some(t) = t_quantile(freedom).filter(|_| shift < FAR) else {
        return 1.0;
    };
    1.0 - noncentral_t(t, freedom, shift) + noncentral_t(-t, freedom, shift)
}

/// Shifts from here on are seen all but always, even by two pairs, and the terms of the series are too small for an f64.
const FAR: f64 = 37.0;

/// The chance that a noncentral t is at most `t` (Lenth, 1989, algorithm AS 243):
/// Φ(−δ) + ½ Σ_j [p_j I_x(j + ½, ν/2) + q_j I_x(j + 1, ν/2)] with x = t² / (t² + ν).
fn noncentral_t(t: f64, freedom: f64, shift: f64) -> f64 {
    if t < 0.0 {
        return 1.0 - noncentral_t(-t, freedom, -shift);
    }
    let x = t * t / (t * t + freedom);
    let half = shift * shift / 2.0;
    let mut p = (-half).exp();
    let mut q = shift * (2.0 / std::f64::consts::PI).sqrt() * p;
    let mut sum = 0.0;
    let mut left = 1.0;
    for j in 0..10_000 {
        let j = f64::from(j);
        sum += p * beta_reg(j + 0.5, freedom / 2.0, x) + q * beta_reg(j + 1.0, freedom / 2.0, x);
        // What the p that are left add up to, which bounds the terms that are left.
        left -= p;
        if j > half && left < 1e-12 {
            break;
        }
        p *= half / (j + 1.0);
        q *= half / (j + 1.5);
    }
    Normal::standard().cdf(-shift) + sum / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `nct.cdf(t, df, nc)`
    #[test]
    fn the_noncentral_t_is_that_of_scipy() {
        for (t, freedom, shift, expected) in [
            (2.0, 3.0, 1.5, 0.599_676_268_370_892_9),
            (-1.0, 5.0, 0.7, 0.056_958_047_365_786_885),
            (4.3, 2.0, 3.2, 0.576_315_087_871_825),
            (12.7, 1.0, 15.0, 0.239_012_801_318_315_73),
            (2.0, 59.0, 1.5, 0.685_587_827_057_306_5),
            (0.5, 4.0, -1.0, 0.926_388_827_953_906_8),
        ] {
            let found = noncentral_t(t, freedom, shift);
            assert!(
                (found - expected).abs() < 1e-7,
                "{t} {freedom} {shift}: {found}"
            );
        }
    }

    /// statsmodels 0.15.0:
    /// `TTestPower().power(effect, n, 0.05, alternative="two-sided")`
    #[test]
    fn the_power_is_that_of_statsmodels() {
        for (effect, pairs, expected) in [
            (1.0, 3, 0.179_255_393_776_551_7),
            (0.5, 10, 0.293_175_606_514_201_8),
            (2.0, 4, 0.754_983_917_114_010_9),
            (1.3, 2, 0.116_318_467_189_756_8),
            (0.2, 60, 0.331_678_646_201_806_3),
            (0.0, 5, 0.05),
        ] {
            let found = power(effect, pairs);
            assert!((found - expected).abs() < 1e-7, "{effect} {pairs}: {found}");
        }
    }

    /// statsmodels 0.15.0, rounded up: `TTestPower().solve_power(effect_size=d, alpha=.05, power=.8)` is 89.149, 33.367,
    /// 9.938, 5.686, 4.221 and 2.482 for these.
    #[test]
    fn seeds_are_those_of_statsmodels() {
        let found = [0.3, 0.5, 1.0, 1.5, 2.0, 5.0].map(seeds);
        assert_eq!(found, [90, 34, 10, 6, 5, 3].map(Some));
        assert_eq!(seeds(f64::INFINITY), Some(2), "without any spread");
        assert_eq!(seeds(1e-4), None);
    }

    /// scipy 1.17.1: `sqrt(2 / chi2.ppf([.975, .025], 2))`
    #[test]
    fn a_spread_of_few_seeds_is_a_rough_guess() {
        let [low, high] = sd_reach(3).unwrap();
        assert!((low - 0.520_658_27).abs() < 1e-7 && (high - 6.284_734_7).abs() < 1e-6);
        assert_eq!(sd_reach(1), None);
    }
}
