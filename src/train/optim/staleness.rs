//! How far the second moment is behind the gradient, one number a layer (arXiv 2304.13013, RMS_t of its StableAdamW,
//! where the second moment is called u_t):
//!
//! staleness = √ mean(g² / max(v̂, ε²)),  v̂ = v / (1 − β₂ˢ),
//!
//! the mean over the layer's parameters, g the gradient that AdamW used at step s, clipped, and v the second moment
//! after that update. It is near 1 while the moment keeps up, and at most 1 / √(1 − β₂). Far above 1, the moment
//! underestimates the gradient and the step is too long: there, loss spikes came 1 to 8 updates after one of the patch
//! embedding. It only measures: nothing is changed by it.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::Tensor;

use super::OptimConfig;
use crate::train::device::host;

/// The staleness of each of `layers`, which are stretches of the flat vector, after update number `step`. `gradient`
/// and its global `norm` are those from before clipping, `v` the second moment after the update. A layer that has
/// never had a gradient is left out, and all are when the norm is not finite.
pub fn staleness(
    config: &OptimConfig,
    layers: &BTreeMap<String, Vec<Range<usize>>>,
    step: u64,
    gradient: Tensor<1>,
    norm: f64,
    v: &Tensor<1>,
) -> BTreeMap<String, f64> {
    if !norm.is_finite() {
        return BTreeMap::new();
    }
    // The scalars of both corrections are taken out of the mean; the floor keeps 0 / 0 out of it, ε = 0 included.
    let correction = 1.0 - config.beta2.powf(step as f64);
    let floor = (config.eps.powi(2) * correction).max(f64::from(f32::MIN_POSITIVE));
    let scale = config.clip_factor(norm).powi(2) * correction;
    let ratio = host(gradient.square() / v.clone().clamp_min(floor));
    let of_layer = |ranges: &Vec<Range<usize>>| {
        let sum: f64 = ranges.iter().map(|range| sum(&ratio[range.clone()])).sum();
        let untouched = sum == 0.0
            && ranges.iter().all(|range| {
                let v = v.clone().slice(range.clone());
                v.max().into_scalar::<f32>() == 0.0
            });
        let count: usize = ranges.iter().map(Range::len).sum();
        (!untouched).then(|| (scale * sum / count as f64).sqrt())
    };
    layers
        .iter()
        .filter_map(|(layer, ranges)| Some((layer.clone(), of_layer(ranges)?)))
        .collect()
}

/// Eight sums side by side, for each addition to one alone would wait for the last.
fn sum(values: &[f32]) -> f64 {
    let (eights, rest) = values.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for eight in eights {
        for (sum, &x) in sums.iter_mut().zip(eight) {
            *sum += f64::from(x);
        }
    }
    let rest = rest.iter().map(|&x| f64::from(x));
    sums.into_iter().chain(rest).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::optim::Rates;
    use crate::train::optim::adamw::{Moments, update};
    use burn::tensor::{Device, TensorData};

    /// Gradients `[5]` of consecutive updates, through AdamW, and the staleness after each.
    fn measured(config: &OptimConfig, gradients: &[[f32; 5]]) -> Vec<BTreeMap<String, f64>> {
        let device = Device::flex();
        let mut layers = BTreeMap::<String, Vec<Range<usize>>>::new();
        for (place, layer) in (0..).zip(["split", "whole", "whole", "split", "frozen"]) {
            let ranges = layers.entry(layer.to_owned()).or_default();
            ranges.push(place..place + 1);
        }
        let rates = Rates {
            lr_mult: 1.0,
            weight_decay: 0.0,
        };
        let zeros = || Tensor::<1>::zeros([5], &device);
        let (mut flat, mut moments) = (
            zeros(),
            Moments {
                m: zeros(),
                v: zeros(),
            },
        );
        (1..)
            .zip(gradients)
            .map(|(step, g)| {
                let g = Tensor::from_data(TensorData::new(g.to_vec(), [5]), &device);
                let groups = [(0..5, rates)];
                let norms = update(
                    config,
                    &groups,
                    step,
                    0.01,
                    &mut flat,
                    &mut moments,
                    g.clone(),
                );
                staleness(config, &layers, step, g, norms.gradient, &moments.v)
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
        let found = measured(&config, &gradients);
        assert!((found[0]["whole"] - 1.0).abs() < 1e-5);
        assert!((found[199]["split"] - 1.0).abs() < 1e-4);
        let most = (1.0_f64 / 0.05).sqrt();
        assert!((found[200]["whole"] / most - 1.0).abs() < 1e-4);
        assert!(!found[199].contains_key("frozen"));
        assert!((found[200]["frozen"] / most - 1.0).abs() < 1e-4);
    }

    #[test]
    fn a_layer_whose_gradient_went_away_is_at_zero() {
        let gradients = [[1.0; 5], [0.0, 0.0, 0.0, 0.0, 1.0]];
        let found = measured(&OptimConfig::default(), &gradients);
        assert_eq!(found[1]["whole"], 0.0);
    }

    #[test]
    fn a_gradient_that_is_not_finite_has_none() {
        let found = measured(&OptimConfig::default(), &[[f32::NAN; 5]]);
        assert!(found[0].is_empty());
    }
}
