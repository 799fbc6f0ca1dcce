//! How far the second moment is behind the gradient, one number a layer (arXiv 2304.13013, RMS_t of its StableAdamW,
//! where the second moment is called u_t):
//!
//! staleness = √ mean(g² / max(v̂, ε²)),
//!
//! the mean over the layer's parameters, g the gradient that the optimiser used, clipped, and v̂ its second moment after
//! that update, corrected for its start. It is near 1 while the moment keeps up, and at most 1 / √(1 − β₂). Far above 1,
//! the moment underestimates the gradient and the step is too long: there, loss spikes came 1 to 8 updates after one of
//! the patch embedding. It only measures: nothing is changed by it.
//!
//! AdamW's v̂ is v / (1 − β₂ˢ). Adafactor's is what its factors make, so that the ratio is also large where a
//! matrix's rows and columns do not tell the size of an entry; its root mean square is what Adafactor's paper clips by.
//! Lion has no second moment, and no staleness.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{SecondMoment, Stretch};
use crate::train::device::read;
use crate::train::simd::{self, Kernel};

/// The staleness of each of `layers`, which are parts of the flat vector, after an update of `stretches`. `clip` is what
/// `gradient` was multiplied by. A layer that has never had a gradient is left out.
pub fn staleness(
    moment: &SecondMoment,
    layers: &BTreeMap<String, Vec<Range<usize>>>,
    stretches: &[Stretch],
    gradient: &Tensor<1>,
    clip: f64,
) -> BTreeMap<String, f64> {
    let correction = |range: &Range<usize>| {
        let mut stretches = stretches.iter();
        let moved = stretches.find(|stretch| stretch.range.contains(&range.start));
        moved.map_or(1.0, |stretch| 1.0 - moment.beta2.powf(stretch.step as f64))
    };
    let of_layer = |ranges: &[Range<usize>], g: &[f32], v: &[f32]| {
        let sums = ranges.iter().map(|range| {
            // The scalars are taken out of the sum; the floor keeps 0 / 0 out of it, ε = 0 included.
            let correction = correction(range);
            let floor = (moment.eps.powi(2) * correction).max(f64::from(f32::MIN_POSITIVE)) as f32;
            let (g, v) = (&g[range.clone()], &v[range.clone()]);
            clip.powi(2) * correction * sum_of_ratios(g, v, floor)
        });
        let sum: f64 = sums.sum();
        let none = |range: &Range<usize>| v[range.clone()].iter().all(|&v| v == 0.0);
        let untouched = sum == 0.0 && ranges.iter().all(none);
        let count: usize = ranges.iter().map(Range::len).sum();
        (!untouched).then(|| (sum / count as f64).sqrt())
    };
    read(gradient, |g| {
        read(&moment.v, |v| {
            let layers = layers.iter();
            layers
                .filter_map(|(layer, ranges)| Some((layer.clone(), of_layer(ranges, g, v)?)))
                .collect()
        })
    })
}

/// Numbers of a task: sums have one order, whatever the threads.
const BLOCK: usize = 8192;

/// `Σ g² / max(v, floor)`.
fn sum_of_ratios(g: &[f32], v: &[f32], floor: f32) -> f64 {
    let blocks = g.par_chunks(BLOCK).zip(v.par_chunks(BLOCK)).map(|(g, v)| {
        let mut sum = 0.0;
        simd::run(Ratios {
            g,
            v,
            floor,
            sum: &mut sum,
        });
        sum
    });
    blocks.collect::<Vec<f64>>().into_iter().sum()
}

struct Ratios<'a> {
    g: &'a [f32],
    v: &'a [f32],
    floor: f32,
    sum: &'a mut f64,
}

impl Kernel for Ratios<'_> {
    #[inline(always)]
    fn run(self) {
        let floor = self.floor;
        *self.sum = f64::from(simd::sum3(self.g, self.v, self.v, |g, v, _| {
            g * g / v.max(floor)
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::device::tested;
    use crate::train::model::params::Layout;
    use crate::train::optim::{OptimConfig, OptimKind, update};
    use burn::tensor::TensorData;

    /// Gradients `[5]` of consecutive updates, through an optimiser, and the staleness after each.
    fn measured(config: &OptimConfig, gradients: &[[f32; 5]]) -> Vec<BTreeMap<String, f64>> {
        let device = tested();
        let mut layers = BTreeMap::<String, Vec<Range<usize>>>::new();
        for (place, layer) in (0..).zip(["split", "whole", "whole", "split", "frozen"]) {
            let ranges = layers.entry(layer.to_owned()).or_default();
            ranges.push(place..place + 1);
        }
        let mut optimiser = config.begin(&Layout::of_shapes([("text.x", vec![5])]), &device);
        let mut flat = Tensor::<1>::zeros([5], &device);
        (1..)
            .zip(gradients)
            .map(|(step, g)| {
                let g = Tensor::from_data(TensorData::new(g.to_vec(), [5]), &device);
                let stretches = [Stretch {
                    range: 0..5,
                    step,
                    lr: 0.01,
                    decay: 0.0,
                }];
                let norms = update(config, &mut *optimiser, &stretches, &mut flat, &g);
                let clip = config.clip_factor(norms.gradient);
                let Some(moment) = optimiser.second_moment() else {
                    return BTreeMap::new();
                };
                staleness(&moment, &layers, &stretches, &g, clip)
            })
            .collect()
    }

    /// Against the equation of the header in f64, clipping on, with a spike at the last update.
    #[test]
    fn it_follows_the_equation() {
        let gradients = [
            [0.3, -0.2, 0.0, 0.1, 0.0],
            [0.01, 0.02, 0.0, -0.05, 0.0],
            [-0.02, 0.01, 0.0, 0.01, 0.0],
            [3.0, -5.0, 1e-9, 0.5, 0.0],
        ];
        let config = OptimConfig {
            clip_norm: 0.5,
            ..OptimConfig::default()
        };
        let mut v = [0.0_f64; 5];
        for (step, (g, found)) in (1..).zip(gradients.iter().zip(measured(&config, &gradients))) {
            let norm = g.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            let mut ratio = [0.0; 5];
            for i in 0..5 {
                let g = f64::from(g[i]) * (0.5 / norm).min(1.0);
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                ratio[i] = g * g / (v[i] / (1.0 - 0.95_f64.powi(step))).max(1e-16);
            }
            assert_eq!(found.keys().collect::<Vec<_>>(), ["split", "whole"]);
            for (layer, members) in [("split", [0, 3]), ("whole", [1, 2])] {
                let exact = (members.iter().map(|&i| ratio[i]).sum::<f64>() / 2.0).sqrt();
                let off = found[layer] / exact - 1.0;
                assert!(off.abs() < 1e-5, "{layer} at {step}: {off:.1e}");
            }
        }
    }

    #[test]
    fn it_is_one_at_first_and_bounded_at_a_spike() {
        let config = OptimConfig {
            clip_norm: 0.0,
            eps: 0.0,
            ..OptimConfig::default()
        };
        let mut gradients = vec![[1.0, -2.0, 3.0, 0.5, 0.0]; 200];
        gradients.push([1e6; 5]);
        let most = (1.0_f64 / 0.05).sqrt();
        for kind in [OptimKind::AdamW, OptimKind::Adafactor] {
            let config = OptimConfig {
                kind,
                ..config.clone()
            };
            let found = measured(&config, &gradients);
            assert!((found[0]["whole"] - 1.0).abs() < 1e-5);
            assert!((found[199]["split"] - 1.0).abs() < 1e-4);
            assert!((found[200]["whole"] / most - 1.0).abs() < 1e-4);
            // Adafactor's second moment holds 10⁻³⁰ from the first update on.
            let of_none = found[199].get("frozen");
            assert_eq!(of_none, (kind == OptimKind::Adafactor).then_some(&0.0));
            assert!((found[200]["frozen"] / most - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn a_layer_whose_gradient_went_away_is_at_zero() {
        let gradients = [[1.0; 5], [0.0, 0.0, 0.0, 0.0, 1.0]];
        let found = measured(&OptimConfig::default(), &gradients);
        assert_eq!(found[1]["whole"], 0.0);
    }

    #[test]
    fn without_a_second_moment_there_is_none() {
        let config = OptimConfig {
            kind: OptimKind::Lion,
            ..OptimConfig::default()
        };
        assert!(measured(&config, &[[1.0; 5]])[0].is_empty());
    }
}
