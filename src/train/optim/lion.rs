//! Lion (arXiv 2302.06675): direction sign(β₁m + (1 − β₁)g), then m ← β₂m + (1 − β₂)g. Every weight with a gradient moves
//! by the learning rate itself, so clipping the norm changes only what the momentum remembers.

use burn::tensor::{Device, Tensor};

use super::sweep::{Rule, sweep};
use super::tensors::{Change, part, put};
use super::{OptimConfig, Optimiser, SecondMoment, StateVector, Stretch};
use crate::train::device::{read, take, vector};
use crate::train::model::params::Layout;

#[derive(Debug)]
pub struct Lion {
    betas: [f64; 2],
    m: StateVector,
}

impl Lion {
    pub fn new(config: &OptimConfig, layout: &Layout, device: &Device) -> Self {
        Self {
            betas: [config.beta1, config.beta2],
            m: StateVector::like("m", layout, device),
        }
    }
}

impl Optimiser for Lion {
    fn sweep(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64 {
        let rules: Vec<_> = stretches
            .iter()
            .map(|stretch| {
                let rule = Elementwise {
                    clip: clip as f32,
                    kept: self.betas.map(|beta| beta as f32),
                    added: self.betas.map(|beta| (1.0 - beta) as f32),
                    lr: stretch.lr as f32,
                    decay: stretch.decay as f32,
                };
                (stretch.range.clone(), rule)
            })
            .collect();
        let device = flat.device();
        let [mut w, mut m] = [&mut *flat, &mut self.m.values].map(take);
        let norm = read(gradient, |g| sweep(&rules, &mut w, [&mut m], g));
        [*flat, self.m.values] = [w, m].map(|x| vector(x, &device));
        norm
    }

    fn on_tensors(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64 {
        let [beta1, beta2] = self.betas;
        let mut change = Change::of(flat);
        for stretch in stretches {
            let at = &stretch.range;
            let (g, m) = (
                part(gradient, at).mul_scalar(clip),
                part(&self.m.values, at),
            );
            let mix = |beta: f64| m.clone().mul_scalar(beta) + g.clone().mul_scalar(1.0 - beta);
            change.along(mix(beta1).sign(), at, stretch, flat);
            put(&mut self.m.values, at, mix(beta2));
        }
        change.make(flat)
    }

    fn state(&self) -> Vec<&StateVector> {
        vec![&self.m]
    }

    fn state_mut(&mut self) -> Vec<&mut StateVector> {
        vec![&mut self.m]
    }

    fn second_moment(&self) -> Option<SecondMoment> {
        None
    }
}

/// The equations of the header for one weight of a stretch.
#[derive(Clone, Copy)]
struct Elementwise {
    clip: f32,
    kept: [f32; 2],
    added: [f32; 2],
    lr: f32,
    decay: f32,
}

impl Rule<1> for Elementwise {
    #[inline(always)]
    fn step(&self, w: f32, g: f32, [m]: [f32; 1]) -> (f32, [f32; 1]) {
        let g = g * self.clip;
        let mixed = m * self.kept[0] + g * self.added[0];
        let m = m * self.kept[1] + g * self.added[1];
        let sign = f32::from(i8::from(mixed > 0.0) - i8::from(mixed < 0.0));
        (sign * self.lr + w * self.decay, [m])
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{agree_on_tensors, config};
    use super::*;
    use crate::train::optim::OptimKind;

    #[test]
    fn a_device_with_its_own_memory_gets_the_same_updates() {
        agree_on_tensors(
            &config(OptimKind::Lion),
            Lion::new,
            Lion::sweep,
            Lion::on_tensors,
        );
    }
}
