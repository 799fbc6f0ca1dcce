//! Hugging Face transformers: SigLIP, SigLIP 2 of fixed resolution, and CLIP, whole or one tower alone.

use std::path::Path;

use serde_json::Value;

use super::FileError;
use super::archive::Archive;
use super::described::{Described, DescribedImage, DescribedText};
use super::names::Form::{Conv, Flat, Fused, Linear, Norm};
use super::names::{Names, Row};
use super::settings::{self, Pixels, Settings};
use crate::train::data::text::Canonical;
use crate::train::data::{Filter, Resize};
use crate::train::model::{ImagePool, TextPool};
use crate::train::ops::Activation;

/// `@` is `vision_model.`, or nothing in a file of that tower alone.
#[rustfmt::skip]
pub const IMAGE: &[Row] = &[
    ("image.patches", "@embeddings.patch_embedding.", Conv),
    ("image.position", "@embeddings.position_embedding.weight", Flat(2)),
    ("image.class_token", "@embeddings.class_embedding", Flat(1)),
    ("image.pre_norm", "@pre_layrnorm.", Norm),
    ("image.blocks.#.norm_1", "@encoder.layers.#.layer_norm1.", Norm),
    ("image.blocks.#.attention.query", "@encoder.layers.#.self_attn.q_proj.", Linear),
    ("image.blocks.#.attention.key", "@encoder.layers.#.self_attn.k_proj.", Linear),
    ("image.blocks.#.attention.value", "@encoder.layers.#.self_attn.v_proj.", Linear),
    ("image.blocks.#.attention.out", "@encoder.layers.#.self_attn.out_proj.", Linear),
    ("image.blocks.#.norm_2", "@encoder.layers.#.layer_norm2.", Norm),
    ("image.blocks.#.mlp.up", "@encoder.layers.#.mlp.fc1.", Linear),
    ("image.blocks.#.mlp.down", "@encoder.layers.#.mlp.fc2.", Linear),
    ("image.norm", "@post_layernorm.", Norm),
    ("image.pool.probe", "@head.probe", Flat(3)),
    ("image.pool.attention.query", "@head.attention.in_proj_", Fused(0, 3)),
    ("image.pool.attention.key", "@head.attention.in_proj_", Fused(1, 3)),
    ("image.pool.attention.value", "@head.attention.in_proj_", Fused(2, 3)),
    ("image.pool.attention.out", "@head.attention.out_proj.", Linear),
    ("image.pool.norm", "@head.layernorm.", Norm),
    ("image.pool.mlp.up", "@head.mlp.fc1.", Linear),
    ("image.pool.mlp.down", "@head.mlp.fc2.", Linear),
    ("image.projection", "visual_projection.", Linear),
];

/// `@` is `text_model.`, or nothing in a file of that tower alone.
#[rustfmt::skip]
pub const TEXT: &[Row] = &[
    ("text.tokens", "@embeddings.token_embedding.weight", Flat(2)),
    ("text.position", "@embeddings.position_embedding.weight", Flat(2)),
    ("text.blocks.#.norm_1", "@encoder.layers.#.layer_norm1.", Norm),
    ("text.blocks.#.attention.query", "@encoder.layers.#.self_attn.q_proj.", Linear),
    ("text.blocks.#.attention.key", "@encoder.layers.#.self_attn.k_proj.", Linear),
    ("text.blocks.#.attention.value", "@encoder.layers.#.self_attn.v_proj.", Linear),
    ("text.blocks.#.attention.out", "@encoder.layers.#.self_attn.out_proj.", Linear),
    ("text.blocks.#.norm_2", "@encoder.layers.#.layer_norm2.", Norm),
    ("text.blocks.#.mlp.up", "@encoder.layers.#.mlp.fc1.", Linear),
    ("text.blocks.#.mlp.down", "@encoder.layers.#.mlp.fc2.", Linear),
    ("text.norm", "@final_layer_norm.", Norm),
    // SigLIP's, with a bias, and CLIP's, without.
    ("text.projection", "@head.", Linear),
    ("text.projection", "text_projection.", Linear),
];

pub const LOG_T: &str = "logit_scale";
pub const BIAS: &str = "logit_bias";

pub fn image_names(root: &'static str) -> Names {
    Names {
        rows: IMAGE,
        root,
        domains: if root.is_empty() {
            &[]
        } else {
            &["visual_projection."]
        },
        foreign: &["text_model.", "text_projection.", "logit_"],
        stacked: false,
    }
}

pub fn text_names(root: &'static str) -> Names {
    Names {
        rows: TEXT,
        root,
        domains: if root.is_empty() {
            &[]
        } else {
            &["text_projection."]
        },
        foreign: &["vision_model.", "visual_projection.", "logit_"],
        stacked: false,
    }
}

/// The first of `roots` under which `archive` has `name`.
fn root_of(archive: &Archive, roots: [&'static str; 2], name: &str) -> Option<&'static str> {
    let mut roots = roots.into_iter();
    roots.find(|root| archive.has(&format!("{root}{name}")))
}

/// What `archive`, with config.json in `folder`, holds, if it is of this format.
pub fn describe(archive: &Archive, folder: &Path) -> Result<Option<Described>, FileError> {
    let image = root_of(
        archive,
        ["vision_model.", ""],
        "embeddings.patch_embedding.weight",
    );
    let text = root_of(
        archive,
        ["text_model.", ""],
        "embeddings.token_embedding.weight",
    );
    if image.is_none() && text.is_none() {
        return Ok(None);
    }
    let config = settings::read(&folder.join("config.json"))?;
    let mut described = Described {
        format: "Hugging Face",
        ..Described::default()
    };
    if let Some(root) = image {
        let mut tower = DescribedImage::infer(image_names(root), archive)?;
        if let Some(config) = &config {
            say_image(&mut tower, &Family::of(config)?, config)?;
        }
        described.image = Some(tower);
    }
    if let Some(root) = text {
        let mut tower = DescribedText::infer(text_names(root), archive)?;
        if let Some(config) = &config {
            say_text(&mut tower, &Family::of(config)?, config)?;
        }
        described.text = Some(tower);
    }
    let named = |name: &str| archive.has(name).then(|| name.to_owned());
    (described.log_t, described.bias) = (named(LOG_T), named(BIAS));
    // SigLIP's own tokenizer does it before the file that it was saved as has a say; others say all in their file.
    let tokenizer = settings::read(&folder.join("tokenizer_config.json"))?;
    let class = tokenizer.as_ref().and_then(|t| t.text("tokenizer_class"));
    if class.is_some_and(|class| class.starts_with("SiglipTokenizer")) {
        described.canonical = Canonical::Siglip;
    }
    let preprocessor = settings::read(&folder.join("preprocessor_config.json"))?;
    described.pixels = preprocessor.as_ref().map(pixels).transpose()?;
    Ok(Some(described))
}

/// What preprocessor_config.json says, with the defaults of transformers' processors.
fn pixels(config: &Settings) -> Result<Pixels, FileError> {
    let three = |key, otherwise| {
        let numbers = config
            .numbers(key)
            .and_then(|numbers| numbers.try_into().ok());
        numbers.unwrap_or(otherwise)
    };
    // To a shorter edge and cropped, or to a height and width.
    let is_cropped = config.flag("do_center_crop")
        || config
            .table("size")
            .is_some_and(|size| size.value("shortest_edge").is_some());
    let filter = match config.number("resample") {
        None | Some(3.0) => Filter::Bicubic,
        Some(2.0) => Filter::Bilinear,
        Some(other) => {
            return Err(config.error(format!(
                "resample is {other}; expected 3, bicubic, or 2, bilinear"
            )));
        }
    };
    Ok(Pixels {
        resize: if is_cropped {
            Resize::Crop
        } else {
            Resize::Squash
        },
        filter,
        mean: three("image_mean", Pixels::SIGLIP.mean),
        std: three("image_std", Pixels::SIGLIP.std),
    })
}

/// The two families, and what their settings are where config.json leaves them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Siglip,
    Clip,
}

impl Family {
    fn of(config: &Settings) -> Result<Self, FileError> {
        let word = config.text("model_type").unwrap_or_default();
        match word {
            "siglip" | "siglip_vision_model" | "siglip_text_model" => Ok(Self::Siglip),
            "clip" | "clip_vision_model" | "clip_text_model" => Ok(Self::Clip),
            other => Err(config.error(format!(
                "model_type is `{}`; expected `siglip` (which is SigLIP 2 of fixed resolution too) or `clip`",
                crate::util::printable(other)
            ))),
        }
    }
}

fn activation(config: &Settings, otherwise: Activation) -> Result<Activation, FileError> {
    match config.text("hidden_act") {
        None => Ok(otherwise),
        Some("gelu") => Ok(Activation::Erf),
        Some("gelu_pytorch_tanh" | "gelu_new") => Ok(Activation::Tanh),
        Some("quick_gelu") => Ok(Activation::Quick),
        Some(other) => Err(config.error(format!(
            "hidden_act is `{}`; expected gelu, gelu_pytorch_tanh or quick_gelu",
            crate::util::printable(other)
        ))),
    }
}

fn say_image(
    tower: &mut DescribedImage,
    family: &Family,
    config: &Settings,
) -> Result<(), FileError> {
    let own = config
        .table("vision_config")
        .unwrap_or_else(|| config.clone());
    let (act, eps) = match family {
        Family::Siglip => (Activation::Tanh, 1e-6),
        Family::Clip => (Activation::Quick, 1e-5),
    };
    tower.config.heads = own.whole("num_attention_heads")?.unwrap_or(12);
    tower.config.activation = activation(&own, act)?;
    tower.config.norm_eps = own.number("layer_norm_eps").unwrap_or(eps);
    if *family == Family::Siglip && tower.config.pool == ImagePool::Mean {
        return Err(
            own.error("vision_use_head is false: such a tower has no vector for an image".into())
        );
    }
    tower.said(&["heads", "activation", "norm_eps"]);
    Ok(())
}

fn say_text(
    tower: &mut DescribedText,
    family: &Family,
    config: &Settings,
) -> Result<(), FileError> {
    let own = config
        .table("text_config")
        .unwrap_or_else(|| config.clone());
    let (act, eps, heads) = match family {
        Family::Siglip => (Activation::Tanh, 1e-6, 12),
        Family::Clip => (Activation::Quick, 1e-5, 8),
    };
    tower.config.heads = own.whole("num_attention_heads")?.unwrap_or(heads);
    tower.config.activation = activation(&own, act)?;
    tower.config.norm_eps = own.number("layer_norm_eps").unwrap_or(eps);
    match family {
        Family::Siglip => {
            (tower.config.causal, tower.config.pool) = (false, TextPool::Last);
        }
        Family::Clip => {
            (tower.config.causal, tower.config.pool) = (true, TextPool::Eos);
            // Files from before transformers 4.31 say 2 whatever the vocabulary, and mean the largest id.
            tower.config.eos_id = match own.value("eos_token_id").and_then(Value::as_i64) {
                Some(2) => -1,
                Some(id) => id,
                None => 49_407,
            };
        }
    }
    tower.said(&[
        "heads",
        "activation",
        "norm_eps",
        "causal",
        "pool",
        "eos_id",
    ]);
    Ok(())
}
