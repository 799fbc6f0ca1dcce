//! The softmax loss of CLIP (InfoNCE; arXiv 2103.00020), in two passes over tiles in closed form.
//!
//! With logits l_ij = t x_i·y_j, t = exp t', R_i and C_j the log-sum-exp of row i and column j:
//!
//! L = (1/2B) Σ_i (R_i + C_i − 2 l_ii),  g_ij = ∂L/∂l_ij = [exp(l_ij − R_i) + exp(l_ij − C_j) − 2·1(i = j)] / 2B,
//! ∂L/∂x_i = t Σ_j g_ij y_j,  ∂L/∂y_j = t Σ_i g_ij x_i,  ∂L/∂t' = Σ_ij g_ij l_ij. A bias cancels.
//!
//! The first trip of the text chunks round the ring merges the log-sum-exps, the second forms the gradients.

use std::sync::Arc;

use pulp::{Simd, WithSimd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extent::Extent;
use super::hardest::is_looked_at;
use super::logits::LogTInit;
use super::places::Places;
use super::ring::{Seek, Square, trip};
use super::tally::{Similarities, Sum, Tally};
use super::tile::vector::MOST_LANES;
use super::tile::{Real, Rows, log_add_exp, softplus_and_sigmoid};
use super::{LossError, LossOutput, Pairs};
use crate::train::mesh::Mesh;
use crate::train::simd;

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
    pub init: LogTInit,
    /// False keeps t' at `init`.
    pub learned: bool,
    /// Keeps the logit scale t between 1 and this after each update, as CLIP does with 100; 0 is off.
    pub clamp: f64,
}

impl Default for LogT {
    fn default() -> Self {
        Self {
            init: LogTInit::Number((1.0_f64 / 0.07).ln()),
            learned: true,
            clamp: 0.0,
        }
    }
}

/// This rank's part of the loss; see [`Pairs`] for what goes in and [`LossOutput`] for what comes out.
///
/// Log-sum-exps are kept in f64, those of the negatives apart from the pair's own logit l_ii: then
/// R_i − l_ii = softplus(N_i − l_ii) keeps its digits when a trained model makes it tiny.
pub(super) fn softmax<T: Real>(
    mesh: &Mesh,
    places: &Places,
    pairs: Pairs<T>,
    log_t: f64,
) -> Result<LossOutput<T>, LossError> {
    let image = Rows::new(pairs.image, pairs.dim);
    let text = Arc::new(pairs.text);
    let (scale, plan) = (log_t.exp(), pairs.plan);
    let mut tally = Tally::default();
    let mut own = Vec::with_capacity(image.count());

    let seek = (plan, Seek::Lse);
    let visit = |square: &mut Square<T>| simd::dispatch(LogSumExp { square, scale });
    let [of_images, of_texts] = trip(mesh, image, &text, Vec::new(), seek, visit, |seen: Seen| {
        tally.negative.merge(&seen.negative);
        own.extend(seen.own);
    })?;
    let (mut rows, mut columns) = (of_images.lse, of_texts.lse);

    // The first round of squares is the diagonal in order, and no other square holds a pair.
    let total = 2.0 * pairs.batch as f64;
    let own_gradient = with_own(&own, scale, [&mut rows, &mut columns], &mut tally);

    let seek = (plan, Seek::Gradient(pairs.learns));
    let visit = |square: &mut Square<T>| {
        simd::dispatch(Gradient {
            square,
            scale,
            factor: T::of(scale / total),
            rows: &rows,
            own_gradient: &own_gradient,
            places,
            look: pairs.look,
        })
    };
    let add = |part: Tally| tally.merge(&part);
    let [of_images, of_texts] = trip(mesh, image, &text, columns, seek, visit, add)?;
    let gradients = [of_images.gradient, of_texts.gradient];
    Ok(output(tally, scale, total, gradients))
}

/// All log-sum-exps of negatives are at home: the logit of the pair itself, whose similarities are `own`, completes that
/// of its row and that of its column, and gives the loss. ∂L/∂l_ii is returned, up to the divisor.
pub fn with_own(own: &[f64], scale: f64, lses: [&mut [f64]; 2], tally: &mut Tally) -> Vec<f64> {
    let [rows, columns] = lses;
    let mut own_gradient = vec![0.0; own.len()];
    for (i, s) in own.iter().enumerate() {
        tally.positive.add(*s);
        for lse in [&mut rows[i], &mut columns[i]] {
            let (loss, rest) = softplus_and_sigmoid(*lse - scale * s);
            tally.loss += loss;
            own_gradient[i] -= rest;
            *lse = log_add_exp(*lse, scale * s);
        }
    }
    own_gradient
}

/// What the sums say, with the gradients of images and texts.
pub fn output<T>(
    tally: Tally,
    scale: f64,
    total: f64,
    [d_image, d_text]: [Vec<T>; 2],
) -> LossOutput<T> {
    LossOutput {
        loss: tally.loss / total,
        d_image,
        d_text,
        d_log_t: scale * tally.gs / total,
        d_bias: 0.0,
        positive: tally.positive.on_line(scale, 0.0),
        negative: tally.negative.on_line(scale, 0.0),
        positive_pull: tally.positive_pull / total,
        negative_pull: tally.negative_pull / total,
        hardest: tally.hardest,
    }
}

/// As far below the greatest logit of a square as the greatest of a row or column may be for one exponential to serve them
/// all: the least f32, e⁻⁸⁷, is nothing beside e⁻⁶⁰.
const SPREAD: f64 = 60.0;

/// As far as the greatest logit may be above the least log-sum-exp for the same in a gradient, where what is lost with the
/// least f32 is then e⁻⁶⁹.
const RISE: f64 = 18.0;

/// What stands for a logit that must not count, below the greatest of its square: its exponential is about the least f32.
const NEGLIGIBLE: f64 = 87.0;

/// Similarities of one square.
#[derive(Default)]
struct Seen {
    negative: Extent,
    /// Of the pairs whose row and column the square holds, in order.
    own: Vec<f64>,
}

/// Takes the negatives of a square into the log-sum-exps of its rows and columns.
struct LogSumExp<'a, 'b, T> {
    square: &'a mut Square<'b, T>,
    scale: f64,
}

impl<T: Real> WithSimd for LogSumExp<'_, '_, T> {
    type Output = Seen;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Seen {
        let Self { square, scale } = self;
        let (rows, columns) = (square.rows.len(), square.columns.len());
        let (mut similarities, mut own) = (Similarities::new(simd), Vec::new());
        let mut row_max = vec![T::neg_infinity(); rows];
        let mut column_max = vec![T::neg_infinity(); columns];
        for (row, row_max) in row_max.iter_mut().enumerate() {
            let partner = square.partner(row);
            let line = square.values.row_mut(row);
            let (before, after) = match partner {
                None => (&line[..], &[][..]),
                Some(partner) => {
                    own.push(line[partner].wide());
                    // The greatest of the others, and of none.
                    line[partner] = T::neg_infinity();
                    (&line[..partner], &line[partner + 1..])
                }
            };
            for part in [before, after] {
                similarities.add_all(simd, part);
            }
            similarities.carry(simd);
            *row_max = max_into(simd, line, &mut column_max);
        }
        let negative = similarities.extent(simd);
        let seen = Seen { negative, own };

        let max = row_max.iter().copied().fold(T::neg_infinity(), T::max);
        let least = |greatest: &[T]| greatest.iter().copied().fold(max, T::min);
        let spread = scale * (max - least(&row_max).min(least(&column_max))).wide();
        // Where the square has a row without negatives, the difference is no number.
        if spread.is_nan() || spread > SPREAD {
            merge_apart(square, scale);
            return seen;
        }
        let peak = scale * max.wide();
        let mut column_sum = vec![0.0_f64; columns];
        let mut short = vec![T::zero(); columns];
        for row in 0..rows {
            let partner = square.partner(row);
            let line = square.values.row_mut(row);
            if let Some(partner) = partner {
                line[partner] = T::of(max.wide() - NEGLIGIBLE / scale);
            }
            let sum = exponentials(simd, line, (T::of(scale), max), &mut short);
            let lse = &mut square.row_lse[row];
            *lse = log_add_exp(*lse, peak + sum.ln());
            // Before small terms are lost on the sums.
            if row % 32 == 31 || row + 1 == rows {
                for (sum, short) in column_sum.iter_mut().zip(&mut short) {
                    *sum += short.wide();
                    *short = T::zero();
                }
            }
        }
        for (lse, sum) in square.column_lse.iter_mut().zip(&column_sum) {
            *lse = log_add_exp(*lse, peak + sum.ln());
        }
        seen
    }
}

/// The greatest of a line; each column's greatest takes it in.
#[inline(always)]
fn max_into<T: Real, S: Simd>(simd: S, line: &[T], column_max: &mut [T]) -> T {
    let mut max = T::splat(simd, T::neg_infinity());
    let (whole, rest) = T::split::<S>(line);
    let (columns, columns_rest) = T::split_mut::<S>(column_max);
    for (s, column) in whole.iter().zip(columns) {
        max = T::vmax(simd, max, *s);
        *column = T::vmax(simd, *column, *s);
    }
    let mut greatest = T::of(T::greatest(simd, max));
    for (s, column) in rest.iter().zip(columns_rest) {
        greatest = greatest.max(*s);
        *column = column.max(*s);
    }
    greatest
}

/// Σ_j exp(scale · (s_j − max)); each term is added to its column's sum. The difference first: what rounding the scale to
/// `T` does then grows with the distance from the greatest logit, where it does not matter, and not with the logit.
#[inline(always)]
fn exponentials<T: Real, S: Simd>(
    simd: S,
    line: &[T],
    (scale, max): (T, T),
    column_sum: &mut [T],
) -> f64 {
    let (scale, max) = (T::splat(simd, scale), T::splat(simd, max));
    let mut sum = T::splat(simd, T::zero());
    let (whole, rest) = T::split::<S>(line);
    let (columns, columns_rest) = T::split_mut::<S>(column_sum);
    for (s, column) in whole.iter().zip(columns) {
        let e = T::exp_negative(simd, T::vmul(simd, scale, T::vsub(simd, *s, max)));
        sum = T::vadd(simd, sum, e);
        *column = T::vadd(simd, *column, e);
    }
    let mut total = T::sum(simd, sum);
    let mut last = [T::zero(); MOST_LANES];
    let below = T::vsub(simd, T::load(simd, rest), max);
    let e = T::exp_negative(simd, T::vmul(simd, scale, below));
    T::store(simd, &mut last[..rest.len()], e);
    for (e, column) in last.iter().zip(columns_rest) {
        total += e.wide();
        *column = *column + *e;
    }
    total
}

/// For logits too far apart for one exponential: each row and each column by its own greatest.
fn merge_apart<T: Real>(square: &mut Square<T>, scale: f64) {
    for row in 0..square.rows.len() {
        let partner = square.partner(row);
        let others = square.values.row(row).iter().enumerate();
        let others = others.filter(|(column, _)| partner != Some(*column));
        merge(&mut square.row_lse[row], scale, others.map(|(_, s)| *s));
    }
    for column in 0..square.columns.len() {
        let mut lse = square.column_lse[column];
        let others = (0..square.rows.len()).filter(|row| square.partner(*row) != Some(column));
        merge(
            &mut lse,
            scale,
            others.map(|row| square.values.row(row)[column]),
        );
        square.column_lse[column] = lse;
    }
}

/// Take the logits of some similarities into a log-sum-exp.
fn merge<T: Real>(lse: &mut f64, scale: f64, similarities: impl Iterator<Item = T> + Clone) {
    let max = scale * similarities.clone().fold(T::neg_infinity(), T::max).wide();
    if max > f64::NEG_INFINITY {
        let sum: f64 = similarities.map(|s| (scale * s.wide() - max).exp()).sum();
        *lse = log_add_exp(*lse, max + sum.ln());
    }
}

/// Turns the similarities of a square into ∂L/∂s_ij.
struct Gradient<'a, 'b, T> {
    /// Its notes are the log-sum-exps of the columns.
    square: &'a mut Square<'b, T>,
    scale: f64,
    /// ∂l/∂s over the divisor of the loss.
    factor: T,
    /// Log-sum-exps of the images of this rank.
    rows: &'a [f64],
    /// ∂L/∂l_ii of this rank's pairs, up to the divisor.
    own_gradient: &'a [f64],
    places: &'a Places,
    look: bool,
}

impl<T: Real> WithSimd for Gradient<'_, '_, T> {
    type Output = Tally;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Tally {
        let Self {
            square,
            scale,
            factor,
            ..
        } = self;
        let rows = square.rows.len();
        let mut max = T::neg_infinity();
        let mut column_max = vec![max; square.columns.len()];
        for row in 0..rows {
            max = max.max(max_into(simd, square.values.row(row), &mut column_max));
        }
        let peak = scale * max.wide();
        let row_lse = &self.rows[square.rows.clone()];
        let least = row_lse.iter().chain(square.notes).copied();
        let one_exponential = peak - least.fold(f64::INFINITY, f64::min) < RISE;
        // exp(l − lse) = exp(l − peak) exp(peak − lse).
        let share = |lse: &f64| T::of((peak - lse).exp());
        let column_share: Vec<T> = square.notes.iter().map(share).collect();
        let (mut pull, mut gs) = (Sum::new(simd), Sum::new(simd));
        let mut tally = Tally::default();
        for (row, row_lse) in row_lse.iter().enumerate() {
            let (place, partner) = (self.places.of(square, row), square.partner(row));
            let line = square.values.row_mut(row);
            let own = partner.map(|column| (column, line[column]));
            if let Some((column, _)) = own {
                line[column] = T::of(max.wide() - NEGLIGIBLE / scale);
            }
            if one_exponential {
                let constants = (T::of(scale), max, share(row_lse), factor);
                differentiate(simd, line, constants, &column_share, (&mut pull, &mut gs));
            } else {
                for (column, (s, lse)) in line.iter_mut().zip(square.notes).enumerate() {
                    let logit = scale * s.wide();
                    let g = match own {
                        Some((own, _)) if own == column => 0.0,
                        _ => (logit - row_lse).exp() + (logit - lse).exp(),
                    };
                    tally.negative_pull += g;
                    tally.gs += g * s.wide();
                    *s = T::of(g) * factor;
                }
            }
            pull.carry(simd);
            gs.carry(simd);
            if let Some((column, s)) = own {
                let g = self.own_gradient[square.rows.start + row];
                tally.positive_pull -= g;
                tally.gs += g * s.wide();
                line[column] = T::of(g) * factor;
            }
            if self.look && is_looked_at(place.image, place.batch) {
                tally.hardest.add(line.iter().map(|d| d.wide()));
            }
        }
        tally.negative_pull += pull.total();
        tally.gs += gs.total();
        tally
    }
}

/// Turn a line of similarities into the gradients of its negatives, exp(scale · (s − max)) (row + column), times `factor`.
#[inline(always)]
fn differentiate<T: Real, S: Simd>(
    simd: S,
    line: &mut [T],
    (scale, max, row, factor): (T, T, T, T),
    columns: &[T],
    (pull, gs): (&mut Sum<T, S>, &mut Sum<T, S>),
) {
    let share = Share::<T, S> {
        scale: T::splat(simd, scale),
        max: T::splat(simd, max),
        row: T::splat(simd, row),
    };
    let factor = T::splat(simd, factor);
    let (whole, rest) = T::split_mut::<S>(line);
    let (columns, columns_rest) = T::split::<S>(columns);
    for (s, column) in whole.iter_mut().zip(columns) {
        let g = share.of(simd, *s, *column);
        pull.add(simd, g);
        gs.add_product(simd, g, *s);
        *s = T::vmul(simd, g, factor);
    }
    let (s, column) = (T::load(simd, rest), T::load(simd, columns_rest));
    let here = T::load(simd, &[T::one(); MOST_LANES][..rest.len()]);
    let g = T::vmul(simd, share.of(simd, s, column), here);
    pull.add(simd, g);
    gs.add_product(simd, g, s);
    T::store(simd, rest, T::vmul(simd, g, factor));
}

/// exp(l − R) + exp(l − C), as exp(scale · (s − max)) (row + column).
struct Share<T: Real, S: Simd> {
    scale: T::V<S>,
    max: T::V<S>,
    row: T::V<S>,
}

impl<T: Real, S: Simd> Share<T, S> {
    #[inline(always)]
    fn of(&self, simd: S, s: T::V<S>, column: T::V<S>) -> T::V<S> {
        // No logit of the square is above the peak; a lane beyond the end of a line may be.
        let below = T::vmul(simd, self.scale, T::vsub(simd, s, self.max));
        let e = T::exp_negative(simd, T::vmin(simd, below, T::splat(simd, T::zero())));
        T::vmul(simd, e, T::vadd(simd, self.row, column))
    }
}
