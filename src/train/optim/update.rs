//! One update of all parameters, whatever the optimiser. In this order: the gradient is scaled down to the limit of its
//! global norm; the optimiser makes a direction of it; w ← w − lr · direction − decay · w, where each group has its own lr,
//! and decay is its weight decay times that lr or times the schedule.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{DecayBy, OptimConfig, Optimiser, Rates, norm};

/// Norms over all parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norms {
    /// Of the gradient, before clipping.
    pub gradient: f64,
    /// Of the change of the parameters.
    pub update: f64,
}

/// A part of the flat vector that one update treats alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Stretch {
    pub range: Range<usize>,
    /// Updates that these parameters have had, this one included: what moments are corrected by.
    pub step: u64,
    /// Learning rate.
    pub lr: f64,
    /// The share of itself that a weight loses.
    pub decay: f64,
}

/// What moves in update number `step` (from 1) of `batch` examples each, in order of place: the `groups` that are not
/// locked. `factor` is the schedule's.
pub fn stretches(
    config: &OptimConfig,
    groups: &[(Range<usize>, Rates)],
    batch: u64,
    step: u64,
    factor: f64,
) -> Vec<Stretch> {
    let moving = groups.iter().filter_map(|(range, rates)| {
        // An update takes the tower along when so many examples were seen before it.
        let step = step.saturating_sub(rates.unlock_after.div_ceil(batch));
        let lr = config.lr * factor * rates.lr_mult;
        let decay = rates.weight_decay
            * match config.decay_by {
                DecayBy::Lr => lr,
                DecayBy::Schedule => factor,
            };
        let range = range.clone();
        (step > 0 && rates.lr_mult > 0.0).then_some(Stretch {
            range,
            step,
            lr,
            decay,
        })
    });
    moving.collect()
}

/// Move `stretches` of `flat` by `gradient`. Nothing moves when the gradient is not finite; the caller sees it in the
/// norm.
pub fn update(
    config: &OptimConfig,
    optimiser: &mut dyn Optimiser,
    stretches: &[Stretch],
    flat: &mut Tensor<1>,
    gradient: &Tensor<1>,
) -> Norms {
    let norm = norm(gradient);
    let update = if norm.is_finite() {
        optimiser.apply(stretches, config.clip_factor(norm), flat, gradient)
    } else {
        0.0
    };
    Norms {
        gradient: norm,
        update,
    }
}
