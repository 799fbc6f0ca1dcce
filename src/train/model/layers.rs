//! The parts that both towers are built of: linear map, layer norm, attention, MLP and the pre-norm block. Activations
//! are `[batch × positions, width]`, one matrix, so that every linear map is one product. Parameters are made as
//! zeros; `init` gives them values by name.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use crate::train::ops::{self, Activation, Affine, Checkpointing, Parameters, Settings};

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

#[derive(Module, Debug)]
pub struct LayerNorm {
    pub gain: Param<Tensor<1>>,
    pub bias: Param<Tensor<1>>,
}

impl LayerNorm {
    const EPSILON: f64 = 1e-6;

    pub fn new(width: usize, device: &Device) -> Self {
        Self {
            gain: zeros([width], device),
            bias: zeros([width], device),
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        ops::layer_norm(x, self.gain.val(), self.bias.val(), Self::EPSILON)
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
}

impl Mlp {
    pub fn new(width: usize, ratio: usize, device: &Device) -> Self {
        Self {
            up: Linear::new(width, width * ratio, device),
            down: Linear::new(width * ratio, width, device),
        }
    }

    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.down
            .forward(ops::gelu(self.up.forward(x), Activation::Erf))
    }
}

/// Multi-head attention without mask.
#[derive(Module, Debug)]
pub struct Attention {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub out: Linear,
    #[module(skip)]
    heads: usize,
}

impl Attention {
    pub fn new(width: usize, heads: usize, device: &Device) -> Self {
        let map = || Linear::new(width, width, device);
        Self {
            query: map(),
            key: map(),
            value: map(),
            out: map(),
            heads,
        }
    }

    /// `queries` is `[batch × q, width]`, `context` `[batch × k, width]`; the result is as `queries`.
    pub fn forward(&self, queries: Tensor<2>, context: Tensor<2>, batch: usize) -> Tensor<2> {
        let (q, k, v) = (
            self.query.forward(queries),
            self.key.forward(context.clone()),
            self.value.forward(context),
        );
        self.out
            .forward(ops::attention(q, k, v, batch, self.heads, false))
    }
}

/// x + attention(norm(x)), then x + mlp(norm(x)).
#[derive(Module, Debug)]
pub struct Block {
    pub norm_1: LayerNorm,
    pub attention: Attention,
    pub norm_2: LayerNorm,
    pub mlp: Mlp,
}

impl Block {
    pub fn new(width: usize, heads: usize, ratio: usize, device: &Device) -> Self {
        Self {
            norm_1: LayerNorm::new(width, device),
            attention: Attention::new(width, heads, device),
            norm_2: LayerNorm::new(width, device),
            mlp: Mlp::new(width, ratio, device),
        }
    }

    /// `x` is `[batch × positions, width]`; the result likewise.
    pub fn forward(&self, x: Tensor<2>, batch: usize) -> Tensor<2> {
        let settings = Settings {
            heads: self.attention.heads,
            activation: Activation::Erf,
            causal: false,
            epsilon: LayerNorm::EPSILON,
            checkpointing: Checkpointing::Off,
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
    pub fn new(width: usize, heads: usize, ratio: usize, device: &Device) -> Self {
        Self {
            probe: zeros([1, width], device),
            attention: Attention::new(width, heads, device),
            norm: LayerNorm::new(width, device),
            mlp: Mlp::new(width, ratio, device),
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

pub fn zeros<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::zeros(shape, device))
}

/// Add one row a position to every example: `x` is `[batch × positions, width]`, `position` `[positions, width]`.
pub fn add_position(x: Tensor<2>, position: Tensor<2>, batch: usize) -> Tensor<2> {
    let [rows, width] = x.dims();
    (x.reshape([batch, rows / batch, width]) + position.unsqueeze::<3>()).reshape([rows, width])
}
