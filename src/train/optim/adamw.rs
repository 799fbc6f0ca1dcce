//! AdamW (arXiv 1711.05101) on the flat vector of parameters, with torch's meaning of every setting: for step s,
//! m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², w ← w − lr·λ·w − lr · (m / (1 − β₁ˢ)) / (√(v / (1 − β₂ˢ)) + ε).
//! The gradient is first scaled down to the global norm limit, if there is one.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use super::{OptimConfig, Rates};
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
            m: Tensor::zeros([layout.length()], device),
            v: Tensor::zeros([layout.length()], device),
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

/// Make update number `step` (from 1) with learning rate `lr`; `groups` are the stretches of the flat vector with
/// what each gets of it. Nothing moves when the gradient is not finite; the caller sees it in the norm.
pub fn update(
    config: &OptimConfig,
    groups: &[(Range<usize>, Rates)],
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
    let gradient = gradient.mul_scalar(config.clip_factor(norm));
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
    let parts = groups.iter().map(|(range, rates)| {
        if rates.lr_mult == 0.0 {
            // With ε = 0, what never had a gradient has no direction: 0 / 0.
            return Tensor::zeros([range.len()], &flat.device());
        }
        let lr = lr * rates.lr_mult;
        let part = direction.clone().slice(range.clone()).mul_scalar(lr);
        if rates.weight_decay == 0.0 {
            part
        } else {
            part + flat
                .clone()
                .slice(range.clone())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::device::host;
    use burn::tensor::TensorData;

    /// Two groups, three updates, against the equations of the header in f64.
    #[test]
    fn updates_follow_the_equations() {
        let config = OptimConfig {
            clip_norm: 0.5,
            ..OptimConfig::default()
        };
        let rates = |lr_mult, weight_decay| Rates {
            lr_mult,
            weight_decay,
        };
        let groups = [(0..2, rates(1.0, 0.1)), (2..3, rates(0.5, 0.0))];
        let device = Device::flex();
        let tensor =
            |x: [f32; 3]| Tensor::<1>::from_data(TensorData::new(x.to_vec(), [3]), &device);
        let gradients = [[0.3, -0.2, 0.1], [0.9, 0.4, -0.7], [-0.1, 0.0, 0.2]];

        let mut flat = tensor([1.0, -2.0, 0.5]);
        let zeros = || Tensor::zeros([3], &device);
        let mut moments = Moments {
            m: zeros(),
            v: zeros(),
        };
        let (mut w, mut m, mut v) = ([1.0_f64, -2.0, 0.5], [0.0; 3], [0.0; 3]);
        for (step, g) in (1..).zip(gradients) {
            let norms = update(
                &config,
                &groups,
                step,
                0.01,
                &mut flat,
                &mut moments,
                tensor(g),
            );
            let norm = g.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt();
            assert!((norms.gradient - norm).abs() < 1e-6);
            let mut change = 0.0;
            for i in 0..3 {
                let g = f64::from(g[i]) * (0.5 / norm).min(1.0);
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                let (lr, decay) = if i < 2 { (0.01, 0.1) } else { (0.005, 0.0) };
                let corrected = |x: f64, beta: f64| x / (1.0 - beta.powi(step as i32));
                let delta = lr * decay * w[i]
                    + lr * corrected(m[i], 0.9) / (corrected(v[i], 0.95).sqrt() + 1e-8);
                w[i] -= delta;
                change += delta * delta;
            }
            assert!((norms.update - change.sqrt()).abs() < 1e-6);
        }
        for (ours, exact) in host(flat).into_iter().zip(w) {
            assert!(
                (f64::from(ours) - exact).abs() < 1e-6,
                "{ours}, expected {exact}"
            );
        }
    }

    #[test]
    fn a_group_without_a_rate_stays_even_where_the_direction_is_undefined() {
        let config = OptimConfig {
            eps: 0.0,
            ..OptimConfig::default()
        };
        let rates = |lr_mult| Rates {
            lr_mult,
            weight_decay: 0.1,
        };
        let groups = [(0..1, rates(0.0)), (1..2, rates(1.0))];
        let device = Device::flex();
        let tensor =
            |x: [f32; 2]| Tensor::<1>::from_data(TensorData::new(x.to_vec(), [2]), &device);
        let (mut flat, zeros) = (tensor([0.5, 0.5]), tensor([0.0, 0.0]));
        let mut moments = Moments {
            m: zeros.clone(),
            v: zeros,
        };
        let gradient = tensor([0.0, 1.0]);
        let norms = update(&config, &groups, 1, 0.1, &mut flat, &mut moments, gradient);
        assert!(norms.update.is_finite());
        let flat = host(flat);
        assert!(flat[0] == 0.5 && flat[1] < 0.41, "{flat:?}");
    }

    #[test]
    fn a_gradient_that_is_not_finite_moves_nothing() {
        let device = Device::flex();
        let (mut flat, nan) = (
            Tensor::<1>::ones([1], &device),
            Tensor::full([1], f32::NAN, &device),
        );
        let mut moments = Moments {
            m: Tensor::zeros([1], &device),
            v: Tensor::zeros([1], &device),
        };
        let rates = Rates {
            lr_mult: 1.0,
            weight_decay: 0.0,
        };
        let norms = update(
            &OptimConfig::default(),
            &[(0..1, rates)],
            1,
            0.1,
            &mut flat,
            &mut moments,
            nan,
        );
        assert!(norms.gradient.is_nan());
        assert_eq!((host(flat), host(moments.v)), (vec![1.0], vec![0.0]));
    }
}
