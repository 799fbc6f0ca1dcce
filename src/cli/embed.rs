//! `siglab embed`: what a model makes of pictures and texts, in one file.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::DONE;
use crate::train::device;
use crate::train::model::open::{self, Embeddings, Opened};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run's directory, or a checkpoint of Hugging Face, open_clip or big_vision: a directory, or a .safetensors or .npz
    /// file.
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// A safetensors file with `pixel_values` [batch, 3, height, width], normalised, `input_ids` [batch, tokens], or both.
    #[arg(long, value_name = "FILE")]
    inputs: PathBuf,
    /// The safetensors file to write: `image_embeds` and `text_embeds` [batch, dim], of length 1, and
    /// `logits_per_image` [images, texts], scaled and with the bias if there is one.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[arg(long, default_value = "cpu")]
    device: String,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let device = device::open(&args.device)?;
    let model = open::open(&args.model, &device)?;
    let place = || args.inputs.display().to_string();
    let bytes = fs::read(&args.inputs).with_context(place)?;
    let tensors = SafeTensors::deserialize(&bytes).with_context(place)?;
    let images = images(&model, &tensors).with_context(place)?;
    let texts = texts(&model, &tensors).with_context(place)?;
    ensure!(
        images.is_some() || texts.is_some(),
        "{}: has neither pixel_values nor input_ids",
        args.inputs.display()
    );
    let output = serialised(&model, images.as_ref(), texts.as_ref())?;
    crate::util::write_atomic(&args.output, &output)
        .with_context(|| args.output.display().to_string())?;
    Ok(DONE)
}

/// Of `pixel_values`, if there are any.
fn images(model: &Opened, tensors: &SafeTensors) -> anyhow::Result<Option<Embeddings>> {
    let Ok(pixels) = tensors.tensor("pixel_values") else {
        return Ok(None);
    };
    let size = model.inputs.image;
    let [batch, 3, height, width] = *pixels.shape() else {
        bail!(
            "pixel_values are {:?}; expected [batch, 3, {size}, {size}]",
            pixels.shape()
        );
    };
    ensure!(
        (height, width) == (size, size),
        "pixel_values are {height}x{width}, and the model is for images of {size}x{size}"
    );
    let planes = floats(&pixels)?;
    let area = size * size;
    let mut rows = Vec::with_capacity(batch * 3 * area);
    for image in planes.chunks_exact(3 * area) {
        rows.extend((0..area).flat_map(|at| [image[at], image[area + at], image[2 * area + at]]));
    }
    Ok(Some(model.embed_images(&rows)))
}

/// Of `input_ids`, if there are any.
fn texts(model: &Opened, tensors: &SafeTensors) -> anyhow::Result<Option<Embeddings>> {
    let Ok(ids) = tensors.tensor("input_ids") else {
        return Ok(None);
    };
    let [_, length] = *ids.shape() else {
        bail!("input_ids are {:?}; expected [batch, tokens]", ids.shape());
    };
    let data = ids.data();
    let ids: Vec<i32> = match ids.dtype() {
        Dtype::I32 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| i32::from_le_bytes(*b))
            .collect(),
        Dtype::I64 => {
            let wide = data.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b));
            let narrow = wide.map(|id| i32::try_from(id).with_context(|| format!("token id {id}")));
            narrow.collect::<Result<_, _>>()?
        }
        other => bail!("input_ids are {other:?}; expected I64 or I32"),
    };
    Ok(Some(model.embed_texts(&ids, length)?))
}

fn floats(view: &TensorView) -> anyhow::Result<Vec<f32>> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        Dtype::F16 => {
            let halves = data.as_chunks().0.iter();
            halves
                .map(|b| half::f16::from_le_bytes(*b).to_f32())
                .collect()
        }
        Dtype::BF16 => {
            let halves = data.as_chunks().0.iter();
            halves
                .map(|b| half::bf16::from_le_bytes(*b).to_f32())
                .collect()
        }
        other => bail!("pixel_values are {other:?}; expected F32, F16 or BF16"),
    })
}

fn serialised(
    model: &Opened,
    images: Option<&Embeddings>,
    texts: Option<&Embeddings>,
) -> anyhow::Result<Vec<u8>> {
    let bytes =
        |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
    let rows = |e: &Embeddings| (vec![e.count(), e.dim], bytes(&e.values));
    let logits = images.zip(texts).map(|(images, texts)| {
        let shape = vec![images.count(), texts.count()];
        (shape, bytes(&model.logits(images, texts)))
    });
    let all = [
        ("image_embeds", images.map(rows)),
        ("text_embeds", texts.map(rows)),
        ("logits_per_image", logits),
    ];
    let views = all.iter().filter_map(|(name, tensor)| {
        let (shape, bytes) = tensor.as_ref()?;
        Some(TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (*name, view)))
    });
    let views: Vec<_> = views.collect::<Result<_, _>>()?;
    Ok(safetensors::serialize(views, None)?)
}
