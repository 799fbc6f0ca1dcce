//! The two sides of the pairs that a contrastive loss compares: what is read of an example on each, whether the tower
//! that reads it learns, and what it made of examples that it has seen. What the loss makes of the embeddings is not
//! known here.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use burn::tensor::{Device, Int, Tensor, TensorData};

use super::cache::{Cache, CacheConfig, Identity};
use super::config::TrainConfig;
use super::data::{DataError, Example, Source, Views};
use super::device::host;
use super::inputs::{Content, Reads};
use super::model::Model;
use super::model::params::Layout;
use super::optim::GroupConfig;
use crate::record::RunDir;

/// A cache that the ranks of a run share.
pub type SharedCache = Arc<Mutex<Cache>>;

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

/// What a side reads of some examples.
#[derive(Debug)]
pub enum Reading {
    Drawn(Content),
    /// Embeddings from the cache.
    Kept(Rows),
    /// The same with some that are missing: their places and their numbers in the training set, and what is to be embedded
    /// for them, in their order.
    Partly {
        rows: Rows,
        places: Vec<(usize, u64)>,
        content: Content,
    },
}

/// Embeddings `[examples, dim]` on the host.
#[derive(Debug)]
pub struct Rows {
    values: Vec<f32>,
    dim: usize,
}

impl Reading {
    /// Take what is large to `device` ahead of its use, if that saves time.
    pub fn send(&mut self, device: &Device) {
        match self {
            Self::Drawn(content) | Self::Partly { content, .. } => content.send(device),
            Self::Kept(_) => {}
        }
    }
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

    /// Whether the tower is still locked after `seen` examples.
    pub fn is_locked_at(&self, config: &TrainConfig, seen: u64) -> bool {
        self.locked && self.reads.group(config).is_locked_at(seen)
    }

    /// Unlock the tower if its time has come after `seen` examples. What was cached of it is then of no more use.
    pub fn unlock(&mut self, config: &TrainConfig, seen: u64) {
        if !self.is_locked_at(config, seen) {
            (self.locked, self.cache) = (false, None);
        }
    }

    /// What the side reads of `examples`: what is in the cache is not drawn. None when `stop` is set before it is done.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn read(
        &self,
        source: &Source,
        examples: &[Example],
        stop: &AtomicBool,
    ) -> Result<Option<Reading>, DataError> {
        let draw = |examples: &[Example]| Content::draw(self.reads, source, examples, stop);
        let Some(cache) = &self.cache else {
            let content = draw(examples)?;
            return Ok(content.map(Reading::Drawn));
        };
        let known = lock(cache);
        let dim = known.dim();
        let mut values = vec![0.0; examples.len() * dim];
        let places = values.chunks_exact_mut(dim).zip(examples).enumerate();
        let missing =
            places.filter_map(|(i, (row, at))| (!known.get(at.index(), row)).then_some(i));
        let missing: Vec<usize> = missing.collect();
        drop(known);
        let rows = Rows { values, dim };
        if missing.is_empty() {
            return Ok(Some(Reading::Kept(rows)));
        }
        let drawn: Vec<Example> = missing.iter().map(|&i| examples[i].clone()).collect();
        let places = missing.iter().map(|&i| (i, examples[i].index())).collect();
        let content = draw(&drawn)?;
        Ok(content.map(|content| Reading::Partly {
            rows,
            places,
            content,
        }))
    }

    /// Unit embeddings `[examples, embed_dim]`, on the tape when `model` and `device` are.
    ///
    /// # Panics
    /// When some are in a cache, which a side that learns has not.
    pub fn embed(&self, model: &Model, reading: Reading, device: &Device) -> Tensor<2> {
        match reading {
            Reading::Drawn(content) => embed(self.reads, model, content, device),
            _ => panic!("a side that learns has no cache"),
        }
    }

    /// The same with a model and device that do not tape: what is in the cache is not embedded, and what was not, is there
    /// now.
    pub fn embed_plain(&self, model: &Model, reading: Reading, device: &Device) -> Tensor<2> {
        let rows = match reading {
            Reading::Drawn(content) => return embed(self.reads, model, content, device),
            Reading::Kept(rows) => rows,
            Reading::Partly {
                mut rows,
                places,
                content,
            } => {
                let made = host(embed(self.reads, model, content, device));
                let mut cache = self.cache.as_ref().map(lock);
                for (row, (i, index)) in made.chunks_exact(rows.dim).zip(places) {
                    if let Some(cache) = &mut cache {
                        cache.put(index, row);
                    }
                    rows.values[i * rows.dim..][..rows.dim].copy_from_slice(row);
                }
                rows
            }
        };
        let shape = [rows.values.len() / rows.dim, rows.dim];
        Tensor::from_data(TensorData::new(rows.values, shape), device)
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
                let identity = self.identity(config, source, (layout, flat))?;
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
        source: &Source,
        (layout, flat): (&Layout, &Tensor<1>),
    ) -> anyhow::Result<Identity> {
        let mut hash = blake3::Hasher::new();
        let settings = (
            env!("CARGO_PKG_VERSION"),
            self.reads.name(),
            (config.seed, source.indices()),
            &config.data,
            &config.model,
        );
        hash.update(&serde_json::to_vec(&settings)?);
        hash.update(source.tokenizer().identity().as_bytes());
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

/// What the tower of a side makes of what the side reads.
fn embed(reads: Reads, model: &Model, content: Content, device: &Device) -> Tensor<2> {
    match content {
        Content::Pixels(pixels) => model.embed_images(pixels.on(device)),
        Content::Tokens(tokens) => model.embed_texts(Tensor::<2, Int>::from_data(tokens, device)),
        Content::Vectors(vectors) => {
            let vectors = vectors.on(device);
            match reads {
                Reads::Image | Reads::SecondImage => model.embed_images(vectors),
                Reads::Text => model.embed_texts(vectors),
            }
        }
    }
}

/// Rows are whole or absent whatever happened to the thread that had the lock.
fn lock(cache: &SharedCache) -> MutexGuard<'_, Cache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}
