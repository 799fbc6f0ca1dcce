//! GELU (arXiv 1606.08415), x Φ(x) with the normal distribution function Φ, and what is used in its place. All are
//! x times a function of x, here called Φ, whose derivative is called φ; the derivative of the whole is Φ(x) + x φ(x).

use burn::tensor::{Tensor, activation};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tape::{Fused, apply};
use crate::train::simd::{self, Kernel, exp};

/// Between the two maps of an MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Activation {
    /// GELU itself, by the error function.
    #[default]
    #[serde(rename = "gelu")]
    Erf,
    /// x σ(2 √(2/π) (x + 0.044715 x³)), which is GELU's approximation by a hyperbolic tangent (SigLIP).
    #[serde(rename = "gelu_tanh")]
    Tanh,
    /// x σ(1.702 x) (CLIP).
    #[serde(rename = "gelu_quick")]
    Quick,
}

/// Elementwise, any matrix.
pub fn gelu(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    apply(activation, [x.clone()]).unwrap_or_else(|| unfused(x, activation))
}

/// The same from burn's own operations.
pub(super) fn unfused(x: Tensor<2>, activation: Activation) -> Tensor<2> {
    let logit = match activation {
        Activation::Erf => return activation::gelu(x),
        Activation::Tanh => {
            let cube = x.clone() * x.clone() * x.clone();
            (x.clone() + cube.mul_scalar(CUBIC)).mul_scalar(TWO_ROOT_2_BY_PI)
        }
        Activation::Quick => x.clone().mul_scalar(QUICK),
    };
    x * activation::sigmoid(logit)
}

const INVERSE_ROOT_TAU: f32 = 0.398_942_3;
const TWO_ROOT_2_BY_PI: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;
const QUICK: f32 = 1.702;

/// Elements that one task takes.
const BLOCK: usize = 1 << 14;

impl Fused<1> for Activation {
    const NAME: &str = "gelu";

    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1], _: bool) -> (Vec<f32>, ()) {
        let mut out = vec![0.0; x.len()];
        let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
        blocks.for_each(|(out, x)| self.write(x, out));
        (out, ())
    }

    fn backward(&self, [x]: [&[f32]; 1], (): &(), gradient: &[f32], _: [bool; 1]) -> [Vec<f32>; 1] {
        let mut out = gradient.to_vec();
        let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
        blocks.for_each(|(out, x)| self.pull_back(x, out));
        [out]
    }

    #[cfg(feature = "tch")]
    fn on_torch(&self, [x]: [&tch::Tensor; 1]) -> tch::Tensor {
        crate::train::torch::functions::gelu(x, *self)
    }
}

impl Activation {
    /// `out` = x Φ(x).
    pub(super) fn write(self, x: &[f32], out: &mut [f32]) {
        match self {
            Self::Erf => simd::run(Forward { x, out, of: normal }),
            Self::Tanh => simd::run(Forward { x, out, of: tanh }),
            Self::Quick => simd::run(Forward { x, out, of: quick }),
        }
    }

    /// `gradient`, that of the result, becomes that of `x`.
    pub(super) fn pull_back(self, x: &[f32], gradient: &mut [f32]) {
        match self {
            Self::Erf => simd::run(Backward {
                x,
                gradient,
                of: normal,
            }),
            Self::Tanh => simd::run(Backward {
                x,
                gradient,
                of: tanh,
            }),
            Self::Quick => simd::run(Backward {
                x,
                gradient,
                of: quick,
            }),
        }
    }

    /// `out` = x Φ(x), and `gradient`, that of it, becomes that of `x`: one look at Φ for both.
    pub(super) fn write_and_pull_back(self, x: &[f32], out: &mut [f32], gradient: &mut [f32]) {
        match self {
            Self::Erf => simd::run(Both {
                x,
                out,
                gradient,
                of: normal,
            }),
            Self::Tanh => simd::run(Both {
                x,
                out,
                gradient,
                of: tanh,
            }),
            Self::Quick => simd::run(Both {
                x,
                out,
                gradient,
                of: quick,
            }),
        }
    }
}

struct Both<'a, F> {
    x: &'a [f32],
    out: &'a mut [f32],
    gradient: &'a mut [f32],
    of: F,
}

impl<F: Fn(f32) -> (f32, f32)> Kernel for Both<'_, F> {
    #[inline(always)]
    fn run(self) {
        let places = self.out.iter_mut().zip(self.gradient);
        for ((out, g), &x) in places.zip(self.x) {
            let (cumulative, density) = (self.of)(x);
            *out = x * cumulative;
            *g *= cumulative + x * density;
        }
    }
}

struct Forward<'a, F> {
    x: &'a [f32],
    out: &'a mut [f32],
    of: F,
}

impl<F: Fn(f32) -> (f32, f32)> Kernel for Forward<'_, F> {
    #[inline(always)]
    fn run(self) {
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = x * (self.of)(x).0;
        }
    }
}

struct Backward<'a, F> {
    x: &'a [f32],
    gradient: &'a mut [f32],
    of: F,
}

impl<F: Fn(f32) -> (f32, f32)> Kernel for Backward<'_, F> {
    #[inline(always)]
    fn run(self) {
        for (g, &x) in self.gradient.iter_mut().zip(self.x) {
            let (cumulative, density) = (self.of)(x);
            *g *= cumulative + x * density;
        }
    }
}

/// Φ(x) and φ(x) of the standard normal distribution, by Abramowitz and Stegun 7.1.26, whose error of 1.5e-7 is that of
/// f32; its exponential is also the density.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let e = exp(-z * z);
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let polynomial = t
        * (0.254_829_6
            + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    let upper = 1.0 - 0.5 * polynomial * e;
    (
        if x < 0.0 { 1.0 - upper } else { upper },
        INVERSE_ROOT_TAU * e,
    )
}

#[inline(always)]
fn tanh(x: f32) -> (f32, f32) {
    let square = x * x;
    logistic(
        TWO_ROOT_2_BY_PI * x * (1.0 + CUBIC * square),
        TWO_ROOT_2_BY_PI * (1.0 + 3.0 * CUBIC * square),
    )
}

#[inline(always)]
fn quick(x: f32) -> (f32, f32) {
    logistic(QUICK * x, QUICK)
}

/// σ(logit) and its derivative by what the logit's derivative is `slope` in.
#[inline(always)]
fn logistic(logit: f32, slope: f32) -> (f32, f32) {
    let probability = 1.0 / (1.0 + exp(-logit));
    (probability, probability * (1.0 - probability) * slope)
}
