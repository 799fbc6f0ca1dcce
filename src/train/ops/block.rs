//! A transformer block, x + attention(norm(x)) and then x + mlp(norm(x)), as one operation. Examples are worked on a
//! few at a time, all the way through on one thread, so that what is between two products stays in cache; the weights
//! are packed for products once. The backward pass finds the gradients of the weights as sums over groups of examples,
//! which it adds up in order: neither the pieces nor their order depend on the threads.

mod piece;

use burn::tensor::{FloatDType, Tensor};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attention::{Attention, attention};
use super::gelu::{Activation, gelu};
use super::layer_norm::layer_norm;
use super::linear::{self, Map, add, linear};
use super::product::Precision;
use super::tape::{Fused, apply};
use super::{GROUP, PIECE};
use crate::train::profile::span;
use piece::{Kept, Piece, Scratch};

/// How what a block is gets computed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Compute {
    pub precision: Precision,
    pub checkpointing: Checkpointing,
}

/// What the backward pass computes again instead of keeping it. Nothing that is trained depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Checkpointing {
    /// Nothing.
    #[default]
    Off,
    /// All that is inside of a transformer block; its input alone is kept (arXiv 1604.06174).
    Blocks,
}

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
    pub compute: Compute,
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
        compute: settings.compute,
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
        compute,
    } = settings;
    let p = parameters;
    let norm = |x, p: Affine<1>| layer_norm(x, p.weight, p.bias, epsilon);
    let map = |x: Tensor<2>, p: Affine<2>| match compute.precision {
        Precision::F32 => linear(x, p.weight, Some(p.bias)),
        Precision::Bf16 => {
            let [x, weight] = [x, p.weight].map(|factor| factor.cast(FloatDType::BF16));
            x.matmul(weight).cast(FloatDType::F32) + p.bias.unsqueeze()
        }
    };
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

/// Tensors that the operation takes: x, then weight and bias of every part in the order of [`Parameters`].
const INPUTS: usize = 17;

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
    compute: Compute,
}

/// Gain and bias of a layer norm.
type Norm<'a> = [&'a [f32]; 2];

/// The parameters as the pieces need them.
struct Weights<'a> {
    norm_1: Norm<'a>,
    query: Map<'a>,
    key: Map<'a>,
    value: Map<'a>,
    out: Map<'a>,
    norm_2: Norm<'a>,
    up: Map<'a>,
    down: Map<'a>,
}

impl<'a> Weights<'a> {
    fn of(inputs: [&'a [f32]; INPUTS], precision: Precision) -> Self {
        let [
            _,
            g1,
            b1,
            wq,
            bq,
            wk,
            bk,
            wv,
            bv,
            wo,
            bo,
            g2,
            b2,
            wu,
            bu,
            wd,
            bd,
        ] = inputs;
        let map = |weight, bias| Map::new(weight, bias, precision);
        Self {
            norm_1: [g1, b1],
            query: map(wq, bq),
            key: map(wk, bk),
            value: map(wv, bv),
            out: map(wo, bo),
            norm_2: [g2, b2],
            up: map(wu, bu),
            down: map(wd, bd),
        }
    }

    /// Do `pack` to all maps, side by side.
    fn pack(&mut self, pack: impl Fn(&mut Map<'a>) + Send + Sync) {
        let maps = [
            &mut self.query,
            &mut self.key,
            &mut self.value,
            &mut self.out,
            &mut self.up,
            &mut self.down,
        ];
        maps.into_par_iter().for_each(pack);
    }

    fn no_gradients(&self) -> Gradients {
        let norm = |norm: Norm| norm.map(|x| vec![0.0; x.len()]);
        Gradients {
            norm_1: norm(self.norm_1),
            query: self.query.no_gradient(),
            key: self.key.no_gradient(),
            value: self.value.no_gradient(),
            out: self.out.no_gradient(),
            norm_2: norm(self.norm_2),
            up: self.up.no_gradient(),
            down: self.down.no_gradient(),
        }
    }
}

/// Of weight and bias of every part.
struct Gradients {
    norm_1: [Vec<f32>; 2],
    query: linear::Gradient,
    key: linear::Gradient,
    value: linear::Gradient,
    out: linear::Gradient,
    norm_2: [Vec<f32>; 2],
    up: linear::Gradient,
    down: linear::Gradient,
}

impl Gradients {
    fn settled(self) -> [[Vec<f32>; 2]; 8] {
        [
            self.norm_1,
            self.query.settled(),
            self.key.settled(),
            self.value.settled(),
            self.out.settled(),
            self.norm_2,
            self.up.settled(),
            self.down.settled(),
        ]
    }
}

impl Block {
    /// Values of a piece's rows, but for the last piece.
    fn piece(&self) -> usize {
        let positions = self.attention.queries;
        (PIECE / positions).max(1) * positions * self.attention.width
    }
}

impl Fused<INPUTS> for Block {
    const NAME: &str = "block";

    /// By piece; nothing when it will be computed again.
    type Saved = Vec<Kept>;

    fn forward(&self, inputs: [&[f32]; INPUTS], taped: bool) -> (Vec<f32>, Self::Saved) {
        let mut weights = Weights::of(inputs, self.compute.precision);
        weights.pack(Map::pack_forward);
        let piece = Piece {
            block: self,
            weights: &weights,
        };
        let keep = taped && self.compute.checkpointing == Checkpointing::Off;
        let [x, ..] = inputs;
        let mut out = vec![0.0; x.len()];
        let pieces = out.par_chunks_mut(self.piece());
        let pieces = pieces.zip(x.par_chunks(self.piece()));
        let kept = pieces.map_init(<(Scratch, Kept)>::default, |(scratch, reused), (out, x)| {
            let mut fresh = Kept::default();
            let kept = if keep { &mut fresh } else { reused };
            piece.forward(x, kept, scratch);
            piece.finish(kept, out, scratch);
            fresh
        });
        let kept = kept.collect();
        (out, if keep { kept } else { Vec::new() })
    }

    fn backward(
        &self,
        inputs: [&[f32]; INPUTS],
        saved: &Self::Saved,
        gradient: &[f32],
        _: [bool; INPUTS],
    ) -> [Vec<f32>; INPUTS] {
        let mut weights = Weights::of(inputs, self.compute.precision);
        weights.pack(Map::pack_backward);
        if self.compute.checkpointing == Checkpointing::Blocks {
            weights.pack(Map::pack_forward);
        }
        let piece = Piece {
            block: self,
            weights: &weights,
        };
        let [x, ..] = inputs;
        let mut d_x = vec![0.0; x.len()];
        let step = self.piece();
        let groups = d_x.par_chunks_mut(GROUP * step).enumerate();
        let sums: Vec<[[Vec<f32>; 2]; 8]> = groups
            .map(|(group, d_x)| {
                let mut gradients = weights.no_gradients();
                let (mut scratch, mut again) = <(Scratch, Kept)>::default();
                for (i, d_x) in d_x.chunks_mut(step).enumerate() {
                    let index = group * GROUP + i;
                    let here = index * step..index * step + d_x.len();
                    let (x, d_y) = (&x[here.clone()], &gradient[here]);
                    let kept = match self.compute.checkpointing {
                        Checkpointing::Off => &saved[index],
                        Checkpointing::Blocks => {
                            piece.forward(x, &mut again, &mut scratch);
                            &again
                        }
                    };
                    piece.backward(x, kept, d_y, d_x, &mut gradients, &mut scratch);
                }
                gradients.settled()
            })
            .collect();
        let mut groups = sums.into_iter();
        let mut sums = groups.next().expect("a batch has a piece");
        let others: Vec<_> = groups.collect();
        span("sums of groups", || {
            sums.par_iter_mut().enumerate().for_each(|(part, sums)| {
                for other in &others {
                    add(sums, &other[part]);
                }
            });
        });
        let mut all = std::iter::once(d_x).chain(sums.into_iter().flatten());
        std::array::from_fn(|_| all.next().expect("one gradient an input"))
    }

    #[cfg(feature = "tch")]
    fn on_torch(&self, inputs: [&tch::Tensor; INPUTS]) -> tch::Tensor {
        use crate::train::torch::functions as torch;

        let [
            x,
            g1,
            b1,
            wq,
            bq,
            wk,
            bk,
            wv,
            bv,
            wo,
            bo,
            g2,
            b2,
            wu,
            bu,
            wd,
            bd,
        ] = inputs;
        let norm =
            |x: &tch::Tensor, gain, bias| torch::layer_norm(x, gain, bias, self.epsilon.into());
        let map =
            |x: &tch::Tensor, weight, bias| torch::linear(x, weight, bias, self.compute.precision);
        // Three maps of one input are one product.
        let [weight, bias] = [[wq, wk, wv], [bq, bk, bv]].map(|parts| tch::Tensor::cat(&parts, 1));
        let qkv = map(&norm(x, g1, b1), &weight, &bias).chunk(3, 1);
        let mixed = torch::attention([&qkv[0], &qkv[1], &qkv[2]], &self.attention);
        let x = x + map(&mixed, wo, bo);
        let hidden = torch::gelu(&map(&norm(&x, g2, b2), wu, bu), self.activation);
        x + map(&hidden, wd, bd)
    }

    #[cfg(feature = "tch")]
    fn keeps_graph(&self) -> bool {
        self.compute.checkpointing == Checkpointing::Off
    }
}
