//! The two sides of the pairs that a contrastive loss compares: what is read of an example on each, whether the tower
//! that reads it learns, and what it made of examples that it has seen. What the loss makes of the embeddings is not
//! known here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};

use super::cache::{Cache, CacheConfig, Identity};
use super::config::TrainConfig;
use super::data::{DataError, Example, Source, Views};
use super::device::host;
use super::inputs;
use super::model::Model;
use super::model::params::Layout;
use super::optim::GroupConfig;
use crate::record::RunDir;

/// A cache that the ranks of a run share.
pub type SharedCache = Arc<Mutex<Cache>>;

/// What is read of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reads {
    Image,
    SecondImage,
    Text,
}

impl Reads {
    fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::SecondImage => "second-image",
            Self::Text => "text",
        }
    }

    fn group(self, config: &TrainConfig) -> &GroupConfig {
        match self {
            Self::Image | Self::SecondImage => &config.optim.image,
            Self::Text => &config.optim.text,
        }
    }

    fn tower(self) -> &'static str {
        match self {
            Self::Image | Self::SecondImage => "image",
            Self::Text => "text",
        }
    }
}

/// One side of every pair.
#[derive(Clone, Debug)]
pub struct Side {
    reads: Reads,
    /// The tower keeps its weights (LiT, arXiv 2111.07991), for now or for good: it needs no tape, and no second pass.
    pub locked: bool,
    /// What a locked tower made of the training set so far.
    pub cache: Option<SharedCache>,
}

impl Side {
    /// The sides of a run, in the order in which the loss takes them.
    pub fn both(config: &TrainConfig) -> [Self; 2] {
        let other = match config.data.views() {
            Views::ImageText => Reads::Text,
            Views::ImageImage => Reads::SecondImage,
        };
        [Reads::Image, other].map(|reads| Self {
            reads,
            locked: reads.group(config).is_locked_at(0),
            cache: None,
        })
    }

    /// Unlock the tower if its time has come after `seen` examples. What was cached of it is then of no more use.
    pub fn unlock(&mut self, config: &TrainConfig, seen: u64) {
        if self.locked && !self.reads.group(config).is_locked_at(seen) {
            (self.locked, self.cache) = (false, None);
        }
    }

    /// Unit embeddings `[examples, embed_dim]`, on the tape when `model` and `device` are.
    pub fn embed(
        &self,
        model: &Model,
        source: &Source,
        examples: &[Example],
        device: &Device,
    ) -> Result<Tensor<2>, DataError> {
        Ok(match self.reads {
            Reads::Image => model.embed_images(inputs::images(source, examples, device)?),
            Reads::SecondImage => {
                model.embed_images(inputs::second_images(source, examples, device)?)
            }
            Reads::Text => model.embed_texts(inputs::texts(source, examples, device)?),
        })
    }

    /// The same with a model and device that do not tape: what is in the cache is not embedded.
    pub fn embed_plain(
        &self,
        model: &Model,
        source: &Source,
        examples: &[Example],
        device: &Device,
    ) -> Result<Tensor<2>, DataError> {
        let Some(cache) = &self.cache else {
            return self.embed(model, source, examples, device);
        };
        let known = lock(cache);
        let dim = known.dim();
        let mut rows = vec![0.0; examples.len() * dim];
        let places = rows.chunks_exact_mut(dim).zip(examples).enumerate();
        let missing =
            places.filter_map(|(i, (row, at))| (!known.get(at.index(), row)).then_some(i));
        let missing: Vec<usize> = missing.collect();
        drop(known);
        let shape = [examples.len(), dim];
        let whole = |rows| Tensor::from_data(TensorData::new(rows, shape), device);
        if missing.is_empty() {
            return Ok(whole(rows));
        }
        let drawn = filled_up(&missing, examples.len());
        let examples: Vec<Example> = drawn.iter().map(|&i| examples[i].clone()).collect();
        let made = host(self.embed(model, source, &examples, device)?);
        let mut cache = lock(cache);
        let made = made.chunks_exact(dim).zip(examples).zip(drawn);
        for ((row, at), i) in made.take(missing.len()) {
            cache.put(at.index(), row);
            rows[i * dim..][..dim].copy_from_slice(row);
        }
        Ok(whole(rows))
    }

    /// The cache that `config` asks for, if it does for this side. `flat` are all parameters, `[layout.length()]`.
    pub fn open_cache(
        &self,
        config: &TrainConfig,
        source: &Source,
        (layout, flat): (&Layout, &Tensor<1>),
        dir: &RunDir,
    ) -> anyhow::Result<Option<SharedCache>> {
        let (pairs, dim) = (source.indices(), config.model.embed_dim);
        if !self.locked {
            return Ok(None);
        }
        if config.train.cache != CacheConfig::Off
            && self.reads == Reads::Text
            && source.captions_vary()
        {
            anyhow::bail!(
                "train.cache: some examples have several captions, another each epoch, and a cache would keep the first: set it to \"off\""
            );
        }
        let cache = match config.train.cache {
            CacheConfig::Off => return Ok(None),
            CacheConfig::Memory => Cache::in_memory(pairs, dim)
                .with_context(|| format!("train.cache: no memory for {pairs} embeddings"))?,
            CacheConfig::Disk => {
                let identity = self.identity(config, pairs, (layout, flat))?;
                let path = dir.embeddings(self.reads.name());
                Cache::on_disk(&path, pairs, dim, &identity)
                    .with_context(|| format!("train.cache: {}", path.display()))?
            }
        };
        Ok(Some(Arc::new(Mutex::new(cache))))
    }

    /// Remove the file of a cache that has served its run, an unlocked tower's too.
    pub fn discard_cache(&mut self, dir: &RunDir) -> std::io::Result<()> {
        self.cache = None;
        match std::fs::remove_file(dir.embeddings(self.reads.name())) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// A hash of all that an embedding of a training example depends on.
    fn identity(
        &self,
        config: &TrainConfig,
        pairs: u64,
        (layout, flat): (&Layout, &Tensor<1>),
    ) -> anyhow::Result<Identity> {
        let mut hash = blake3::Hasher::new();
        let settings = (
            env!("CARGO_PKG_VERSION"),
            self.reads.name(),
            (config.seed, pairs),
            &config.data,
            &config.model,
        );
        hash.update(&serde_json::to_vec(&settings)?);
        let tower = format!("{}.", self.reads.tower());
        let flat = host(flat.clone());
        for entry in layout.entries() {
            if entry.name.starts_with(&tower) {
                let values = flat[entry.range.clone()].iter();
                hash.update(&values.flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
            }
        }
        Ok(*hash.finalize().as_bytes())
    }
}

/// Examples that a part embeds at least, when it has so many.
const ENOUGH: usize = 65;

/// `missing`, places in a part of `all`, and others of the part after them if these are few: a product of a matrix of
/// up to 64 rows may round otherwise than one of more, and what comes from the cache must not differ by a bit.
fn filled_up(missing: &[usize], all: usize) -> Vec<usize> {
    let more = all.min(ENOUGH).saturating_sub(missing.len());
    let others = (0..all).filter(|i| missing.binary_search(i).is_err());
    missing.iter().copied().chain(others.take(more)).collect()
}

/// Rows are whole or absent whatever happened to the thread that had the lock.
fn lock(cache: &SharedCache) -> MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
