//! The last map of a tower, from its width to the space that both towers embed into.

use burn::tensor::Device;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layers::Map;

/// The last map of a tower.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// Linear, with a bias.
    #[default]
    Linear,
    /// Linear, without a bias (CLIP).
    NoBias,
    /// There is none: the tower is as wide as the embedding (SigLIP's image tower).
    None,
}

impl Projection {
    pub fn layer(self, width: usize, outputs: usize, device: &Device) -> Option<Map> {
        let has_bias = self == Self::Linear;
        (self != Self::None).then(|| Map::new(width, outputs, has_bias, device))
    }
}
