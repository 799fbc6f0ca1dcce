//! `siglab embed`: what a model makes of pictures and texts, in one file.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::DONE;
use crate::train::data::decode;
use crate::train::device;
use crate::train::model::import::Tower;
use crate::train::model::open::{self, Embeddings, Opened};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A run, by its id or the beginning of it or its directory; or a checkpoint of Hugging Face, open_clip or big_vision: a
    /// directory, or a .safetensors or .npz file.
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// A safetensors file with `pixel_values` [batch, 3, height, width], normalised, `input_ids` [batch, tokens], or both; of
    /// towers that read vectors, `image_vectors` and `text_vectors` [batch, width].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["images", "texts"])]
    inputs: Option<PathBuf>,
    /// A folder of jpg, png and webp files: they are prepared as preprocessor_config.json or the run's settings say, and
    /// embedded in the order of their names, which the output notes as `images`.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// A file with a text a line, for the tokenizer.json beside the model, or the run's.
    #[arg(long, value_name = "FILE")]
    texts: Option<PathBuf>,
    /// The safetensors file to write: `image_embeds` and `text_embeds` [batch, dim], of length 1, and
    /// `logits_per_image` [images, texts], scaled and with the bias if there is one.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    #[arg(long, default_value = "cpu")]
    pub device: String,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    ensure!(
        args.inputs.is_some() || args.images.is_some() || args.texts.is_some(),
        "nothing to embed: give --images DIR, --texts FILE, or --inputs FILE"
    );
    let device = device::open(&args.device)?;
    let model = open::open(&super::model_path(workspace, &args.model)?, &device)?;
    let embedded = match &args.inputs {
        Some(inputs) => of_tensors(&model, inputs)?,
        None => Embedded {
            images: args
                .images
                .as_deref()
                .map(|dir| of_pictures(&model, dir))
                .transpose()?,
            texts: args
                .texts
                .as_deref()
                .map(|file| of_lines(&model, file))
                .transpose()?,
        },
    };
    let output = embedded.serialised(&model)?;
    crate::util::write_atomic(&args.output, &output)
        .with_context(|| args.output.display().to_string())?;
    Ok(DONE)
}

/// What a model made of pictures and texts, with the names of the pictures where they have any.
struct Embedded {
    images: Option<(Embeddings, Vec<String>)>,
    texts: Option<Embeddings>,
}

/// Of the tensors in `file`.
fn of_tensors(model: &Opened, file: &Path) -> anyhow::Result<Embedded> {
    let place = || file.display().to_string();
    let bytes = fs::read(file).with_context(place)?;
    let tensors = SafeTensors::deserialize(&bytes).with_context(place)?;
    let images = images(model, &tensors).with_context(place)?;
    let texts = texts(model, &tensors).with_context(place)?;
    ensure!(
        images.is_some() || texts.is_some(),
        "{}: has neither {} nor {}",
        file.display(),
        input_of(model, Tower::Image),
        input_of(model, Tower::Text)
    );
    let images = images.map(|images| (images, Vec::new()));
    Ok(Embedded { images, texts })
}

/// Pictures that are decoded at a time.
const PART: usize = 64;

/// Of the pictures in `folder`.
fn of_pictures(model: &Opened, folder: &Path) -> anyhow::Result<(Embeddings, Vec<String>)> {
    let place = || folder.display().to_string();
    ensure!(
        !model.reads_vectors(Tower::Image),
        "the image tower reads vectors"
    );
    let preparation = model.preparation.as_ref().context(
        "nothing says how pictures become pixels: put preprocessor_config.json beside the model, or give --inputs",
    )?;
    let entries = fs::read_dir(folder).with_context(place)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|e| e.map(|e| e.path())).collect();
    let mut paths = paths.with_context(place)?;
    paths.retain(|path| {
        let ending = path.extension().and_then(|e| e.to_str());
        ending.is_some_and(|e| ENDINGS.contains(&e.to_ascii_lowercase().as_str()))
    });
    paths.sort();
    ensure!(
        !paths.is_empty(),
        "{}: no file ends in {}",
        folder.display(),
        ENDINGS.join(", ")
    );
    let dim = model.config.embed_dim;
    let mut values = Vec::with_capacity(paths.len() * dim);
    for part in paths.chunks(PART) {
        let mut pixels = Vec::new();
        for path in part {
            let place = || path.display().to_string();
            let bytes = fs::read(path).with_context(place)?;
            let picture = decode(&bytes).with_context(place)?;
            let square = preparation.square(&picture).with_context(place)?;
            pixels.extend(preparation.normalise(&square));
        }
        values.extend(model.embed_images(&pixels).values);
    }
    let names = paths.iter().filter_map(|path| path.file_name());
    let names = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    Ok((Embeddings { values, dim }, names))
}

const ENDINGS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// Of the lines of `file`.
fn of_lines(model: &Opened, file: &Path) -> anyhow::Result<Embeddings> {
    let place = || file.display().to_string();
    let tokenizer = model.tokenizer()?;
    let text = fs::read_to_string(file).with_context(place)?;
    let lines = text.lines().map(|line| tokenizer.tokens(line));
    let ids: Vec<Vec<i32>> = lines.collect::<Result<_, _>>().with_context(place)?;
    ensure!(!ids.is_empty(), "{}: has no line", file.display());
    model.embed_texts(&ids.concat(), tokenizer.context())
}

/// What a tower reads is called in a file.
fn input_of(model: &Opened, tower: Tower) -> &'static str {
    match (tower, model.reads_vectors(tower)) {
        (Tower::Image, false) => "pixel_values",
        (Tower::Image, true) => "image_vectors",
        (Tower::Text, false) => "input_ids",
        (Tower::Text, true) => "text_vectors",
    }
}

/// The vectors in `view`, `width` numbers each.
fn vectors(view: &TensorView, width: usize) -> anyhow::Result<Vec<f32>> {
    ensure!(
        matches!(view.shape(), [_, w] if *w == width),
        "vectors are {:?}; expected [batch, {width}]",
        view.shape()
    );
    floats(view)
}

/// Of `pixel_values` or `image_vectors`, if there are any.
fn images(model: &Opened, tensors: &SafeTensors) -> anyhow::Result<Option<Embeddings>> {
    let Ok(pixels) = tensors.tensor(input_of(model, Tower::Image)) else {
        return Ok(None);
    };
    let size = model.inputs.image;
    if model.reads_vectors(Tower::Image) {
        return Ok(Some(model.embed_images(&vectors(&pixels, size)?)));
    }
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

/// Of `input_ids` or `text_vectors`, if there are any.
fn texts(model: &Opened, tensors: &SafeTensors) -> anyhow::Result<Option<Embeddings>> {
    let Ok(ids) = tensors.tensor(input_of(model, Tower::Text)) else {
        return Ok(None);
    };
    if let (true, Some(width)) = (model.reads_vectors(Tower::Text), model.inputs.text) {
        return model.embed_text_vectors(&vectors(&ids, width)?).map(Some);
    }
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
        other => bail!("the numbers are {other:?}; expected F32, F16 or BF16"),
    })
}

impl Embedded {
    fn serialised(&self, model: &Opened) -> anyhow::Result<Vec<u8>> {
        let bytes =
            |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|x| x.to_le_bytes()).collect() };
        let rows = |e: &Embeddings| (vec![e.count(), e.dim], bytes(&e.values));
        let images = self.images.as_ref().map(|(images, _)| images);
        let texts = self.texts.as_ref();
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
        let names = self
            .images
            .iter()
            .map(|(_, names)| names)
            .find(|names| !names.is_empty());
        let notes = names.map(serde_json::to_string).transpose()?;
        let notes = notes.map(|names| [("images".to_owned(), names)].into());
        Ok(safetensors::serialize(views, notes)?)
    }
}
