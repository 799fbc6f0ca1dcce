//! AdamW (arXiv 1711.05101) on the flat vector of parameters, with torch's meaning of every setting: for step s,
//! m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − lr·λ·w − lr · (m / (1 − β₁ˢ)) / (√(v / (1 − β₂ˢ)) + ε).
//! The gradient is first scaled down to the global norm limit, if there is one.

use burn::tensor::{Device, Tensor};

use super::OptimConfig;
use crate::train::loss::LossConfig;
use crate::train::model::params::Layout;

/// First and second moments, flat as the parameters.
#[derive(Clone, Debug)]
pub struct Moments {
    pub m: Tensor<1>,
    pub v: Tensor<1>,
}

impl Moments {
    pub fn zeros(layout: &Layout, device: &Device) -> Self {
        Self {
            m: Tensor::zeros([layout.len()], device),
            v: Tensor::zeros([layout.len()], device),
        }
    }
}

/// Norms over all parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Norms {
    /// Of the gradient, before clipping.
    pub gradient: f64,
    /// Of the change of the parameters.
    pub update: f64,
}

/// Make update number `step` (from 1) with learning rate `lr`. Nothing moves when the gradient is not finite; the
/// caller sees it in the norm.
pub fn update(
    config: &OptimConfig,
    loss: &LossConfig,
    layout: &Layout,
    step: u64,
    lr: f64,
    flat: &mut Tensor<1>,
    moments: &mut Moments,
    gradient: Tensor<1>,
) -> Norms {
    let norm = f64::from(gradient.clone().square().sum().into_scalar::<f32>()).sqrt();
    if !norm.is_finite() {
        return Norms {
            gradient: norm,
            update: 0.0,
        };
    }
    let clip = if config.clip_norm > 0.0 && norm > config.clip_norm {
        config.clip_norm / norm
    } else {
        1.0
    };
    let gradient = gradient.mul_scalar(clip);
    let OptimConfig {
        beta1, beta2, eps, ..
    } = *config;
    let correction = |beta: f64| 1.0 - beta.powf(step as f64);
    let m = moments.m.clone().mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1);
    let v = moments.v.clone().mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2);
    let direction = m.clone().div_scalar(correction(beta1))
        / v.clone()
            .div_scalar(correction(beta2))
            .sqrt()
            .add_scalar(eps);
    (moments.m, moments.v) = (m, v);
    let parts = layout.groups().into_iter().map(|(group, range)| {
        let rates = config.rates(group, loss);
        let lr = lr * rates.lr_mult;
        let part = direction.clone().slice(range.clone()).mul_scalar(lr);
        if rates.weight_decay == 0.0 {
            part
        } else {
            part + flat
                .clone()
                .slice(range)
                .mul_scalar(lr * rates.weight_decay)
        }
    });
    let change = Tensor::cat(parts.collect(), 0);
    let update = f64::from(change.clone().square().sum().into_scalar::<f32>()).sqrt();
    *flat = flat.clone() - change;
    Norms {
        gradient: norm,
        update,
    }
}
