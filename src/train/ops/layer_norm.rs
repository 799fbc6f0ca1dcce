//! Layer norm (arXiv 1607.06450) over the last dimension: y = (x − μ) / √(σ² + ε) · gain + bias, with the biased
//! variance. With x̂ the normalised row and h = dy · gain: dx = (h − mean(h) − x̂ mean(h x̂)) / √(σ² + ε).

use burn::tensor::{Tensor, module};
use rayon::prelude::*;

use super::ROWS;
use super::tape::{Fused, apply};
use crate::train::simd::{self, AddRows, Kernel, sum, sum3};

/// `x` is `[rows, width]`, `gain` and `bias` `[width]`.
pub fn layer_norm(x: Tensor<2>, gain: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let width = gain.dims()[0];
    let op = LayerNorm {
        width,
        epsilon: epsilon as f32,
    };
    apply(
        op,
        [
            x.clone(),
            gain.clone().unsqueeze(),
            bias.clone().unsqueeze(),
        ],
    )
    .unwrap_or_else(|| module::layer_norm(x, gain, Some(bias), epsilon))
}

#[derive(Clone, Copy, Debug)]
struct LayerNorm {
    width: usize,
    epsilon: f32,
}

/// Mean and inverse deviation of every row.
pub(super) type Statistics = Vec<(f32, f32)>;

impl Fused<3> for LayerNorm {
    const NAME: &str = "layer norm";

    type Saved = Statistics;

    fn forward(&self, [x, gain, bias]: [&[f32]; 3], _: bool) -> (Vec<f32>, Statistics) {
        let Self { width, epsilon } = *self;
        let mut out = vec![0.0; x.len()];
        let mut statistics = vec![(0.0, 0.0); x.len() / width];
        let block = ROWS * width;
        let outputs = out
            .par_chunks_mut(block)
            .zip(statistics.par_chunks_mut(ROWS));
        outputs
            .zip(x.par_chunks(block))
            .for_each(|((out, statistics), x)| {
                simd::run(Forward {
                    x,
                    gain,
                    bias,
                    epsilon,
                    out,
                    statistics,
                });
            });
        (out, statistics)
    }

    fn backward(
        &self,
        [x, gain, _]: [&[f32]; 3],
        statistics: &Statistics,
        gradient: &[f32],
        _: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let width = self.width;
        let mut d_x = vec![0.0; x.len()];
        let block = ROWS * width;
        let inputs = x
            .par_chunks(block)
            .zip(gradient.par_chunks(block))
            .zip(statistics.par_chunks(ROWS));
        let partials: Vec<[Vec<f32>; 2]> = d_x
            .par_chunks_mut(block)
            .zip(inputs)
            .map(|(d_x, ((x, d_y), statistics))| {
                let [mut d_gain, mut d_bias] = [vec![0.0; width], vec![0.0; width]];
                simd::run(Backward {
                    x,
                    gain,
                    statistics,
                    d_y,
                    d_x,
                    d_gain: &mut d_gain,
                    d_bias: &mut d_bias,
                });
                [d_gain, d_bias]
            })
            .collect();
        // In order of rows, whatever the threads: the same bits each time.
        let total = |part: usize| {
            let mut total = vec![0.0; width];
            for partial in &partials {
                simd::run(AddRows {
                    rows: &partial[part],
                    sums: &mut total,
                });
            }
            total
        };
        [d_x, total(0), total(1)]
    }

    #[cfg(feature = "tch")]
    fn on_torch(&self, [x, gain, bias]: [&tch::Tensor; 3]) -> tch::Tensor {
        crate::train::torch::functions::layer_norm(x, gain, bias, self.epsilon.into())
    }
}

/// `out` and the `statistics` of `x`.
pub(super) struct Forward<'a> {
    pub x: &'a [f32],
    pub gain: &'a [f32],
    pub bias: &'a [f32],
    pub epsilon: f32,
    pub out: &'a mut [f32],
    pub statistics: &'a mut [(f32, f32)],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.gain.len();
        let rows = self
            .x
            .chunks_exact(width)
            .zip(self.out.chunks_exact_mut(width));
        for ((x, out), statistic) in rows.zip(self.statistics) {
            let mean = sum(x, |x| x) / width as f32;
            let variance = sum(x, |x| (x - mean) * (x - mean)) / width as f32;
            let inverse = 1.0 / (variance + self.epsilon).sqrt();
            *statistic = (mean, inverse);
            for (((out, x), gain), bias) in out.iter_mut().zip(x).zip(self.gain).zip(self.bias) {
                *out = (x - mean) * inverse * gain + bias;
            }
        }
    }
}

/// Adds to the gradients of `x`, gain and bias.
pub(super) struct Backward<'a> {
    pub x: &'a [f32],
    pub gain: &'a [f32],
    pub statistics: &'a [(f32, f32)],
    pub d_y: &'a [f32],
    pub d_x: &'a mut [f32],
    pub d_gain: &'a mut [f32],
    pub d_bias: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        let gain = self.gain;
        let width = gain.len();
        let rows = self.x.chunks_exact(width).zip(self.d_y.chunks_exact(width));
        let rows = rows.zip(self.d_x.chunks_exact_mut(width));
        for (((x, d_y), d_x), &(mean, inverse)) in rows.zip(self.statistics) {
            let mean_h = sum3(d_y, gain, x, |d, g, _| d * g) / width as f32;
            let mean_hx = sum3(d_y, gain, x, |d, g, x| d * g * (x - mean) * inverse) / width as f32;
            for (((d_x, d), g), x) in d_x.iter_mut().zip(d_y).zip(gain).zip(x) {
                *d_x += (d * g - mean_h - (x - mean) * inverse * mean_hx) * inverse;
            }
            for ((d_gain, d), x) in self.d_gain.iter_mut().zip(d_y).zip(x) {
                *d_gain += d * (x - mean) * inverse;
            }
            for (d_bias, d) in self.d_bias.iter_mut().zip(d_y) {
                *d_bias += d;
            }
        }
    }
}
