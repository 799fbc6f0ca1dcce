//! A block on the rows of a few examples, on one thread.

use super::super::attention;
use super::super::layer_norm;
use super::super::product;
use super::{Block, Gradients, Norm, Weights};
use crate::train::profile::span;
use crate::train::simd;

pub struct Piece<'a> {
    pub block: &'a Block,
    pub weights: &'a Weights<'a>,
}

/// What the backward pass needs of the forward pass, besides x. All rows are those of x.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    query: Vec<f32>,
    key: Vec<f32>,
    value: Vec<f32>,
    /// The result of attention, before its last map.
    mixed: Vec<f32>,
    /// The residual stream between attention and MLP.
    middle: Vec<f32>,
    /// The MLP's hidden layer before the activation.
    hidden: Vec<f32>,
}

/// What a piece needs for a while; one that comes after another finds the memory there.
#[derive(Default)]
pub struct Scratch {
    statistics: Vec<(f32, f32)>,
    normal: Vec<f32>,
    active: Vec<f32>,
    d_hidden: Vec<f32>,
    d_normal: Vec<f32>,
    d_middle: Vec<f32>,
    d_mixed: Vec<f32>,
    d_heads: [Vec<f32>; 3],
    map: product::Scratch,
    head: attention::Scratch,
}

impl Piece<'_> {
    /// All but the last map, which [`Self::finish`] adds.
    pub fn forward(&self, x: &[f32], kept: &mut Kept, scratch: &mut Scratch) {
        let (attention, weights) = (&self.block.attention, self.weights);
        self.normalise(weights.norm_1, x, scratch);
        for (map, out) in [
            (&weights.query, &mut kept.query),
            (&weights.key, &mut kept.key),
            (&weights.value, &mut kept.value),
        ] {
            map.forward(
                &scratch.normal,
                sized(out, x.len()),
                false,
                &mut scratch.map,
            );
        }
        let mixed = sized(&mut kept.mixed, x.len());
        span("attention", || {
            let example = attention.queries * attention.width;
            let inputs = kept.query.chunks(example).zip(kept.key.chunks(example));
            let inputs = inputs.zip(kept.value.chunks(example));
            for (out, ((q, k), v)) in mixed.chunks_mut(example).zip(inputs) {
                attention.mix([q, k, v], out, &mut scratch.head);
            }
        });
        let middle = sized(&mut kept.middle, x.len());
        middle.copy_from_slice(x);
        weights.out.forward(mixed, middle, true, &mut scratch.map);
        self.normalise(weights.norm_2, middle, scratch);
        let hidden = x.len() / weights.up.inputs() * weights.up.outputs();
        let hidden = sized(&mut kept.hidden, hidden);
        weights
            .up
            .forward(&scratch.normal, hidden, false, &mut scratch.map);
    }

    /// The rest of the forward pass.
    pub fn finish(&self, kept: &Kept, out: &mut [f32], scratch: &mut Scratch) {
        let active = sized(&mut scratch.active, kept.hidden.len());
        span("gelu", || self.block.activation.write(&kept.hidden, active));
        out.copy_from_slice(&kept.middle);
        self.weights
            .down
            .forward(active, out, true, &mut scratch.map);
    }

    /// `d_x`, and what the rows add to the `gradients` of parameters, from the gradient `d_y` of the result.
    pub fn backward(
        &self,
        x: &[f32],
        kept: &Kept,
        d_y: &[f32],
        d_x: &mut [f32],
        gradients: &mut Gradients,
        scratch: &mut Scratch,
    ) {
        self.mlp_backward(kept, d_y, gradients, scratch);
        self.attention_backward(x, kept, gradients, scratch);
        d_x.copy_from_slice(&scratch.d_middle);
        let norm = self.weights.norm_1;
        self.normalise_back(norm, x, scratch, d_x, &mut gradients.norm_1);
    }

    /// `scratch.d_middle`, the gradient of the residual stream before the MLP.
    fn mlp_backward(
        &self,
        kept: &Kept,
        d_y: &[f32],
        gradients: &mut Gradients,
        scratch: &mut Scratch,
    ) {
        let (weights, activation) = (self.weights, self.block.activation);
        self.normalise(weights.norm_2, &kept.middle, scratch);
        let Scratch {
            normal,
            active,
            d_hidden,
            d_normal,
            map: room,
            ..
        } = scratch;
        let active = sized(active, kept.hidden.len());
        let d_hidden = sized(d_hidden, kept.hidden.len());
        weights.down.backward(d_y, d_hidden, false, room);
        span("gelu", || {
            activation.write_and_pull_back(&kept.hidden, active, d_hidden);
        });
        let Gradients { up, down, .. } = gradients;
        weights.down.add_gradient(active, d_y, down, room);
        weights.up.add_gradient(normal, d_hidden, up, room);
        let d_normal = sized(d_normal, d_y.len());
        weights.up.backward(d_hidden, d_normal, false, room);
        let mut d_middle = std::mem::take(&mut scratch.d_middle);
        sized(&mut d_middle, d_y.len()).copy_from_slice(d_y);
        let (norm, d_norm) = (weights.norm_2, &mut gradients.norm_2);
        self.normalise_back(norm, &kept.middle, scratch, &mut d_middle, d_norm);
        scratch.d_middle = d_middle;
    }

    /// `scratch.d_normal`, the gradient of what attention reads, from `scratch.d_middle`.
    fn attention_backward(
        &self,
        x: &[f32],
        kept: &Kept,
        gradients: &mut Gradients,
        scratch: &mut Scratch,
    ) {
        let (attention, weights) = (&self.block.attention, self.weights);
        self.normalise(weights.norm_1, x, scratch);
        let Scratch {
            normal,
            d_normal,
            d_middle,
            d_mixed,
            d_heads,
            map: room,
            head,
            ..
        } = scratch;
        weights
            .out
            .add_gradient(&kept.mixed, d_middle, &mut gradients.out, room);
        let d_mixed = sized(d_mixed, x.len());
        weights.out.backward(d_middle, d_mixed, false, room);
        for d in &mut *d_heads {
            sized(d, x.len());
        }
        let [d_q, d_k, d_v] = d_heads;
        span("attention", || {
            let example = attention.queries * attention.width;
            for first in (0..x.len()).step_by(example) {
                let here = first..first + example;
                attention.pull_back(
                    [&kept.query, &kept.key, &kept.value].map(|x| &x[here.clone()]),
                    &d_mixed[here.clone()],
                    [&mut *d_q, d_k, d_v].map(|d| &mut d[here.clone()]),
                    head,
                );
            }
        });
        let Gradients {
            query, key, value, ..
        } = gradients;
        for (first, map, d, gradients) in [
            (true, &weights.query, d_q, query),
            (false, &weights.key, d_k, key),
            (false, &weights.value, d_v, value),
        ] {
            map.add_gradient(normal, d, gradients, room);
            map.backward(d, d_normal, !first, room);
        }
    }

    /// `scratch.normal` and its statistics.
    fn normalise(&self, [gain, bias]: Norm, x: &[f32], scratch: &mut Scratch) {
        scratch.statistics.resize(x.len() / gain.len(), (0.0, 0.0));
        let forward = layer_norm::Forward {
            x,
            gain,
            bias,
            epsilon: self.block.epsilon,
            out: sized(&mut scratch.normal, x.len()),
            statistics: &mut scratch.statistics,
        };
        span("layer norm", || simd::run(forward));
    }

    /// Add to `d_x` what `scratch.d_normal` is of it; `scratch` has the statistics.
    fn normalise_back(
        &self,
        [gain, _]: Norm,
        x: &[f32],
        scratch: &Scratch,
        d_x: &mut [f32],
        [d_gain, d_bias]: &mut [Vec<f32>; 2],
    ) {
        let backward = layer_norm::Backward {
            x,
            gain,
            statistics: &scratch.statistics,
            d_y: &scratch.d_normal,
            d_x,
            d_gain,
            d_bias,
        };
        span("layer norm", || simd::run(backward));
    }
}

/// `memory` as `count` values, whatever they were.
fn sized(memory: &mut Vec<f32>, count: usize) -> &mut [f32] {
    memory.resize(count, 0.0);
    memory
}
