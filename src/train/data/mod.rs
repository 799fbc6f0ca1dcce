//! Where image-text pairs come from. A data set is a pure function of its settings, the run's seed and the index
//! of the example, so a resumed run needs no reader state and every rank can make its own slice.

pub mod shapes;
pub mod words;

use std::ops::Range;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use shapes::{Class, Example, Shapes};
use words::Vocabulary;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DataConfig {
    /// Rendered scenes with captions, made on the fly: no files, endless.
    Shapes(shapes::ShapesConfig),
}

impl Default for DataConfig {
    fn default() -> Self {
        Self::Shapes(shapes::ShapesConfig::default())
    }
}

impl DataConfig {
    /// Side of the square images in pixels.
    pub fn image_size(&self) -> usize {
        let Self::Shapes(config) = self;
        config.image_size
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self::Shapes(config) = self;
        check(
            "data.image_size",
            (8..=512).contains(&config.image_size),
            || format!("{} is not between 8 and 512 pixels", config.image_size),
        )?;
        check("data.distractors", config.distractors <= 4, || {
            format!("{} is more than 4, one a corner", config.distractors)
        })?;
        check("data.spread", (0.0..=0.25).contains(&config.spread), || {
            format!("{} is not between 0 and 0.25", config.spread)
        })?;
        check("data.noise", (0.0..=1.0).contains(&config.noise), || {
            format!("{} is not between 0 and 1", config.noise)
        })
    }
}

/// Some examples, ready for a device.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// RGB in [-1, 1], `[examples, height, width, 3]`, row-major.
    pub pixels: Vec<f32>,
    /// Token ids, `[examples, context]`, padded at the end.
    pub tokens: Vec<i32>,
    /// Class of each example's main object, for supervised pretraining.
    pub labels: Vec<i32>,
}

impl Batch {
    /// The examples in order, up to `most` at a time; 0 is all at once, which copies nothing.
    pub fn split(self, most: usize) -> Vec<Self> {
        let count = self.labels.len();
        if most == 0 || most >= count {
            return vec![self];
        }
        let (pixels, tokens) = (self.pixels.len() / count, self.tokens.len() / count);
        let parts = (0..count).step_by(most).map(|start| {
            let end = (start + most).min(count);
            let span = |width: usize| start * width..end * width;
            Self {
                pixels: self.pixels[span(pixels)].to_vec(),
                tokens: self.tokens[span(tokens)].to_vec(),
                labels: self.labels[span(1)].to_vec(),
            }
        });
        parts.collect()
    }
}

/// A data set with its tokenizer: batches by index, classes and prompts for zero-shot.
#[derive(Clone, Debug)]
pub struct Source {
    set: Shapes,
    vocabulary: Vocabulary,
    classes: Vec<Class>,
    context: usize,
    image_size: usize,
}

impl Source {
    /// `context` is the number of tokens that every text is cut or filled to.
    pub fn new(config: &DataConfig, context: usize) -> Self {
        let image_size = config.image_size();
        let DataConfig::Shapes(config) = config;
        let set = Shapes::new(config);
        let (vocabulary, classes) = (set.vocabulary(), set.classes());
        Self {
            set,
            vocabulary,
            classes,
            context,
            image_size,
        }
    }

    /// Examples `range` of the run's endless training stream, in order.
    pub fn train_batch(&self, run_seed: u64, range: Range<u64>) -> Batch {
        self.batch(range, |index| self.set.train_example(run_seed, index))
    }

    /// Evaluation examples `range`, the same for every run; a range that covers every class equally often is
    /// balanced.
    pub fn eval_batch(&self, range: Range<u64>) -> Batch {
        self.batch(range, |index| self.set.eval_example(index))
    }

    /// Tokens of a text.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Side of the square images in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary.size()
    }

    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// The tokens of every prompt for a class.
    pub fn prompts(&self, class: usize) -> Vec<Vec<i32>> {
        let prompts = self.set.prompts(&self.classes[class].name);
        prompts
            .map(|prompt| self.vocabulary.tokenize(&prompt, self.context))
            .collect()
    }

    fn batch(&self, range: Range<u64>, example: impl Fn(u64) -> Example + Sync) -> Batch {
        // Rayon iterates over Range<usize> in order of index, whatever the threads.
        let examples: Vec<_> = (0..(range.end.saturating_sub(range.start)) as usize)
            .into_par_iter()
            .map(|offset| {
                let example = example(range.start + offset as u64);
                (
                    example.pixels,
                    self.vocabulary.tokenize(&example.caption, self.context),
                    example.class,
                )
            })
            .collect();
        let mut batch = Batch::default();
        batch
            .pixels
            .reserve_exact(examples.iter().map(|(pixels, ..)| pixels.len()).sum());
        for (pixels, tokens, class) in examples {
            batch.pixels.extend(pixels);
            batch.tokens.extend(tokens);
            batch.labels.push(i32::from(class));
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_its_slices_in_order() {
        let source = Source::new(&DataConfig::default(), 12);
        let whole = source.train_batch(7, 100..164);
        let (left, right) = (
            source.train_batch(7, 100..117),
            source.train_batch(7, 117..164),
        );
        assert_eq!(whole.pixels, [left.pixels, right.pixels].concat());
        assert_eq!(whole.tokens, [left.tokens, right.tokens].concat());
        assert_eq!(whole.labels, [left.labels, right.labels].concat());
        assert_eq!(whole.pixels.len(), 64 * 32 * 32 * 3);
        assert_eq!(whole.tokens.len(), 64 * 12);
    }

    #[test]
    fn prompts_hold_no_unknown_word_and_differ_between_classes() {
        let source = Source::new(&DataConfig::default(), 16);
        let mut prompts = std::collections::BTreeSet::new();
        for class in 0..source.class_count() {
            for prompt in source.prompts(class) {
                assert!(!prompt.contains(&words::UNKNOWN));
                assert!(prompt.iter().all(|&id| (id as usize) < source.vocabulary()));
                assert!(prompts.insert(prompt), "class {class}");
            }
        }
    }

    #[test]
    fn settings_that_no_picture_can_have_name_their_key() {
        let with = |change: fn(&mut shapes::ShapesConfig)| {
            let mut config = shapes::ShapesConfig::default();
            change(&mut config);
            DataConfig::Shapes(config).validate().unwrap_err().key
        };
        assert_eq!(with(|c| c.image_size = 4), "data.image_size");
        assert_eq!(with(|c| c.distractors = 5), "data.distractors");
        assert_eq!(with(|c| c.spread = -0.1), "data.spread");
        assert_eq!(with(|c| c.noise = f32::NAN), "data.noise");
    }
}
