//! The text tower: a transformer over token ids, bidirectional, pre-norm, GELU, learned positions.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TowerInit;
use super::layers::{Block, LayerNorm, Linear, add_position, zeros};

/// The shape of the text tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
    /// Of the residual stream.
    pub width: usize,
    /// Transformer blocks.
    pub depth: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
    /// Width of the hidden layer of an MLP, in widths of the tower.
    pub mlp_ratio: usize,
    /// Tokens a caption is padded or cut to.
    pub context: usize,
    /// From positions to one vector.
    pub pool: TextPool,
    /// Where the weights come from.
    pub init: TowerInit,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            width: 64,
            depth: 2,
            heads: 4,
            mlp_ratio: 4,
            context: 16,
            pool: TextPool::Last,
            init: TowerInit::Random,
        }
    }
}

/// From positions to one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextPool {
    /// The last position, padding included (SigLIP's "sticky" end token).
    Last,
    /// Mean over all positions, padding included.
    Mean,
}

#[derive(Module, Debug)]
pub struct TextTower {
    /// `[vocabulary, width]`.
    pub tokens: Param<Tensor<2>>,
    /// `[context, width]`.
    pub position: Param<Tensor<2>>,
    pub blocks: Vec<Block>,
    pub norm: LayerNorm,
    pub projection: Linear,
    #[module(skip)]
    pool: TextPool,
}

impl TextTower {
    pub fn new(config: &TextConfig, vocabulary: usize, outputs: usize, device: &Device) -> Self {
        let TextConfig {
            width,
            depth,
            heads,
            mlp_ratio,
            context,
            pool,
            ..
        } = *config;
        Self {
            tokens: zeros([vocabulary, width], device),
            position: zeros([context, width], device),
            blocks: (0..depth)
                .map(|_| Block::new(width, heads, mlp_ratio, device))
                .collect(),
            norm: LayerNorm::new(width, device),
            projection: Linear::new(width, outputs, device),
            pool,
        }
    }

    /// `tokens` is `[batch, context]`; the result `[batch, outputs]`, not normalised.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [batch, context] = tokens.dims();
        let embedded = self
            .tokens
            .val()
            .select(0, tokens.reshape([batch * context]));
        let width = embedded.dims()[1];
        let mut x = add_position(embedded, self.position.val(), batch);
        for block in &self.blocks {
            x = block.forward(x, batch);
        }
        let x = self.norm.forward(x).reshape([batch, context, width]);
        let pooled = match self.pool {
            TextPool::Last => x.narrow(1, context - 1, 1),
            TextPool::Mean => x.mean_dim(1),
        };
        self.projection.forward(pooled.reshape([batch, width]))
    }
}
