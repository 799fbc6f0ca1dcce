//! Data sets to evaluate on besides the run's own: folders as CLIP_benchmark keeps them (`test/nshards.txt`, `test/0.tar`, …,
//! `classnames.txt`, `zeroshot_classification_templates.txt`, `dataset_type.txt`), folders of images, one a class, and shards
//! and tables of pairs. A `train` part beside `test` is what probes learn from.

mod layout;

use std::collections::BTreeMap;

use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::retrieval::{self, Captions, retrieve};
use super::{
    CHUNK, EvalConfig, Hits, Labelled, Neighbours, Retrieval, knn, probe, templates, zeroshot,
};
use crate::train::config::{ConfigError, check};
use crate::train::data::text::{Canonical, Tokenizer, TokenizerConfig, TokensConfig};
use crate::train::data::{DataConfig, DataError, Files, FilesConfig, Preparation, Skips, decode};
use crate::train::device::host;
use crate::train::model::Model;
use crate::train::model::open::Opened;

/// One of `eval.sets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetConfig {
    /// What its metrics are called after: `zeroshot/NAME/top1`.
    pub name: String,
    /// A folder as CLIP_benchmark keeps it, a folder with one folder a class, shards (`{000..012}.tar`), a .csv, .tsv or
    /// .parquet table.
    pub path: String,
    /// What is said of a class: `best` (CLIP's seven), `plain`, or a file with one template a line. Empty is the data set's own,
    /// and `plain` where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub templates: String,
    /// Where captions are, as data.caption.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub caption: String,
    /// Where the caption's language is, as data.language.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub language: String,
    /// Where the class is, as data.label.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
}

pub(super) fn validate(sets: &[SetConfig]) -> Result<(), ConfigError> {
    for (place, SetConfig { name, path, .. }) in sets.iter().enumerate() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let named = !name.is_empty() && name.chars().all(plain);
        check("eval.sets", named, || {
            format!("\"{name}\" is no name for metrics: letters, digits, -, _ and . only")
        })?;
        check("eval.sets", !path.is_empty(), || {
            format!("{name} has no path")
        })?;
        let first = sets.iter().position(|set| set.name == *name);
        check("eval.sets", first == Some(place), || {
            format!("two sets are called {name}")
        })?;
    }
    Ok(())
}

/// How the model reads pictures and texts.
#[derive(Clone, Debug)]
pub struct Reading {
    pub preparation: Preparation,
    pub tokenizer: Tokenizer,
}

impl Reading {
    /// As a run of this training set reads it, with texts of `context` tokens.
    ///
    /// # Errors
    /// A tokenizer that cannot be opened.
    pub fn of_run(data: &DataConfig, context: usize) -> Result<Self, DataError> {
        Ok(Self {
            preparation: data.preparation(),
            tokenizer: data.tokenizer(context)?,
        })
    }

    /// As the files beside a model that another program wrote say, `tokenizer` in place of theirs. `canonical` texts are in
    /// lower case and without punctuation.
    ///
    /// # Errors
    /// A tokenizer that is not there or cannot be opened.
    pub fn of_model(
        opened: &Opened,
        tokenizer: Option<&Path>,
        canonical: bool,
    ) -> anyhow::Result<Self> {
        let preparation = opened.preparation.clone().unwrap_or_else(|| {
            let files = FilesConfig {
                image_size: opened.inputs.image,
                ..FilesConfig::default()
            };
            files.preparation()
        });
        if tokenizer.is_none() && !canonical {
            return Ok(Self {
                preparation,
                tokenizer: opened.tokenizer()?,
            });
        }
        let beside = opened.folder.join("tokenizer.json");
        let tokenizer = tokenizer.unwrap_or(&beside);
        ensure!(
            tokenizer.exists(),
            "{}: there is no such tokenizer: name one by --tokenizer FILE",
            tokenizer.display()
        );
        let config = TokensConfig {
            tokenizer: TokenizerConfig::File(tokenizer.display().to_string()),
            canonicalise: match canonical {
                true => Canonical::Siglip,
                false => Canonical::None,
            },
            padding: opened.padding(),
            ..TokensConfig::default()
        };
        Ok(Self {
            preparation,
            tokenizer: Tokenizer::open(&config, None, opened.config.text.context)?,
        })
    }
}

/// A data set that was found to be one.
#[derive(Clone, Debug)]
pub struct EvalSet {
    name: String,
    test: Files,
    /// What probes learn from.
    train: Option<Files>,
    task: Task,
}

#[derive(Clone, Debug)]
enum Task {
    Classify {
        /// As prompts say them, by number.
        classes: Vec<String>,
        templates: Vec<String>,
    },
    Retrieve,
}

/// What a model made of a data set.
#[derive(Clone, Debug, Default)]
pub struct Results {
    pub zeroshot: Option<Hits>,
    /// With the C that was chosen.
    pub linear_probe: Option<(Hits, f64)>,
    pub neighbours: Option<Neighbours>,
    /// By language.
    pub retrieval: Option<BTreeMap<String, Retrieval>>,
}

impl Results {
    /// `zeroshot/NAME/…`, `retrieval/NAME/…`, `linear_probe/NAME/…`, `knn/NAME/…`.
    pub fn metrics(&self, name: &str) -> BTreeMap<String, f64> {
        let mut metrics = BTreeMap::new();
        if let Some(hits) = &self.zeroshot {
            metrics.extend(hits.metrics(&format!("zeroshot/{name}")));
        }
        if let Some((hits, c)) = &self.linear_probe {
            metrics.extend(hits.metrics(&format!("linear_probe/{name}")));
            metrics.insert(format!("linear_probe/{name}/c"), *c);
        }
        if let Some(neighbours) = &self.neighbours {
            metrics.extend(neighbours.metrics(&format!("knn/{name}")));
        }
        if let Some(found) = &self.retrieval {
            metrics.extend(retrieval::metrics(&format!("retrieval/{name}"), found));
        }
        metrics
    }
}

impl EvalSet {
    /// # Errors
    /// Files that are not there or not what they should be.
    pub fn open(config: &SetConfig) -> anyhow::Result<Self> {
        layout::open(config).with_context(|| format!("data set {} ({})", config.name, config.path))
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is of no use in it, and is left out.
    pub fn skips(&self) -> &Skips {
        self.test.skips()
    }

    /// Whether there are pictures with classes to learn from.
    pub fn has_train_part(&self) -> bool {
        self.train.is_some() && matches!(self.task, Task::Classify { .. })
    }

    /// Pictures that the model is asked about.
    pub fn pictures(&self) -> u64 {
        self.test.len()
    }

    /// What `model`, which is without autodiff, makes of it, and the probes that `config` asks for where there is
    /// something to learn from.
    ///
    /// # Errors
    /// Pictures that cannot be read, texts that the tokenizer gives up on.
    pub fn run(
        &self,
        config: &EvalConfig,
        model: &Model,
        reading: &Reading,
        device: &Device,
    ) -> anyhow::Result<Results> {
        let results = match &self.task {
            Task::Classify { classes, templates } => {
                let prompts = (classes.as_slice(), templates.as_slice());
                self.classify(config, model, reading, prompts, device)
            }
            Task::Retrieve => self.retrieve(model, reading, device),
        };
        results.with_context(|| format!("data set {}", self.name))
    }

    fn classify(
        &self,
        config: &EvalConfig,
        model: &Model,
        reading: &Reading,
        (classes, templates): (&[String], &[String]),
        device: &Device,
    ) -> anyhow::Result<Results> {
        let mut prompts = Vec::with_capacity(classes.len());
        for class in classes {
            let said = templates::say(templates, class).into_iter();
            let tokens: Result<Vec<_>, _> =
                said.map(|text| reading.tokenizer.tokens(&text)).collect();
            prompts.push(tokens?);
        }
        let held_out = vec![false; classes.len()];
        let embed = |files: &Files, places: &[u64]| -> anyhow::Result<Labelled> {
            let labels = places.iter().map(|&at| {
                let label = files
                    .label(at)
                    .with_context(|| format!("{} has no class", files.name(at)));
                Ok(label? as usize)
            });
            Ok(Labelled {
                labels: labels.collect::<anyhow::Result<_>>()?,
                embeddings: host(embed_pictures(model, files, places, reading, device)?),
            })
        };
        let all: Vec<u64> = (0..self.test.len()).collect();
        let asked = embed(&self.test, &all)?;
        let mut results = Results {
            zeroshot: Some(zeroshot::run(model, &prompts, &held_out, &asked, device)),
            ..Results::default()
        };
        if let Some(train) = &self.train
            && (config.linear_probe || config.knn_probe)
        {
            let bank = embed(train, &spread(train.len(), config.bank as u64))?;
            if config.knn_probe {
                results.neighbours = Some(knn::run(&bank, &asked, &held_out, device));
            }
            if config.linear_probe {
                results.linear_probe = Some(probe::run(&bank, &asked, &held_out)?);
            }
        }
        Ok(results)
    }

    fn retrieve(
        &self,
        model: &Model,
        reading: &Reading,
        device: &Device,
    ) -> anyhow::Result<Results> {
        let all: Vec<u64> = (0..self.test.len()).collect();
        let images = embed_pictures(model, &self.test, &all, reading, device)?;
        let mut captions = Captions::default();
        for &at in &all {
            let said = self.test.captions(at);
            let said = said.map_err(|fault| anyhow!("{}: {fault}", self.test.name(at)))?;
            captions.next_image(&said, &reading.tokenizer)?;
        }
        let texts = captions.embed(model, device);
        Ok(Results {
            retrieval: Some(retrieve(&images, &texts)),
            ..Results::default()
        })
    }
}

/// Unit embeddings `[places, embed_dim]` of pictures.
fn embed_pictures(
    model: &Model,
    files: &Files,
    places: &[u64],
    reading: &Reading,
    device: &Device,
) -> anyhow::Result<Tensor<2>> {
    let preparation = &reading.preparation;
    let side = preparation.size;
    let parts = places.chunks(CHUNK).map(|places| {
        let pictures = places.par_iter().map(|&at| {
            let picture = files.image(at).and_then(|bytes| decode(&bytes));
            let square = picture.and_then(|picture| preparation.square(&picture));
            let square = square.map_err(|fault| anyhow!("{}: {fault}", files.name(at)))?;
            Ok(preparation.normalise(&square).collect())
        });
        let pixels: Vec<Vec<f32>> = pictures.collect::<anyhow::Result<_>>()?;
        let pixels = TensorData::new(pixels.concat(), [places.len(), side, side, 3]);
        Ok(model.embed_images(Tensor::<4>::from_data(pixels, device)))
    });
    Ok(Tensor::cat(parts.collect::<anyhow::Result<_>>()?, 0))
}

/// `most` of `all` places, as far apart as can be: classes often lie one after another.
fn spread(all: u64, most: u64) -> Vec<u64> {
    let count = most.min(all);
    (0..count).map(|i| i * all / count).collect()
}
