//! Where image-text pairs come from. A data set is a pure function of its settings, the run's seed and the index
//! of the example, so a resumed run needs no reader state and every rank can make its own slice.

mod order;
pub mod shapes;
pub mod words;

use std::ops::Range;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use order::Order;
pub use shapes::{Address, Views};
use shapes::{Class, Shapes};
use words::Vocabulary;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DataConfig {
    /// Rendered scenes with captions, made on the fly: no files, endless unless told otherwise.
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

    /// Size of the training set; 0 is endless.
    pub fn pairs(&self) -> u64 {
        let Self::Shapes(config) = self;
        config.pairs
    }

    /// What the two sides of a pair are.
    pub fn views(&self) -> Views {
        let Self::Shapes(config) = self;
        config.views
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let Self::Shapes(config) = self;
        check(
            "data.image_size",
            (8..=512).contains(&config.image_size),
            || format!("{} is not between 8 and 512 pixels", config.image_size),
        )?;
        check("data.pairs", config.pairs <= MOST_PAIRS, || {
            format!("{} is not between 0 and {MOST_PAIRS}", config.pairs)
        })?;
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

/// So many that a slip of the keyboard is refused.
const MOST_PAIRS: u64 = 1 << 32;

/// A run's data set with its tokenizer: what is to be seen and read of each example, classes and prompts for zero-shot.
/// It gives no more of an example than is asked for, so that nobody pays for pictures that no tower looks at.
#[derive(Clone, Debug)]
pub struct Source {
    set: Shapes,
    vocabulary: Vocabulary,
    classes: Vec<Class>,
    context: usize,
    image_size: usize,
    pairs: u64,
    seeds: Seeds,
}

/// What the training set follows from besides its settings.
#[derive(Clone, Copy, Debug)]
struct Seeds {
    data: u64,
    run: u64,
}

impl Source {
    /// `context` is the number of tokens that every text is cut or filled to.
    pub fn new(config: &DataConfig, context: usize, run_seed: u64) -> Self {
        let (image_size, pairs) = (config.image_size(), config.pairs());
        let DataConfig::Shapes(config) = config;
        let set = Shapes::new(config);
        let (vocabulary, classes) = (set.vocabulary(), set.classes());
        Self {
            set,
            vocabulary,
            classes,
            context,
            image_size,
            pairs,
            seeds: Seeds {
                data: config.seed,
                run: run_seed,
            },
        }
    }

    /// The training examples at places `range` of the run, in order: of its endless stream, or of one epoch after
    /// another of its finite set.
    pub fn train(&self, range: Range<u64>) -> Vec<Address> {
        let run_seed = self.seeds.run;
        let address = |index| Address::Train { run_seed, index };
        if self.pairs == 0 {
            return range.map(address).collect();
        }
        let mut examples = Vec::with_capacity((range.end - range.start) as usize);
        let mut place = range.start;
        while place < range.end {
            let epoch = place / self.pairs;
            let end = range.end.min((epoch + 1) * self.pairs);
            let order = Order::new(self.pairs, [self.seeds.data, run_seed], epoch);
            examples.extend((place..end).map(|place| address(order.at(place % self.pairs))));
            place = end;
        }
        examples
    }

    /// Evaluation examples `range`, the same for every run; a range that covers every class equally often is
    /// balanced.
    pub fn eval(&self, range: Range<u64>) -> Vec<Address> {
        range.map(|index| Address::Eval { index }).collect()
    }

    /// RGB in [-1, 1], `[examples, height, width, 3]`, row-major.
    pub fn pixels(&self, examples: &[Address]) -> Vec<f32> {
        self.draw(examples, |at| self.set.picture(at))
    }

    /// Second pictures of the same scenes, as [`pixels`](Self::pixels).
    pub fn second_pixels(&self, examples: &[Address]) -> Vec<f32> {
        self.draw(examples, |at| self.set.second_picture(at))
    }

    fn draw(&self, examples: &[Address], picture: impl Fn(Address) -> Vec<f32> + Sync) -> Vec<f32> {
        let length = self.image_size.pow(2) * 3;
        let mut pixels = vec![0.0; examples.len() * length];
        let places = pixels.par_chunks_exact_mut(length).zip(examples);
        places.for_each(|(place, &at)| place.copy_from_slice(&picture(at)));
        pixels
    }

    /// Token ids, `[examples, context]`, padded at the end.
    pub fn tokens(&self, examples: &[Address]) -> Vec<i32> {
        let tokens = |&at| {
            self.vocabulary
                .tokenize(&self.set.caption(at), self.context)
        };
        examples.par_iter().flat_map_iter(tokens).collect()
    }

    /// Class of each example's main object, `[examples]`.
    pub fn labels(&self, examples: &[Address]) -> Vec<i32> {
        let labels = examples.iter().map(|&at| i32::from(self.set.class(at)));
        labels.collect()
    }

    /// Size of the training set; 0 is endless.
    pub fn pairs(&self) -> u64 {
        self.pairs
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_its_slices_in_order() {
        let source = Source::new(&DataConfig::default(), 12, 7);
        let [whole, left, right] = [100..164, 100..117, 117..164].map(|r| source.train(r));
        let joined = |f: &dyn Fn(&[Address]) -> Vec<i32>| [f(&left), f(&right)].concat();
        assert_eq!(source.tokens(&whole), joined(&|at| source.tokens(at)));
        assert_eq!(source.labels(&whole), joined(&|at| source.labels(at)));
        let pixels = [source.pixels(&left), source.pixels(&right)].concat();
        assert_eq!(source.pixels(&whole), pixels);
        assert_eq!(pixels.len(), 64 * 32 * 32 * 3);
        assert_eq!(source.tokens(&whole).len(), 64 * 12);
    }

    #[test]
    fn a_finite_set_is_gone_through_epoch_by_epoch() {
        let source = |pairs, run_seed| {
            let config = shapes::ShapesConfig {
                pairs,
                ..shapes::ShapesConfig::default()
            };
            Source::new(&DataConfig::Shapes(config), 12, run_seed)
        };
        let indices = |source: &Source, range| -> Vec<u64> {
            let examples = source.train(range).into_iter();
            examples.map(Address::index).collect()
        };
        let set = source(30, 1);
        let epochs: Vec<_> = (0..4)
            .map(|e| indices(&set, 30 * e..30 * (e + 1)))
            .collect();
        for (n, epoch) in epochs.iter().enumerate() {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..30));
            assert!(!epochs[..n].contains(epoch), "an order of its own");
        }
        assert_ne!(indices(&source(30, 2), 0..30), epochs[0], "of each seed");
        // Ranks take their slices wherever an epoch ends.
        let slices = [25..50, 50..75, 75..100].map(|range| indices(&set, range));
        assert_eq!(slices.concat(), epochs.concat()[25..100]);
        assert_eq!(indices(&source(0, 1), 25..50), (25..50).collect::<Vec<_>>());
    }

    #[test]
    fn prompts_hold_no_unknown_word_and_differ_between_classes() {
        let source = Source::new(&DataConfig::default(), 16, 0);
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
        assert_eq!(with(|c| c.pairs = (1 << 32) + 1), "data.pairs");
        assert_eq!(with(|c| c.distractors = 5), "data.distractors");
        assert_eq!(with(|c| c.spread = -0.1), "data.spread");
        assert_eq!(with(|c| c.noise = f32::NAN), "data.noise");
    }
}
