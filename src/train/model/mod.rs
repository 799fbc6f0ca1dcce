//! The two towers.

use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use super::data::DataConfig;
use crate::record::RunId;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the space that both towers embed into.
    pub embed_dim: usize,
    pub image: ImageConfig,
    pub text: TextConfig,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self { embed_dim: 64, image: ImageConfig::default(), text: TextConfig::default() }
    }
}

/// A vision transformer without class token (unless `pool = "cls"`), pre-norm, GELU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub mlp_ratio: usize,
    /// Side of a square patch in pixels; divides the image size.
    pub patch: usize,
    pub pool: ImagePool,
    pub init: TowerInit,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self { width: 64, depth: 3, heads: 4, mlp_ratio: 4, patch: 8, pool: ImagePool::Map, init: TowerInit::Random }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImagePool {
    /// Multi-head attention pooling with one learned probe (SigLIP).
    Map,
    /// Mean over patches.
    Mean,
    /// A learned class token in front (CLIP).
    Cls,
}

/// A transformer over token ids with a learned position embedding, pre-norm, GELU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    pub width: usize,
    pub depth: usize,
    pub heads: usize,
    pub mlp_ratio: usize,
    /// Tokens a caption is padded or cut to.
    pub context: usize,
    pub pool: TextPool,
    pub init: TowerInit,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self { width: 64, depth: 2, heads: 4, mlp_ratio: 4, context: 16, pool: TextPool::Last, init: TowerInit::Random }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextPool {
    /// The last position, padding included (SigLIP's "sticky" end token).
    Last,
    /// Mean over all positions.
    Mean,
}

/// Where a tower's weights come from: `"random"`, or `{ from = "NAME" }`, a run that is done first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TowerInit {
    #[default]
    Random,
    /// The final weights of the same tower of another run of this workspace.
    From(RunId),
}

impl ModelConfig {
    /// The runs that must be done before this one can start.
    pub fn prerequisites(&self) -> impl Iterator<Item = &RunId> {
        [&self.image.init, &self.text.init].into_iter().filter_map(|init| match init {
            TowerInit::From(id) => Some(id),
            TowerInit::Random => None,
        })
    }

    pub(super) fn validate(&self, data: &DataConfig) -> Result<(), ConfigError> {
        let Self { embed_dim, image, text } = self;
        check("model.embed_dim", (1..=1 << 16).contains(embed_dim), || format!("{embed_dim} is not between 1 and 65536"))?;
        check("model.image.heads", image.heads > 0 && image.width > 0 && image.width % image.heads == 0, || format!("width {} does not divide among {} heads", image.width, image.heads))?;
        check("model.text.heads", text.heads > 0 && text.width > 0 && text.width % text.heads == 0, || format!("width {} does not divide among {} heads", text.width, text.heads))?;
        check("model.image.mlp_ratio", image.mlp_ratio > 0, || "must be at least 1".into())?;
        check("model.text.mlp_ratio", text.mlp_ratio > 0, || "must be at least 1".into())?;
        let side = data.image_size();
        check("model.image.patch", image.patch > 0 && side % image.patch == 0, || format!("patches of {} do not tile images of {side} pixels", image.patch))?;
        check("model.text.context", (2..=4096).contains(&text.context), || format!("{} is not between 2 and 4096 tokens", text.context))
    }
}
