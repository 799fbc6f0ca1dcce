//! open_clip, with its own vision transformer (OpenAI's names) or one of timm, and timm's vision transformers alone.

use std::path::Path;

use super::FileError;
use super::archive::Archive;
use super::described::{Described, DescribedImage, DescribedText};
use super::names::Form::{Conv, Flat, Fused, Linear, Norm};
use super::names::{Names, Row};
use super::settings::{self, Pixels, Settings};
use crate::train::data::text::Canonical;
use crate::train::data::{Filter, Resize};
use crate::train::model::{Projection, TextPool};
use crate::train::ops::Activation;

/// timm's vision transformer. `@` is `visual.trunk.`, or nothing in a file of timm's.
#[rustfmt::skip]
const TIMM: &[Row] = &[
    ("image.patches", "@patch_embed.proj.", Conv),
    ("image.position", "@pos_embed", Flat(3)),
    ("image.class_token", "@cls_token", Flat(3)),
    ("image.pre_norm", "@norm_pre.", Norm),
    ("image.blocks.#.norm_1", "@blocks.#.norm1.", Norm),
    ("image.blocks.#.attention.query", "@blocks.#.attn.qkv.", Fused(0, 3)),
    ("image.blocks.#.attention.key", "@blocks.#.attn.qkv.", Fused(1, 3)),
    ("image.blocks.#.attention.value", "@blocks.#.attn.qkv.", Fused(2, 3)),
    ("image.blocks.#.attention.out", "@blocks.#.attn.proj.", Linear),
    ("image.blocks.#.norm_2", "@blocks.#.norm2.", Norm),
    ("image.blocks.#.mlp.up", "@blocks.#.mlp.fc1.", Linear),
    ("image.blocks.#.mlp.down", "@blocks.#.mlp.fc2.", Linear),
    ("image.norm", "@norm.", Norm),
    // Of a tower that takes the mean, timm's norm stands after it and open_clip's trunk has none before.
    ("image.pool.probe", "@attn_pool.latent", Flat(3)),
    ("image.pool.attention.query", "@attn_pool.q.", Linear),
    ("image.pool.attention.key", "@attn_pool.kv.", Fused(0, 2)),
    ("image.pool.attention.value", "@attn_pool.kv.", Fused(1, 2)),
    ("image.pool.attention.out", "@attn_pool.proj.", Linear),
    ("image.pool.norm", "@attn_pool.norm.", Norm),
    ("image.pool.mlp.up", "@attn_pool.mlp.fc1.", Linear),
    ("image.pool.mlp.down", "@attn_pool.mlp.fc2.", Linear),
    ("image.projection", "visual.head.proj.", Linear),
];

/// open_clip's own vision transformer, `@` being `visual.`.
#[rustfmt::skip]
const OWN_IMAGE: &[Row] = &[
    ("image.patches", "@conv1.", Conv),
    ("image.position", "@positional_embedding", Flat(2)),
    ("image.class_token", "@class_embedding", Flat(1)),
    ("image.pre_norm", "@ln_pre.", Norm),
    ("image.blocks.#.norm_1", "@transformer.resblocks.#.ln_1.", Norm),
    ("image.blocks.#.attention.query", "@transformer.resblocks.#.attn.in_proj_", Fused(0, 3)),
    ("image.blocks.#.attention.key", "@transformer.resblocks.#.attn.in_proj_", Fused(1, 3)),
    ("image.blocks.#.attention.value", "@transformer.resblocks.#.attn.in_proj_", Fused(2, 3)),
    ("image.blocks.#.attention.out", "@transformer.resblocks.#.attn.out_proj.", Linear),
    ("image.blocks.#.norm_2", "@transformer.resblocks.#.ln_2.", Norm),
    ("image.blocks.#.mlp.up", "@transformer.resblocks.#.mlp.c_fc.", Linear),
    ("image.blocks.#.mlp.down", "@transformer.resblocks.#.mlp.c_proj.", Linear),
    ("image.norm", "@ln_post.", Norm),
    ("image.projection.weight", "@proj", Flat(2)),
];

/// The text tower. `@` is `text.`, or nothing where the model is OpenAI's.
#[rustfmt::skip]
const TEXT: &[Row] = &[
    ("text.tokens", "@token_embedding.weight", Flat(2)),
    ("text.position", "@positional_embedding", Flat(2)),
    ("text.blocks.#.norm_1", "@transformer.resblocks.#.ln_1.", Norm),
    ("text.blocks.#.attention.query", "@transformer.resblocks.#.attn.in_proj_", Fused(0, 3)),
    ("text.blocks.#.attention.key", "@transformer.resblocks.#.attn.in_proj_", Fused(1, 3)),
    ("text.blocks.#.attention.value", "@transformer.resblocks.#.attn.in_proj_", Fused(2, 3)),
    ("text.blocks.#.attention.out", "@transformer.resblocks.#.attn.out_proj.", Linear),
    ("text.blocks.#.norm_2", "@transformer.resblocks.#.ln_2.", Norm),
    ("text.blocks.#.mlp.up", "@transformer.resblocks.#.mlp.c_fc.", Linear),
    ("text.blocks.#.mlp.down", "@transformer.resblocks.#.mlp.c_proj.", Linear),
    ("text.norm", "@ln_final.", Norm),
    // A linear map where it has a bias, a bare matrix where it has none.
    ("text.projection", "@text_projection.", Linear),
    ("text.projection.weight", "@text_projection", Flat(2)),
];

fn timm_names(root: &'static str) -> Names {
    Names {
        rows: TIMM,
        root,
        domains: &["visual."],
        foreign: &["text.", "logit_"],
        stacked: false,
    }
}

/// What `archive`, with its settings in `folder`, holds, if it is of this format.
pub fn describe(archive: &Archive, folder: &Path) -> Result<Option<Described>, FileError> {
    let named = |name: &str| archive.has(name).then(|| name.to_owned());
    let mut described = Described {
        format: "open_clip",
        log_t: named("logit_scale"),
        bias: named("logit_bias"),
        ..Described::default()
    };
    let config = settings::read(&folder.join("open_clip_config.json"))?;
    let model = config.as_ref().and_then(|c| c.table("model_cfg"));
    let part = |key| model.as_ref().and_then(|m: &Settings| m.table(key));
    let quick = model.as_ref().map(|m| m.flag("quick_gelu"));

    if archive.has("visual.trunk.patch_embed.proj.weight") {
        let mut tower = DescribedImage::infer(timm_names("visual.trunk."), archive)?;
        let vision = part("vision_cfg");
        say_timm(
            &mut tower,
            vision.as_ref().and_then(|v| v.text("timm_model_name")),
        );
        described.image = Some(tower);
    } else if archive.has("visual.conv1.weight") {
        let names = Names {
            rows: OWN_IMAGE,
            root: "visual.",
            ..timm_names("")
        };
        let mut tower = DescribedImage::infer(names, archive)?;
        if let Some(vision) = part("vision_cfg") {
            tower.config.heads = tower.config.width / vision.whole("head_width")?.unwrap_or(64);
            tower.config.activation = activation(&vision, quick);
            tower.config.norm_eps = norm_eps(&vision);
            tower.said(&["heads", "activation", "norm_eps"]);
        }
        described.image = Some(tower);
    } else if archive.has("patch_embed.proj.weight") {
        described.format = "timm";
        let config = settings::read(&folder.join("config.json"))?;
        let names = Names {
            domains: &[],
            ..timm_names("")
        };
        let mut tower = DescribedImage::infer(names, archive)?;
        say_timm(
            &mut tower,
            config.as_ref().and_then(|c| c.text("architecture")),
        );
        described.image = Some(tower);
        let pretrained = config.and_then(|c| c.table("pretrained_cfg"));
        described.pixels = pretrained.and_then(|c| pixels(&c));
        return Ok(Some(described));
    }
    let root = ["text.", ""].into_iter();
    let mut root = root.filter(|root| archive.has(&format!("{root}token_embedding.weight")));
    if let Some(root) = root.next() {
        let names = Names {
            rows: TEXT,
            root,
            domains: if root.is_empty() { &[] } else { &["text."] },
            foreign: &["visual.", "logit_"],
            stacked: false,
        };
        let mut tower = DescribedText::infer(names, archive)?;
        if let Some(text) = part("text_cfg") {
            say_text(&mut tower, &text, quick)?;
            let kwargs = text.table("tokenizer_kwargs");
            if kwargs.and_then(|k| k.text("clean").map(|clean| clean == "canonicalize"))
                == Some(true)
            {
                described.canonical = Canonical::Siglip;
            }
        }
        described.text = Some(tower);
    }
    if described.image.is_none() && described.text.is_none() {
        return Ok(None);
    }
    let preprocess = config.as_ref().and_then(|c| c.table("preprocess_cfg"));
    described.pixels = preprocess.and_then(|c| pixels(&c));
    Ok(Some(described))
}

/// timm's vision transformers differ in their activation by name alone; their layer norms have one epsilon.
fn say_timm(tower: &mut DescribedImage, name: Option<&str>) {
    tower.config.norm_eps = 1e-6;
    tower.said(&["norm_eps"]);
    if let Some(name) = name {
        let quick = name.contains("quickgelu");
        tower.config.activation = match () {
            () if quick => Activation::Quick,
            () if name.contains("giantopt") => Activation::Tanh,
            () => Activation::Erf,
        };
        tower.said(&["activation"]);
    }
}

fn say_text(
    tower: &mut DescribedText,
    config: &Settings,
    quick: Option<bool>,
) -> Result<(), FileError> {
    tower.config.heads = config.whole("heads")?.unwrap_or(8);
    tower.config.activation = activation(config, quick);
    tower.config.norm_eps = norm_eps(config);
    tower.config.causal = !config.flag("no_causal_mask");
    (tower.config.pool, tower.config.eos_id) = match config.text("pool_type") {
        None | Some("argmax") => (TextPool::Eos, -1),
        Some("eos") => {
            let id = config.number("eos_id").unwrap_or(2.0);
            (TextPool::Eos, id as i64)
        }
        Some("last") => (TextPool::Last, -1),
        Some("first") => (TextPool::Cls, -1),
        Some(other) => {
            return Err(config.error(format!(
                "pool_type is `{}`; expected argmax, eos, last or first",
                crate::util::printable(other)
            )));
        }
    };
    tower.said(&[
        "heads",
        "activation",
        "norm_eps",
        "causal",
        "pool",
        "eos_id",
    ]);
    debug_assert!(
        tower.config.projection != Projection::None || tower.outputs == tower.config.width
    );
    Ok(())
}

fn activation(config: &Settings, quick: Option<bool>) -> Activation {
    let kwargs = config.table("act_kwargs");
    match kwargs.as_ref().and_then(|k| k.text("approximate")) {
        Some("tanh") => Activation::Tanh,
        _ if quick == Some(true) => Activation::Quick,
        _ => Activation::Erf,
    }
}

fn norm_eps(config: &Settings) -> f64 {
    let kwargs = config.table("norm_kwargs");
    kwargs.and_then(|k| k.number("eps")).unwrap_or(1e-5)
}

/// What open_clip's `preprocess_cfg` and timm's `pretrained_cfg` say.
fn pixels(config: &Settings) -> Option<Pixels> {
    let three = |key| config.numbers(key)?.try_into().ok();
    let (mean, std) = three("mean").zip(three("std"))?;
    let squashes = |key| config.text(key) == Some("squash");
    Some(Pixels {
        resize: match squashes("resize_mode") || squashes("crop_mode") {
            true => Resize::Squash,
            false => Resize::Crop,
        },
        filter: match config.text("interpolation") {
            Some("bilinear") => Filter::Bilinear,
            _ => Filter::Bicubic,
        },
        mean,
        std,
    })
}
