//! Multi-head attention, softmax(q kᵀ / √d) v, one head of one example at a time: scores stay in cache, and only q, k
//! and v are kept for the backward pass, which computes the scores again.

use burn::tensor::{Tensor, activation};
use rayon::prelude::*;

use super::tape::{Fused, apply};
use crate::train::simd::{self, Kernel, exp, sum, sum3};

/// `q` is `[batch × queries, width]`, `k` and `v` `[batch × keys, width]`; the result is as `q`.
pub fn attention(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    batch: usize,
    heads: usize,
) -> Tensor<2> {
    let op = Attention {
        batch,
        heads,
        width: q.dims()[1],
    };
    apply(op, [q.clone(), k.clone(), v.clone()]).unwrap_or_else(|| unfused(q, k, v, batch, heads))
}

/// The same from burn's own operations.
pub(super) fn unfused(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    batch: usize,
    heads: usize,
) -> Tensor<2> {
    let [rows, width] = q.dims();
    let split = |x: Tensor<2>| {
        let positions = x.dims()[0] / batch;
        x.reshape([batch, positions, heads, width / heads])
            .swap_dims(1, 2)
    };
    let scale = 1.0 / ((width / heads) as f64).sqrt();
    let weights = activation::softmax(
        split(q).mul_scalar(scale).matmul(split(k).swap_dims(2, 3)),
        3,
    );
    weights
        .matmul(split(v))
        .swap_dims(1, 2)
        .reshape([rows, width])
}

#[derive(Clone, Copy, Debug)]
struct Attention {
    batch: usize,
    heads: usize,
    /// Columns of all inputs: the heads side by side.
    width: usize,
}

impl Attention {
    fn heads(&self, q: &[f32], k: &[f32]) -> impl Iterator<Item = Head> + use<> {
        let Self {
            batch,
            heads,
            width,
        } = *self;
        let (queries, keys, dim) = (
            q.len() / width / batch,
            k.len() / width / batch,
            width / heads,
        );
        (0..heads).map(move |head| Head {
            queries,
            keys,
            dim,
            width,
            column: head * dim,
        })
    }
}

impl Fused<3> for Attention {
    type Saved = ();

    fn forward(&self, [q, k, v]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        let mut out = vec![0.0; q.len()];
        let (q_rows, k_rows) = (q.len() / self.batch, k.len() / self.batch);
        let inputs = q
            .par_chunks(q_rows)
            .zip(k.par_chunks(k_rows))
            .zip(v.par_chunks(k_rows));
        out.par_chunks_mut(q_rows)
            .zip(inputs)
            .for_each(|(out, ((q_one, k_one), v_one))| {
                for head in self.heads(q, k) {
                    simd::run(Forward {
                        head,
                        inputs: [q_one, k_one, v_one],
                        out,
                    });
                }
            });
        (out, ())
    }

    fn backward(&self, [q, k, v]: [&[f32]; 3], (): &(), gradient: &[f32]) -> [Vec<f32>; 3] {
        let (mut d_q, mut d_k, mut d_v) =
            (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        let (q_rows, k_rows) = (q.len() / self.batch, k.len() / self.batch);
        let inputs = q
            .par_chunks(q_rows)
            .zip(k.par_chunks(k_rows))
            .zip(v.par_chunks(k_rows));
        let outputs = d_q
            .par_chunks_mut(q_rows)
            .zip(d_k.par_chunks_mut(k_rows))
            .zip(d_v.par_chunks_mut(k_rows));
        let tasks = inputs.zip(gradient.par_chunks(q_rows)).zip(outputs);
        tasks.for_each(|((((q_one, k_one), v_one), d_out), ((d_q, d_k), d_v))| {
            for head in self.heads(q, k) {
                simd::run(Backward {
                    head,
                    inputs: [q_one, k_one, v_one],
                    d_out,
                    gradients: [&mut *d_q, &mut *d_k, &mut *d_v],
                });
            }
        });
        [d_q, d_k, d_v]
    }
}

struct Forward<'a> {
    head: Head,
    inputs: [&'a [f32]; 3],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run(self) {
        self.head.forward(self.inputs, self.out);
    }
}

struct Backward<'a> {
    head: Head,
    inputs: [&'a [f32]; 3],
    d_out: &'a [f32],
    gradients: [&'a mut [f32]; 3],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run(self) {
        self.head.backward(self.inputs, self.d_out, self.gradients);
    }
}

/// One head of one example: slices hold the rows of all heads, `width` apart.
#[derive(Clone, Copy)]
struct Head {
    queries: usize,
    keys: usize,
    dim: usize,
    width: usize,
    /// First column of the head.
    column: usize,
}

impl Head {
    #[inline(always)]
    fn row<'a>(&self, x: &'a [f32], row: usize) -> &'a [f32] {
        &x[row * self.width + self.column..][..self.dim]
    }

    #[inline(always)]
    fn row_mut<'a>(&self, x: &'a mut [f32], row: usize) -> &'a mut [f32] {
        &mut x[row * self.width + self.column..][..self.dim]
    }

    /// The head's columns of `x`, `[dim, keys]`, times `scale`: loops over keys are then over neighbours.
    #[inline(always)]
    fn transposed(&self, x: &[f32], scale: f32) -> Vec<f32> {
        let mut out = vec![0.0; self.dim * self.keys];
        for key in 0..self.keys {
            for (c, value) in self.row(x, key).iter().enumerate() {
                out[c * self.keys + key] = scale * value;
            }
        }
        out
    }

    fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }

    /// `out[j] = Σ_c x[c] · columns[c, j]`.
    #[inline(always)]
    fn products(&self, x: &[f32], columns: &[f32], out: &mut [f32]) {
        out.fill(0.0);
        for (x, column) in x.iter().zip(columns.chunks_exact(self.keys)) {
            for (out, c) in out.iter_mut().zip(column) {
                *out += x * c;
            }
        }
    }

    #[inline(always)]
    fn softmax(scores: &mut [f32]) {
        let max = scores.iter().fold(f32::NEG_INFINITY, |m, &s| m.max(s));
        for s in scores.iter_mut() {
            *s = exp(*s - max);
        }
        let inverse = 1.0 / sum(scores, |s| s);
        for s in scores.iter_mut() {
            *s *= inverse;
        }
    }

    #[inline(always)]
    fn forward(&self, [q, k, v]: [&[f32]; 3], out: &mut [f32]) {
        let columns = self.transposed(k, self.scale());
        let mut weights = vec![0.0; self.keys];
        for query in 0..self.queries {
            self.products(self.row(q, query), &columns, &mut weights);
            Self::softmax(&mut weights);
            let out = self.row_mut(out, query);
            for (key, weight) in weights.iter().enumerate() {
                add_scaled(out, *weight, self.row(v, key));
            }
        }
    }

    /// With weights p and s = q kᵀ / √d: dv_j = Σ_i p_ij do_i, dp_ij = do_i · v_j, ds_ij = p_ij (dp_ij − Σ_j p_ij dp_ij).
    #[inline(always)]
    fn backward(&self, [q, k, v]: [&[f32]; 3], d_out: &[f32], [d_q, d_k, d_v]: [&mut [f32]; 3]) {
        let (k_columns, v_columns) = (self.transposed(k, self.scale()), self.transposed(v, 1.0));
        let (mut weights, mut d_weights) = (vec![0.0; self.keys], vec![0.0; self.keys]);
        for query in 0..self.queries {
            let (q_row, d_row) = (self.row(q, query), self.row(d_out, query));
            self.products(q_row, &k_columns, &mut weights);
            Self::softmax(&mut weights);
            self.products(d_row, &v_columns, &mut d_weights);
            let mean = sum3(&weights, &d_weights, &weights, |p, d, _| p * d);
            for key in 0..self.keys {
                let (p, d_score) = (
                    weights[key],
                    weights[key] * (d_weights[key] - mean) * self.scale(),
                );
                add_scaled(self.row_mut(d_v, key), p, d_row);
                add_scaled(self.row_mut(d_k, key), d_score, q_row);
                add_scaled(self.row_mut(d_q, query), d_score, self.row(k, key));
            }
        }
    }
}

#[inline(always)]
fn add_scaled(out: &mut [f32], factor: f32, x: &[f32]) {
    for (out, x) in out.iter_mut().zip(x) {
        *out += factor * x;
    }
}
