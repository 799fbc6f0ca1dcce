//! The sigmoid loss on tensors, by the equations of [`sigmoid`](crate::train::loss::sigmoid): one trip of the texts round
//! the ring. A tile in which every pair is a negative is most of them and takes the fewest operations; another has a
//! tensor of signs, made on the device for the diagonal and on the host for what [`Signs`] has to say.

use burn::tensor::{Tensor, TensorData, activation};

use super::walk::{Blocks, Tile, Walk, extremes, read, sum};
use super::{TensorOutput, TensorPairs};
use crate::train::loss::LossError;
use crate::train::loss::extent::Extent;
use crate::train::loss::logits::Line;
use crate::train::loss::negatives::select_among;
use crate::train::loss::ring::Square;
use crate::train::loss::sigmoid::{SigmoidConfig, output};
use crate::train::loss::signs::{Labels, Signs};
use crate::train::loss::tally::Tally;
use crate::train::loss::tile::Grid;
use crate::train::torch;

/// This rank's part of the loss.
pub fn sigmoid(
    config: &SigmoidConfig,
    walk: &Walk,
    pairs: &TensorPairs,
    (log_t, bias): (f64, f64),
) -> Result<TensorOutput, LossError> {
    let line = Line::new(log_t, bias, config.bias.relative);
    let divisor = config.normalisation.divisor(pairs.batch);
    let mut grid = Grid::default();
    let signs = match pairs.labels {
        Labels::Partners => {
            let ring = (walk.mesh, walk.places);
            let each_square = |see: &(dyn Fn(&Square<f32>) + Sync)| {
                let mut grid = Grid::default();
                let visit = |tile: &Tile, _: &mut Blocks| {
                    see(&tile.square(&mut grid, Some(&tile.similarities())));
                };
                walk.tiles(None, sum, visit).map(|_| ())
            };
            let selection = select_among(&config.negatives, ring, pairs.draw, &each_square)?;
            selection.map(Signs::Selected)
        }
        Labels::Classes { image, text } => Some(Signs::classes(walk.mesh, image, text)?),
        Labels::Listed(listed) => Some(Signs::Listed(listed)),
    };

    let mut sums = Sums::new(walk);
    let mut gs = walk.of_images(sum);
    let sees_gs = pairs.learns == [false; 2];
    let mut of_images = walk.of_images(sum);
    let of_texts = walk.tiles(None, sum, |tile, of_texts| {
        let signed = match (&signs, tile.partners()) {
            (Some(rule), _) => {
                let s = tile.similarities();
                let z = signs_of(rule, walk, tile, &s, &mut grid);
                Some((s, z))
            }
            (None, Some(own)) => Some((tile.similarities(), own * 2.0 - 1.0)),
            (None, None) => None,
        };
        let g = match signed {
            Some((s, z)) => sums.signed(tile.row, s, z, line),
            None => sums.negatives(tile, line),
        };
        if sees_gs {
            gs.add(tile.row, (g.clone() * tile.similarities()).sum_dim(1));
        }
        tile.add_gradients(g, pairs.learns, &mut of_images, of_texts);
    })?;
    let found = [of_images, of_texts];
    let seen = || read([gs.whole()])[0].iter().sum();
    let tally = Tally {
        gs: pairs.gs(&found).unwrap_or_else(seen),
        ..sums.tally()
    };
    Ok(TensorOutput {
        gradients: pairs.wanted(found, line.scale / divisor),
        sums: output(tally, line, divisor, [Vec::new(), Vec::new()]),
    })
}

/// The signs of a tile, `[rows, columns]`, as the host knows them.
fn signs_of(
    rule: &Signs,
    walk: &Walk,
    tile: &Tile,
    s: &Tensor<2>,
    grid: &mut Grid<f32>,
) -> Tensor<2> {
    let square = tile.square(grid, rule.depends_on_similarities().then_some(s));
    let shape = [square.rows.len(), square.columns.len()];
    let mut signs = vec![0.0; shape[0] * shape[1]];
    for (row, signs) in signs.chunks_exact_mut(shape[1]).enumerate() {
        let (place, partner) = (walk.places.of(&square, row), square.partner(row));
        let image = square.rows.start + row;
        rule.fill(place, image, partner, square.values.row(row), signs);
    }
    Tensor::from_data(TensorData::new(signs, shape), &s.device())
}

/// Sums over the pairs of each image so far, `[n, 1]` each.
struct Sums {
    loss: Blocks,
    positive: Group,
    negative: Group,
}

/// Those of positives, or of negatives.
struct Group {
    /// Of tiles with signs.
    count: Blocks,
    /// Of tiles in which every pair counts.
    more: u64,
    pull: Blocks,
    s: Blocks,
    least: Blocks,
    greatest: Blocks,
}

impl Sums {
    fn new(walk: &Walk) -> Self {
        let group = || Group {
            count: walk.of_images(sum),
            more: 0,
            pull: walk.of_images(sum),
            s: walk.of_images(sum),
            least: walk.of_images(Tensor::min_pair),
            greatest: walk.of_images(Tensor::max_pair),
        };
        Self {
            loss: walk.of_images(sum),
            positive: group(),
            negative: group(),
        }
    }

    /// Take in a tile of negatives. ∂L/∂l up to the divisor is returned, `[rows, columns]`. The matrix is passed over as
    /// seldom as can be: similarities are not kept beside logits, and their sums come without them.
    fn negatives(&mut self, tile: &Tile, line: Line) -> Tensor<2> {
        let row = tile.row;
        let scaled = tile.scaled();
        self.negative.more += scaled.shape().num_elements() as u64;
        self.negative.s.add(row, tile.sums());
        let [least, greatest] = extremes(&scaled).map(|x| x.div_scalar(line.scale));
        self.negative.least.add(row, least);
        self.negative.greatest.add(row, greatest);
        let (loss, g) = softplus_and_sigmoid(scaled.add_scalar(line.shift));
        self.loss.add(row, loss.sum_dim(1));
        self.negative.pull.add(row, g.clone().sum_dim(1));
        g
    }

    /// Take in a tile with the signs z of its pairs: 1 a positive, -1 a negative, 0 does not count. All are
    /// `[rows, columns]`; ∂L/∂l up to the divisor is returned.
    fn signed(&mut self, row: usize, s: Tensor<2>, z: Tensor<2>, line: Line) -> Tensor<2> {
        let minus = z.clone().neg();
        let logits = s.clone().mul_scalar(line.scale).add_scalar(line.shift);
        let (loss, pull) = softplus_and_sigmoid(minus.clone() * logits);
        self.loss.add(row, (loss * z.clone().abs()).sum_dim(1));
        let g = pull.clone() * minus.clone();
        let groups = [(&mut self.positive, z), (&mut self.negative, minus)];
        for (group, sign) in groups {
            group.add(row, &s, &pull, sign.clamp_min(0.0));
        }
        g
    }

    fn tally(self) -> Tally {
        let [loss] = read([self.loss.whole()]);
        let (positive_pull, positive) = self.positive.read();
        let (negative_pull, negative) = self.negative.read();
        Tally {
            loss: loss.iter().sum(),
            positive_pull,
            negative_pull,
            positive,
            negative,
            ..Tally::default()
        }
    }
}

impl Group {
    /// Take in the pairs of a tile whose `weight` is 1; of the others it is 0.
    fn add(&mut self, row: usize, s: &Tensor<2>, pull: &Tensor<2>, weight: Tensor<2>) {
        let others = weight.clone().equal_scalar(0.0);
        let without = |x: f32| s.clone().mask_fill(others.clone(), x);
        self.least.add(row, without(f32::INFINITY).min_dim(1));
        self.greatest
            .add(row, without(f32::NEG_INFINITY).max_dim(1));
        self.pull
            .add(row, (pull.clone() * weight.clone()).sum_dim(1));
        self.s.add(row, (s.clone() * weight.clone()).sum_dim(1));
        self.count.add(row, weight.sum_dim(1));
    }

    /// Pull, and similarities.
    fn read(self) -> (f64, Extent) {
        let columns = [self.count, self.pull, self.s, self.least, self.greatest];
        let [count, pull, s, least, greatest] = read(columns.map(Blocks::whole));
        let extent = Extent {
            count: count.iter().sum::<f64>() as u64 + self.more,
            sum: s.iter().sum(),
            min: least.into_iter().fold(f64::INFINITY, f64::min),
            max: greatest.into_iter().fold(f64::NEG_INFINITY, f64::max),
        };
        (pull.iter().sum(), extent)
    }
}

/// ln(1 + eˣ) without overflow, and 1 / (1 + e⁻ˣ).
fn softplus_and_sigmoid(mut x: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    if let Some(softplus) = torch::tensors::softplus_and_sigmoid(&mut x) {
        return (softplus, x);
    }
    let rest = x.clone().abs().neg().exp().log1p();
    let softplus = activation::relu(x.clone()) + rest;
    (softplus, activation::sigmoid(x))
}
