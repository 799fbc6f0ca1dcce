//! The softmax loss of CLIP (InfoNCE; arXiv 2103.00020), in two passes over tiles in closed form.
//!
//! With logits l_ij = t x_i·y_j, t = exp t', R_i and C_j the log-sum-exp of row i and column j:
//!
//! L = (1/2B) Σ_i (R_i + C_i − 2 l_ii),  g_ij = ∂L/∂l_ij = [exp(l_ij − R_i) + exp(l_ij − C_j) − 2·1(i = j)] / 2B,
//! ∂L/∂x_i = t Σ_j g_ij y_j,  ∂L/∂y_j = t Σ_i g_ij x_i,  ∂L/∂t' = Σ_ij g_ij l_ij. A bias cancels.
//!
//! The first trip of the text chunks round the ring merges the log-sum-exps, the second forms the gradients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ring::{Chunk, trip};
use super::tile::{Real, Rows, log_add_exp, softplus_and_sigmoid};
use super::{LossOutput, Pairs};
use crate::train::mesh::{Mesh, RankLost};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SoftmaxConfig {
    /// t' = ln t, the log of the logit scale.
    pub log_t: LogT,
}

/// t' = ln t, the log of the logit scale; CLIP starts at t = 1 / 0.07.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogT {
    /// Where it starts.
    pub init: f64,
    /// False keeps t' at `init`.
    pub learned: bool,
    /// Keeps the logit scale t between 1 and this after each update, as CLIP does with 100; 0 is off.
    pub clamp: f64,
}

impl Default for LogT {
    fn default() -> Self {
        Self {
            init: (1.0_f64 / 0.07).ln(),
            learned: true,
            clamp: 0.0,
        }
    }
}

/// This rank's part of the loss; see [`Pairs`] for what goes in and [`LossOutput`] for what comes out.
///
/// Log-sum-exps are kept in f64, those of the negatives apart from the pair's own logit l_ii: then
/// R_i − l_ii = softplus(N_i − l_ii) keeps its digits when a trained model makes it tiny.
pub fn softmax<T: Real>(
    mesh: &Mesh,
    pairs: Pairs<T>,
    log_t: f64,
) -> Result<LossOutput<T>, RankLost> {
    let image = Rows::new(pairs.image, pairs.dim);
    let (scale, count) = (log_t.exp(), image.count());
    let mut out = LossOutput::default();
    let mut row_lse = vec![f64::NEG_INFINITY; count];
    let mut own_logit = vec![0.0; count];

    let chunk = Chunk::at_home(mesh, pairs.text, pairs.dim, f64::NEG_INFINITY);
    let mut chunk = trip(mesh, image, chunk, pairs.tile, None, |square| {
        let width = square.width();
        for (row, line) in square.values.chunks_exact(width).enumerate() {
            let (index, partner) = (square.rows.start + row, square.partner(row));
            for (column, s) in line.iter().enumerate() {
                let logit = scale * s.wide();
                if partner == Some(column) {
                    own_logit[index] = logit;
                    out.positive.add(logit);
                } else {
                    out.negative.add(logit);
                }
            }
            let others = line.iter().enumerate();
            let others = others.filter(|(column, _)| partner != Some(*column));
            merge(&mut row_lse[index], scale, others.map(|(_, s)| *s));
        }
        for column in 0..width {
            let others = square.values[column..].iter().step_by(width).enumerate();
            let others = others.filter(|(row, _)| square.partner(*row) != Some(column));
            let mut lse = square.lse[column];
            merge(&mut lse, scale, others.map(|(_, s)| *s));
            square.lse[column] = lse;
        }
    })?;

    // The chunk is at home: the pair's own logit completes both log-sum-exps, and gives the loss.
    let total = 2.0 * pairs.batch as f64;
    let mut own_gradient = vec![0.0; count];
    for i in 0..count {
        for lse in [&mut row_lse[i], &mut chunk.lse[i]] {
            let (loss, rest) = softplus_and_sigmoid(*lse - own_logit[i]);
            out.loss += loss / total;
            own_gradient[i] -= rest;
            *lse = log_add_exp(*lse, own_logit[i]);
        }
    }

    let mut d_image = vec![T::zero(); image.data.len()];
    let chunk = trip(
        mesh,
        image,
        chunk,
        pairs.tile,
        Some(&mut d_image),
        |square| {
            for row in 0..square.rows.len() {
                let (width, partner) = (square.width(), square.partner(row));
                let index = square.rows.start + row;
                let line = &mut square.values[row * width..][..width];
                for (column, (s, column_lse)) in line.iter_mut().zip(&*square.lse).enumerate() {
                    let logit = scale * s.wide();
                    let share = |lse: f64| T::of(logit - lse).exp().wide();
                    let g = if partner == Some(column) {
                        own_gradient[index]
                    } else {
                        share(row_lse[index]) + share(*column_lse)
                    };
                    out.d_log_t += g * logit / total;
                    *s = T::of(g * scale / total);
                }
            }
        },
    )?;
    (out.d_image, out.d_text) = (d_image, chunk.d_text);
    Ok(out)
}

/// Take the logits of some similarities into a log-sum-exp.
fn merge<T: Real>(lse: &mut f64, scale: f64, similarities: impl Iterator<Item = T> + Clone) {
    let max = scale * similarities.clone().fold(T::neg_infinity(), T::max).wide();
    if max > f64::NEG_INFINITY {
        let sum: f64 = similarities
            .map(|s| T::of(scale * s.wide() - max).exp().wide())
            .sum();
        *lse = log_add_exp(*lse, max + sum.ln());
    }
}
