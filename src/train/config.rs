//! What one run trains, whole: the sum of the parts' settings, each defined beside the code that reads it. A field
//! is an axis, addressed by its dotted path; a field's default is the behaviour from before the field existed and
//! never changes, because a run's id is a hash of what differs from the defaults. Taste lives in the experiment
//! files. No field is optional: a setting that can be off says so by a value.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::cache::CacheConfig;
use super::data::{CorruptConfig, DataConfig, Views};
use super::eval::EvalConfig;
use super::loss::tile::Precision;
use super::loss::{LossConfig, Way};
use super::model::{ModelConfig, TowerKind};
use super::ops::{self, Checkpointing, Compute};
use super::optim::OptimConfig;
use super::rollback::RollbackConfig;

/// Every setting of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Replication: the initial weights and the order of the data follow from it.
    pub seed: u64,
    /// Where pairs come from.
    pub data: DataConfig,
    /// The two towers.
    pub model: ModelConfig,
    /// What is minimised.
    pub loss: LossConfig,
    /// How parameters move.
    pub optim: OptimConfig,
    /// The budget and how it is spent.
    pub train: LoopConfig,
    /// When and how much is evaluated.
    pub eval: EvalConfig,
}

/// The training loop. Budgets are in examples (image-text pairs) seen, so that batch sizes compare fairly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LoopConfig {
    /// Examples to train on; the last step is the one that reaches it. `loss.negatives.keep = "hard_matched"` multiplies it.
    pub examples: u64,
    /// Global batch: pairs an update, over all ranks.
    pub batch_size: usize,
    /// Devices that share one run; each takes `batch_size / ranks` pairs of every batch.
    pub ranks: usize,
    /// Side of the square of logits that exists at one time on each thread. 0 takes 256 on the processor, and elsewhere, where
    /// larger ones are much faster, the fastest of some that are tried when the run starts.
    pub tile: usize,
    /// Of the products in a contrastive loss.
    pub loss_precision: Precision,
    /// Which way texts go round the ring of ranks.
    pub ring: Way,
    /// Pairs of a rank that are on the tape at one time; 0 is all. With fewer, a tower that learns embeds every pair
    /// twice, the loss and all gradients stay those of the whole batch, and memory is that of one micro-batch
    /// (arXiv 2101.06983).
    pub micro_batch: usize,
    /// Of the products in the towers' blocks.
    pub precision: ops::Precision,
    /// Let products in f32, the towers' and the loss's, round their factors to TF32, 10 bits, on libtorch's GPUs. Processors have no
    /// TF32, and burn-cuda decides itself.
    pub tf32: bool,
    /// What the backward pass computes again, and memory does not hold: `"blocks"` takes a sixth more time, in about a
    /// quarter of the memory. The results are the same bits.
    pub checkpointing: Checkpointing,
    /// Where a locked tower's embeddings of a finite training set are kept, by example, so that it embeds each once and
    /// not once an epoch: the pairs of the set times `model.embed_dim` + 1 numbers of 4 bytes.
    pub cache: CacheConfig,
    /// Parts of batches, of `train.micro_batch` pairs each or whole, that are drawn ahead while the towers compute; 0 draws each
    /// when it is asked for. No number depends on it; each takes the memory of its pixels.
    pub ahead: usize,
    /// Write a row of metrics every so many steps.
    pub log_every: u64,
    /// Seconds between checkpoints, or fifty times as long as the last one took, if that is more; 0 saves after every step.
    pub save_seconds: f64,
    /// What the run does when it diverges.
    pub rollback: RollbackConfig,
}

impl Default for LoopConfig {
    fn default() -> Self {
        Self {
            examples: 60_000,
            batch_size: 256,
            ranks: 1,
            tile: 256,
            loss_precision: Precision::F32,
            ring: Way::OneWay,
            micro_batch: 0,
            precision: ops::Precision::F32,
            tf32: false,
            checkpointing: Checkpointing::Off,
            cache: CacheConfig::Off,
            ahead: 1,
            log_every: 1,
            save_seconds: 20.0,
            rollback: RollbackConfig::default(),
        }
    }
}

impl LoopConfig {
    /// How the blocks of the towers are computed.
    pub fn compute(&self) -> Compute {
        Compute {
            precision: self.precision,
            checkpointing: self.checkpointing,
        }
    }
}

/// A budget that no counter overflows on.
const MOST_EXAMPLES: u64 = 1_000_000_000_000;

/// A setting that the types allow and the trainer cannot use.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct ConfigError {
    /// Dotted path of the setting to change.
    pub key: &'static str,
    pub problem: String,
}

impl TrainConfig {
    /// The budget: `train.examples`, and as many times more as the loss sees fewer pairs of each batch, where it asks for
    /// that.
    pub fn examples(&self) -> u64 {
        let factor = self.loss.matching(self.train.batch_size);
        (self.train.examples as f64 * factor).round() as u64
    }

    /// Updates that the budget pays for.
    pub fn steps(&self) -> u64 {
        self.examples().div_ceil(self.train.batch_size as u64)
    }

    /// Whether some of the pairs' sides are texts.
    pub fn has_text_tower(&self) -> bool {
        let supervised = matches!(self.loss, LossConfig::Classify(_));
        !supervised && self.data.views() == Views::ImageText
    }

    /// What the types cannot say. The workbench asks before a run is made, the worker before it starts.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let LoopConfig {
            batch_size,
            ranks,
            tile: _,
            examples,
            log_every,
            save_seconds,
            micro_batch: _,
            loss_precision: _,
            ring: _,
            precision: _,
            tf32: _,
            checkpointing: _,
            cache,
            ahead,
            ref rollback,
        } = self.train;
        check(
            "train.examples",
            (1..=MOST_EXAMPLES).contains(&examples),
            || format!("{examples} is not between 1 and {MOST_EXAMPLES}"),
        )?;
        check(
            "train.batch_size",
            (1..=1 << 24).contains(&batch_size),
            || format!("{batch_size} is not between 1 and {}", 1 << 24),
        )?;
        check("train.ranks", (1..=64).contains(&ranks), || {
            format!("{ranks} is not between 1 and 64")
        })?;
        check("train.batch_size", batch_size % ranks == 0, || {
            format!("{batch_size} pairs do not divide among {ranks} ranks")
        })?;
        check("train.ahead", ahead <= 1_000, || {
            format!("{ahead} is more than 1000")
        })?;
        check("train.log_every", log_every > 0, || {
            "must be at least 1".into()
        })?;
        check("train.save_seconds", save_seconds >= 0.0, || {
            "must not be negative".into()
        })?;
        rollback.validate()?;
        self.data.validate()?;
        let pairs = self.data.pairs();
        check(
            "data.pairs",
            pairs == 0 || pairs >= batch_size as u64,
            || format!("a batch of {batch_size} would hold some of {pairs} pairs twice"),
        )?;
        let two_pictures = self.data.views() == Views::ImageImage;
        let supervised = matches!(self.loss, LossConfig::Classify(_));
        self.model.validate(&self.data, supervised)?;
        check("data.views", !(two_pictures && supervised), || {
            "the supervised loss looks at one picture, not at two: use one that compares pairs"
                .into()
        })?;
        if !self.has_text_tower() {
            let CorruptConfig {
                text, alignment, ..
            } = *self.data.corrupt();
            let why = "no text is read: set it to 0";
            check("data.corrupt.text", text == 0.0, || why.into())?;
            check(
                "data.corrupt.alignment",
                alignment == 0.0 || !supervised,
                || why.into(),
            )?;
        }
        if cache != CacheConfig::Off {
            let none = "there is no locked tower to embed the pairs: set optim.image.lr_mult or optim.text.lr_mult to 0, or unlock_after";
            let no_pairs = "the supervised loss has no embeddings to keep: set it to \"off\"";
            let endless = "pairs of an endless training set never come twice: set data.pairs";
            let varied = "what training changes of a picture each time cannot be kept: set data.augment to \"none\"";
            let locks = self.optim.image.is_locked_at(0)
                || self.has_text_tower() && self.optim.text.is_locked_at(0);
            check("train.cache", !supervised, || no_pairs.into())?;
            check("train.cache", locks, || none.into())?;
            check("train.cache", !self.data.is_endless(), || endless.into())?;
            check("train.cache", !self.data.varies(), || varied.into())?;
        }
        self.loss.validate(batch_size)?;
        check("train.examples", self.examples() <= MOST_EXAMPLES, || {
            let factor = self.loss.matching(batch_size);
            format!(
                "{examples} times {factor}, to see as many pairs as with all negatives, is more than {MOST_EXAMPLES}"
            )
        })?;
        self.optim.validate(self.examples())?;
        let towers = [self.model.image.tower, self.model.text.tower];
        let no_vectors = towers.iter().all(|kind| *kind == TowerKind::Transformer);
        let held_out = self.data.held_out();
        self.eval
            .validate(batch_size, held_out, (self.has_text_tower(), no_vectors))
    }
}

/// `Err` naming `key` unless `holds`.
pub(super) fn check(
    key: &'static str,
    holds: bool,
    problem: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    if holds {
        Ok(())
    } else {
        Err(ConfigError {
            key,
            problem: problem(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_a_valid_run() {
        TrainConfig::default().validate().unwrap();
    }

    #[test]
    fn a_wrong_key_or_type_is_refused_by_name() {
        let wrong_key = serde_json::from_str::<TrainConfig>(r#"{"optim":{"lrr":1}}"#)
            .unwrap_err()
            .to_string();
        assert!(
            wrong_key.contains("lrr") && wrong_key.contains("`lr`"),
            "{wrong_key}"
        );
        let wrong_loss =
            serde_json::from_str::<TrainConfig>(r#"{"loss":{"kind":"softmax","bias":{"init":0}}}"#)
                .unwrap_err()
                .to_string();
        assert!(wrong_loss.contains("bias"), "{wrong_loss}");
    }

    #[test]
    fn a_training_set_holds_a_batch() {
        let mut config = TrainConfig::default();
        let DataConfig::Shapes(shapes) = &mut config.data else {
            unreachable!("the default")
        };
        shapes.pairs = 255;
        let error = config.validate().unwrap_err();
        assert_eq!(error.key, "data.pairs");
        config.train.batch_size = 255;
        config.validate().unwrap();
    }

    #[test]
    fn a_cache_says_what_it_wants() {
        let mut config = TrainConfig::default();
        config.train.cache = CacheConfig::Memory;
        let problem = |config: &TrainConfig| {
            let error = config.validate().unwrap_err();
            assert_eq!(error.key, "train.cache");
            error.problem
        };
        assert!(problem(&config).contains("optim.text.lr_mult"));
        config.optim.text.lr_mult = 0.0;
        assert!(problem(&config).contains("data.pairs"));
        let DataConfig::Shapes(shapes) = &mut config.data else {
            unreachable!("the default")
        };
        shapes.pairs = 1_000;
        config.validate().unwrap();
        config.loss = LossConfig::Classify(Default::default());
        assert!(problem(&config).contains("off"));
    }

    #[test]
    fn two_pictures_are_no_supervision() {
        let mut config = TrainConfig::default();
        let DataConfig::Shapes(shapes) = &mut config.data else {
            unreachable!("the default")
        };
        shapes.views = Views::ImageImage;
        config.validate().unwrap();
        assert!(!config.has_text_tower());
        config.loss = LossConfig::Classify(Default::default());
        assert_eq!(config.validate().unwrap_err().key, "data.views");
    }

    #[test]
    fn texts_that_nobody_reads_cannot_be_spoilt() {
        let mut config = TrainConfig::default();
        let DataConfig::Shapes(shapes) = &mut config.data else {
            unreachable!("the default")
        };
        shapes.corrupt.text = 0.1;
        config.validate().unwrap();
        config.loss = LossConfig::Classify(Default::default());
        assert_eq!(config.validate().unwrap_err().key, "data.corrupt.text");
    }

    #[test]
    fn an_uneven_batch_names_its_key() {
        let mut config = TrainConfig::default();
        config.train.ranks = 3;
        assert_eq!(config.validate().unwrap_err().key, "train.batch_size");
    }
}
