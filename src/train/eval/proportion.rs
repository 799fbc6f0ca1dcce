//! A share of trials that succeeded, with what chance alone may have made of it: Wilson's interval (1927, equation 3),
//! the values p of which |p̂ − p| ≤ z √(p (1 − p) / n) holds. Unlike p̂ ± z √(p̂ (1 − p̂) / n) it keeps its 95 % at few
//! trials and at shares near 0 and 1.

use serde::Serialize;

/// `hits` of `trials`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proportion {
    pub hits: u64,
    pub trials: u64,
}

/// The normal deviate that is exceeded in size with a chance of 5 %.
const Z: f64 = 1.959_963_984_540_054;

impl Proportion {
    pub fn add(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.trials += 1;
    }

    /// Other trials, as well.
    pub fn merge(&mut self, other: Self) {
        self.hits += other.hits;
        self.trials += other.trials;
    }

    /// In [0, 1]; none without a trial.
    pub fn share(&self) -> Option<f64> {
        (self.trials > 0).then(|| self.hits as f64 / self.trials as f64)
    }

    /// The ends of its 95 % interval; all of [0, 1] without a trial.
    pub fn interval(&self) -> [f64; 2] {
        let Some(share) = self.share() else {
            return [0.0, 1.0];
        };
        let n = self.trials as f64;
        let centre = share + Z * Z / (2.0 * n);
        let reach = Z * (share * (1.0 - share) / n + (Z / (2.0 * n)).powi(2)).sqrt();
        let of = |x: f64| x / (1.0 + Z * Z / n);
        // Exactly where no trial failed or none succeeded, and not short of it by rounding.
        let low = if self.hits == 0 {
            0.0
        } else {
            of(centre - reach)
        };
        let high = match self.hits == self.trials {
            true => 1.0,
            false => of(centre + reach),
        };
        [low, high]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCIPY: [(u64, u64, [f64; 2]); 5] = [
        (0, 10, [0.0, 0.277_532_799_862_889_26]),
        (3, 10, [0.107_791_267_406_301_02, 0.603_221_852_538_854_6]),
        (10, 10, [0.722_467_200_137_110_9, 1.0]),
        (
            643,
            1_000,
            [0.612_809_297_122_353_5, 0.672_096_249_950_777_7],
        ),
        (
            1,
            50_000,
            [3.530_499_822_832_098e-6, 1.132_897_013_912_026_4e-4],
        ),
    ];

    /// scipy 1.17.1: `binomtest(hits, trials).proportion_ci(0.95, "wilson")`
    #[test]
    fn the_interval_is_that_of_wilson() {
        for (hits, trials, expected) in SCIPY {
            let found = Proportion { hits, trials }.interval();
            for (a, b) in found.into_iter().zip(expected) {
                assert!((a - b).abs() < 1e-12, "{hits} of {trials}: {found:?}");
            }
        }
        assert_eq!(Proportion::default().interval(), [0.0, 1.0]);
        assert_eq!(Proportion::default().share(), None);
    }
}
