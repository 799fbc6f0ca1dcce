//! The parts that both towers are built of: linear map, layer norm, attention, MLP and the pre-norm block. Activations
//! are `[batch × positions, width]`, one matrix, so that every linear map is one product. Parameters are made as
//! zeros; `init` gives them values by name.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::size::Shape;
use crate::train::ops::{self, Activation, Affine, Compute, Parameters, Settings};

/// What the blocks of a tower have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trunk {
    pub shape: Shape,
    pub activation: Activation,
    pub norm_eps: f64,
    /// No position sees what comes after it.
    pub causal: bool,
}

impl Trunk {
    pub fn norm(&self, device: &Device) -> LayerNorm {
        LayerNorm::new(self.shape.width, self.norm_eps, device)
    }

    pub fn blocks(&self, device: &Device) -> Vec<Block> {
        let blocks = (0..self.shape.depth).map(|_| Block::new(self, device));
        blocks.collect()
    }
}

#[derive(Module, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    pub bias: Param<Tensor<1>>,
}

impl Linear {
    pub fn new(inputs: usize, outputs: usize, device: &Device) -> Self {
        Self {
            weight: zeros([inputs, outputs], device),
            bias: zeros([outputs], device),
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::linear(x, self.weight.val(), Some(self.bias.val()))
    }

    fn parameters(&self) -> Affine<2> {
        Affine {
            weight: self.weight.val(),
            bias: self.bias.val(),
        }
    }
}

/// A linear map that may do without a bias: where a tower begins, and where it ends.
#[derive(Module, Debug)]
pub struct Map {
    /// `[inputs, outputs]`.
    pub weight: Param<Tensor<2>>,
    pub bias: Option<Param<Tensor<1>>>,
}

impl Map {
    pub fn new(inputs: usize, outputs: usize, has_bias: bool, device: &Device) -> Self {
        Self {
            weight: zeros([inputs, outputs], device),
            bias: has_bias.then(|| zeros([outputs], device)),
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }
}

#[derive(Module, Debug)]
pub struct LayerNorm {
    pub gain: Param<Tensor<1>>,
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl LayerNorm {
    pub fn new(width: usize, epsilon: f64, device: &Device) -> Self {
        Self {
            gain: zeros([width], device),
            bias: zeros([width], device),
            epsilon,
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::layer_norm(x, self.gain.val(), self.bias.val(), self.epsilon)
    }

    fn parameters(&self) -> Affine<1> {
        Affine {
            weight: self.gain.val(),
            bias: self.bias.val(),
        }
    }
}

#[derive(Module, Debug)]
pub struct Mlp {
    pub up: Linear,
    pub down: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    pub fn new(trunk: &Trunk, device: &Device) -> Self {
        let Shape {
            width, mlp_width, ..
        } = trunk.shape;
        Self {
            up: Linear::new(width, mlp_width, device),
            down: Linear::new(mlp_width, width, device),
            activation: trunk.activation,
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.down
            .forward(ops::gelu(self.up.forward(x), self.activation))
    }
}

/// Multi-head attention.
#[derive(Module, Debug)]
pub struct Attention {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub out: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    causal: bool,
}

impl Attention {
    /// With `causal` no query sees a key after its own place.
    pub fn new(width: usize, heads: usize, causal: bool, device: &Device) -> Self {
        let map = || Linear::new(width, width, device);
        Self {
            query: map(),
            key: map(),
            value: map(),
            out: map(),
            heads,
            causal,
        }
    }

    /// `queries` is `[batch × q, width]`, `context` `[batch × k, width]`; the result is as `queries`.
    pub fn forward(&self, queries: Tensor<2>, context: Tensor<2>, batch: usize) -> Tensor<2> {
        let (q, k, v) = (
            self.query.forward(queries),
            self.key.forward(context.clone()),
            self.value.forward(context),
        );
        let attended = ops::attention(q, k, v, batch, self.heads, self.causal);
        self.out.forward(attended)
    }
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub struct Block {
    pub norm_1: LayerNorm,
    pub attention: Attention,
    pub norm_2: LayerNorm,
    pub mlp: Mlp,
    /// How it is computed, which is no part of what it is.
    #[module(skip)]
    pub compute: Compute,
}

impl Block {
    pub fn new(trunk: &Trunk, device: &Device) -> Self {
        let Shape { width, heads, .. } = trunk.shape;
        Self {
            norm_1: trunk.norm(device),
            attention: Attention::new(width, heads, trunk.causal, device),
            norm_2: trunk.norm(device),
            mlp: Mlp::new(trunk, device),
            compute: Compute::default(),
        }
    }

    /// `x` is `[batch × positions, width]`; the result likewise.
    pub fn forward(&self, x: Tensor<2>, batch: usize) -> Tensor<2> {
        let settings = Settings {
            heads: self.attention.heads,
            activation: self.mlp.activation,
            causal: self.attention.causal,
            epsilon: self.norm_1.epsilon,
            compute: self.compute,
        };
        let parameters = Parameters {
            norm_1: self.norm_1.parameters(),
            query: self.attention.query.parameters(),
            key: self.attention.key.parameters(),
            value: self.attention.value.parameters(),
            out: self.attention.out.parameters(),
            norm_2: self.norm_2.parameters(),
            up: self.mlp.up.parameters(),
            down: self.mlp.down.parameters(),
        };
        ops::block(x, parameters, batch, settings)
    }
}

/// Multi-head attention pooling: one learned probe asks all positions, then an MLP with a residual
/// (SigLIP's head, after Set Transformer, arXiv 1810.00825).
#[derive(Module, Debug)]
pub struct MapPool {
    /// `[1, width]`.
    pub probe: Param<Tensor<2>>,
    pub attention: Attention,
    pub norm: LayerNorm,
    pub mlp: Mlp,
}

impl MapPool {
    pub fn new(trunk: &Trunk, device: &Device) -> Self {
        let Shape { width, heads, .. } = trunk.shape;
        Self {
            probe: zeros([1, width], device),
            attention: Attention::new(width, heads, false, device),
            norm: trunk.norm(device),
            mlp: Mlp::new(trunk, device),
        }
    }

    /// `[batch × positions, width]` to `[batch, width]`.
    pub fn forward(&self, x: Tensor<2>, batch: usize) -> Tensor<2> {
        let pooled = self
            .attention
            .forward(self.probe.val().repeat_dim(0, batch), x, batch);
        pooled.clone() + self.mlp.forward(self.norm.forward(pooled))
    }
}

/// What a transformer makes of its positions: `x` and the result are `[batch × positions, width]`.
pub fn encode(
    x: Tensor<2>,
    pre_norm: Option<&LayerNorm>,
    blocks: &[Block],
    norm: &LayerNorm,
    batch: usize,
) -> Tensor<2> {
    let x = match pre_norm {
        Some(norm) => norm.forward(x),
        None => x,
    };
    norm.forward(blocks.iter().fold(x, |x, block| block.forward(x, batch)))
}

/// `pooled` through the last map of a tower, if it has one.
pub fn project(pooled: Tensor<2>, projection: Option<&Map>) -> Tensor<2> {
    match projection {
        Some(projection) => projection.forward(pooled),
        None => pooled,
    }
}

pub fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

/// Add one row a position to every example: `x` is `[batch × positions, width]`, `position` has a row for each, or more.
pub fn add_position(x: Tensor<2>, position: Tensor<2>, batch: usize) -> Tensor<2> {
    let [rows, width] = x.dims();
    let position = if position.dims()[0] == rows / batch {
        position
    } else {
        position.narrow(0, 0, rows / batch)
    };
    (x.reshape([batch, rows / batch, width]) + position.unsqueeze::<3>()).reshape([rows, width])
}

/// The row at `place` of every example, `[batch, width]`, of `x`, `[batch × positions, width]`.
pub fn row_at(x: Tensor<2>, place: usize, batch: usize) -> Tensor<2> {
    let [rows, width] = x.dims();
    x.reshape([batch, rows / batch, width])
        .narrow(1, place, 1)
        .reshape([batch, width])
}

/// The mean of every example's rows, `[batch, width]`, of `x`, `[batch × positions, width]`.
pub fn mean_row(x: Tensor<2>, batch: usize) -> Tensor<2> {
    let [rows, width] = x.dims();
    x.reshape([batch, rows / batch, width])
        .mean_dim(1)
        .reshape([batch, width])
}
