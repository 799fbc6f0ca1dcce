//! The image tower: a vision transformer (arXiv 2010.11929), pre-norm, GELU, learned positions; or an MLP over vectors
//! made elsewhere.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TowerInit;
use super::features::{FeaturesTower, TowerKind};
use super::layers::{
    Block, LayerNorm, Map, MapPool, Trunk, add_position, encode, mean_row, project, row_at, zeros,
};
use super::projection::Projection;
use super::size::{Shape, Size};
use crate::train::ops::Activation;

/// The shape of the image tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// What the tower reads.
    pub tower: TowerKind,
    /// The size by a name of the field, in place of width, depth, heads, mlp_ratio and mlp_width.
    pub size: Size,
    /// Of the residual stream.
    pub width: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Width of the hidden layer of an MLP, in widths of the tower.
    pub mlp_ratio: usize,
    /// The same as a number, for towers whose MLP is no multiple of their width; 0 goes by mlp_ratio.
    pub mlp_width: usize,
    /// Side of a square patch in pixels; divides the image size.
    pub patch: usize,
    /// Whether the map from a patch to the residual stream has a bias; CLIP's has none.
    pub patch_bias: bool,
    /// Between the two maps of an MLP.
    pub activation: Activation,
    /// What layer norms add to the variance.
    pub norm_eps: f64,
    /// A layer norm before the blocks, besides the one after them (CLIP).
    pub pre_norm: bool,
    /// From positions to one vector.
    pub pool: ImagePool,
    /// From that vector to the embedding.
    pub projection: Projection,
    /// Where the weights come from.
    pub init: TowerInit,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            tower: TowerKind::Transformer,
            size: Size::Custom,
            width: 64,
            depth: 3,
            heads: 4,
            mlp_ratio: 4,
            mlp_width: 0,
            patch: 8,
            patch_bias: true,
            activation: Activation::Erf,
            norm_eps: 1e-6,
            pre_norm: false,
            pool: ImagePool::Map,
            projection: Projection::Linear,
            init: TowerInit::Random,
        }
    }
}

impl ImageConfig {
    /// Its size in numbers; none while it is for a file to say.
    pub fn shape(&self) -> Option<Shape> {
        let numbers = [self.width, self.depth, self.heads];
        self.size.shape(numbers, self.mlp_ratio, self.mlp_width)
    }

    /// Whether the tower has no parameter, and vectors are the embeddings themselves.
    pub fn gives_its_input(&self) -> bool {
        let bare = self.projection == Projection::None && self.depth == 0;
        self.tower == TowerKind::Features && bare
    }

    /// # Panics
    /// While the size is for a file to say.
    fn trunk(&self) -> Trunk {
        Trunk {
            shape: self.shape().expect("the file was asked for the size"),
            activation: self.activation,
            norm_eps: self.norm_eps,
            causal: false,
        }
    }
}

/// From positions to one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImagePool {
    /// Multi-head attention pooling with one learned probe (SigLIP).
    Map,
    /// Mean over patches.
    Mean,
    /// A learned class token in front (CLIP).
    Cls,
}

/// What an image tower reads.
#[derive(Clone, Debug)]
pub enum ImageInput {
    /// `[batch, size, size, 3]`, RGB.
    Pixels(Tensor<4>),
    /// `[batch, width of the vectors]`.
    Vectors(Tensor<2>),
}

impl From<Tensor<4>> for ImageInput {
    fn from(pixels: Tensor<4>) -> Self {
        Self::Pixels(pixels)
    }
}

impl From<Tensor<2>> for ImageInput {
    fn from(vectors: Tensor<2>) -> Self {
        Self::Vectors(vectors)
    }
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has one or two")]
pub enum ImageTower {
    Transformer(VisionTransformer),
    Features(FeaturesTower),
}

impl ImageTower {
    /// A tower that gives `outputs` numbers for images of `inputs` × `inputs` pixels, or for vectors of `inputs` numbers.
    pub fn new(config: &ImageConfig, inputs: usize, outputs: usize, device: &Device) -> Self {
        match config.tower {
            TowerKind::Transformer => {
                Self::Transformer(VisionTransformer::new(config, inputs, outputs, device))
            }
            TowerKind::Features => {
                let trunk = config.trunk();
                let tower = FeaturesTower::new(&trunk, config.projection, inputs, outputs, device);
                Self::Features(tower)
            }
        }
    }

    /// `[batch, outputs]`, not normalised.
    ///
    /// # Panics
    /// On pixels for a tower over vectors, or the other way round.
    pub fn forward(&self, input: impl Into<ImageInput>) -> Tensor<2> {
        match (self, input.into()) {
            (Self::Transformer(tower), ImageInput::Pixels(pixels)) => tower.forward(pixels),
            (Self::Features(tower), ImageInput::Vectors(vectors)) => tower.forward(vectors),
            (Self::Transformer(_), ImageInput::Vectors(_)) => panic!("this tower reads pixels"),
            (Self::Features(_), ImageInput::Pixels(_)) => panic!("this tower reads vectors"),
        }
    }

    /// None where the tower is no transformer.
    pub fn blocks_mut(&mut self) -> &mut [Block] {
        match self {
            Self::Transformer(tower) => &mut tower.blocks,
            Self::Features(_) => &mut [],
        }
    }
}

#[derive(Module, Debug)]
pub struct VisionTransformer {
    pub patches: Map,
    /// `[positions, width]`.
    pub position: Param<Tensor<2>>,
    /// `[1, width]`, in front of the patches.
    pub class_token: Option<Param<Tensor<2>>>,
    pub pre_norm: Option<LayerNorm>,
    pub blocks: Vec<Block>,
    pub norm: LayerNorm,
    pub pool: Option<MapPool>,
    /// To the embedding space, or to the classes when the tower is trained with labels.
    pub projection: Option<Map>,
    #[module(skip)]
    patch: usize,
}

impl VisionTransformer {
    /// A tower for images of `size` × `size` pixels that gives `outputs` numbers.
    pub fn new(config: &ImageConfig, size: usize, outputs: usize, device: &Device) -> Self {
        let trunk = config.trunk();
        let (width, patch) = (trunk.shape.width, config.patch);
        let has_class = config.pool == ImagePool::Cls;
        let positions = (size / patch).pow(2) + usize::from(has_class);
        let inputs = patch * patch * 3;
        Self {
            patches: Map::new(inputs, width, config.patch_bias, device),
            position: zeros([positions, width], device),
            class_token: has_class.then(|| zeros([1, width], device)),
            pre_norm: config.pre_norm.then(|| trunk.norm(device)),
            blocks: trunk.blocks(device),
            norm: trunk.norm(device),
            pool: (config.pool == ImagePool::Map).then(|| MapPool::new(&trunk, device)),
            projection: config.projection.layer(width, outputs, device),
            patch,
        }
    }

    /// `pixels` is `[batch, size, size, 3]`; the result `[batch, outputs]`, not normalised.
    pub fn forward(&self, pixels: Tensor<4>) -> Tensor<2> {
        let [batch, size, _, channels] = pixels.dims();
        let (patch, side) = (self.patch, size / self.patch);
        let patches = pixels
            .reshape([batch, side, patch, side, patch * channels])
            .swap_dims(2, 3)
            .reshape([batch * side * side, patch * patch * channels]);
        let mut x = self.patches.forward(patches);
        let width = x.dims()[1];
        if let Some(token) = &self.class_token {
            let token = token.val().repeat_dim(0, batch).reshape([batch, 1, width]);
            let patches = x.reshape([batch, side * side, width]);
            x = Tensor::cat(vec![token, patches], 1).reshape([batch * (side * side + 1), width]);
        }
        x = add_position(x, self.position.val(), batch);
        let pre_norm = self.pre_norm.as_ref();
        x = encode(x, pre_norm, &self.blocks, &self.norm, batch);
        let pooled = match (&self.pool, &self.class_token) {
            (Some(map), _) => map.forward(x, batch),
            (None, Some(_)) => row_at(x, 0, batch),
            (None, None) => mean_row(x, batch),
        };
        project(pooled, self.projection.as_ref())
    }
}
