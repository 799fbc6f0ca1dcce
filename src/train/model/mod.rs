//! The model of a run: an image tower, a text tower if the run reads texts, and the scalars of the loss. It
//! maps pixels and tokens to embeddings; comparing them is the loss's affair.

pub mod export;
mod features;
pub mod image;
pub mod import;
mod init;
mod layers;
pub mod open;
pub mod params;
mod projection;
mod size;
mod start;
pub mod text;
mod validate;
pub mod weights;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::loss::LossConfig;
use super::ops::Compute;
use crate::record::RunId;
pub use features::TowerKind;
pub use image::{ImageConfig, ImageInput, ImagePool, ImageTower};
pub use init::initialise;
pub use projection::Projection;
pub use size::{Shape, Size};
pub use start::{FileInit, TowerInit};
pub use text::{TextConfig, TextInput, TextPool, TextTower};

/// The two towers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Width of the space that both towers embed into.
    pub embed_dim: usize,
    /// The image tower.
    pub image: ImageConfig,
    /// The text tower; not used when loss.kind is "classify" or data.views "image_image".
    pub text: TextConfig,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            embed_dim: 64,
            image: ImageConfig::default(),
            text: TextConfig::default(),
        }
    }
}

impl ModelConfig {
    /// The runs that must be done before this one can start.
    pub fn prerequisites(&self) -> impl Iterator<Item = &RunId> {
        [&self.image.init, &self.text.init]
            .into_iter()
            .filter_map(TowerInit::run)
    }

    /// Whether a file or another run has a say in what the towers are.
    pub fn asks_another(&self) -> bool {
        [&self.image.init, &self.text.init]
            .into_iter()
            .any(|init| *init != TowerInit::Random)
    }
}

/// All that a run learns.
#[derive(Module, Debug)]
pub struct Model {
    pub image: ImageTower,
    /// None when the run is supervised.
    pub text: Option<TextTower>,
    /// t', `[1]`.
    pub log_t: Option<Param<Tensor<1>>>,
    /// b, `[1]`.
    pub bias: Option<Param<Tensor<1>>>,
}

/// What a model must fit that its settings do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// Side of the images in pixels, or width of the vectors in their place.
    pub image: usize,
    /// Number of token ids, or width of the vectors in their place; none without a text tower.
    pub text: Option<usize>,
    /// Classes that the image tower tells apart in place of embedding; none when there is a contrastive loss.
    pub classes: Option<usize>,
}

impl Model {
    /// The model that `config` describes, on `device`, with all parameters at zero. Whatever is for a file to say has been
    /// said.
    pub fn zeros(config: &ModelConfig, loss: &LossConfig, inputs: Inputs, device: &Device) -> Self {
        let scalar = || layers::zeros([1], device);
        let ModelConfig {
            embed_dim,
            image,
            text,
        } = config;
        let outputs = inputs.classes.unwrap_or(*embed_dim);
        let text_tower = |ids| TextTower::new(text, ids, *embed_dim, device);
        Self {
            image: ImageTower::new(image, inputs.image, outputs, device),
            text: inputs.text.map(text_tower),
            log_t: loss.log_t().map(|_| scalar()),
            bias: loss.bias().map(|_| scalar()),
        }
    }

    /// Compute the blocks of both towers like this from now on.
    pub fn set_compute(&mut self, compute: Compute) {
        let text = self.text.iter_mut().flat_map(TextTower::blocks_mut);
        for block in self.image.blocks_mut().iter_mut().chain(text) {
            block.compute = compute;
        }
    }

    /// Unit embeddings `[batch, embed_dim]` of pictures, or of vectors made of them elsewhere.
    pub fn embed_images(&self, images: impl Into<ImageInput>) -> Tensor<2> {
        normalise(self.image.forward(images))
    }

    /// Unit embeddings `[batch, embed_dim]` of texts, or of vectors made of them elsewhere.
    ///
    /// # Panics
    /// On a model that has no text tower.
    pub fn embed_texts(&self, texts: impl Into<TextInput>) -> Tensor<2> {
        normalise(
            self.text
                .as_ref()
                .expect("the model has a text tower")
                .forward(texts),
        )
    }
}

/// Rows of length 1; a row of zeros stays one, with a gradient that is finite.
fn normalise(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
    x / norm
}
