//! GELU (arXiv 1606.08415): x Φ(x), with the normal distribution function by Abramowitz and Stegun 7.1.26, whose
//! error of 1.5e-7 is that of f32; its exponential is also the density that the derivative Φ(x) + x φ(x) needs.

use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use super::tape::{Fused, apply};
use crate::train::simd::{self, Kernel, exp};

/// Elementwise, any matrix.
pub fn gelu(x: Tensor<2>) -> Tensor<2> {
    apply(Gelu, [x.clone()]).unwrap_or_else(|| activation::gelu(x))
}

#[derive(Clone, Copy, Debug)]
struct Gelu;

/// Elements that one task takes.
const BLOCK: usize = 1 << 14;

impl Fused<1> for Gelu {
    type Saved = ();

    fn forward(&self, [x]: [&[f32]; 1]) -> (Vec<f32>, ()) {
        let mut out = vec![0.0; x.len()];
        let blocks = out.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
        blocks.for_each(|(out, x)| simd::run(Forward { x, out }));
        (out, ())
    }

    fn backward(&self, [x]: [&[f32]; 1], (): &(), gradient: &[f32]) -> [Vec<f32>; 1] {
        let mut out = vec![0.0; x.len()];
        let inputs = x.par_chunks(BLOCK).zip(gradient.par_chunks(BLOCK));
        let blocks = out.par_chunks_mut(BLOCK).zip(inputs);
        blocks.for_each(|(out, (x, gradient))| simd::run(Backward { x, gradient, out }));
        [out]
    }
}

struct Forward<'a> {
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        for (out, &x) in self.out.iter_mut().zip(self.x) {
            *out = x * distribution(x).0;
        }
    }
}

struct Backward<'a> {
    x: &'a [f32],
    gradient: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        for ((out, &x), &g) in self.out.iter_mut().zip(self.x).zip(self.gradient) {
            let (cumulative, density) = distribution(x);
            *out = g * (cumulative + x * density);
        }
    }
}

/// Φ(x) and φ(x) of the standard normal distribution.
#[inline(always)]
fn distribution(x: f32) -> (f32, f32) {
    const INVERSE_ROOT_TAU: f32 = 0.398_942_3;
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
