//! The text tower: a transformer over token ids, pre-norm, GELU, learned positions; or an MLP over vectors made
//! elsewhere.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TowerInit;
use super::features::{FeaturesTower, TowerKind};
use super::layers::{
    Block, LayerNorm, Map, MapPool, Trunk, add_position, encode, mean_row, project, row_at, zeros,
};
use super::projection::Projection;
use super::size::{Shape, Size};
use crate::train::config::{ConfigError, check};
use crate::train::ops::Activation;

/// The shape of the text tower.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextConfig {
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
    /// Tokens a caption is padded or cut to.
    pub context: usize,
    /// Rows of the table of tokens; 0 is one for each id of the tokenizer, or those of the checkpoint that init names.
    pub vocabulary: usize,
    /// Whether no token sees those after it (CLIP).
    pub causal: bool,
    /// Between the two maps of an MLP.
    pub activation: Activation,
    /// What layer norms add to the variance.
    pub norm_eps: f64,
    /// A layer norm before the blocks, besides the one after them.
    pub pre_norm: bool,
    /// From positions to one vector.
    pub pool: TextPool,
    /// The end token of pool = "eos", at the first place where it stands; -1 takes the largest id of each text, which is
    /// the end token of CLIP's vocabulary.
    pub eos_id: i64,
    /// From the vector of the pool to the embedding.
    pub projection: Projection,
    /// Where the weights come from.
    pub init: TowerInit,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            tower: TowerKind::Transformer,
            size: Size::Custom,
            width: 64,
            depth: 2,
            heads: 4,
            mlp_ratio: 4,
            mlp_width: 0,
            context: 16,
            vocabulary: 0,
            causal: false,
            activation: Activation::Erf,
            norm_eps: 1e-6,
            pre_norm: false,
            pool: TextPool::Last,
            eos_id: -1,
            projection: Projection::Linear,
            init: TowerInit::Random,
        }
    }
}

impl TextConfig {
    /// Its size in numbers; none while it is for a file to say.
    pub fn shape(&self) -> Option<Shape> {
        let numbers = [self.width, self.depth, self.heads];
        self.size.shape(numbers, self.mlp_ratio, self.mlp_width)
    }

    /// Rows of the table of tokens where the tokenizer has `ids` ids.
    ///
    /// # Errors
    /// When these are more than the rows that were asked for.
    pub fn rows(&self, ids: usize) -> Result<usize, ConfigError> {
        let rows = self.vocabulary;
        check("model.text.vocabulary", rows == 0 || rows >= ids, || {
            format!(
                "the table of tokens has {rows} rows, and the tokenizer {ids} ids: use the one that the tower was trained with"
            )
        })?;
        Ok(if rows == 0 { ids } else { rows })
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
            causal: self.causal,
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
    /// The first position.
    Cls,
    /// The position of the end token (CLIP).
    Eos,
    /// Multi-head attention pooling with one learned probe, over all positions.
    Map,
}

/// What a text tower reads.
#[derive(Clone, Debug)]
pub enum TextInput {
    /// `[batch, tokens]`.
    Tokens(Tensor<2, Int>),
    /// `[batch, width of the vectors]`.
    Vectors(Tensor<2>),
}

impl From<Tensor<2, Int>> for TextInput {
    fn from(tokens: Tensor<2, Int>) -> Self {
        Self::Tokens(tokens)
    }
}

impl From<Tensor<2>> for TextInput {
    fn from(vectors: Tensor<2>) -> Self {
        Self::Vectors(vectors)
    }
}

#[derive(Module, Debug)]
#[expect(clippy::large_enum_variant, reason = "a model has one")]
pub enum TextTower {
    Transformer(TextTransformer),
    Features(FeaturesTower),
}

impl TextTower {
    /// A tower that gives `outputs` numbers for tokens of `inputs` different ids, or for vectors of `inputs` numbers.
    pub fn new(config: &TextConfig, inputs: usize, outputs: usize, device: &Device) -> Self {
        match config.tower {
            TowerKind::Transformer => {
                Self::Transformer(TextTransformer::new(config, inputs, outputs, device))
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
    /// On tokens for a tower over vectors, or the other way round, and on more tokens than there are positions.
    pub fn forward(&self, input: impl Into<TextInput>) -> Tensor<2> {
        match (self, input.into()) {
            (Self::Transformer(tower), TextInput::Tokens(tokens)) => tower.forward(tokens),
            (Self::Features(tower), TextInput::Vectors(vectors)) => tower.forward(vectors),
            (Self::Transformer(_), TextInput::Vectors(_)) => panic!("this tower reads tokens"),
            (Self::Features(_), TextInput::Tokens(_)) => panic!("this tower reads vectors"),
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
pub struct TextTransformer {
    /// `[vocabulary, width]`.
    pub tokens: Param<Tensor<2>>,
    /// `[context, width]`.
    pub position: Param<Tensor<2>>,
    pub pre_norm: Option<LayerNorm>,
    pub blocks: Vec<Block>,
    pub norm: LayerNorm,
    pub pool: Option<MapPool>,
    pub projection: Option<Map>,
    #[module(skip)]
    pick: TextPool,
    #[module(skip)]
    eos_id: i64,
}

impl TextTransformer {
    pub fn new(config: &TextConfig, vocabulary: usize, outputs: usize, device: &Device) -> Self {
        let trunk = config.trunk();
        let width = trunk.shape.width;
        Self {
            tokens: zeros([vocabulary, width], device),
            position: zeros([config.context, width], device),
            pre_norm: config.pre_norm.then(|| trunk.norm(device)),
            blocks: trunk.blocks(device),
            norm: trunk.norm(device),
            pool: (config.pool == TextPool::Map).then(|| MapPool::new(&trunk, device)),
            projection: config.projection.layer(width, outputs, device),
            pick: config.pool,
            eos_id: config.eos_id,
        }
    }

    /// `tokens` is `[batch, context]`, or shorter; the result `[batch, outputs]`, not normalised.
    pub fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [batch, context] = tokens.dims();
        let embedded = self
            .tokens
            .val()
            .select(0, tokens.clone().reshape([batch * context]));
        let x = add_position(embedded, self.position.val(), batch);
        let pre_norm = self.pre_norm.as_ref();
        let x = encode(x, pre_norm, &self.blocks, &self.norm, batch);
        let pooled = match (&self.pool, self.pick) {
            (Some(map), _) => map.forward(x, batch),
            (None, TextPool::Mean) => mean_row(x, batch),
            (None, TextPool::Cls) => row_at(x, 0, batch),
            (None, TextPool::Eos) => x.select(0, end_rows(tokens, self.eos_id)),
            (None, TextPool::Last | TextPool::Map) => row_at(x, context - 1, batch),
        };
        project(pooled, self.projection.as_ref())
    }
}

/// Where the end token of every text of `tokens`, `[batch, context]`, stands in their `[batch × context]` rows: the first
/// place of `eos_id`, which is 0 when it is nowhere, or of the largest id of the text when it is -1.
fn end_rows(tokens: Tensor<2, Int>, eos_id: i64) -> Tensor<1, Int> {
    let ([batch, context], device) = (tokens.dims(), tokens.device());
    let ids: Vec<i64> = tokens.into_data().iter().collect();
    let rows = ids.chunks_exact(context).enumerate().map(|(text, ids)| {
        let end = match eos_id {
            -1 => ids.iter().max().copied().unwrap_or_default(),
            id => id,
        };
        let place = ids.iter().position(|id| *id == end).unwrap_or(0);
        (text * context + place) as i32
    });
    let rows: Vec<i32> = rows.collect();
    Tensor::from_data(TensorData::new(rows, [batch]), &device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::device::tested;

    #[test]
    fn the_end_of_a_text_is_its_first_end_token() {
        let tokens = [[5, 7, 9, 9], [9, 3, 1, 3], [2, 2, 2, 2]];
        let rows = |eos_id| -> Vec<i64> {
            let tokens = Tensor::<2, Int>::from_data(tokens, &tested());
            end_rows(tokens, eos_id).into_data().iter().collect()
        };
        assert_eq!(rows(9), [2, 4, 8], "first place, and 0 where there is none");
        assert_eq!(rows(3), [0, 5, 8]);
        assert_eq!(rows(-1), [2, 4, 8], "the largest id of each");
    }
}
