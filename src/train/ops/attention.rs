//! Multi-head attention, softmax(q kᵀ / √d) v, one head of one example at a time: scores stay in cache, and only q, k
//! and v are kept for the backward pass, which computes the scores again.

use burn::tensor::{Bool, Tensor, activation};
use rayon::prelude::*;

use super::product::{Left, Matrix, Panels, Precision, Room, Sums, multiply};
use super::tape::{Fused, apply};
use crate::train::simd::{self, Kernel, exp, greatest, sum, sum3};

/// `q` is `[batch × queries, width]`, `k` and `v` `[batch × keys, width]`; the result is as `q`. With `causal` no query
/// sees a key after its own place.
///
/// # Panics
/// When `causal` queries and keys are not as many.
pub fn attention(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    batch: usize,
    heads: usize,
    causal: bool,
) -> Tensor<2> {
    let ([rows, width], [key_rows, _]) = (q.dims(), k.dims());
    assert!(!causal || rows == key_rows, "a place for each query");
    let op = Attention {
        queries: rows / batch,
        keys: key_rows / batch,
        heads,
        width,
        causal,
    };
    let inputs = [q.clone(), k.clone(), v.clone()];
    apply(op, inputs).unwrap_or_else(|| unfused(q, k, v, batch, heads, causal))
}

/// The same from burn's own operations.
pub(super) fn unfused(
    q: Tensor<2>,
    k: Tensor<2>,
    v: Tensor<2>,
    batch: usize,
    heads: usize,
    causal: bool,
) -> Tensor<2> {
    let [rows, width] = q.dims();
    let split = |x: Tensor<2>| {
        let positions = x.dims()[0] / batch;
        x.reshape([batch, positions, heads, width / heads])
            .swap_dims(1, 2)
    };
    let scale = 1.0 / ((width / heads) as f64).sqrt();
    let device = q.device();
    let mut scores = split(q).mul_scalar(scale).matmul(split(k).swap_dims(2, 3));
    if causal {
        let places = rows / batch;
        let later = Tensor::<2, Bool>::tril_mask([places, places], 0, &device);
        scores = scores.mask_fill(later.unsqueeze(), f32::NEG_INFINITY);
    }
    activation::softmax(scores, 3)
        .matmul(split(v))
        .swap_dims(1, 2)
        .reshape([rows, width])
}

/// The shape of attention in one example.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    pub queries: usize,
    pub keys: usize,
    pub heads: usize,
    /// Columns of all inputs: the heads side by side.
    pub width: usize,
    pub causal: bool,
}

/// Scores are differences of large numbers: whatever the precision of other products, theirs is f32.
const PRECISION: Precision = Precision::F32;

/// What one head needs for a while.
#[derive(Default)]
pub(super) struct Scratch {
    panels: Panels,
    room: Room,
    weights: Vec<f32>,
    d_weights: Vec<f32>,
}

impl Fused<3> for Attention {
    const NAME: &str = "attention";

    type Saved = ();

    fn forward(&self, [q, k, v]: [&[f32]; 3], _: bool) -> (Vec<f32>, ()) {
        let mut out = vec![0.0; q.len()];
        let (q_rows, k_rows) = (self.queries * self.width, self.keys * self.width);
        let inputs = q
            .par_chunks(q_rows)
            .zip(k.par_chunks(k_rows))
            .zip(v.par_chunks(k_rows));
        out.par_chunks_mut(q_rows).zip(inputs).for_each_init(
            Scratch::default,
            |scratch, (out, ((q, k), v))| {
                self.mix([q, k, v], out, scratch);
            },
        );
        (out, ())
    }

    fn backward(
        &self,
        [q, k, v]: [&[f32]; 3],
        (): &(),
        gradient: &[f32],
        _: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let (mut d_q, mut d_k, mut d_v) =
            (vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]);
        let (q_rows, k_rows) = (self.queries * self.width, self.keys * self.width);
        let inputs = q
            .par_chunks(q_rows)
            .zip(k.par_chunks(k_rows))
            .zip(v.par_chunks(k_rows));
        let outputs = d_q
            .par_chunks_mut(q_rows)
            .zip(d_k.par_chunks_mut(k_rows))
            .zip(d_v.par_chunks_mut(k_rows));
        let tasks = inputs.zip(gradient.par_chunks(q_rows)).zip(outputs);
        tasks.for_each_init(
            Scratch::default,
            |scratch, ((((q, k), v), d_out), ((d_q, d_k), d_v))| {
                self.pull_back([q, k, v], d_out, [d_q, d_k, d_v], scratch);
            },
        );
        [d_q, d_k, d_v]
    }

    #[cfg(feature = "tch")]
    fn on_torch(&self, inputs: [&tch::Tensor; 3]) -> tch::Tensor {
        crate::train::torch::functions::attention(inputs, self)
    }
}

impl Attention {
    /// Values of one example: `q` and `out` are `[queries, width]`, `k` and `v` `[keys, width]`.
    pub(super) fn mix(&self, inputs: [&[f32]; 3], out: &mut [f32], scratch: &mut Scratch) {
        for column in self.columns() {
            let [q, k, v] = inputs.map(|x| self.head(x, column));
            scratch.weights.resize(self.queries * self.keys, 0.0);
            let Scratch {
                panels,
                room,
                weights,
                ..
            } = &mut *scratch;
            self.weigh(q, k, weights, (panels, room));
            let weights = Left::Plain(Matrix::new(weights, self.keys));
            let out = Sums::set(&mut out[column..], self.width);
            multiply(weights, panels.pack(v, PRECISION), None, out, room);
        }
    }

    /// Gradients of one example from that of its result. With weights p and s = q kᵀ / √d: dv_j = Σ_i p_ij do_i,
    /// dp_ij = do_i · v_j, ds_ij = p_ij (dp_ij − Σ_j p_ij dp_ij).
    pub(super) fn pull_back(
        &self,
        inputs: [&[f32]; 3],
        d_out: &[f32],
        [d_q, d_k, d_v]: [&mut [f32]; 3],
        scratch: &mut Scratch,
    ) {
        let Scratch {
            panels,
            room,
            weights,
            d_weights,
        } = scratch;
        weights.resize(self.queries * self.keys, 0.0);
        d_weights.resize(self.queries * self.keys, 0.0);
        for column in self.columns() {
            let [q, k, v] = inputs.map(|x| self.head(x, column));
            let d_out = self.head(d_out, column);
            self.weigh(q, k, weights, (panels, room));
            let p = Matrix::new(weights, self.keys);
            let d_v = Sums::set(&mut d_v[column..], self.width);
            multiply(
                Left::Transposed(p),
                panels.pack(d_out, PRECISION),
                None,
                d_v,
                room,
            );
            let d_p = Sums::set(d_weights, self.keys);
            multiply(
                Left::Plain(d_out),
                panels.pack_transposed(v, PRECISION),
                None,
                d_p,
                room,
            );
            simd::run(Scores {
                keys: self.keys,
                weights,
                d_weights,
                scale: self.scale(),
            });
            let d_s = Matrix::new(d_weights, self.keys);
            let d_q = Sums::set(&mut d_q[column..], self.width);
            multiply(Left::Plain(d_s), panels.pack(k, PRECISION), None, d_q, room);
            let d_k = Sums::set(&mut d_k[column..], self.width);
            multiply(
                Left::Transposed(d_s),
                panels.pack(q, PRECISION),
                None,
                d_k,
                room,
            );
        }
    }

    /// `weights` `[queries, keys]` of one head.
    fn weigh(
        &self,
        q: Matrix,
        k: Matrix,
        weights: &mut [f32],
        (panels, room): (&mut Panels, &mut Room),
    ) {
        let scores = Sums::set(weights, self.keys);
        multiply(
            Left::Plain(q),
            panels.pack_transposed(k, PRECISION),
            None,
            scores,
            room,
        );
        simd::run(Softmax {
            keys: self.keys,
            weights,
            scale: self.scale(),
            causal: self.causal,
        });
    }

    /// The first column of every head.
    fn columns(&self) -> impl Iterator<Item = usize> + use<> {
        (0..self.width).step_by(self.width / self.heads)
    }

    fn head<'a>(&self, x: &'a [f32], column: usize) -> Matrix<'a> {
        Matrix::new(x, self.width).narrow(column, self.width / self.heads)
    }

    fn scale(&self) -> f32 {
        1.0 / ((self.width / self.heads) as f32).sqrt()
    }
}

/// Scores become weights, row by row.
struct Softmax<'a> {
    keys: usize,
    weights: &'a mut [f32],
    scale: f32,
    causal: bool,
}

impl Kernel for Softmax<'_> {
    #[inline(always)]
    fn run(self) {
        for (query, row) in self.weights.chunks_exact_mut(self.keys).enumerate() {
            let visible = if self.causal { query + 1 } else { self.keys };
            let (row, hidden) = row.split_at_mut(visible);
            hidden.fill(0.0);
            let most = greatest(row);
            for s in row.iter_mut() {
                *s = exp((*s - most) * self.scale);
            }
            let inverse = 1.0 / sum(row, |s| s);
            for s in row {
                *s *= inverse;
            }
        }
    }
}

/// The gradients of weights become those of q kᵀ, row by row.
struct Scores<'a> {
    keys: usize,
    weights: &'a [f32],
    d_weights: &'a mut [f32],
    scale: f32,
}

impl Kernel for Scores<'_> {
    #[inline(always)]
    fn run(self) {
        let rows = self.d_weights.chunks_exact_mut(self.keys);
        for (d, p) in rows.zip(self.weights.chunks_exact(self.keys)) {
            let mean = sum3(p, d, p, |p, d, _| p * d);
            for (d, p) in d.iter_mut().zip(p) {
                *d = p * (*d - mean) * self.scale;
            }
        }
    }
}
