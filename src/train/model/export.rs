//! A model in Hugging Face's layout: `config.json`, `model.safetensors`, `preprocessor_config.json`, and the tokenizer's
//! files where there are any. The names are those that `import::hugging_face` reads.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::import::axes::transposed;
use super::import::hugging_face::{BIAS, LOG_T, image_names, text_names};
use super::import::names::{Order, Place};
use super::open::Opened;
use super::{ImageConfig, ImagePool, Projection, Shape, TextConfig, TextPool, TowerKind};
use crate::train::data::{Filter, Preparation, Resize};
use crate::train::loss::LossConfig;
use crate::train::ops::Activation;
use crate::util::write_atomic;

/// The models of transformers that have a place for every parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Siglip,
    Clip,
}

impl Family {
    pub fn name(self) -> &'static str {
        match self {
            Self::Siglip => "SiglipModel",
            Self::Clip => "CLIPModel",
        }
    }
}

/// Why no model of transformers can be this one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "transformers has no model of this shape. SiglipModel would need {}; CLIPModel would need {}",
    siglip.join(", "), clip.join(", ")
)]
pub struct NoFamily {
    siglip: Vec<String>,
    clip: Vec<String>,
}

/// The tokenizer's files, which go where the weights go.
const TOKENIZER: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "spiece.model",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
];
const PREPROCESSOR: &str = "preprocessor_config.json";
/// Without it transformers does not know what to make of a tokenizer.json.
const TOKENIZER_CONFIG: &str = "tokenizer_config.json";

/// Write `model` into the folder `out`, which is made, and must not hold a model yet.
///
/// # Errors
/// A shape that transformers has no model for; a folder that has a model; what the file system says.
pub fn hugging_face(model: &Opened, out: &Path) -> anyhow::Result<Family> {
    let family = family(model)?;
    let place = |name: &str| out.join(name);
    let weights = place("model.safetensors");
    ensure!(
        !weights.exists() && !place("config.json").exists(),
        "{} holds a model already: name another folder",
        out.display()
    );
    fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let tensors = tensors(model, family);
    let bytes: BTreeMap<&String, (&Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.values.iter().flat_map(|x| x.to_le_bytes()).collect();
            (name, (&tensor.shape, bytes))
        })
        .collect();
    let views = bytes.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, (*shape).clone(), bytes)?;
        Ok::<_, safetensors::SafeTensorError>((name.as_str(), view))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>()?;
    let note = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = safetensors::serialize(views, Some(note))?;
    write_atomic(&weights, &bytes).with_context(|| weights.display().to_string())?;
    let write = |name: &str, value: &Value| -> anyhow::Result<()> {
        let path = place(name);
        let text = serde_json::to_string_pretty(value)? + "\n";
        write_atomic(&path, text.as_bytes()).with_context(|| path.display().to_string())
    };
    write("config.json", &config(model, family))?;
    let folder = model.tokenizer_folder();
    let files = TOKENIZER.iter().map(|name| (&folder, *name));
    for (folder, name) in files.chain([(&model.folder, PREPROCESSOR)]) {
        let from = folder.join(name);
        if from.is_file() {
            fs::copy(&from, place(name)).with_context(|| from.display().to_string())?;
        }
    }
    if place("tokenizer.json").exists() && !place(TOKENIZER_CONFIG).exists() {
        let length = model.config.text.context;
        let fast =
            json!({ "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": length });
        write(TOKENIZER_CONFIG, &fast)?;
    }
    if let Some(preparation) = &model.preparation
        && !place(PREPROCESSOR).exists()
    {
        write(PREPROCESSOR, &preprocessor(preparation))?;
    }
    Ok(family)
}

/// What `model` can be in transformers.
fn family(model: &Opened) -> Result<Family, NoFamily> {
    let (image, text) = (&model.config.image, &model.config.text);
    let key = |key: &str, needed: Value, is: Value| {
        (needed != is).then(|| format!("{key} = {needed} (it is {is})"))
    };
    let kind = |tower, kind: TowerKind| {
        let key_name = format!("model.{tower}.tower");
        key(&key_name, json!(TowerKind::Transformer), json!(kind))
    };
    let towers = || {
        let has_text = model.inputs.text.is_some();
        let absent = (!has_text).then(|| "a text tower".to_owned());
        let both = [kind("image", image.tower), kind("text", text.tower)];
        both.into_iter().chain([absent])
    };
    let image_pool = |pool| key("model.image.pool", json!(pool), json!(image.pool));
    let text_pool = |pool| key("model.text.pool", json!(pool), json!(text.pool));
    let pre_norm = |needed| key("model.image.pre_norm", json!(needed), json!(image.pre_norm));
    let causal = |needed| key("model.text.causal", json!(needed), json!(text.causal));
    let text_pre_norm = || key("model.text.pre_norm", json!(false), json!(text.pre_norm));
    let siglip = [
        image_pool(ImagePool::Map),
        text_pool(TextPool::Last),
        pre_norm(false),
        text_pre_norm(),
        causal(false),
        key(
            "model.image.projection",
            json!(Projection::None),
            json!(image.projection),
        ),
    ];
    let siglip: Vec<String> = towers().chain(siglip).flatten().collect();
    if siglip.is_empty() {
        return Ok(Family::Siglip);
    }
    let no_bias = |tower: &str, projection: Projection| {
        let name = format!("model.{tower}.projection");
        let fits = projection != Projection::Linear;
        let linear = (!fits).then_some(projection).map(|p| json!(p));
        linear.and_then(|is| key(&name, json!(Projection::NoBias), is))
    };
    let additive = matches!(&model.loss, LossConfig::Sigmoid(_)) && model.line().shift != 0.0;
    let clip = [
        image_pool(ImagePool::Cls),
        text_pool(TextPool::Eos),
        pre_norm(true),
        text_pre_norm(),
        causal(true),
        key(
            "model.image.patch_bias",
            json!(false),
            json!(image.patch_bias),
        ),
        no_bias("image", image.projection),
        no_bias("text", text.projection),
        additive.then(|| "a loss without bias".to_owned()),
    ];
    let clip: Vec<String> = towers().chain(clip).flatten().collect();
    if clip.is_empty() {
        return Ok(Family::Clip);
    }
    Err(NoFamily { siglip, clip })
}

struct Tensor {
    shape: Vec<usize>,
    values: Vec<f32>,
}

/// Every parameter under Hugging Face's name, and those that transformers has and the model does without: a bias of
/// zeros, an identity in place of no projection.
fn tensors(model: &Opened, family: Family) -> BTreeMap<String, Tensor> {
    let names = [image_names("vision_model."), text_names("text_model.")];
    let mut found: BTreeMap<String, Tensor> = BTreeMap::new();
    let mut parts: BTreeMap<String, BTreeMap<usize, Tensor>> = BTreeMap::new();
    for entry in model.layout.entries() {
        let values = &model.values[entry.range.clone()];
        let mut places = names.iter().flat_map(|names| names.places(&entry.name));
        // SigLIP's head of the text tower has another name than CLIP's.
        let has_two_names = entry.name.starts_with("text.projection");
        let place = places.find(|place| {
            let of_clip = place.name.starts_with("text_projection");
            !has_two_names || of_clip == (family == Family::Clip)
        });
        let Some(place) = place else { continue };
        let tensor = theirs(&place, &entry.shape, values);
        match place.part {
            Some((n, _)) => {
                parts.entry(place.name).or_default().insert(n, tensor);
            }
            None => {
                found.insert(place.name, tensor);
            }
        }
    }
    for (name, parts) in parts {
        let mut parts = parts.into_values();
        let Some(mut whole) = parts.next() else {
            continue;
        };
        for part in parts {
            whole.shape[0] += part.shape[0];
            whole.values.extend(part.values);
        }
        found.insert(name, whole);
    }
    let line = model.line();
    // One number, which CLIP keeps without an axis and SigLIP with one.
    let scalar = |value: f64| Tensor {
        shape: if family == Family::Siglip {
            vec![1]
        } else {
            vec![]
        },
        values: vec![value as f32],
    };
    found.insert(LOG_T.into(), scalar(line.scale.ln()));
    let zeros = |length: usize| Tensor {
        shape: vec![length],
        values: vec![0.0; length],
    };
    let dim = model.config.embed_dim;
    let identity = || Tensor {
        shape: vec![dim, dim],
        values: (0..dim * dim)
            .map(|i| f32::from(u8::from(i % (dim + 1) == 0)))
            .collect(),
    };
    let mut otherwise = |name: &str, tensor: Tensor| {
        found.entry(name.to_owned()).or_insert(tensor);
    };
    match family {
        Family::Siglip => {
            otherwise(BIAS, scalar(line.shift));
            otherwise(
                "vision_model.embeddings.patch_embedding.bias",
                zeros(width(model.config.image.shape())),
            );
            otherwise("text_model.head.weight", identity());
            otherwise("text_model.head.bias", zeros(dim));
        }
        Family::Clip => {
            otherwise("visual_projection.weight", identity());
            otherwise("text_projection.weight", identity());
        }
    }
    found
}

fn width(shape: Option<Shape>) -> usize {
    shape.map_or(0, |shape| shape.width)
}

/// A parameter of shape `ours` as it lies at `place`.
fn theirs(place: &Place, ours: &[usize], values: &[f32]) -> Tensor {
    match (place.order, ours) {
        (Order::Swapped, [inputs, outputs]) => Tensor {
            shape: vec![*outputs, *inputs],
            values: transposed(values, ours, &[1, 0]),
        },
        (Order::Conv, [inputs, width]) => {
            let patch = (inputs / 3).isqrt();
            Tensor {
                shape: vec![*width, 3, patch, patch],
                values: transposed(values, &[patch, patch, 3, *width], &[3, 2, 0, 1]),
            }
        }
        (Order::Same(axes), _) => {
            let mut shape = ours.to_vec();
            let axes = axes.unwrap_or(shape.len());
            while shape.len() > axes && shape.first() == Some(&1) {
                shape.remove(0);
            }
            while shape.len() < axes {
                shape.insert(0, 1);
            }
            Tensor {
                shape,
                values: values.to_vec(),
            }
        }
        (Order::Swapped | Order::Conv, _) => {
            unreachable!("a table maps matrices to matrices")
        }
    }
}

fn act(activation: Activation) -> &'static str {
    match activation {
        Activation::Erf => "gelu",
        Activation::Tanh => "gelu_pytorch_tanh",
        Activation::Quick => "quick_gelu",
    }
}

fn config(model: &Opened, family: Family) -> Value {
    let (image, text) = (&model.config.image, &model.config.text);
    let dim = model.config.embed_dim;
    let (model_type, projection) = match family {
        Family::Siglip => ("siglip", "projection_size"),
        Family::Clip => ("clip", "projection_dim"),
    };
    let mut vision = vision_config(image, model.inputs.image);
    let mut words = text_config(text, model.inputs.text.unwrap_or_default());
    vision["model_type"] = json!(format!("{model_type}_vision_model"));
    words["model_type"] = json!(format!("{model_type}_text_model"));
    words[projection] = json!(dim);
    if family == Family::Clip {
        vision[projection] = json!(dim);
        // 2 stands for the largest id of a text, whatever the vocabulary.
        words["eos_token_id"] = json!(if text.eos_id < 0 { 2 } else { text.eos_id });
    }
    let mut whole = json!({
        "architectures": [family.name()],
        "model_type": model_type,
        "dtype": "float32",
        "initializer_factor": 1.0,
        "text_config": words,
        "vision_config": vision,
    });
    if family == Family::Clip {
        whole[projection] = json!(dim);
    }
    whole
}

fn vision_config(config: &ImageConfig, size: usize) -> Value {
    let shape = config.shape();
    let number = |of: fn(&Shape) -> usize| json!(shape.as_ref().map(of));
    json!({
        "hidden_size": number(|s| s.width),
        "intermediate_size": number(|s| s.mlp_width),
        "num_hidden_layers": number(|s| s.depth),
        "num_attention_heads": number(|s| s.heads),
        "num_channels": 3,
        "image_size": size,
        "patch_size": config.patch,
        "hidden_act": act(config.activation),
        "layer_norm_eps": config.norm_eps,
        "attention_dropout": 0.0,
    })
}

fn text_config(config: &TextConfig, vocabulary: usize) -> Value {
    let shape = config.shape();
    let number = |of: fn(&Shape) -> usize| json!(shape.as_ref().map(of));
    json!({
        "vocab_size": vocabulary,
        "hidden_size": number(|s| s.width),
        "intermediate_size": number(|s| s.mlp_width),
        "num_hidden_layers": number(|s| s.depth),
        "num_attention_heads": number(|s| s.heads),
        "max_position_embeddings": config.context,
        "hidden_act": act(config.activation),
        "layer_norm_eps": config.norm_eps,
        "attention_dropout": 0.0,
    })
}

fn preprocessor(preparation: &Preparation) -> Value {
    let size = preparation.size;
    let square = json!({ "height": size, "width": size });
    let mut whole = json!({
        "do_resize": true,
        "do_rescale": true,
        "do_normalize": true,
        // As PIL numbers its filters.
        "resample": match preparation.filter {
            Filter::Bicubic => 3,
            Filter::Bilinear => 2,
        },
        "rescale_factor": 1.0 / 255.0,
        "image_mean": preparation.mean,
        "image_std": preparation.std,
    });
    match preparation.resize {
        Resize::Squash => {
            whole["image_processor_type"] = json!("SiglipImageProcessor");
            whole["size"] = square;
        }
        Resize::Crop => {
            whole["image_processor_type"] = json!("CLIPImageProcessor");
            whole["size"] = json!({ "shortest_edge": size });
            whole["do_center_crop"] = json!(true);
            whole["crop_size"] = square;
        }
    }
    whole
}
