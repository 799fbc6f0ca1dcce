//! big_vision's npz: flax parameters, of both towers or of one, with a block's parameters one by one or all blocks of a
//! tower stacked (its `scan`).

use super::FileError;
use super::archive::Archive;
use super::described::{Described, DescribedImage, DescribedText};
use super::names::Form::{Flat, Kernel, Scale};
use super::names::{Names, Row};
use super::settings::Pixels;
use crate::train::data::Filter;
use crate::train::data::text::Canonical;
use crate::train::ops::Activation;

/// models/vit.py. `@` is `params/img/` or less.
#[rustfmt::skip]
const IMAGE: &[Row] = &[
    ("image.patches", "@embedding/", Kernel),
    ("image.position", "@pos_embedding", Flat(3)),
    ("image.class_token", "@cls", Flat(3)),
    ("image.blocks.#.norm_1", "@Transformer/encoderblock_#/LayerNorm_0/", Scale),
    ("image.blocks.#.attention.query", "@Transformer/encoderblock_#/MultiHeadDotProductAttention_0/query/", Kernel),
    ("image.blocks.#.attention.key", "@Transformer/encoderblock_#/MultiHeadDotProductAttention_0/key/", Kernel),
    ("image.blocks.#.attention.value", "@Transformer/encoderblock_#/MultiHeadDotProductAttention_0/value/", Kernel),
    ("image.blocks.#.attention.out", "@Transformer/encoderblock_#/MultiHeadDotProductAttention_0/out/", Kernel),
    ("image.blocks.#.norm_2", "@Transformer/encoderblock_#/LayerNorm_1/", Scale),
    ("image.blocks.#.mlp.up", "@Transformer/encoderblock_#/MlpBlock_0/Dense_0/", Kernel),
    ("image.blocks.#.mlp.down", "@Transformer/encoderblock_#/MlpBlock_0/Dense_1/", Kernel),
    ("image.norm", "@Transformer/encoder_norm/", Scale),
    ("image.pool.probe", "@MAPHead_0/probe", Flat(3)),
    ("image.pool.attention.query", "@MAPHead_0/MultiHeadDotProductAttention_0/query/", Kernel),
    ("image.pool.attention.key", "@MAPHead_0/MultiHeadDotProductAttention_0/key/", Kernel),
    ("image.pool.attention.value", "@MAPHead_0/MultiHeadDotProductAttention_0/value/", Kernel),
    ("image.pool.attention.out", "@MAPHead_0/MultiHeadDotProductAttention_0/out/", Kernel),
    ("image.pool.norm", "@MAPHead_0/LayerNorm_0/", Scale),
    ("image.pool.mlp.up", "@MAPHead_0/MlpBlock_0/Dense_0/", Kernel),
    ("image.pool.mlp.down", "@MAPHead_0/MlpBlock_0/Dense_1/", Kernel),
    ("image.projection", "@head/", Kernel),
];

/// models/proj/image_text/text_transformer.py. `@` is `params/txt/` or less.
#[rustfmt::skip]
const TEXT: &[Row] = &[
    ("text.tokens", "@Embed_0/embedding", Flat(2)),
    ("text.position", "@pos_embedding", Flat(3)),
    ("text.blocks.#.norm_1", "@Encoder_0/encoderblock_#/LayerNorm_0/", Scale),
    ("text.blocks.#.attention.query", "@Encoder_0/encoderblock_#/MultiHeadDotProductAttention_0/query/", Kernel),
    ("text.blocks.#.attention.key", "@Encoder_0/encoderblock_#/MultiHeadDotProductAttention_0/key/", Kernel),
    ("text.blocks.#.attention.value", "@Encoder_0/encoderblock_#/MultiHeadDotProductAttention_0/value/", Kernel),
    ("text.blocks.#.attention.out", "@Encoder_0/encoderblock_#/MultiHeadDotProductAttention_0/out/", Kernel),
    ("text.blocks.#.norm_2", "@Encoder_0/encoderblock_#/LayerNorm_1/", Scale),
    ("text.blocks.#.mlp.up", "@Encoder_0/encoderblock_#/MlpBlock_0/Dense_0/", Kernel),
    ("text.blocks.#.mlp.down", "@Encoder_0/encoderblock_#/MlpBlock_0/Dense_1/", Kernel),
    ("text.norm", "@Encoder_0/encoder_norm/", Scale),
    ("text.pool.probe", "@MAPHead_0/probe", Flat(3)),
    ("text.pool.attention.query", "@MAPHead_0/MultiHeadDotProductAttention_0/query/", Kernel),
    ("text.pool.attention.key", "@MAPHead_0/MultiHeadDotProductAttention_0/key/", Kernel),
    ("text.pool.attention.value", "@MAPHead_0/MultiHeadDotProductAttention_0/value/", Kernel),
    ("text.pool.attention.out", "@MAPHead_0/MultiHeadDotProductAttention_0/out/", Kernel),
    ("text.pool.norm", "@MAPHead_0/LayerNorm_0/", Scale),
    ("text.pool.mlp.up", "@MAPHead_0/MlpBlock_0/Dense_0/", Kernel),
    ("text.pool.mlp.down", "@MAPHead_0/MlpBlock_0/Dense_1/", Kernel),
    ("text.projection", "@head/", Kernel),
];

/// Its image-text models see squashed images in [-1, 1], bilinear.
const PIXELS: Pixels = Pixels {
    filter: Filter::Bilinear,
    ..Pixels::SIGLIP
};

/// What `archive` holds, if it is of this format.
pub fn describe(archive: &Archive) -> Result<Option<Described>, FileError> {
    let root = |roots: [&'static str; 4], name: &str| {
        let mut roots = roots.into_iter();
        roots.find(|root| archive.has(&format!("{root}{name}")))
    };
    let image = root(["params/img/", "img/", "params/", ""], "embedding/kernel");
    let text = root(["params/txt/", "txt/", "params/", ""], "Embed_0/embedding");
    if image.is_none() && text.is_none() {
        return Ok(None);
    }
    let mut described = Described {
        format: "big_vision",
        pixels: Some(PIXELS),
        canonical: Canonical::Siglip,
        log_t: ["params/t", "t"]
            .map(String::from)
            .into_iter()
            .find(|n| archive.has(n)),
        bias: ["params/b", "b"]
            .map(String::from)
            .into_iter()
            .find(|n| archive.has(n)),
        ..Described::default()
    };
    let names = |rows, root: &'static str, blocks: &str| Names {
        rows,
        root,
        domains: &[],
        foreign: &[],
        stacked: archive.has(&format!("{root}{blocks}/encoderblock/LayerNorm_0/scale")),
    };
    if let Some(root) = image {
        let names = names(IMAGE, root, "Transformer");
        let mut tower = DescribedImage::infer(names, archive)?;
        if let Some(heads) = heads(&tower.names, "image", archive) {
            tower.config.heads = heads;
            tower.said(&["heads"]);
        }
        (tower.config.activation, tower.config.norm_eps) = (Activation::Tanh, 1e-6);
        tower.said(&["activation", "norm_eps"]);
        described.image = Some(tower);
    }
    if let Some(root) = text {
        let names = names(TEXT, root, "Encoder_0");
        let mut tower = DescribedText::infer(names, archive)?;
        if let Some(heads) = heads(&tower.names, "text", archive) {
            tower.config.heads = heads;
            tower.said(&["heads"]);
        }
        (tower.config.activation, tower.config.norm_eps) = (Activation::Tanh, 1e-6);
        // Without a probe the parameters do not tell which position is read; the last is what all of its models do.
        tower.said(&["activation", "norm_eps", "causal", "pool", "eos_id"]);
        described.text = Some(tower);
    }
    Ok(Some(described))
}

/// Flax keeps heads as an axis of their own.
fn heads(names: &Names, tower: &str, archive: &Archive) -> Option<usize> {
    let query = format!("{tower}.blocks.0.attention.query.weight");
    match names.shape(&query, archive)?.as_slice() {
        [_, heads, _] => Some(*heads),
        _ => None,
    }
}
