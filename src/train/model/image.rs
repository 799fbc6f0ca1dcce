//! The image tower: a vision transformer (arXiv 2010.11929), pre-norm, GELU, learned positions.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TowerInit;
use super::layers::{Block, LayerNorm, Linear, MapPool, add_position, zeros};

/// The shape of the image tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// Of the residual stream.
    pub width: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Width of the hidden layer of an MLP, in widths of the tower.
    pub mlp_ratio: usize,
    /// Side of a square patch in pixels; divides the image size.
    pub patch: usize,
    /// From positions to one vector.
    pub pool: ImagePool,
    /// Where the weights come from.
    pub init: TowerInit,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            width: 64,
            depth: 3,
            heads: 4,
            mlp_ratio: 4,
            patch: 8,
            pool: ImagePool::Map,
            init: TowerInit::Random,
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

#[derive(Module, Debug)]
pub struct ImageTower {
    pub patches: Linear,
    /// `[positions, width]`.
    pub position: Param<Tensor<2>>,
    /// `[1, width]`, in front of the patches.
    pub class_token: Option<Param<Tensor<2>>>,
    pub blocks: Vec<Block>,
    pub norm: LayerNorm,
    pub pool: Option<MapPool>,
    /// To the embedding space, or to the classes when the tower is trained with labels.
    pub projection: Linear,
    #[module(skip)]
    patch: usize,
}

impl ImageTower {
    /// A tower for images of `size` × `size` pixels that gives `outputs` numbers.
    pub fn new(config: &ImageConfig, size: usize, outputs: usize, device: &Device) -> Self {
        let ImageConfig {
            width,
            depth,
            heads,
            mlp_ratio,
            patch,
            pool,
            ..
        } = *config;
        let positions = (size / patch).pow(2) + usize::from(pool == ImagePool::Cls);
        Self {
            patches: Linear::new(patch * patch * 3, width, device),
            position: zeros([positions, width], device),
            class_token: (pool == ImagePool::Cls).then(|| zeros([1, width], device)),
            blocks: (0..depth)
                .map(|_| Block::new(width, heads, mlp_ratio, device))
                .collect(),
            norm: LayerNorm::new(width, device),
            pool: (pool == ImagePool::Map).then(|| MapPool::new(width, heads, mlp_ratio, device)),
            projection: Linear::new(width, outputs, device),
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
        for block in &self.blocks {
            x = block.forward(x, batch);
        }
        x = self.norm.forward(x);
        let positions = x.dims()[0] / batch;
        let pooled = match (&self.pool, &self.class_token) {
            (Some(map), _) => map.forward(x, batch),
            (None, Some(_)) => x
                .reshape([batch, positions, width])
                .narrow(1, 0, 1)
                .reshape([batch, width]),
            (None, None) => x
                .reshape([batch, positions, width])
                .mean_dim(1)
                .reshape([batch, width]),
        };
        self.projection.forward(pooled)
    }
}
