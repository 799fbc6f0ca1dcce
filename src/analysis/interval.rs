//! A mean over seeds with its 95 % interval, by Student's t unless a report asks for the bootstrap.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::bootstrap::bca;
use crate::spec::Interval;

/// The ends of the 95 % interval of the mean of `values`, one a seed; none where these are too few for it.
pub fn interval(values: &[f64], by: Interval) -> Option<[f64; 2]> {
    match by {
        Interval::T => {
            let half = half_width(deviation(values)?, values.len() as u32)?;
            let mean = mean(values);
            Some([mean - half, mean + half])
        }
        Interval::Bootstrap => bca(values),
    }
}

/// What chance may have made of a share of `trials`: half of Wilson's 95 % interval, which unlike that of a normal
/// distribution has a width where the share is 0 or 1 (Wilson, 1927).
pub(super) fn wilson(share: f64, trials: f64) -> f64 {
    const Z: f64 = 1.959_963_984_540_054;
    let spread = share * (1.0 - share) / trials + (Z / (2.0 * trials)).powi(2);
    Z * spread.sqrt() / (1.0 + Z * Z / trials)
}

/// A mean over the seeds that were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Estimate {
    pub mean: Option<f64>,
    /// Of the 95 % interval of the mean; none below two seeds.
    pub half_width: Option<f64>,
    /// Seeds in the mean.
    pub n: u32,
}

impl Estimate {
    /// Of these values, one a seed.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as u32;
        let mean = (n > 0).then(|| mean(values));
        Self {
            mean,
            half_width: deviation(values).and_then(|sd| half_width(sd, n)),
            n,
        }
    }
}

pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The standard deviation of the sample; none below two values.
pub(super) fn deviation(values: &[f64]) -> Option<f64> {
    let centre = mean(values);
    let squares: f64 = values.iter().map(|x| (x - centre).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

/// Half of the 95 % interval of a mean of `n` values with standard deviation `sd`.
pub(super) fn half_width(sd: f64, n: u32) -> Option<f64> {
    Some(t_quantile(f64::from(n) - 1.0)? * sd / f64::from(n).sqrt())
}

/// Student's t that is exceeded in size with a chance of 5 %; none without a degree of freedom.
pub(super) fn t_quantile(freedom: f64) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(t.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1: `ci = binomtest(k, n).proportion_ci(0.95, "wilson"); (ci.high - ci.low) / 2`
    #[test]
    fn an_evaluation_has_the_error_of_wilson() {
        for (hits, trials, expected) in [
            (690.0, 1_024.0, 0.028_667_801_872_318_543),
            (0.0, 50.0, 0.035_673_799_566_679_36),
            (40.0, 400.0, 0.029_505_658_593_684_23),
            (1_200.0, 1_200.0, 0.001_595_500_301_367_403),
        ] {
            let found = wilson(hits / trials, trials);
            assert!(
                (found - expected).abs() < 1e-12,
                "{hits} of {trials}: {found}"
            );
        }
    }

    /// scipy 1.17.1: `m, s = mean([1, 2, 4]), sem([1, 2, 4]); t.interval(0.95, 2, m, s)`
    #[test]
    fn the_interval_is_that_of_student() {
        let Estimate {
            mean,
            half_width,
            n,
        } = Estimate::of(&[1.0, 2.0, 4.0]);
        assert_eq!((mean, n), (Some(7.0 / 3.0), 3));
        assert!((half_width.unwrap() - 3.794_583_033_596_759).abs() < 1e-9);
        let [low, high] = interval(&[1.0, 2.0, 4.0], Interval::T).unwrap();
        assert!((low - (7.0 / 3.0 - 3.794_583_033_596_759)).abs() < 1e-9);
        assert!((high - (7.0 / 3.0 + 3.794_583_033_596_759)).abs() < 1e-9);
        assert_eq!(interval(&[5.0], Interval::T), None);
        assert_eq!(Estimate::of(&[]), Estimate::default());
        assert_eq!(Estimate::of(&[5.0]).half_width, None);
    }
}
