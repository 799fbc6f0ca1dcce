//! x · weight + bias. The weight is packed for products once, and rows of x are worked on a few at a time, each few on
//! one thread; what the gradients of weight and bias add up is cut and ordered by rows alone.

use burn::tensor::{Tensor, module};
use rayon::prelude::*;

use super::product::{Left, Matrix, Panels, Precision, Scratch, Sums, Terms, multiply};
use super::tape::{Fused, apply};
use super::{GROUP, PIECE};
use crate::train::profile::span;
use crate::train::simd::{self, AddRows};

/// `x` is `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[outputs]`; the result `[rows, outputs]`.
pub fn linear(x: Tensor<2>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    let outputs = weight.dims()[1];
    let inputs = [
        x.clone(),
        weight.clone(),
        match &bias {
            Some(bias) => bias.clone().unsqueeze(),
            None => Tensor::zeros([1, outputs], &x.device().inner()),
        },
    ];
    apply(Linear, inputs).unwrap_or_else(|| module::linear(x, weight, bias))
}

#[derive(Clone, Debug)]
struct Linear;

impl Fused<3> for Linear {
    const NAME: &str = "linear";

    type Saved = ();

    fn columns(&self, [_, _, bias]: [usize; 3]) -> usize {
        bias
    }

    fn forward(&self, [x, weight, bias]: [&[f32]; 3], _: bool) -> (Vec<f32>, ()) {
        let mut map = Map::new(weight, bias, Precision::F32);
        map.pack_forward();
        let inputs = map.inputs();
        let mut out = vec![0.0; x.len() / inputs * bias.len()];
        let pieces = out.par_chunks_mut(PIECE * bias.len());
        let pieces = pieces.zip(x.par_chunks(PIECE * inputs));
        pieces.for_each_init(Scratch::default, |scratch, (out, x)| {
            map.forward(x, out, false, scratch);
        });
        (out, ())
    }

    fn backward(
        &self,
        [x, weight, bias]: [&[f32]; 3],
        (): &(),
        gradient: &[f32],
        [wants_x, ..]: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let mut map = Map::new(weight, bias, Precision::F32);
        let inputs = map.inputs();
        let mut d_x = Vec::new();
        if wants_x {
            map.pack_backward();
            d_x.resize(x.len(), 0.0);
            let pieces = d_x.par_chunks_mut(PIECE * inputs);
            let pieces = pieces.zip(gradient.par_chunks(PIECE * bias.len()));
            pieces.for_each_init(Scratch::default, |scratch, (d_x, d_y)| {
                map.backward(d_y, d_x, false, scratch);
            });
        }
        let groups = x.par_chunks(GROUP * PIECE * inputs);
        let groups = groups.zip(gradient.par_chunks(GROUP * PIECE * bias.len()));
        let mut sums: Vec<[Vec<f32>; 2]> = groups
            .map(|(x, d_y)| {
                let mut gradient = map.no_gradient();
                let mut scratch = Scratch::default();
                let pieces = x.chunks(PIECE * inputs);
                for (x, d_y) in pieces.zip(d_y.chunks(PIECE * bias.len())) {
                    map.add_gradient(x, d_y, &mut gradient, &mut scratch);
                }
                gradient.settled()
            })
            .collect();
        let (first, others) = sums.split_first_mut().expect("a batch has rows");
        for other in others {
            add(first, other);
        }
        let [d_weight, d_bias] = std::mem::take(first);
        [d_x, d_weight, d_bias]
    }

    #[cfg(feature = "tch")]
    fn on_torch(&self, [x, weight, bias]: [&tch::Tensor; 3]) -> tch::Tensor {
        crate::train::torch::functions::linear(x, weight, bias, Precision::F32)
    }
}

/// A linear map on one thread. Products want its weight packed for the way that they go.
pub(super) struct Map<'a> {
    /// `[inputs, outputs]`.
    weight: &'a [f32],
    bias: &'a [f32],
    forward: Panels,
    backward: Panels,
    precision: Precision,
}

/// What rows add to the gradients of weight and bias.
pub(super) struct Gradient {
    weight: Vec<f32>,
    bias: Vec<f32>,
    terms: Terms,
}

impl Gradient {
    /// Of weight and bias, with all that was added.
    pub fn settled(mut self) -> [Vec<f32>; 2] {
        let outputs = self.bias.len();
        span("products", || self.terms.settle(&mut self.weight, outputs));
        [self.weight, self.bias]
    }
}

impl<'a> Map<'a> {
    pub fn new(weight: &'a [f32], bias: &'a [f32], precision: Precision) -> Self {
        Self {
            weight,
            bias,
            forward: Panels::default(),
            backward: Panels::default(),
            precision,
        }
    }

    pub fn pack_forward(&mut self) {
        let weight = Matrix::new(self.weight, self.outputs());
        span("packing", || self.forward.pack(weight, self.precision));
    }

    pub fn pack_backward(&mut self) {
        let weight = Matrix::new(self.weight, self.outputs());
        span("packing", || {
            self.backward.pack_transposed(weight, self.precision)
        });
    }

    pub fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    pub fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `out = [out +] x · weight + bias`.
    pub fn forward(&self, x: &[f32], out: &mut [f32], add: bool, scratch: &mut Scratch) {
        let x = Left::Plain(Matrix::new(x, self.inputs()));
        let sums = Sums {
            values: out,
            stride: self.outputs(),
            add,
        };
        span("products", || {
            multiply(x, &self.forward, Some(self.bias), sums, &mut scratch.room)
        });
    }

    /// `d_x = [d_x +] d_y · weightᵀ`.
    pub fn backward(&self, d_y: &[f32], d_x: &mut [f32], add: bool, scratch: &mut Scratch) {
        let d_y = Left::Plain(Matrix::new(d_y, self.outputs()));
        let sums = Sums {
            values: d_x,
            stride: self.inputs(),
            add,
        };
        span("products", || {
            multiply(d_y, &self.backward, None, sums, &mut scratch.room)
        });
    }

    pub fn no_gradient(&self) -> Gradient {
        Gradient {
            weight: vec![0.0; self.weight.len()],
            bias: vec![0.0; self.bias.len()],
            terms: Terms::default(),
        }
    }

    /// To that of the weight xᵀ · d_y, and to that of the bias the sum of `d_y` over rows.
    pub fn add_gradient(
        &self,
        x: &[f32],
        d_y: &[f32],
        gradient: &mut Gradient,
        scratch: &mut Scratch,
    ) {
        let Gradient {
            weight,
            bias,
            terms,
        } = gradient;
        let left = Matrix::new(x, self.inputs());
        let right = Matrix::new(d_y, self.outputs());
        span("products", || {
            terms.add(left, right, self.precision, weight, scratch)
        });
        simd::run(AddRows {
            rows: d_y,
            sums: bias,
        });
    }
}

/// Add the gradients of one weight and bias to others.
pub(super) fn add(sums: &mut [Vec<f32>; 2], more: &[Vec<f32>; 2]) {
    for (sums, more) in sums.iter_mut().zip(more) {
        simd::run(AddRows { rows: more, sums });
    }
}
