//! Evaluations: each is a file with a function from embeddings, or the model, to counts or numbers. Here is what there is to
//! evaluate on: the run's own evaluation pairs, and data sets from elsewhere. When they run is the loop's affair.

mod hits;
mod knn;
pub mod probe;
pub mod proportion;
mod retrieval;
pub mod sets;
mod templates;
mod validation;
mod zeroshot;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use anyhow::ensure;
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TrainConfig;
use super::config::{ConfigError, check};
use super::data::{DataError, Example, Source, expand};
use super::device::host;
use super::inputs;
use super::model::Model;
use super::reads::Reads;
use super::side::Side;
pub use hits::Hits;
pub use knn::Neighbours;
pub use retrieval::{AMONG, Recalls, Retrieval};
use retrieval::{Captions, Texts, retrieve};
use sets::{EvalSet, Reading, SetConfig};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// Evaluate each time this many examples were seen, and at the end; 0 only at the end.
    pub every: u64,
    /// Pictures of an evaluation.
    pub images: usize,
    /// Training pictures, the first of the run, that kNN and the linear probe learn from, and at most so many of the training
    /// part of each of `eval.sets`.
    pub bank: usize,
    /// Held-out pairs over which the training loss is measured, in whole batches (`val/loss`); 0 is none.
    pub val: usize,
    /// Held-out pairs among which images are retrieved by text and texts by image; 0 is none.
    pub retrieval: usize,
    /// Fit a linear map to frozen embeddings of pictures with classes, and see what it makes of others.
    pub linear_probe: bool,
    /// Let the nearest training pictures vote; done anyway when data.views is "image_image".
    pub knn_probe: bool,
    /// Other data sets to evaluate on, `[{ name = "pets", path = "DIR" }, …]`: folders as CLIP_benchmark keeps them, class
    /// folders, shards or tables.
    pub sets: Vec<SetConfig>,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            every: 10_000,
            images: 1_024,
            bank: 4_096,
            val: 0,
            retrieval: 0,
            linear_probe: false,
            knn_probe: false,
            sets: Vec::new(),
        }
    }
}

impl EvalConfig {
    /// `batch` is the run's, and `held_out` the pairs that it holds out, if these are not without end; it may have a text
    /// tower, and towers that read no vectors.
    pub(super) fn validate(
        &self,
        batch: usize,
        held_out: Option<u64>,
        (has_texts, no_vectors): (bool, bool),
    ) -> Result<(), ConfigError> {
        const MOST: usize = 1 << 20;
        for (key, pictures) in [("eval.images", self.images), ("eval.bank", self.bank)] {
            check(key, (1..=MOST).contains(&pictures), || {
                format!("{pictures} is not between 1 and {MOST}")
            })?;
        }
        let whole = self.val == 0 || (batch..=MOST.max(batch)).contains(&self.val);
        check("eval.val", whole, || {
            format!(
                "{} pairs are not between a batch of {batch} and {MOST}",
                self.val
            )
        })?;
        let enough = |pairs: usize| held_out.is_none_or(|held| held >= pairs as u64);
        let held_out = held_out.unwrap_or_default();
        check("eval.val", self.val == 0 || enough(batch), || {
            format!("data.held_out keeps {held_out} pairs out of training, and a batch is {batch}")
        })?;
        check("eval.retrieval", self.retrieval == 0 || enough(1), || {
            "data.held_out keeps no pair out of training to retrieve".into()
        })?;
        check("eval.retrieval", self.retrieval <= MOST, || {
            format!("{} is more than {MOST}", self.retrieval)
        })?;
        check("eval.retrieval", self.retrieval == 0 || has_texts, || {
            "the run has no texts to retrieve".into()
        })?;
        check("eval.sets", self.sets.is_empty() || has_texts, || {
            "the run has no text tower to ask with".into()
        })?;
        check("eval.sets", self.sets.is_empty() || no_vectors, || {
            "the towers read vectors, and data sets have pictures and texts".into()
        })?;
        sets::validate(&self.sets)
    }

    /// The paths of all sets.
    pub(super) fn reads(&self) -> Option<Reads> {
        let paths = self
            .sets
            .iter()
            .flat_map(|set| expand(&set.path).unwrap_or_default());
        let paths: Vec<PathBuf> = paths.map(Into::into).collect();
        (!paths.is_empty()).then_some(Reads {
            key: "eval.sets",
            paths,
        })
    }

    /// Whether the update from `before` to `after` examples passes the next evaluation.
    pub fn is_due(&self, before: u64, after: u64) -> bool {
        self.every > 0 && before / self.every < after / self.every
    }
}

/// All that a run is evaluated on, opened once.
#[derive(Debug)]
pub struct Evaluation<'a> {
    config: &'a TrainConfig,
    source: &'a Source,
    sets: Vec<EvalSet>,
    /// How these are read; none without a set.
    reading: Option<Reading>,
}

impl<'a> Evaluation<'a> {
    /// # Errors
    /// Data sets that are not there or not what they should be.
    pub fn open(config: &'a TrainConfig, source: &'a Source) -> anyhow::Result<Self> {
        let sets = config.eval.sets.iter().map(EvalSet::open);
        let sets: Vec<EvalSet> = sets.collect::<anyhow::Result<_>>()?;
        let reading = match sets.is_empty() {
            true => None,
            false => Some(Reading {
                preparation: config.data.preparation(),
                tokenizer: source.tokenizer().clone(),
            }),
        };
        Ok(Self {
            config,
            source,
            sets,
            reading,
        })
    }

    /// Every evaluation that is asked for and fits the model, by name. `model` is without autodiff.
    ///
    /// # Errors
    /// Files that cannot be read, and a model whose embeddings are no numbers where that is of no use.
    pub fn run(&self, model: &Model, device: &Device) -> anyhow::Result<BTreeMap<String, f64>> {
        let eval = &self.config.eval;
        let mut metrics = self.of_own_pictures(model, device)?;
        if eval.val > 0 {
            let loss = validation::run(self.config, model, self.source, device)?;
            metrics.insert("val/loss".into(), loss);
        }
        if eval.retrieval > 0 {
            let found = self.retrieve(model, device)?;
            metrics.extend(retrieval::metrics("retrieval", &found));
        }
        if let Some(reading) = &self.reading {
            for set in &self.sets {
                let results = set.run(eval, model, reading, device)?;
                metrics.extend(results.metrics(set.name()));
            }
        }
        Ok(metrics)
    }

    /// What the run's own evaluation pictures come out as.
    fn of_own_pictures(
        &self,
        model: &Model,
        device: &Device,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let (eval, source) = (&self.config.eval, self.source);
        let held_out: Vec<bool> = source.classes().iter().map(|c| c.held_out).collect();
        if held_out.is_empty() {
            return Ok(BTreeMap::new());
        }
        let examples = || chunks(source, eval.images);
        if model.text.is_none() && model.log_t.is_none() {
            let scores = self.labelled(examples(), |examples| {
                let pixels = inputs::images(source, examples, device)?;
                Ok(host(model.image.forward(pixels)))
            })?;
            let mut hits = Hits::new(held_out);
            let rows = scores.embeddings.chunks_exact(source.class_count());
            rows.zip(&scores.labels)
                .for_each(|(row, label)| hits.add(row, *label));
            return Ok(hits.metrics("classify"));
        }
        let embed = |examples: &[Example]| -> Result<Vec<f32>, DataError> {
            let pixels = inputs::images(source, examples, device)?;
            Ok(host(model.embed_images(pixels)))
        };
        let asked = self.labelled(examples(), embed)?;
        if asked.labels.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut metrics = BTreeMap::new();
        if model.text.is_some() {
            metrics.extend(self.zeroshot(model, &held_out, &asked, device)?);
        }
        // Pairs were compared, and no text was one of them.
        let knn = eval.knn_probe || model.text.is_none();
        if knn || eval.linear_probe {
            let bank = match source.pairs() {
                0 => eval.bank as u64,
                pairs => pairs.min(eval.bank as u64),
            };
            let unspoilt = source.unspoilt();
            let starts = (0..bank).step_by(CHUNK);
            let examples =
                starts.map(|start| source.train(start..(start + CHUNK as u64).min(bank)));
            let bank = self.labelled(examples, |examples| {
                let pixels = inputs::images(&unspoilt, examples, device)?;
                Ok(host(model.embed_images(pixels)))
            })?;
            if knn {
                metrics.extend(knn::run(&bank, &asked, &held_out, device).metrics("knn"));
            }
            if eval.linear_probe {
                let (hits, c) = probe::run(&bank, &asked, &held_out)?;
                metrics.extend(hits.metrics("linear_probe"));
                metrics.insert("linear_probe/c".into(), c);
            }
        }
        Ok(metrics)
    }

    /// By prompts in each language of the data: `zeroshot/top1` and the like over all of them, and with several
    /// `zeroshot/top1/LANGUAGE` by each.
    fn zeroshot(
        &self,
        model: &Model,
        held_out: &[bool],
        asked: &Labelled,
        device: &Device,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let source = self.source;
        let languages = source.languages();
        let mut all = Hits::new(held_out.to_vec());
        let mut metrics = BTreeMap::new();
        for language in 0..languages.len().max(1) {
            let classes = 0..source.class_count();
            let prompts = classes.map(|class| source.prompts(class, language));
            let prompts = prompts.collect::<Result<Vec<_>, _>>()?;
            let hits = zeroshot::run(model, &prompts, held_out, asked, device);
            if let Some(language) = languages.get(language).filter(|_| languages.len() > 1) {
                let named = hits.metrics("zeroshot").into_iter();
                metrics.extend(named.map(|(name, value)| (format!("{name}/{language}"), value)));
            }
            all.merge(&hits);
        }
        metrics.extend(all.metrics("zeroshot"));
        Ok(metrics)
    }

    /// What `embed` makes of the examples of each chunk, with their classes.
    fn labelled(
        &self,
        chunks: impl Iterator<Item = Result<Vec<Example>, DataError>>,
        embed: impl Fn(&[Example]) -> Result<Vec<f32>, DataError>,
    ) -> Result<Labelled, DataError> {
        let mut found = Labelled::default();
        for examples in chunks {
            let examples = examples?;
            found.embeddings.extend(embed(&examples)?);
            let labels = self.source.labels(&examples)?.into_iter();
            found.labels.extend(labels.map(|label| label as usize));
        }
        Ok(found)
    }

    /// Among the run's own evaluation pairs.
    fn retrieve(
        &self,
        model: &Model,
        device: &Device,
    ) -> anyhow::Result<BTreeMap<String, Retrieval>> {
        let source = self.source;
        let [image, text] = Side::both(self.config);
        let embed = |side: &Side, examples: &[Example]| -> Result<Tensor<2>, DataError> {
            let reading = side.read(source, examples, &AtomicBool::new(false))?;
            Ok(side.embed(model, reading.expect("nobody asks to stop"), device))
        };
        let texts_are_vectors = source.widths()[1].is_some();
        let (mut images, mut vectors, mut captions) = (Vec::new(), Vec::new(), Captions::default());
        for examples in chunks(source, self.config.eval.retrieval) {
            let examples = examples?;
            images.push(embed(&image, &examples)?);
            if texts_are_vectors {
                vectors.push(embed(&text, &examples)?);
            } else {
                for example in &examples {
                    captions.next_image(&source.captions(example)?, source.tokenizer())?;
                }
            }
        }
        ensure!(
            !images.is_empty(),
            "eval.retrieval: no pairs are held out: set data.held_out"
        );
        let images = Tensor::cat(images, 0);
        let texts = match texts_are_vectors {
            true => Texts::one_each(Tensor::cat(vectors, 0)),
            false => captions.embed(model, device),
        };
        Ok(retrieve(&images, &texts))
    }
}

/// Pictures, texts or rows that are worked on at a time.
const CHUNK: usize = 256;

/// The first `most` of the evaluation's examples, as far as there are so many, a few at a time: with those of files come
/// their pictures.
fn chunks(
    source: &Source,
    most: usize,
) -> impl Iterator<Item = Result<Vec<Example>, DataError>> + '_ {
    let starts = (0..most).step_by(CHUNK);
    let chunks = starts.map(move |start| {
        let end = (start + CHUNK).min(most);
        source.eval(start as u64..end as u64)
    });
    chunks.filter(|chunk| !chunk.as_ref().is_ok_and(Vec::is_empty))
}

/// Embeddings, or scores, of pictures with their classes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labelled {
    /// `[pictures, width]`, row-major.
    pub embeddings: Vec<f32>,
    /// `[pictures]`.
    pub labels: Vec<usize>,
}

impl Labelled {
    /// Those at places that are not `chosen`, and those that are.
    fn part(&self, chosen: impl Fn(usize) -> bool) -> (Self, Self) {
        let width = self.embeddings.len() / self.labels.len().max(1);
        let (mut rest, mut part) = (Self::default(), Self::default());
        for (at, label) in self.labels.iter().enumerate() {
            let to = if chosen(at) { &mut part } else { &mut rest };
            to.embeddings
                .extend_from_slice(&self.embeddings[at * width..][..width]);
            to.labels.push(*label);
        }
        (rest, part)
    }
}

#[cfg(test)]
mod tests;
