//! A model outside of a run, whoever wrote it: the checkpoint of a run, or one of another program. It embeds pictures and
//! texts, and says what must be known to prepare them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::import::{Checkpoint, Normalisation, Tower};
use super::params::Layout;
use super::{Inputs, Model, ModelConfig};
use crate::record::{RunDir, checkpoint};
use crate::train::device::host;
use crate::train::loss::{BiasInit, Line, LogTInit, LossConfig, SigmoidConfig, SoftmaxConfig};
use crate::train::snapshot;

/// A model that can be asked.
pub struct Opened {
    pub model: Model,
    /// With nothing left for a file to say.
    pub config: ModelConfig,
    pub loss: LossConfig,
    pub inputs: Inputs,
    /// All parameters, in the order of `layout`.
    pub values: Vec<f32>,
    pub layout: Layout,
    /// What is done to pixels in [0, 1], if whoever wrote the model says so.
    pub normalisation: Option<Normalisation>,
    /// Where the files beside the weights are.
    pub folder: PathBuf,
    device: Device,
}

/// Pictures and texts that are embedded at a time.
const PART: usize = 64;

/// The model at `path`: the directory of a run, of which the last checkpoint is taken, or a checkpoint of Hugging Face,
/// open_clip, timm or big_vision, a directory or a file.
///
/// # Errors
/// What is no such thing, is damaged, or does not say all of its model.
pub fn open(path: &Path, device: &Device) -> anyhow::Result<Opened> {
    if path.join("spec.json").exists() {
        open_run(path, device)
    } else {
        of_checkpoint(Checkpoint::open(path)?, device)
    }
}

fn open_run(path: &Path, device: &Device) -> anyhow::Result<Opened> {
    let (checkpoint, damaged) = checkpoint::latest(&RunDir::new(path))?;
    let checkpoint = checkpoint.with_context(|| {
        let reasons: String = damaged.iter().map(|reason| format!("; {reason}")).collect();
        format!(
            "{}: the run has no whole checkpoint{reasons}",
            path.display()
        )
    })?;
    let settings = snapshot::settings(&checkpoint)?;
    let (config, loss, inputs) = (settings.model, settings.loss, settings.inputs);
    let model = Model::zeros(&config, &loss, inputs, device);
    let layout = Layout::of(&model);
    let values = snapshot::values_of(&layout, &checkpoint)?;
    Ok(Opened {
        model,
        config,
        loss,
        inputs,
        values,
        layout,
        normalisation: Some(Normalisation {
            mean: [0.5; 3],
            std: [0.5; 3],
        }),
        folder: path.to_owned(),
        device: device.clone(),
    }
    .with_values())
}

/// The model in `file`.
pub fn of_checkpoint(mut file: Checkpoint, device: &Device) -> anyhow::Result<Opened> {
    let described = file.described.clone();
    let path = file.path().to_owned();
    let image = described.image.ok_or_else(|| file.lacks(Tower::Image))?;
    let text = described.text.ok_or_else(|| file.lacks(Tower::Text))?;
    let place = path.display();
    for (tower, unsaid) in [("image", &image.unsaid), ("text", &text.unsaid)] {
        let open: Vec<&str> = unsaid.iter().copied().filter(|s| *s != "eos_id").collect();
        ensure!(
            open.is_empty(),
            "{place} ({}) does not say {} of its {tower} tower: put the settings that its program wrote (config.json, \
             open_clip_config.json) beside it",
            described.format,
            open.join(", ")
        );
    }
    ensure!(
        image.outputs == text.outputs,
        "{place}: the image tower embeds into {} numbers and the text tower into {}",
        image.outputs,
        text.outputs
    );
    let [log_t, bias] = file.scalars()?;
    let log_t = log_t.with_context(|| format!("{place} has no logit scale"))?;
    let loss = loss_of(log_t, bias);
    let config = ModelConfig {
        embed_dim: image.outputs,
        image: image.config,
        text: text.config,
    };
    let inputs = Inputs {
        image: image.size,
        text: Some(config.text.vocabulary),
        classes: None,
    };
    let model = Model::zeros(&config, &loss, inputs, device);
    let layout = Layout::of(&model);
    let mut values = vec![0.0; layout.length()];
    let reports = [
        file.fill_image(&mut values, &layout, &config.image, image.size)?,
        file.fill_text(&mut values, &layout)?,
    ];
    for report in reports {
        if !report.is_whole() {
            bail!("{place} ({}): {}", described.format, report.mismatches());
        }
    }
    for (name, value) in [("log_t", Some(log_t)), ("bias", bias)] {
        if let Some((entry, value)) = layout.get(name).zip(value) {
            values[entry.range.start] = value as f32;
        }
    }
    Ok(Opened {
        model,
        config,
        loss,
        inputs,
        values,
        layout,
        normalisation: described.normalisation,
        folder: file.folder().to_owned(),
        device: device.clone(),
    }
    .with_values())
}

/// The loss that a model with these scalars was trained with.
fn loss_of(log_t: f64, bias: Option<f64>) -> LossConfig {
    let init = LogTInit::Number(log_t);
    match bias {
        Some(bias) => {
            let mut config = SigmoidConfig::default();
            (config.log_t.init, config.bias.init) = (init, BiasInit::Number(bias));
            LossConfig::Sigmoid(config)
        }
        None => {
            let mut config = SoftmaxConfig::default();
            config.log_t.init = init;
            LossConfig::Softmax(config)
        }
    }
}

/// Embeddings, `[count, embed_dim]`, of length 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    pub values: Vec<f32>,
    pub dim: usize,
}

impl Embeddings {
    pub fn count(&self) -> usize {
        self.values.len() / self.dim
    }
}

impl Opened {
    fn with_values(mut self) -> Self {
        let flat = TensorData::new(self.values.clone(), [self.layout.length()]);
        let flat = Tensor::from_data(flat, &self.device);
        self.model = self.layout.assign(self.model, &flat);
        self
    }

    /// Of pixels `[count, size, size, 3]`, normalised, with the size that the model was made for.
    pub fn embed_images(&self, pixels: &[f32]) -> Embeddings {
        let size = self.inputs.image;
        let one = size * size * 3;
        let parts = pixels.chunks(PART * one).map(|part| {
            let shape = [part.len() / one, size, size, 3];
            let data = TensorData::new(part.to_vec(), shape);
            self.model
                .embed_images(Tensor::<4>::from_data(data, &self.device))
        });
        self.gathered(parts)
    }

    /// Of token ids `[count, length]`.
    ///
    /// # Errors
    /// A model without a text tower, ids that it does not know, texts longer than its context.
    pub fn embed_texts(&self, ids: &[i32], length: usize) -> anyhow::Result<Embeddings> {
        let vocabulary = self.inputs.text.context("the model has no text tower")?;
        let context = self.config.text.context;
        ensure!(
            (1..=context).contains(&length),
            "texts of {length} tokens, and the model reads 1 to {context}"
        );
        let unknown = |id: &&i32| usize::try_from(**id).map_or(true, |id| id >= vocabulary);
        if let Some(id) = ids.iter().find(unknown) {
            bail!(
                "token id {id}, and the model knows those from 0 to {}",
                vocabulary - 1
            );
        }
        let parts = ids.chunks(PART * length).map(|part| {
            let shape = [part.len() / length, length];
            let data = TensorData::new(part.to_vec(), shape);
            self.model
                .embed_texts(Tensor::<2, Int>::from_data(data, &self.device))
        });
        Ok(self.gathered(parts))
    }

    fn gathered(&self, parts: impl Iterator<Item = Tensor<2>>) -> Embeddings {
        Embeddings {
            values: parts.flat_map(host).collect(),
            dim: self.config.embed_dim,
        }
    }

    /// How a similarity becomes a logit.
    pub fn line(&self) -> Line {
        let scalar = |name: &str| {
            let entry = self.layout.get(name);
            entry.map_or(0.0, |entry| f64::from(self.values[entry.range.start]))
        };
        let relative = matches!(&self.loss, LossConfig::Sigmoid(c) if c.bias.relative);
        Line::new(scalar("log_t"), scalar("bias"), relative)
    }

    /// Logits `[images, texts]`.
    pub fn logits(&self, images: &Embeddings, texts: &Embeddings) -> Vec<f32> {
        let line = self.line();
        let rows = images.values.chunks_exact(images.dim);
        rows.flat_map(|image| {
            texts.values.chunks_exact(texts.dim).map(move |text| {
                let products = image.iter().zip(text).map(|(x, y)| f64::from(x * y));
                (line.scale * products.sum::<f64>() + line.shift) as f32
            })
        })
        .collect()
    }
}
