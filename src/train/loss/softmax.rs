//! The softmax loss of CLIP (InfoNCE; arXiv 2103.00020), in two passes over tiles in closed form.
//!
//! With logits l_ij = t x_i·y_j, t = exp t', R_i and C_j the log-sum-exp of row i and column j:
//!
//! L = (1/2B) Σ_i (R_i + C_i − 2 l_ii),  g_ij = ∂L/∂l_ij = [exp(l_ij − R_i) + exp(l_ij − C_j) − 2·1(i = j)] / 2B,
//! ∂L/∂x_i = t Σ_j g_ij y_j,  ∂L/∂y_j = t Σ_i g_ij x_i,  ∂L/∂t' = Σ_ij g_ij l_ij. A bias cancels.
//!
//! The first trip of the text chunks round the ring merges the log-sum-exps, the second forms the gradients.

use serde::{Deserialize, Serialize};

use super::tile::{
    Real, Rows, add_product, add_transposed_product, log_add_exp, similarities,
    softplus_and_sigmoid,
};
use super::{LossOutput, Pairs, tiles};
use crate::train::mesh::{Mesh, RankLost};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftmaxConfig {
    pub log_t: LogT,
}

/// t' = ln t, the log of the logit scale; CLIP starts at t = 1 / 0.07.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogT {
    pub init: f64,
    /// False keeps t' at `init`.
    pub learned: bool,
}

impl Default for LogT {
    fn default() -> Self {
        Self {
            init: (1.0_f64 / 0.07).ln(),
            learned: true,
        }
    }
}

struct Travelling<T> {
    owner: usize,
    text: Vec<T>,
    d_text: Vec<T>,
    /// First trip: the log-sum-exp of each text's negatives met so far. Second trip: C_j.
    lse: Vec<f64>,
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
    let Pairs {
        image,
        text,
        dim,
        batch,
        tile,
    } = pairs;
    let image = Rows::new(image, dim);
    let scale = log_t.exp();
    let count = image.count();
    let mut out = LossOutput::zeros(image.data.len());
    let mut scratch = vec![T::zero(); tile.min(count.max(1)) * tile.min(batch)];
    let mut row_lse = vec![f64::NEG_INFINITY; count];
    let mut own_logit = vec![0.0; count];
    let d_text = vec![T::zero(); text.len()];
    let mut travelling = Travelling {
        owner: mesh.rank(),
        text,
        d_text,
        lse: vec![f64::NEG_INFINITY; count],
    };

    for _ in 0..mesh.size() {
        let own = travelling.owner == mesh.rank();
        let text = Rows::new(&travelling.text, dim);
        for (rows, columns) in tiles(count, text.count(), tile) {
            let (x, y) = (image.range(rows.clone()), text.range(columns.clone()));
            let square = &mut scratch[..x.count() * y.count()];
            similarities(x, y, square);
            let is_pair =
                |row: usize, column: usize| own && rows.start + row == columns.start + column;
            for (row, line) in square.chunks_exact(y.count()).enumerate() {
                for (column, s) in line.iter().enumerate() {
                    let logit = scale * s.wide();
                    if is_pair(row, column) {
                        own_logit[rows.start + row] = logit;
                        out.positive.add(logit);
                    } else {
                        out.negative.add(logit);
                    }
                }
                let negatives = line
                    .iter()
                    .enumerate()
                    .filter(|(column, _)| !is_pair(row, *column));
                merge(
                    &mut row_lse[rows.start + row],
                    scale,
                    negatives.map(|(_, s)| *s),
                );
            }
            for (column, lse) in travelling.lse[columns.clone()].iter_mut().enumerate() {
                let line = square[column..].iter().step_by(y.count()).enumerate();
                merge(
                    lse,
                    scale,
                    line.filter(|(row, _)| !is_pair(*row, column))
                        .map(|(_, s)| *s),
                );
            }
        }
        travelling = mesh.shift(travelling)?;
    }

    // The chunk is at home: the pair's own logit completes both log-sum-exps, and gives the loss.
    let total = 2.0 * batch as f64;
    let own_gradient: Vec<f64> = (0..count)
        .map(|i| {
            let ((row_loss, row_rest), (column_loss, column_rest)) = (
                softplus_and_sigmoid(row_lse[i] - own_logit[i]),
                softplus_and_sigmoid(travelling.lse[i] - own_logit[i]),
            );
            out.loss += (row_loss + column_loss) / total;
            row_lse[i] = log_add_exp(row_lse[i], own_logit[i]);
            travelling.lse[i] = log_add_exp(travelling.lse[i], own_logit[i]);
            -(row_rest + column_rest)
        })
        .collect();

    for _ in 0..mesh.size() {
        let own = travelling.owner == mesh.rank();
        let text = Rows::new(&travelling.text, dim);
        for (rows, columns) in tiles(count, text.count(), tile) {
            let (x, y) = (image.range(rows.clone()), text.range(columns.clone()));
            let square = &mut scratch[..x.count() * y.count()];
            similarities(x, y, square);
            for (row, line) in rows.clone().zip(square.chunks_exact_mut(y.count())) {
                for (column, s) in columns.clone().zip(line.iter_mut()) {
                    let logit = scale * s.wide();
                    let g = if own && row == column {
                        own_gradient[row]
                    } else {
                        let share = |lse: f64| T::of(logit - lse).exp();
                        (share(row_lse[row]) + share(travelling.lse[column])).wide()
                    };
                    out.d_log_t += g * logit / total;
                    *s = T::of(g * scale / total);
                }
            }
            add_product(
                square,
                y,
                &mut out.d_image[rows.start * dim..rows.end * dim],
            );
            add_transposed_product(
                square,
                x,
                &mut travelling.d_text[columns.start * dim..columns.end * dim],
            );
        }
        travelling = mesh.shift(travelling)?;
    }
    out.d_text = travelling.d_text;
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
