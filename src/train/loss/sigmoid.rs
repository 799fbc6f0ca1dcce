//! The sigmoid loss of SigLIP (arXiv 2303.15343, Algorithm 1), value and every gradient in one pass in closed form.
//!
//! With logits l_ij = t x_i·y_j + b, t = exp t', and z_ij = +1 on the diagonal, −1 elsewhere:
//!
//! L = (1/B) Σ_ij softplus(−z_ij l_ij),  g_ij = ∂L/∂l_ij = −z_ij σ(−z_ij l_ij) / B,
//! ∂L/∂x_i = t Σ_j g_ij y_j,  ∂L/∂y_j = t Σ_i g_ij x_i,  ∂L/∂t' = Σ_ij g_ij (l_ij − b),  ∂L/∂b = Σ_ij g_ij.
//!
//! A tile's share depends on the tile alone, so nothing is saved and memory is one tile. Images stay with their
//! rank; each chunk of texts travels round the ring with the buffer of its gradient and comes home after `size` hops.
//!
//! With `normalisation = "pairs"` the sums are divided by B² in place of B. When [`negatives`](super::negatives) leaves
//! pairs out, all sums are over the pairs that count, and the divisor stays: the paper does not say whether it divided
//! by less.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::logits::{BiasInit, Line};
use super::negatives::{NegativesConfig, select};
use super::ring::{Chunk, trip};
use super::tile::{Extent, Real, Rows, softplus_and_sigmoid};
use super::{LossOutput, Pairs};
use crate::train::mesh::{Mesh, RankLost};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SigmoidConfig {
    /// t' = ln t, the log of the logit scale.
    pub log_t: LogT,
    /// b, added to every logit.
    pub bias: BiasConfig,
    /// Which negatives count.
    pub negatives: NegativesConfig,
    /// Which pairs are positives.
    pub positives: Positives,
    /// What the sum over pairs is divided by.
    pub normalisation: Normalisation,
}

/// Which pairs of a batch are positives; all others are negatives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Positives {
    /// An image and its own text.
    #[default]
    Pair,
    /// Every image and text of the same class: nothing that matches is pushed apart, as it is in a batch with several pairs
    /// of a class. Wants `negatives.keep = "all"` and a number for `bias.init`.
    Class,
}

/// What the sum over pairs is divided by. The optimiser's updates hardly depend on it, as AdamW divides by the gradient's
/// size; `optim.eps` and `optim.clip_norm` do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// The global batch size B, so that each positive counts alike at every B (SigLIP).
    #[default]
    Batch,
    /// The number of pairs, B²: a mean over all of them.
    Pairs,
}

impl Normalisation {
    /// The divisor for a global batch of `batch` pairs.
    pub fn divisor(self, batch: usize) -> f64 {
        let batch = batch as f64;
        match self {
            Self::Batch => batch,
            Self::Pairs => batch * batch,
        }
    }
}

/// t' = ln t, the log of the logit scale.
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
            init: std::f64::consts::LN_10,
            learned: true,
            clamp: 0.0,
        }
    }
}

/// b, added to every logit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BiasConfig {
    /// Where it starts.
    pub init: BiasInit,
    /// Whether there is a bias, and whether it is learned.
    pub mode: BiasMode,
    /// True makes the logits t (x·y - b), as in arXiv 2509.18552: b is then a similarity, the one of even odds, and a change
    /// of t turns the logits about it. False is t x·y + b.
    pub relative: bool,
}

impl Default for BiasConfig {
    fn default() -> Self {
        Self {
            init: BiasInit::Number(-10.0),
            mode: BiasMode::Learned,
            relative: false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BiasMode {
    Learned,
    /// Stays at `init`.
    Frozen,
    /// No bias: `init` is not used.
    None,
}

/// This rank's part of the loss; see [`Pairs`] for what goes in and [`LossOutput`] for what comes out.
pub fn sigmoid<T: Real>(
    config: &SigmoidConfig,
    mesh: &Mesh,
    pairs: Pairs<T>,
    log_t: f64,
    bias: f64,
) -> Result<LossOutput<T>, RankLost> {
    let image = Rows::new(pairs.image, pairs.dim);
    let line = Line::new(log_t, bias, config.bias.relative);
    let logits = Logits {
        scale: T::of(line.scale),
        bias: T::of(line.shift),
        divisor: T::of(config.normalisation.divisor(pairs.batch)),
    };
    let mut out = LossOutput::default();
    let mut d_image = vec![T::zero(); image.data.len()];
    let chunk = Chunk::at_home(mesh, pairs.text, pairs.dim, 0.0);
    let (selection, chunk) = select(
        &config.negatives,
        mesh,
        image,
        chunk,
        pairs.tile,
        pairs.draw,
    )?;
    let chunk = trip(
        mesh,
        image,
        chunk,
        pairs.tile,
        Some(&mut d_image),
        |square| {
            for row in 0..square.rows.len() {
                let (width, partner) = (square.width(), square.partner(row));
                let choice = selection.as_ref().map(|s| (s, s.index(square, row)));
                let line = &mut square.values[row * width..][..width];
                match choice {
                    None => logits.differentiate(line, partner, |_, _| true, &mut out),
                    Some((selection, first)) => {
                        let keeps =
                            |column: usize, s: T| selection.keeps(first + column as u64, s.wide());
                        logits.differentiate(line, partner, keeps, &mut out);
                    }
                }
            }
        },
    )?;
    // So far they are t Σ g s and Σ g.
    (out.d_log_t, out.d_bias) = line.gradients(out.d_bias, out.d_log_t / line.scale);
    (out.d_image, out.d_text) = (d_image, chunk.d_text);
    Ok(out)
}

struct Logits<T> {
    scale: T,
    bias: T,
    divisor: T,
}

impl<T: Real> Logits<T> {
    /// Turn one row of similarities into t g_ij and add the row to the sums; `positive` is the column of the pair, and
    /// of the other columns those count that `keeps`, asked with their similarity.
    fn differentiate(
        &self,
        line: &mut [T],
        positive: Option<usize>,
        keeps: impl Fn(usize, T) -> bool,
        out: &mut LossOutput<T>,
    ) {
        let Self {
            scale,
            bias,
            divisor,
        } = *self;
        let (mut loss, mut d_log_t, mut d_bias) = (0.0, 0.0, 0.0);
        let mut extent = Extent::default();
        for (column, s) in line.iter_mut().enumerate() {
            let scaled = scale * *s;
            let logit = scaled + bias;
            let g = if positive == Some(column) {
                let (softplus, sigmoid) = softplus_and_sigmoid(-logit);
                loss += softplus.wide();
                out.positive.add(logit.wide());
                -sigmoid / divisor
            } else if !keeps(column, *s) {
                *s = T::zero();
                continue;
            } else {
                let (softplus, sigmoid) = softplus_and_sigmoid(logit);
                loss += softplus.wide();
                extent.add(logit.wide());
                sigmoid / divisor
            };
            d_log_t += (g * scaled).wide();
            d_bias += g.wide();
            *s = g * scale;
        }
        out.negative.merge(&extent);
        out.loss += loss / divisor.wide();
        out.d_log_t += d_log_t;
        out.d_bias += d_bias;
    }
}
