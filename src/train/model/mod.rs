//! The model of a run: an image tower, a text tower if the run reads texts, and the scalars of the loss. It
//! maps pixels and tokens to embeddings; comparing them is the loss's affair.

pub mod image;
mod init;
mod layers;
pub mod params;
pub mod text;

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, TrainConfig, check};
use super::data::DataConfig;
use super::loss::LossConfig;
use crate::record::RunId;
pub use image::{ImageConfig, ImageTower};
pub use init::initialise;
pub use text::{TextConfig, TextTower};

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

/// Where a tower's weights come from: `"random"`, or `{ from = "NAME" }`, a run that is done first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TowerInit {
    #[default]
    Random,
    /// The final weights of the same tower of another run of this workspace, all but the projection.
    From(RunId),
}

impl ModelConfig {
    /// The runs that must be done before this one can start.
    pub fn prerequisites(&self) -> impl Iterator<Item = &RunId> {
        [&self.image.init, &self.text.init]
            .into_iter()
            .filter_map(|init| match init {
                TowerInit::From(id) => Some(id),
                TowerInit::Random => None,
            })
    }

    pub(super) fn validate(&self, data: &DataConfig) -> Result<(), ConfigError> {
        let Self {
            embed_dim,
            image,
            text,
        } = self;
        let within = |key, value: usize, most: usize| {
            check(key, (1..=most).contains(&value), || {
                format!("{value} is not between 1 and {most}")
            })
        };
        let divides = |key, width: usize, heads: usize| {
            let fits = heads > 0 && width.is_multiple_of(heads);
            check(key, fits, || {
                format!("width {width} does not divide among {heads} heads")
            })
        };
        within("model.embed_dim", *embed_dim, MOST_WIDTH)?;
        within("model.image.width", image.width, MOST_WIDTH)?;
        within("model.text.width", text.width, MOST_WIDTH)?;
        divides("model.image.heads", image.width, image.heads)?;
        divides("model.text.heads", text.width, text.heads)?;
        within("model.image.mlp_ratio", image.mlp_ratio, 64)?;
        within("model.text.mlp_ratio", text.mlp_ratio, 64)?;
        for (key, width, depth, ratio) in [
            (
                "model.image.depth",
                image.width,
                image.depth,
                image.mlp_ratio,
            ),
            ("model.text.depth", text.width, text.depth, text.mlp_ratio),
        ] {
            // Four matrices of attention and two of the MLP: nearly all that a block is.
            let parameters = (width * width * (4 + 2 * ratio)).saturating_mul(depth);
            check(key, parameters <= MOST_PARAMETERS, || {
                format!(
                    "{depth} blocks of width {width} are {parameters} parameters, more than {MOST_PARAMETERS}"
                )
            })?;
        }
        let side = data.image_size();
        let tiles = image.patch > 0 && side.is_multiple_of(image.patch);
        check("model.image.patch", tiles, || {
            format!(
                "patches of {} do not tile images of {side} pixels",
                image.patch
            )
        })?;
        check(
            "model.text.context",
            (2..=4096).contains(&text.context),
            || format!("{} is not between 2 and 4096 tokens", text.context),
        )
    }
}

/// Limits that no tower of the field comes near, so that a slip of the keyboard is refused and not tried.
const MOST_WIDTH: usize = 1 << 16;
const MOST_PARAMETERS: usize = 20_000_000_000;

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

impl Model {
    /// The model that `config` describes, on `device`, with all parameters at zero.
    pub fn zeros(config: &TrainConfig, vocabulary: usize, classes: usize, device: &Device) -> Self {
        let scalar = || layers::zeros([1], device);
        let ModelConfig {
            embed_dim,
            image,
            text,
        } = &config.model;
        let supervised = matches!(config.loss, LossConfig::Classify(_));
        let has_text = config.has_text_tower();
        let outputs = if supervised { classes } else { *embed_dim };
        Self {
            image: ImageTower::new(image, config.data.image_size(), outputs, device),
            text: has_text.then(|| TextTower::new(text, vocabulary, *embed_dim, device)),
            log_t: config.loss.log_t().map(|_| scalar()),
            bias: config.loss.bias().map(|_| scalar()),
        }
    }

    /// Unit embeddings `[batch, embed_dim]` of pixels `[batch, size, size, 3]`.
    pub fn embed_images(&self, pixels: Tensor<4>) -> Tensor<2> {
        normalise(self.image.forward(pixels))
    }

    /// Unit embeddings `[batch, embed_dim]` of tokens `[batch, context]`.
    ///
    /// # Panics
    /// On a model that has no text tower.
    pub fn embed_texts(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        normalise(
            self.text
                .as_ref()
                .expect("the model has a text tower")
                .forward(tokens),
        )
    }
}

/// Rows of length 1.
fn normalise(x: Tensor<2>) -> Tensor<2> {
    let norm = x.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    x / norm
}
