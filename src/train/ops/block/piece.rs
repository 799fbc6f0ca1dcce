//! A block on the rows of a few examples, on one thread.

use super::super::attention;
use super::super::layer_norm;
use super::super::product::{Left, Matrix, Panels, Sums, multiply};
use super::{Block, Gradients, Part, Weights};
use crate::train::simd::{self, AddRows};

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
    panels: Panels,
    head: attention::Scratch,
}

impl Piece<'_> {
    /// All but the last map, which [`Self::finish`] adds.
    pub fn forward(&self, x: &[f32], kept: &mut Kept, scratch: &mut Scratch) {
        let width = self.width();
        self.normalise(Part::Norm1, x, scratch);
        let Scratch { normal, head, .. } = scratch;
        for (part, out) in [
            (Part::Query, &mut kept.query),
            (Part::Key, &mut kept.key),
            (Part::Value, &mut kept.value),
        ] {
            self.map(part, normal, sized(out, x.len()), false);
        }
        let attention = &self.block.attention;
        let example = attention.queries * width;
        let mixed = sized(&mut kept.mixed, x.len());
        let inputs = kept.query.chunks(example).zip(kept.key.chunks(example));
        let inputs = inputs.zip(kept.value.chunks(example));
        for (out, ((q, k), v)) in mixed.chunks_mut(example).zip(inputs) {
            attention.mix([q, k, v], out, head);
        }
        let middle = sized(&mut kept.middle, x.len());
        middle.copy_from_slice(x);
        self.map(Part::Out, &kept.mixed, middle, true);
        self.normalise(Part::Norm2, &kept.middle, scratch);
        let hidden = x.len() / width * self.weights.bias(Part::Up).len();
        self.map(
            Part::Up,
            &scratch.normal,
            sized(&mut kept.hidden, hidden),
            false,
        );
    }

    /// The rest of the forward pass.
    pub fn finish(&self, kept: &Kept, out: &mut [f32], scratch: &mut Scratch) {
        let active = sized(&mut scratch.active, kept.hidden.len());
        self.block.activation.write(&kept.hidden, active);
        out.copy_from_slice(&kept.middle);
        self.map(Part::Down, active, out, true);
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
        let (width, activation) = (self.width(), self.block.activation);

        self.normalise(Part::Norm2, &kept.middle, scratch);
        let active = sized(&mut scratch.active, kept.hidden.len());
        activation.write(&kept.hidden, active);
        self.add_gradients(Part::Down, active, d_y, gradients, &mut scratch.panels);
        let d_hidden = sized(&mut scratch.d_hidden, kept.hidden.len());
        self.back(Part::Down, d_y, d_hidden, false);
        activation.pull_back(&kept.hidden, d_hidden);
        let Scratch {
            panels,
            normal,
            d_normal,
            d_middle,
            ..
        } = scratch;
        self.add_gradients(Part::Up, normal, d_hidden, gradients, panels);
        self.back(Part::Up, d_hidden, sized(d_normal, x.len()), false);
        sized(d_middle, x.len()).copy_from_slice(d_y);
        self.normalise_back(
            Part::Norm2,
            &kept.middle,
            (&scratch.statistics, &*d_normal),
            d_middle,
            gradients,
        );

        let Scratch {
            panels,
            d_middle,
            d_mixed,
            d_heads,
            head,
            ..
        } = scratch;
        self.add_gradients(Part::Out, &kept.mixed, d_middle, gradients, panels);
        self.back(Part::Out, d_middle, sized(d_mixed, x.len()), false);
        let attention = &self.block.attention;
        let example = attention.queries * width;
        let [d_q, d_k, d_v] = d_heads;
        for d in [&mut *d_q, d_k, d_v] {
            sized(d, x.len());
        }
        for first in (0..x.len()).step_by(example) {
            let here = first..first + example;
            attention.pull_back(
                [&kept.query, &kept.key, &kept.value].map(|x| &x[here.clone()]),
                &d_mixed[here.clone()],
                [&mut *d_q, d_k, d_v].map(|d| &mut d[here.clone()]),
                head,
            );
        }

        self.normalise(Part::Norm1, x, scratch);
        let Scratch {
            panels,
            normal,
            d_normal,
            d_heads: [d_q, d_k, d_v],
            ..
        } = scratch;
        for (part, d) in [(Part::Query, d_q), (Part::Key, d_k), (Part::Value, d_v)] {
            self.add_gradients(part, normal, d, gradients, panels);
            self.back(part, d, d_normal, !matches!(part, Part::Query));
        }
        d_x.copy_from_slice(&scratch.d_middle);
        let statistics = (&scratch.statistics[..], &scratch.d_normal[..]);
        self.normalise_back(Part::Norm1, x, statistics, d_x, gradients);
    }

    fn width(&self) -> usize {
        self.block.attention.width
    }

    /// `scratch.normal` and its statistics.
    fn normalise(&self, part: Part, x: &[f32], scratch: &mut Scratch) {
        let rows = x.len() / self.width();
        scratch.statistics.resize(rows, (0.0, 0.0));
        simd::run(layer_norm::Forward {
            x,
            gain: self.weights.weight(part),
            bias: self.weights.bias(part),
            epsilon: self.block.epsilon,
            out: sized(&mut scratch.normal, x.len()),
            statistics: &mut scratch.statistics,
        });
    }

    fn normalise_back(
        &self,
        part: Part,
        x: &[f32],
        (statistics, d_y): (&[(f32, f32)], &[f32]),
        d_x: &mut [f32],
        gradients: &mut Gradients,
    ) {
        let [d_gain, d_bias] = gradients.of(part);
        simd::run(layer_norm::Backward {
            x,
            gain: self.weights.weight(part),
            statistics,
            d_y,
            d_x,
            d_gain,
            d_bias,
        });
    }

    /// `out = [out +] x · weight + bias`.
    fn map(&self, part: Part, x: &[f32], out: &mut [f32], add: bool) {
        let bias = self.weights.bias(part);
        let depth = self.weights.weight(part).len() / bias.len();
        let panels = &self.weights.forward[part as usize];
        let sums = Sums {
            values: out,
            stride: bias.len(),
            add,
        };
        multiply(Left::Plain(Matrix::new(x, depth)), panels, Some(bias), sums);
    }

    /// `d_x = [d_x +] d_y · weightᵀ`.
    fn back(&self, part: Part, d_y: &[f32], d_x: &mut [f32], add: bool) {
        let outputs = self.weights.bias(part).len();
        let sums = Sums {
            values: d_x,
            stride: self.weights.weight(part).len() / outputs,
            add,
        };
        let panels = &self.weights.backward[part as usize];
        multiply(Left::Plain(Matrix::new(d_y, outputs)), panels, None, sums);
    }

    /// `d_weight += xᵀ · d_y`, and `d_bias` the sum of `d_y` over rows.
    fn add_gradients(
        &self,
        part: Part,
        x: &[f32],
        d_y: &[f32],
        gradients: &mut Gradients,
        panels: &mut Panels,
    ) {
        let [d_weight, d_bias] = gradients.of(part);
        let outputs = d_bias.len();
        let depth = d_weight.len() / outputs;
        multiply(
            Left::Transposed(Matrix::new(x, depth)),
            panels.pack(Matrix::new(d_y, outputs)),
            None,
            Sums::add(d_weight, outputs),
        );
        simd::run(AddRows {
            rows: d_y,
            sums: d_bias,
        });
    }
}

/// `memory` as `count` values, whatever they were.
fn sized(memory: &mut Vec<f32>, count: usize) -> &mut [f32] {
    memory.resize(count, 0.0);
    memory
}
