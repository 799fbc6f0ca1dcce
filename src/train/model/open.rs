//! A model outside of a run, whoever wrote it: the checkpoint of a run, or one of another program. It embeds pictures and
//! texts, and says what must be known to prepare them.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::import::{Checkpoint, Tower};
use super::params::Layout;
use super::{Inputs, Model, ModelConfig, TextPool, TowerKind};
use crate::record::{RunDir, checkpoint};
use crate::train::data::text::{Canonical, Padding, Tokenizer, TokenizerConfig, TokensConfig};
use crate::train::data::{DataConfig, Preparation};
use crate::train::device::{host, vector};
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
    /// How pictures become pixels, if whoever wrote the model says so.
    pub preparation: Option<Preparation>,
    /// How texts become token ids; none where no tokenizer is known.
    texts: Option<Texts>,
    /// Where the files beside the weights are.
    pub folder: PathBuf,
    device: Device,
}

/// Where a tokenizer is.
enum Texts {
    /// The one that a run was trained with.
    Of(Box<DataConfig>),
    /// A file beside the weights.
    File(TokensConfig),
}

/// Pictures and texts that are embedded at a time.
const PART: usize = 64;

/// The model at `path`: the directory of a run, of which the last checkpoint is taken, or a checkpoint of Hugging Face,
/// open_clip, timm or big_vision, a directory or a file.
///
/// # Errors
/// What is no such thing, is damaged, or does not say all of its model.
pub fn open(path: &Path, device: &Device) -> anyhow::Result<Opened> {
    if RunDir::new(path).spec().exists() {
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
        preparation: Some(settings.data.preparation()),
        texts: Some(Texts::Of(Box::new(settings.data))),
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
    let tokenizer = file.folder().join("tokenizer.json");
    let texts = tokenizer.exists().then(|| {
        Texts::File(TokensConfig {
            tokenizer: TokenizerConfig::File(tokenizer.display().to_string()),
            canonicalise: described.canonical,
            padding: padding_of(config.text.pool),
            ..TokensConfig::default()
        })
    });
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
        preparation: described.pixels.map(|p| p.preparation(image.size)),
        texts,
        folder: file.folder().to_owned(),
        device: device.clone(),
    }
    .with_values())
}

/// What stands around a text for a tower that reads it like this.
fn padding_of(pool: TextPool) -> Padding {
    match pool {
        TextPool::Last => Padding::Siglip,
        TextPool::Eos => Padding::Clip,
        TextPool::Mean | TextPool::Cls | TextPool::Map => Padding::Own,
    }
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
        let flat = vector(self.values.clone(), &self.device);
        self.model = self.layout.assign(self.model, &flat);
        self
    }

    /// Whether a tower reads vectors that were made elsewhere.
    pub fn reads_vectors(&self, tower: Tower) -> bool {
        let kind = match tower {
            Tower::Image => self.config.image.tower,
            Tower::Text => self.config.text.tower,
        };
        kind == TowerKind::Features
    }

    /// Of pixels `[count, size, size, 3]`, normalised, with the size that the model was made for; or of vectors
    /// `[count, width]` for a tower that reads these.
    pub fn embed_images(&self, values: &[f32]) -> Embeddings {
        let size = self.inputs.image;
        if self.reads_vectors(Tower::Image) {
            let parts = self.vectors(values, size);
            return self.gathered(parts.map(|part| self.model.embed_images(part)));
        }
        let one = size * size * 3;
        let parts = values.chunks(PART * one).map(|part| {
            let shape = [part.len() / one, size, size, 3];
            let data = TensorData::new(part.to_vec(), shape);
            self.model
                .embed_images(Tensor::<4>::from_data(data, &self.device))
        });
        self.gathered(parts)
    }

    fn vectors(&self, values: &[f32], width: usize) -> impl Iterator<Item = Tensor<2>> {
        values.chunks(PART * width).map(move |part| {
            let data = TensorData::new(part.to_vec(), [part.len() / width, width]);
            Tensor::from_data(data, &self.device)
        })
    }

    /// Of vectors `[count, width]`.
    ///
    /// # Errors
    /// A model whose text tower reads tokens, or that has none.
    pub fn embed_text_vectors(&self, values: &[f32]) -> anyhow::Result<Embeddings> {
        let width = self.inputs.text.context("the model has no text tower")?;
        ensure!(
            self.reads_vectors(Tower::Text),
            "the text tower reads tokens"
        );
        let parts = self.vectors(values, width);
        Ok(self.gathered(parts.map(|part| self.model.embed_texts(part))))
    }

    /// Of token ids `[count, length]`.
    ///
    /// # Errors
    /// A model without a text tower, ids that it does not know, texts longer than its context.
    pub fn embed_texts(&self, ids: &[i32], length: usize) -> anyhow::Result<Embeddings> {
        let vocabulary = self.inputs.text.context("the model has no text tower")?;
        ensure!(
            !self.reads_vectors(Tower::Text),
            "the text tower reads vectors"
        );
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

    /// How texts become token ids, where somebody says.
    fn tokens(&self) -> Option<&TokensConfig> {
        match &self.texts {
            Some(Texts::Of(data)) => Some(data.text()),
            Some(Texts::File(config)) => Some(config),
            None => None,
        }
    }

    /// What texts are changed to before a tokenizer sees them, which its own files do not say.
    pub fn canonicalise(&self) -> Canonical {
        self.tokens()
            .map_or(Canonical::None, |config| config.canonicalise)
    }

    /// Where the tokenizer's files are, if there are any.
    pub fn tokenizer_folder(&self) -> PathBuf {
        match self.tokens().map(|config| &config.tokenizer) {
            Some(TokenizerConfig::File(path)) => {
                let path = Path::new(path);
                let folder = if path.is_dir() {
                    Some(path)
                } else {
                    path.parent()
                };
                folder.unwrap_or(Path::new("")).to_owned()
            }
            _ => self.folder.clone(),
        }
    }

    /// What stands around texts, where a tokenizer of another program makes their ids.
    pub fn padding(&self) -> Padding {
        padding_of(self.config.text.pool)
    }

    /// What makes token ids of texts.
    ///
    /// # Errors
    /// A model that nobody says a tokenizer of, and one whose ids the model does not have.
    pub fn tokenizer(&self) -> anyhow::Result<Tokenizer> {
        let place = self.folder.display();
        let context = self.config.text.context;
        let tokenizer = match &self.texts {
            Some(Texts::Of(data)) => data.tokenizer(context)?,
            Some(Texts::File(config)) => Tokenizer::open(config, None, context)?,
            None => bail!(
                "{place}: there is no tokenizer.json: put the one that the model was trained with beside it"
            ),
        };
        let rows = self.inputs.text.context("the model has no text tower")?;
        ensure!(
            !self.reads_vectors(Tower::Text),
            "the text tower reads vectors"
        );
        ensure!(
            tokenizer.ids() <= rows,
            "{place}: the tokenizer has {} ids, and the model a table of {rows}",
            tokenizer.ids()
        );
        Ok(tokenizer)
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
