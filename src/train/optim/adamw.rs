//! AdamW (arXiv 1711.05101) with torch's meaning of every setting: for update s,
//! m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², direction (m / (1 − β₁ˢ)) / (√(v / (1 − β₂ˢ)) + ε).

use burn::tensor::{Device, Tensor};

use super::sweep::{Rule, sweep};
use super::tensors::{Change, part, put};
use super::{OptimConfig, Optimiser, SecondMoment, StateVector, Stretch, norm};
use crate::train::device::{read, take, vector};
use crate::train::model::params::Layout;
use crate::train::torch;

#[derive(Debug)]
pub struct AdamW {
    betas: [f64; 2],
    eps: f64,
    m: StateVector,
    v: StateVector,
}

impl AdamW {
    pub fn new(config: &OptimConfig, layout: &Layout, device: &Device) -> Self {
        Self {
            betas: [config.beta1, config.beta2],
            eps: config.eps,
            m: StateVector::like("m", layout, device),
            v: StateVector::like("v", layout, device),
        }
    }

    /// What the moments of a stretch are short of, for they begin at 0.
    fn corrections(&self, stretch: &Stretch) -> [f64; 2] {
        self.betas.map(|beta| 1.0 - beta.powf(stretch.step as f64))
    }
}

impl Optimiser for AdamW {
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
                    corrections: self.corrections(stretch).map(|c| c as f32),
                    eps: self.eps as f32,
                    lr: stretch.lr as f32,
                    decay: stretch.decay as f32,
                };
                (stretch.range.clone(), rule)
            })
            .collect();
        let device = flat.device();
        let [mut w, mut m, mut v] = [&mut *flat, &mut self.m.values, &mut self.v.values].map(take);
        let norm = read(gradient, |g| sweep(&rules, &mut w, [&mut m, &mut v], g));
        [*flat, self.m.values, self.v.values] = [w, m, v].map(|x| vector(x, &device));
        norm
    }

    fn on_tensors(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64 {
        let (how, state) = ((self.betas, self.eps, clip), [&mut self.m, &mut self.v]);
        let [m, v] = state.map(|moment| &mut moment.values);
        if let Some(change) = torch::adamw(stretches, how, [&mut *flat, m, v], gradient) {
            return norm(&change);
        }
        let [beta1, beta2] = self.betas;
        let mut change = Change::of(flat);
        for stretch in stretches {
            let at = &stretch.range;
            let g = part(gradient, at).mul_scalar(clip);
            let m = part(&self.m.values, at).mul_scalar(beta1) + g.clone().mul_scalar(1.0 - beta1);
            let v = part(&self.v.values, at).mul_scalar(beta2) + g.square().mul_scalar(1.0 - beta2);
            let [of_m, of_v] = self.corrections(stretch);
            let root = v.clone().div_scalar(of_v).sqrt().add_scalar(self.eps);
            change.along(m.clone().div_scalar(of_m) / root, at, stretch, flat);
            put(&mut self.m.values, at, m);
            put(&mut self.v.values, at, v);
        }
        change.make(flat)
    }

    fn state(&self) -> Vec<&StateVector> {
        vec![&self.m, &self.v]
    }

    fn state_mut(&mut self) -> Vec<&mut StateVector> {
        vec![&mut self.m, &mut self.v]
    }

    fn second_moment(&self) -> Option<SecondMoment> {
        Some(SecondMoment {
            v: self.v.values.clone(),
            beta2: self.betas[1],
            eps: self.eps,
        })
    }
}

/// The equations of the header for one weight of a stretch.
#[derive(Clone, Copy)]
struct Elementwise {
    clip: f32,
    kept: [f32; 2],
    added: [f32; 2],
    corrections: [f32; 2],
    eps: f32,
    lr: f32,
    decay: f32,
}

impl Rule<2> for Elementwise {
    #[inline(always)]
    fn step(&self, w: f32, g: f32, [m, v]: [f32; 2]) -> (f32, [f32; 2]) {
        let g = g * self.clip;
        let m = m * self.kept[0] + g * self.added[0];
        let v = v * self.kept[1] + g * g * self.added[1];
        let root = (v / self.corrections[1]).sqrt() + self.eps;
        let direction = m / self.corrections[0] / root;
        (direction * self.lr + w * self.decay, [m, v])
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
            &config(OptimKind::AdamW),
            AdamW::new,
            AdamW::sweep,
            AdamW::on_tensors,
        );
    }
}
