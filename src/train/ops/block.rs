//! A transformer block, x + attention(norm(x)) and then x + mlp(norm(x)), as one operation. Examples are worked on a
//! few at a time, all the way through on one thread, so that what is between two products stays in cache; the weights
//! are packed for products once. The backward pass finds the gradients of the weights as sums over groups of examples,
//! which it adds up in order: neither the pieces nor their order depend on the threads.

mod piece;

use burn::tensor::Tensor;
use rayon::prelude::*;

use super::attention::{Attention, attention};
use super::gelu::{Activation, gelu};
use super::layer_norm::layer_norm;
use super::product::{Matrix, Panels};
use super::tape::{Fused, apply};
use piece::{Kept, Piece, Scratch};

/// The parameters of a block. Weights are `[inputs, outputs]`, the rest `[outputs]`.
#[derive(Clone, Debug)]
pub struct Parameters {
    pub norm_1: Affine<1>,
    pub query: Affine<2>,
    pub key: Affine<2>,
    pub value: Affine<2>,
    pub out: Affine<2>,
    pub norm_2: Affine<1>,
    pub up: Affine<2>,
    pub down: Affine<2>,
}

/// What multiplies, and what is added then.
#[derive(Clone, Debug)]
pub struct Affine<const D: usize> {
    pub weight: Tensor<D>,
    pub bias: Tensor<1>,
}

/// What a block does besides multiplying by its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub heads: usize,
    pub activation: Activation,
    /// Whether a position sees only those up to itself.
    pub causal: bool,
    /// Added to the variance in layer norms.
    pub epsilon: f64,
    /// Whether the backward pass computes again what is between the products, and does not find it in memory.
    pub checkpointed: bool,
}

/// `x` is `[batch × positions, width]`; the result likewise.
pub fn block(x: Tensor<2>, parameters: Parameters, batch: usize, settings: Settings) -> Tensor<2> {
    let [rows, width] = x.dims();
    let op = Block {
        attention: Attention {
            queries: rows / batch,
            keys: rows / batch,
            heads: settings.heads,
            width,
            causal: settings.causal,
        },
        activation: settings.activation,
        epsilon: settings.epsilon as f32,
        checkpointed: settings.checkpointed,
    };
    apply(op, inputs(x.clone(), parameters.clone()))
        .unwrap_or_else(|| unfused(x, parameters, batch, settings))
}

/// The same from the operations that it is made of.
pub(super) fn unfused(
    x: Tensor<2>,
    parameters: Parameters,
    batch: usize,
    settings: Settings,
) -> Tensor<2> {
    let Settings {
        heads,
        activation,
        causal,
        epsilon,
        ..
    } = settings;
    let p = parameters;
    let norm = |x, p: Affine<1>| layer_norm(x, p.weight, p.bias, epsilon);
    let map = |x, p: Affine<2>| burn::tensor::module::linear(x, p.weight, Some(p.bias));
    let y = norm(x.clone(), p.norm_1);
    let (q, k, v) = (
        map(y.clone(), p.query),
        map(y.clone(), p.key),
        map(y, p.value),
    );
    let x = x + map(attention(q, k, v, batch, heads, causal), p.out);
    let hidden = map(norm(x.clone(), p.norm_2), p.up);
    x + map(gelu(hidden, activation), p.down)
}

/// Tensors that the operation takes: x, and weight and bias of every [`Part`].
const INPUTS: usize = 1 + 2 * Part::COUNT;

/// Places of parameters among the inputs, and of their gradients among the results.
#[derive(Clone, Copy, Debug)]
enum Part {
    Norm1,
    Query,
    Key,
    Value,
    Out,
    Norm2,
    Up,
    Down,
}

impl Part {
    const COUNT: usize = 8;

    /// Those that are products.
    const MAPS: [Self; 6] = [
        Self::Query,
        Self::Key,
        Self::Value,
        Self::Out,
        Self::Up,
        Self::Down,
    ];
}

fn inputs(x: Tensor<2>, parameters: Parameters) -> [Tensor<2>; INPUTS] {
    let row = |p: Affine<1>| [p.weight.unsqueeze(), p.bias.unsqueeze()];
    let map = |p: Affine<2>| [p.weight, p.bias.unsqueeze()];
    let p = parameters;
    let [
        [g1, b1],
        [wq, bq],
        [wk, bk],
        [wv, bv],
        [wo, bo],
        [g2, b2],
        [wu, bu],
        [wd, bd],
    ] = [
        row(p.norm_1),
        map(p.query),
        map(p.key),
        map(p.value),
        map(p.out),
        row(p.norm_2),
        map(p.up),
        map(p.down),
    ];
    [
        x, g1, b1, wq, bq, wk, bk, wv, bv, wo, bo, g2, b2, wu, bu, wd, bd,
    ]
}

#[derive(Clone, Copy, Debug)]
struct Block {
    attention: Attention,
    activation: Activation,
    epsilon: f32,
    checkpointed: bool,
}

/// Rows of a piece, or those of one example if these are more: what is computed of them fits into the second cache.
const ROWS: usize = 96;

/// Pieces whose gradients of weights are summed in one place.
const GROUP: usize = 16;

/// Which way through the weights.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    Forward,
    Backward,
}

/// Weights and biases as slices, and the weights packed.
struct Weights<'a> {
    inputs: [&'a [f32]; INPUTS],
    /// By [`Part`]; empty where that is no product, or nothing goes that way.
    forward: Vec<Panels>,
    backward: Vec<Panels>,
}

impl<'a> Weights<'a> {
    fn pack(inputs: [&'a [f32]; INPUTS], ways: &[Way]) -> Self {
        let mut weights = Self {
            inputs,
            forward: vec![Panels::default(); Part::COUNT],
            backward: vec![Panels::default(); Part::COUNT],
        };
        let pairs = weights.forward.par_iter_mut().zip(&mut weights.backward);
        pairs.enumerate().for_each(|(place, (forward, backward))| {
            let is_map = Part::MAPS.iter().any(|&part| part as usize == place);
            let (weight, bias) = (inputs[1 + 2 * place], inputs[2 + 2 * place]);
            if is_map && ways.contains(&Way::Forward) {
                forward.pack(Matrix::new(weight, bias.len()));
            }
            if is_map && ways.contains(&Way::Backward) {
                backward.pack_transposed(Matrix::new(weight, bias.len()));
            }
        });
        weights
    }

    fn weight(&self, part: Part) -> &'a [f32] {
        self.inputs[1 + 2 * part as usize]
    }

    fn bias(&self, part: Part) -> &'a [f32] {
        self.inputs[2 + 2 * part as usize]
    }
}

/// Of weights and biases, in the order of the inputs.
struct Gradients([Vec<f32>; INPUTS - 1]);

impl Gradients {
    fn zeros(inputs: [&[f32]; INPUTS]) -> Self {
        Self(std::array::from_fn(|i| vec![0.0; inputs[1 + i].len()]))
    }

    /// Weight and bias.
    fn of(&mut self, part: Part) -> [&mut Vec<f32>; 2] {
        let pair = &mut self.0[2 * part as usize..][..2];
        let [weight, bias] = pair else {
            unreachable!("a pair was asked for")
        };
        [weight, bias]
    }

    fn add(&mut self, others: &[Self]) {
        self.0.par_iter_mut().enumerate().for_each(|(i, sums)| {
            for other in others {
                sums.iter_mut()
                    .zip(&other.0[i])
                    .for_each(|(sum, x)| *sum += x);
            }
        });
    }
}

impl Block {
    /// Values of a piece's rows, but for the last piece.
    fn piece(&self) -> usize {
        let positions = self.attention.queries;
        (ROWS / positions).max(1) * positions * self.attention.width
    }
}

impl Fused<INPUTS> for Block {
    /// By piece; nothing when it will be computed again.
    type Saved = Vec<Kept>;

    fn forward(&self, inputs: [&[f32]; INPUTS], taped: bool) -> (Vec<f32>, Self::Saved) {
        let weights = Weights::pack(inputs, &[Way::Forward]);
        let piece = Piece {
            block: self,
            weights: &weights,
        };
        let keep = taped && !self.checkpointed;
        let [x, ..] = inputs;
        let mut out = vec![0.0; x.len()];
        let pieces = out
            .par_chunks_mut(self.piece())
            .zip(x.par_chunks(self.piece()));
        let kept = pieces.map_init(
            Default::default,
            |(scratch, reused): &mut (Scratch, Kept), (out, x)| {
                let mut fresh = Kept::default();
                let kept = if keep { &mut fresh } else { reused };
                piece.forward(x, kept, scratch);
                piece.finish(kept, out, scratch);
                fresh
            },
        );
        let kept = kept.collect();
        (out, if keep { kept } else { Vec::new() })
    }

    fn backward(
        &self,
        inputs: [&[f32]; INPUTS],
        saved: &Self::Saved,
        gradient: &[f32],
    ) -> [Vec<f32>; INPUTS] {
        let ways = [Way::Backward, Way::Forward];
        let weights = Weights::pack(inputs, if self.checkpointed { &ways } else { &ways[..1] });
        let piece = Piece {
            block: self,
            weights: &weights,
        };
        let [x, ..] = inputs;
        let mut d_x = vec![0.0; x.len()];
        let step = self.piece();
        let groups = d_x.par_chunks_mut(GROUP * step).enumerate();
        let mut sums: Vec<Gradients> = groups
            .map(|(group, d_x)| {
                let mut gradients = Gradients::zeros(inputs);
                let (mut scratch, mut again) = (Scratch::default(), Kept::default());
                for (i, d_x) in d_x.chunks_mut(step).enumerate() {
                    let index = group * GROUP + i;
                    let here = index * step..index * step + d_x.len();
                    let (x, d_y) = (&x[here.clone()], &gradient[here]);
                    let kept = if self.checkpointed {
                        piece.forward(x, &mut again, &mut scratch);
                        &again
                    } else {
                        &saved[index]
                    };
                    piece.backward(x, kept, d_y, d_x, &mut gradients, &mut scratch);
                }
                gradients
            })
            .collect();
        let (first, others) = sums.split_first_mut().expect("a batch has a piece");
        first.add(others);
        let mut gradients = std::mem::take(&mut first.0).into_iter();
        std::array::from_fn(|i| match i {
            0 => std::mem::take(&mut d_x),
            _ => gradients.next().expect("one gradient an input"),
        })
    }
}
