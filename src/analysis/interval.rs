//! A mean over seeds with its 95 % interval by Student's t.

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

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
    Some(t_quantile(n.checked_sub(1)?)? * sd / f64::from(n).sqrt())
}

/// Student's t that is exceeded in size with a chance of 5 %; none without a degree of freedom.
pub(super) fn t_quantile(freedom: u32) -> Option<f64> {
    let t = StudentsT::new(0.0, 1.0, f64::from(freedom)).ok()?;
    Some(t.inverse_cdf(0.975))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(Estimate::of(&[]), Estimate::default());
        assert_eq!(Estimate::of(&[5.0]).half_width, None);
    }
}
