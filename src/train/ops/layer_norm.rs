//! Layer norm (arXiv 1607.06450) over the last dimension: y = (x − μ) / √(σ² + ε) · gain + bias, with the biased
//! variance. With x̂ the normalised row and h = dy · gain: dx = (h − mean(h) − x̂ mean(h x̂)) / √(σ² + ε).

use burn::tensor::{Tensor, module};
use pulp::Arch;
use rayon::prelude::*;

use super::ROWS;
use super::tape::{Fused, apply};

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

/// One task's part of the gradients that sum over rows.
struct Partial {
    d_gain: Vec<f32>,
    d_bias: Vec<f32>,
}

/// Mean and inverse deviation of every row.
type Statistics = Vec<(f32, f32)>;

impl Fused<3> for LayerNorm {
    type Saved = Statistics;

    fn forward(&self, [x, gain, bias]: [&[f32]; 3]) -> (Vec<f32>, Statistics) {
        let (arch, Self { width, epsilon }) = (Arch::new(), *self);
        let mut out = vec![0.0; x.len()];
        let mut statistics = vec![(0.0, 0.0); x.len() / width];
        let block = ROWS * width;
        out.par_chunks_mut(block)
            .zip(x.par_chunks(block))
            .zip(statistics.par_chunks_mut(ROWS))
            .for_each(|((out, x), statistics)| {
                arch.dispatch(
                    #[inline(always)]
                    || {
                        for ((out, x), statistic) in out
                            .chunks_exact_mut(width)
                            .zip(x.chunks_exact(width))
                            .zip(statistics)
                        {
                            let mean = sum(x.iter().copied()) / width as f32;
                            let variance =
                                sum(x.iter().map(|x| (x - mean) * (x - mean))) / width as f32;
                            let inverse = 1.0 / (variance + epsilon).sqrt();
                            *statistic = (mean, inverse);
                            for (((out, x), gain), bias) in
                                out.iter_mut().zip(x).zip(gain).zip(bias)
                            {
                                *out = (x - mean) * inverse * gain + bias;
                            }
                        }
                    },
                );
            });
        (out, statistics)
    }

    fn backward(
        &self,
        [x, gain, _]: [&[f32]; 3],
        statistics: &Statistics,
        gradient: &[f32],
    ) -> [Vec<f32>; 3] {
        let (arch, width) = (Arch::new(), self.width);
        let mut d_x = vec![0.0; x.len()];
        let block = ROWS * width;
        let tasks = d_x
            .par_chunks_mut(block)
            .zip(x.par_chunks(block))
            .zip(gradient.par_chunks(block))
            .zip(statistics.par_chunks(ROWS));
        let partials: Vec<Partial> = tasks
            .map(|(((d_x, x), d_y), statistics)| {
                let (mut d_gain, mut d_bias) = (vec![0.0; width], vec![0.0; width]);
                arch.dispatch(
                    #[inline(always)]
                    || {
                        for (((d_x, x), d_y), &(mean, inverse)) in d_x
                            .chunks_exact_mut(width)
                            .zip(x.chunks_exact(width))
                            .zip(d_y.chunks_exact(width))
                            .zip(statistics)
                        {
                            let rows = || d_y.iter().zip(gain).zip(x);
                            let mean_h = sum(rows().map(|((d, g), _)| d * g)) / width as f32;
                            let mean_hx =
                                sum(rows().map(|((d, g), x)| d * g * (x - mean) * inverse))
                                    / width as f32;
                            for (d_x, ((d, g), x)) in d_x.iter_mut().zip(rows()) {
                                *d_x = (d * g - mean_h - (x - mean) * inverse * mean_hx) * inverse;
                            }
                            for ((d_gain, d), x) in d_gain.iter_mut().zip(d_y).zip(x) {
                                *d_gain += d * (x - mean) * inverse;
                            }
                            for (d_bias, d) in d_bias.iter_mut().zip(d_y) {
                                *d_bias += d;
                            }
                        }
                    },
                );
                Partial { d_gain, d_bias }
            })
            .collect();
        // In order of rows, whatever the threads: the same bits each time.
        let total = |part: fn(&Partial) -> &[f32]| {
            partials.iter().fold(vec![0.0; width], |mut total, p| {
                total.iter_mut().zip(part(p)).for_each(|(t, x)| *t += x);
                total
            })
        };
        [d_x, total(|p| &p.d_gain), total(|p| &p.d_bias)]
    }
}

/// A sum in sixteen lanes, which the compiler keeps in vector registers.
#[inline(always)]
fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0; 16];
    for (i, x) in values.enumerate() {
        lanes[i % 16] += x;
    }
    lanes.iter().sum()
}
