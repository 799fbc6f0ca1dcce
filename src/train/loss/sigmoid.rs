//! The sigmoid loss of SigLIP (arXiv 2303.15343, Algorithm 1), value and every gradient in one pass in closed form.
//!
//! With logits l_ij = t x_i·y_j + b, t = exp t', and z_ij = +1 on the diagonal, −1 elsewhere:
//!
//! L = (1/B) Σ_ij softplus(−z_ij l_ij),  g_ij = ∂L/∂l_ij = −z_ij σ(−z_ij l_ij) / B,
//! ∂L/∂x_i = t Σ_j g_ij y_j,  ∂L/∂y_j = t Σ_i g_ij x_i,  ∂L/∂t' = Σ_ij g_ij (l_ij − b),  ∂L/∂b = Σ_ij g_ij.
//!
//! A tile's share depends on the tile alone, so one trip of the texts round the ring gives everything, nothing is saved
//! and memory is one tile a thread.
//!
//! With `normalisation = "pairs"` the sums are divided by B² in place of B. When [`negatives`](super::negatives) leaves
//! pairs out, all sums are over the pairs that count, and the divisor stays: the paper does not say whether it divided
//! by less.

use std::sync::Arc;

use pulp::{Simd, WithSimd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::hardest::{Hardest, is_looked_at};
use super::logits::{BiasInit, Line, LogTInit};
use super::negatives::{NegativesConfig, select};
use super::places::Places;
use super::ring::{Seek, Square, trip};
use super::signs::{Labels, Signs};
use super::tally::{Similarities, Sum, Tally};
use super::tile::vector::{MOST_LANES, softplus_and_sigmoid, width};
use super::tile::{Real, Rows};
use super::{LossError, LossOutput, Pairs};
use crate::train::mesh::Mesh;
use crate::train::simd;

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
    pub init: LogTInit,
    /// False keeps t' at `init`.
    pub learned: bool,
    /// Keeps the logit scale t between 1 and this after each update, as CLIP does with 100; 0 is off.
    pub clamp: f64,
}

impl Default for LogT {
    fn default() -> Self {
        Self {
            init: LogTInit::Number(std::f64::consts::LN_10),
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
pub(super) fn sigmoid<T: Real>(
    config: &SigmoidConfig,
    mesh: &Mesh,
    places: &Places,
    pairs: Pairs<T>,
    (log_t, bias): (f64, f64),
) -> Result<LossOutput<T>, LossError> {
    let image = Rows::new(pairs.image, pairs.dim);
    let text = Arc::new(pairs.text);
    let plan = pairs.plan;
    let line = Line::new(log_t, bias, config.bias.relative);
    let divisor = config.normalisation.divisor(pairs.batch);
    let logits = Logits {
        scale: T::of(line.scale),
        shift: T::of(line.shift),
        factor: T::of(line.scale / divisor),
    };
    let signs = match pairs.labels {
        Labels::Partners => select(
            &config.negatives,
            (mesh, places),
            image,
            &text,
            plan,
            pairs.draw,
        )?
        .map(Signs::Selected),
        Labels::Classes { image, text } => Some(Signs::classes(mesh, image, text)?),
        Labels::Listed(listed) => Some(Signs::Listed(listed)),
    };
    let mut tally = Tally::default();
    let [of_images, of_texts] = trip(
        mesh,
        image,
        &text,
        Vec::new(),
        (plan, Seek::Gradient(pairs.learns)),
        |square| {
            simd::dispatch(Judge {
                square,
                logits,
                signs: signs.as_ref(),
                places,
                look: pairs.look,
            })
        },
        |part| tally.merge(&part),
    )?;
    let gradients = [of_images.gradient, of_texts.gradient];
    Ok(output(tally, line, divisor, gradients))
}

/// What the sums say, with the gradients of images and texts.
pub fn output<T>(
    tally: Tally,
    line: Line,
    divisor: f64,
    [d_image, d_text]: [Vec<T>; 2],
) -> LossOutput<T> {
    let (d_log_t, d_bias) = line.gradients(tally.g() / divisor, tally.gs / divisor);
    LossOutput {
        loss: tally.loss / divisor,
        d_image,
        d_text,
        d_log_t,
        d_bias,
        positive: tally.positive.on_line(line.scale, line.shift),
        negative: tally.negative.on_line(line.scale, line.shift),
        positive_pull: tally.positive_pull / divisor,
        negative_pull: tally.negative_pull / divisor,
        hardest: tally.hardest,
    }
}

/// Turns the similarities of a square into ∂L/∂s_ij.
struct Judge<'a, 'b, T> {
    square: &'a mut Square<'b, T>,
    logits: Logits<T>,
    /// None when every pair but the partners is a negative.
    signs: Option<&'a Signs<'a>>,
    places: &'a Places,
    look: bool,
}

#[derive(Clone, Copy)]
struct Logits<T> {
    /// l = scale · s + shift.
    scale: T,
    shift: T,
    /// ∂l/∂s over the divisor of the loss.
    factor: T,
}

/// Sums over a square.
struct Sums<T: Real, S: Simd> {
    loss: Sum<T, S>,
    gs: Sum<T, S>,
    positive_pull: Sum<T, S>,
    negative_pull: Sum<T, S>,
    positive: Similarities<T, S>,
    negative: Similarities<T, S>,
}

impl<T: Real> WithSimd for Judge<'_, '_, T> {
    type Output = Tally;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Tally {
        let mut sums = Sums {
            loss: Sum::new(simd),
            gs: Sum::new(simd),
            positive_pull: Sum::new(simd),
            negative_pull: Sum::new(simd),
            positive: Similarities::new(simd),
            negative: Similarities::new(simd),
        };
        let mut hardest = Hardest::default();
        let (minus, width) = (-T::one(), width::<T, S>(simd));
        let mut signs = Vec::new();
        for row in 0..self.square.rows.len() {
            let (place, partner) = (self.places.of(self.square, row), self.square.partner(row));
            let image = self.square.rows.start + row;
            let line = self.square.values.row_mut(row);
            if let Some(rule) = self.signs {
                signs.resize(line.len(), T::zero());
                rule.fill(place, image, partner, line, &mut signs);
                for (s, signs) in line.chunks_mut(width).zip(signs.chunks(width)) {
                    self.logits.signed(simd, s, signs, &mut sums);
                }
            } else {
                // The partner's vector is apart, and so is what is left at the end.
                let apart = partner.map(|p| p / width * width);
                let (before, after) = line.split_at_mut(apart.unwrap_or(0));
                let (own, after) = after.split_at_mut(apart.map_or(0, |_| after.len().min(width)));
                if let Some(partner) = partner {
                    let mut signs = [minus; MOST_LANES];
                    signs[partner % width] = T::one();
                    self.logits
                        .signed(simd, own, &signs[..own.len()], &mut sums);
                }
                for part in [before, after] {
                    let (whole, rest) = T::split_mut::<S>(part);
                    for s in whole {
                        self.logits.negatives(simd, s, &mut sums);
                    }
                    self.logits
                        .signed(simd, rest, &[minus; MOST_LANES][..rest.len()], &mut sums);
                }
            }
            sums.carry(simd);
            if self.look && is_looked_at(place.image, place.batch) {
                let line = self.square.values.row(row);
                hardest.add(line.iter().map(|d| d.wide()));
            }
        }
        Tally {
            loss: sums.loss.total(),
            positive_pull: sums.positive_pull.total(),
            negative_pull: sums.negative_pull.total(),
            gs: sums.gs.total(),
            positive: sums.positive.extent(simd),
            negative: sums.negative.extent(simd),
            hardest,
        }
    }
}

impl<T: Real> Logits<T> {
    #[inline(always)]
    fn of<S: Simd>(self, simd: S, s: T::V<S>) -> T::V<S> {
        T::vfma(
            simd,
            T::splat(simd, self.scale),
            s,
            T::splat(simd, self.shift),
        )
    }

    /// Pairs that are negatives all: the many.
    #[inline(always)]
    fn negatives<S: Simd>(self, simd: S, s: &mut T::V<S>, sums: &mut Sums<T, S>) {
        let (loss, g) = softplus_and_sigmoid::<T, S>(simd, self.of(simd, *s));
        sums.negative.add(simd, *s);
        sums.loss.add(simd, loss);
        sums.negative_pull.add(simd, g);
        sums.gs.add_product(simd, g, *s);
        *s = T::vmul(simd, g, T::splat(simd, self.factor));
    }

    /// Up to a vector of pairs with their signs z: 1 a positive, -1 a negative, 0 does not count.
    #[inline(always)]
    fn signed<S: Simd>(self, simd: S, pairs: &mut [T], signs: &[T], sums: &mut Sums<T, S>) {
        let (s, z) = (T::load(simd, pairs), T::load(simd, signs));
        let zero = T::splat(simd, T::zero());
        let minus = T::vsub(simd, zero, z);
        let (positive, negative) = (T::vmax(simd, z, zero), T::vmax(simd, minus, zero));
        let logits = T::vmul(simd, minus, self.of(simd, s));
        let (loss, pull) = softplus_and_sigmoid::<T, S>(simd, logits);
        let (positive_pull, negative_pull) =
            (T::vmul(simd, pull, positive), T::vmul(simd, pull, negative));
        let g = T::vsub(simd, negative_pull, positive_pull);
        sums.positive.add_weighted(simd, s, positive);
        sums.negative.add_weighted(simd, s, negative);
        sums.loss
            .add_product(simd, loss, T::vadd(simd, positive, negative));
        sums.positive_pull.add(simd, positive_pull);
        sums.negative_pull.add(simd, negative_pull);
        sums.gs.add_product(simd, g, s);
        T::store(simd, pairs, T::vmul(simd, g, T::splat(simd, self.factor)));
    }
}

impl<T: Real, S: Simd> Sums<T, S> {
    #[inline(always)]
    fn carry(&mut self, simd: S) {
        self.loss.carry(simd);
        self.gs.carry(simd);
        self.positive_pull.carry(simd);
        self.negative_pull.carry(simd);
        self.positive.carry(simd);
        self.negative.carry(simd);
    }
}
