//! The tower over vectors that were made elsewhere: an MLP, or one linear map when it has no depth. What the vectors
//! are of, pictures, texts, molecules or sounds, it does not know.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layers::{Linear, Map, Trunk, project};
use super::projection::Projection;
use crate::train::ops::{self, Activation};

/// What a tower reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TowerKind {
    /// A transformer over patches or tokens.
    #[default]
    Transformer,
    /// An MLP over the vectors that data.kind = "features" gives: depth hidden layers of the width; with depth 0 one
    /// linear map.
    Features,
}

#[derive(Module, Debug)]
pub struct FeaturesTower {
    /// The hidden layers.
    pub blocks: Vec<Linear>,
    pub projection: Option<Map>,
    #[module(skip)]
    activation: Activation,
}

impl FeaturesTower {
    /// A tower for vectors of `inputs` numbers that gives `outputs` numbers.
    pub fn new(
        trunk: &Trunk,
        projection: Projection,
        inputs: usize,
        outputs: usize,
        device: &Device,
    ) -> Self {
        let (width, depth) = (trunk.shape.width, trunk.shape.depth);
        let layer = |n| Linear::new(if n == 0 { inputs } else { width }, width, device);
        let last = if depth == 0 { inputs } else { width };
        Self {
            blocks: (0..depth).map(layer).collect(),
            projection: projection.layer(last, outputs, device),
            activation: trunk.activation,
        }
    }

    /// `x` is `[batch, inputs]`; the result `[batch, outputs]`, not normalised.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let hidden = self
            .blocks
            .iter()
            .fold(x, |x, layer| ops::gelu(layer.forward(x), self.activation));
        project(hidden, self.projection.as_ref())
    }
}
