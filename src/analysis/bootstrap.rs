//! The bootstrap interval of a mean over seeds: bias-corrected and accelerated (BCa; Efron, 1987), which has no need of a
//! normal distribution and follows a skewed one. It needs more seeds than Student's interval, for all that it knows of the
//! distribution is their values.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, Normal};

use super::interval::mean;

/// Seeds that it takes at least: four have 35 different resamples, of which the most extreme alone would be the interval's
/// ends.
pub const ENOUGH: usize = 5;
/// Resamples. The same are drawn for every mean of as many seeds, so that a table comes out alike each time.
pub const RESAMPLES: usize = 10_000;

/// The ends of the 95 % interval of the mean; none below [`ENOUGH`] values.
pub fn bca(values: &[f64]) -> Option<[f64; 2]> {
    if values.len() < ENOUGH {
        return None;
    }
    let centre = mean(values);
    if values.iter().all(|value| *value == values[0]) {
        return Some([centre; 2]);
    }
    let means = resampled(values);
    // A resample that is the sample itself counts half to either side.
    let below = means.partition_point(|mean| *mean < centre);
    let not_above = means.partition_point(|mean| *mean <= centre);
    let share = (below + not_above) as f64 / (2 * means.len()) as f64;
    let normal = Normal::standard();
    let bias = normal.inverse_cdf(share);
    let acceleration = acceleration(values, centre);
    let end = |level: f64| {
        let z = bias + normal.inverse_cdf(level);
        quantile(&means, normal.cdf(bias + z / (1.0 - acceleration * z)))
    };
    Some([end(0.025), end(0.975)])
}

/// The means of resamples, in rising order.
fn resampled(values: &[f64]) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(values.len() as u64);
    let mut counts = vec![0.0; values.len()];
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            // Counted first and added up in one order, so that equal resamples have equal means.
            counts.fill(0.0);
            (0..values.len()).for_each(|_| counts[rng.random_range(0..values.len())] += 1.0);
            let sum: f64 = values.iter().zip(&counts).map(|(x, count)| x * count).sum();
            sum / values.len() as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    means
}

/// How the spread of the mean changes with the mean, by the jackknife: Σ d³ / (6 (Σ d²)^1.5), where d_i says how much of the
/// mean is of value i. For a mean that is x_i − x̄.
fn acceleration(values: &[f64], centre: f64) -> f64 {
    let sum = |power: i32| -> f64 { values.iter().map(|x| (x - centre).powi(power)).sum() };
    sum(3) / (6.0 * sum(2).powf(1.5))
}

/// On the straight line between the two nearest.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1, to a fiftieth of the interval's width, for 10,000 resamples are some of all:
    /// ```python
    /// for x in ([.512,.533,.548,.497,.561], [.40,.443,.391,.45,.522,.413,.437,.601,.408,.419]):
    ///     print(bootstrap((x,), np.mean, method="BCa", n_resamples=1_000_000, batch=100_000, rng=1).confidence_interval)
    /// ```
    #[test]
    fn the_interval_is_that_of_scipy() {
        let few = [0.512, 0.533, 0.548, 0.497, 0.561];
        let skewed = [
            0.40, 0.443, 0.391, 0.45, 0.522, 0.413, 0.437, 0.601, 0.408, 0.419,
        ];
        for (values, expected) in [
            (&few[..], [0.5100, 0.5498]),
            (&skewed[..], [0.4200, 0.5041]),
        ] {
            let found = bca(values).unwrap();
            let near = (expected[1] - expected[0]) / 50.0;
            for (found, expected) in found.into_iter().zip(expected) {
                assert!((found - expected).abs() < near, "{found} {expected}");
            }
        }
    }

    #[test]
    fn it_comes_out_alike_each_time_and_moves_with_the_values() {
        let values = [1.0, 2.0, 4.0, 4.5, 9.0, 3.0];
        let [low, high] = bca(&values).unwrap();
        assert_eq!(bca(&values), Some([low, high]));
        let shifted = bca(&values.map(|x| 2.0 * x)).unwrap();
        assert!((shifted[0] - 2.0 * low).abs() < 1e-12 && (shifted[1] - 2.0 * high).abs() < 1e-12);
        let mean = mean(&values);
        assert!(high - mean > mean - low, "the long tail is above");
    }

    #[test]
    fn few_seeds_have_none_and_equal_ones_no_width() {
        assert_eq!(bca(&[1.0, 2.0, 3.0, 4.0]), None);
        assert_eq!(bca(&[0.5; 5]), Some([0.5, 0.5]));
    }
}
