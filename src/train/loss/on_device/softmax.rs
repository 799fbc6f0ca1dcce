//! The softmax loss on tensors, by the equations of [`softmax`](crate::train::loss::softmax): a trip of the texts round
//! the ring for the log-sum-exps, and one for the gradients. Log-sum-exps of the negatives are f32, and are completed
//! with each pair's own logit by the host, in f64; similarities of partners are summed apart from the tiles.

use burn::tensor::{Tensor, TensorData};

use super::walk::{Walk, extremes, log_add_exp, read, sum};
use super::{TensorOutput, TensorPairs};
use crate::train::loss::LossError;
use crate::train::loss::extent::Extent;
use crate::train::loss::softmax::{output, with_own};
use crate::train::loss::tally::Tally;
use crate::train::torch;

/// The log-sum-exp of nothing: as good as minus infinity, and a number, so that differences of two are.
const NOTHING: f32 = -1e30;

/// This rank's part of the loss.
pub fn softmax(walk: &Walk, pairs: &TensorPairs) -> Result<TensorOutput, LossError> {
    let scale = walk.scale;
    let total = 2.0 * pairs.batch as f64;
    let [count, _] = pairs.image.dims();

    let mut rows = walk.of_images(log_add_exp);
    let mut of_s = walk.of_images(sum);
    let mut least = walk.of_images(Tensor::min_pair);
    let mut greatest = walk.of_images(Tensor::max_pair);
    let columns = walk.tiles(None, log_add_exp, |tile, columns| {
        let logits = tile.scaled();
        let [similarities, logits] = match tile.partners().map(Tensor::bool) {
            Some(own) => {
                let without = |x: f32| logits.clone().mask_fill(own.clone(), x);
                least.add(tile.row, without(f32::INFINITY).min_dim(1));
                let most = without(f32::NEG_INFINITY).max_dim(1);
                greatest.add(tile.row, most);
                [without(0.0).sum_dim(1).div_scalar(scale), without(NOTHING)]
            }
            None => {
                let [low, high] = extremes(&logits);
                least.add(tile.row, low);
                greatest.add(tile.row, high);
                [tile.sums(), logits]
            }
        };
        of_s.add(tile.row, similarities);
        rows.add(tile.row, log_sum_exp(&logits, 1));
        columns.add(tile.column, log_sum_exp(&logits, 0).transpose());
    })?;
    let own = (count > 0).then(|| (walk.image.clone() * walk.text.clone()).sum_dim(1));
    let found = [rows, columns, of_s, least, greatest].map(|found| found.whole());
    let [rows, columns, of_s, least, greatest] = found;
    let [mut rows, mut columns, of_s, least, greatest, own] =
        read([rows, columns, of_s, least, greatest, own]);
    let mut tally = Tally {
        negative: Extent {
            count: (count * (pairs.batch - 1)) as u64,
            sum: of_s.iter().sum(),
            min: least.into_iter().fold(f64::INFINITY, f64::min) / scale,
            max: greatest.into_iter().fold(f64::NEG_INFINITY, f64::max) / scale,
        },
        ..Tally::default()
    };
    let own_gradient = with_own(&own, scale, [&mut rows, &mut columns], &mut tally);

    let column = |values: &[f64]| {
        let values: Vec<f32> = values.iter().map(|x| *x as f32).collect();
        Tensor::<2>::from_data(TensorData::new(values, [count, 1]), &pairs.image.device())
    };
    let row_lse = walk.blocks(&column(&rows));
    let mut pull = walk.of_images(sum);
    let mut gs = walk.of_images(sum);
    let sees_gs = pairs.learns == [false; 2];
    let mut of_images = walk.of_images(sum);
    let of_texts = walk.tiles(Some(column(&columns)), sum, |tile, of_texts| {
        let logits = tile.scaled();
        let lse = tile.notes.clone().expect("they travel with the texts");
        let of_column = (logits.clone() - lse.transpose()).exp();
        let g = (logits - row_lse[tile.row].1.clone()).exp() + of_column;
        let g = match tile.partners() {
            Some(own) => g.mask_fill(own.bool(), 0.0),
            None => g,
        };
        pull.add(tile.row, g.clone().sum_dim(1));
        if sees_gs {
            gs.add(tile.row, (g.clone() * tile.similarities()).sum_dim(1));
        }
        tile.add_gradients(g, pairs.learns, &mut of_images, of_texts);
    })?;
    let [pull] = read([pull.whole()]);
    tally.negative_pull = pull.iter().sum();
    let mut found = [of_images, of_texts];
    let seen = || read([gs.whole()])[0].iter().sum();
    tally.gs = pairs.gs(&found).unwrap_or_else(seen);
    for (g, s) in own_gradient.iter().zip(&own) {
        tally.positive_pull -= g;
        tally.gs += g * s;
    }
    let blocks = walk.blocks(&column(&own_gradient)).into_iter();
    let sides = found.iter_mut().zip([&pairs.text, &pairs.image]);
    for ((found, partners), learns) in sides.zip(pairs.learns) {
        let partners = walk.blocks(partners);
        for (block, ((_, g), (_, z))) in blocks.clone().zip(partners).enumerate() {
            if learns {
                found.add(block, g * z);
            }
        }
    }
    Ok(TensorOutput {
        gradients: pairs.wanted(found, scale / total),
        sums: output(tally, scale, total, [Vec::new(), Vec::new()]),
    })
}

/// ln Σ exp l along a dimension.
fn log_sum_exp(logits: &Tensor<2>, dim: usize) -> Tensor<2> {
    if let Some(found) = torch::tensors::log_sum_exp(logits, dim) {
        return found;
    }
    let most = logits.clone().max_dim(dim);
    (logits.clone() - most.clone()).exp().sum_dim(dim).log() + most
}
