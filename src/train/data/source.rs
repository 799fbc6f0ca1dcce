//! A run's data set with its tokenizer, whatever it is kept in: what is to be seen and read of each example, classes and
//! prompts for zero-shot.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::corrupt::{Corruption, Noise};
use super::error::DataError;
use super::language::Language;
use super::order::Order;
use super::samples::Samples;
use super::shapes::{self, Shapes};
use super::skips::Skips;
use super::text::Tokenizer;
use super::{Caption, DataConfig, Kept};
use crate::train::config::TrainConfig;
use crate::train::loss::LossConfig;
use crate::train::model::TowerKind;

/// A run's data set. It gives no more of an example than is asked for, so that nobody pays for pictures that no tower
/// looks at. All ranks of a process share one.
#[derive(Clone, Debug)]
pub struct Source {
    set: Set,
    tokenizer: Tokenizer,
    classes: Vec<Class>,
    corruption: Corruption,
    image_size: usize,
    pairs: u64,
    seeds: Seeds,
}

/// Where examples are kept.
#[derive(Clone, Debug)]
enum Set {
    /// Nowhere: they are drawn.
    Shapes(Box<Shapes>),
    Files(Box<Samples>),
}

/// What the training set follows from besides its settings.
#[derive(Clone, Copy, Debug)]
struct Seeds {
    data: u64,
    run: u64,
}

/// One example of a set, whatever it is kept in. It is named by numbers alone; that of a set of files may have its
/// picture with it, when finding out that the picture can be read has decoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    split: Split,
    index: u64,
    epoch: u64,
    /// RGB, image_size x image_size x 3, row-major.
    picture: Option<Arc<[u8]>>,
}

/// What an example is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    Train,
    Eval,
}

impl Example {
    pub(super) fn new(split: Split, index: u64, epoch: u64, picture: Option<Arc<[u8]>>) -> Self {
        Self {
            split,
            index,
            epoch,
            picture,
        }
    }

    pub fn split(&self) -> Split {
        self.split
    }

    pub(super) fn picture(&self) -> Option<&[u8]> {
        self.picture.as_deref()
    }

    /// The number of the example in its stream or set.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// How often the training set has been gone through before; what is drawn anew each time follows from it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// What zero-shot has to tell apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// "red hexagon".
    pub name: String,
    /// No training example shows it.
    pub held_out: bool,
}

impl Source {
    /// `context` is the number of tokens that every text is cut or filled to.
    ///
    /// # Errors
    /// Files that are not there or not what they should be.
    pub fn open(config: &DataConfig, context: usize, run_seed: u64) -> Result<Self, DataError> {
        let (format, files) = match config.kept() {
            Kept::Files(format, files) => (format, files),
            Kept::Nowhere(shapes) => {
                let set = Shapes::new(shapes);
                return Ok(Self {
                    tokenizer: Tokenizer::open(&shapes.text, Some(set.vocabulary()), context)?,
                    classes: set.classes(),
                    corruption: Corruption::new(shapes.corrupt, run_seed),
                    set: Set::Shapes(Box::new(set)),
                    image_size: shapes.image_size,
                    pairs: shapes.pairs,
                    seeds: Seeds {
                        data: shapes.seed,
                        run: run_seed,
                    },
                });
            }
        };
        let samples = Samples::open(format, files, run_seed)?;
        let class = |name: &String| Class {
            name: name.clone(),
            held_out: false,
        };
        Ok(Self {
            tokenizer: Tokenizer::open(&files.text, None, context)?,
            classes: samples.files().classes().iter().map(class).collect(),
            corruption: Corruption::new(files.corrupt, run_seed),
            image_size: files.image_size,
            pairs: samples.places(),
            seeds: Seeds {
                data: files.seed,
                run: run_seed,
            },
            set: Set::Files(Box::new(samples)),
        })
    }

    /// The training examples at places `range` of the run, in order: of its endless stream, or of one epoch after
    /// another of its finite set.
    ///
    /// # Errors
    /// Files that cannot be read any more, or more samples that are of no use than are allowed.
    pub fn train(&self, range: Range<u64>) -> Result<Vec<Example>, DataError> {
        if let Set::Files(samples) = &self.set {
            return samples.train(range);
        }
        let example = |index, epoch| Example::new(Split::Train, index, epoch, None);
        if self.pairs == 0 {
            return Ok(range.map(|index| example(index, 0)).collect());
        }
        let mut examples = Vec::with_capacity((range.end - range.start) as usize);
        let mut place = range.start;
        while place < range.end {
            let epoch = place / self.pairs;
            let end = range.end.min((epoch + 1) * self.pairs);
            let order = Order::new(self.pairs, [self.seeds.data, self.seeds.run], epoch);
            let indices = (place..end).map(|place| order.at(place % self.pairs));
            examples.extend(indices.map(|index| example(index, epoch)));
            place = end;
        }
        Ok(examples)
    }

    /// Evaluation examples `range`, the same for every run; of drawn ones, a range that covers every class equally often
    /// is balanced, and there is no end of them. Of files they are the samples that are held out, as far as there are
    /// any.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn eval(&self, range: Range<u64>) -> Result<Vec<Example>, DataError> {
        match &self.set {
            Set::Shapes(_) => Ok(range
                .map(|index| Example::new(Split::Eval, index, 0, None))
                .collect()),
            Set::Files(samples) => samples.eval(range),
        }
    }

    /// Normalised RGB, `[examples, height, width, 3]`, row-major; of drawn examples in [-1, 1].
    ///
    /// # Errors
    /// Files that cannot be read any more.
    pub fn pixels(&self, examples: &[Example]) -> Result<Vec<f32>, DataError> {
        self.draw(examples, 0, |example, pixels| match &self.set {
            Set::Shapes(set) => {
                pixels.copy_from_slice(&set.picture(self.place(example)));
                Ok(())
            }
            Set::Files(samples) => samples.pixels(example, pixels),
        })
    }

    /// Second pictures of the same scenes, as [`pixels`](Self::pixels); of files there are none.
    ///
    /// # Errors
    /// As [`pixels`](Self::pixels).
    pub fn second_pixels(&self, examples: &[Example]) -> Result<Vec<f32>, DataError> {
        self.draw(examples, 1, |example, pixels| match &self.set {
            Set::Shapes(set) => {
                pixels.copy_from_slice(&set.second_picture(self.place(example)));
                Ok(())
            }
            Set::Files(_) => Err(DataError::setting(
                "data.kind",
                "files have one picture of each example",
            )),
        })
    }

    /// Pictures, or the noise that corruption has put in their place; `view` tells first ones from second ones.
    fn draw(
        &self,
        examples: &[Example],
        view: u64,
        picture: impl Fn(&Example, &mut [f32]) -> Result<(), DataError> + Sync,
    ) -> Result<Vec<f32>, DataError> {
        let length = self.image_size.pow(2) * 3;
        let mut pixels = vec![0.0; examples.len() * length];
        let places = pixels.par_chunks_exact_mut(length).zip(examples);
        places.try_for_each(|(place, example)| match self.noise(example, view) {
            Some(noise) => {
                noise.fill(place);
                Ok(())
            }
            None => picture(example, place),
        })?;
        Ok(pixels)
    }

    fn noise(&self, example: &Example, view: u64) -> Option<Noise> {
        match example.split {
            Split::Train => self.corruption.picture(example.index, view),
            Split::Eval => None,
        }
    }

    /// Token ids, `[examples, context]`, padded at the end.
    ///
    /// # Errors
    /// Files that cannot be read any more, texts that the tokenizer gives up on.
    pub fn tokens(&self, examples: &[Example]) -> Result<Vec<i32>, DataError> {
        let tokens = |example: &Example| {
            let random = match example.split {
                Split::Train => self.corruption.tokens(example.index, &self.tokenizer),
                Split::Eval => None,
            };
            if let Some(tokens) = random {
                return Ok(tokens);
            }
            let caption = match &self.set {
                Set::Shapes(set) => set.caption(self.place(example)),
                Set::Files(samples) => samples.caption(example)?.text,
            };
            self.tokenizer.tokens(&caption)
        };
        let tokens: Result<Vec<Vec<i32>>, DataError> = examples.par_iter().map(tokens).collect();
        Ok(tokens?.concat())
    }

    /// All that is said of an example; training sees one of it at a time.
    ///
    /// # Errors
    /// As [`tokens`](Self::tokens).
    pub fn captions(&self, example: &Example) -> Result<Vec<Caption>, DataError> {
        match &self.set {
            Set::Shapes(set) => {
                let at = self.place(example);
                Ok(vec![Caption {
                    text: set.caption(at),
                    language: Some(set.language(at).to_string()),
                }])
            }
            Set::Files(samples) => samples.captions(example),
        }
    }

    /// Vectors that stand for the image side, `[examples, width]`, see [`widths`](Self::widths).
    ///
    /// # Errors
    /// As [`tokens`](Self::tokens).
    pub fn image_vectors(&self, examples: &[Example]) -> Result<Vec<f32>, DataError> {
        self.vectors(examples, true)
    }

    /// The same of the text side.
    ///
    /// # Errors
    /// As [`tokens`](Self::tokens).
    pub fn text_vectors(&self, examples: &[Example]) -> Result<Vec<f32>, DataError> {
        self.vectors(examples, false)
    }

    fn vectors(&self, examples: &[Example], of_image: bool) -> Result<Vec<f32>, DataError> {
        let Set::Files(samples) = &self.set else {
            return Err(DataError::setting(
                "data.kind",
                "only \"features\" has vectors",
            ));
        };
        let vectors = examples.par_iter().map(|example| {
            let mut vector = samples.vector(example, of_image)?;
            let noise = match (example.split, of_image) {
                (Split::Eval, _) => None,
                (Split::Train, true) => self.corruption.picture(example.index, 0),
                (Split::Train, false) => self.corruption.vector(example.index),
            };
            if let Some(noise) = noise {
                noise.fill(&mut vector);
            }
            Ok(vector)
        });
        let vectors: Result<Vec<Vec<f32>>, DataError> = vectors.collect();
        Ok(vectors?.concat())
    }

    /// Numbers of the vectors that stand for the image side and for the text side, where they are vectors.
    pub fn widths(&self) -> [Option<usize>; 2] {
        match &self.set {
            Set::Shapes(_) => [None; 2],
            Set::Files(samples) => samples.files().widths(),
        }
    }

    /// Class of each example's main object, `[examples]`.
    ///
    /// # Errors
    /// Samples that have no class.
    pub fn labels(&self, examples: &[Example]) -> Result<Vec<i32>, DataError> {
        let label = |example: &Example| match &self.set {
            Set::Shapes(set) => Ok(i32::from(set.class(self.place(example)))),
            Set::Files(samples) => {
                let label = samples.files().label(example.index()).map(u32::cast_signed);
                label.ok_or_else(|| {
                    let name = crate::util::printable(&samples.files().name(example.index()));
                    DataError::setting("data.label", format!("{name} has no class"))
                })
            }
        };
        examples.iter().map(label).collect()
    }

    /// What was skipped so far of files.
    pub fn skips(&self) -> Option<Skips> {
        match &self.set {
            Set::Shapes(_) => None,
            Set::Files(samples) => Some(samples.skips()),
        }
    }

    /// Where the drawn set has an example.
    fn place(&self, example: &Example) -> shapes::Address {
        let (run_seed, index) = (self.seeds.run, example.index);
        match example.split {
            Split::Train => shapes::Address::Train { run_seed, index },
            Split::Eval => shapes::Address::Eval { index },
        }
    }

    /// Examples that one epoch goes through; 0 is endless.
    pub fn pairs(&self) -> u64 {
        self.pairs
    }

    /// One more than the greatest [`index`](Example::index) of a training example; 0 is endless.
    pub fn indices(&self) -> u64 {
        match &self.set {
            Set::Shapes(_) => self.pairs,
            Set::Files(samples) => samples.files().len(),
        }
    }

    /// Tokens of a text.
    pub fn context(&self) -> usize {
        self.tokenizer.context()
    }

    /// Side of the square images in pixels.
    pub fn image_size(&self) -> usize {
        self.image_size
    }

    /// Whether some examples have several captions, of which training takes another each epoch.
    pub fn captions_vary(&self) -> bool {
        matches!(&self.set, Set::Files(samples) if samples.files().captions_vary())
    }

    /// See that a run can be made of what was found.
    ///
    /// # Errors
    /// A batch that is larger than the set, a tower that reads something else than there is, or a loss that goes by
    /// classes over samples that have none.
    pub fn suits(&self, config: &TrainConfig) -> Result<(), DataError> {
        let (pairs, batch) = (self.pairs, config.train.batch_size as u64);
        if pairs > 0 && pairs < batch {
            let problem =
                format!("a batch of {batch} would hold some of the {pairs} samples twice");
            return Err(DataError::setting("train.batch_size", problem));
        }
        let (image, text) = (&config.model.image, &config.model.text);
        let gives_input = [image.gives_its_input(), text.gives_its_input()];
        let dim = config.model.embed_dim;
        for (gives_input, width) in gives_input.into_iter().zip(self.widths()) {
            if let Some(width) = width.filter(|width| gives_input && *width != dim) {
                let problem = format!(
                    "is {dim}, and the vectors that are embeddings themselves have {width} numbers"
                );
                return Err(DataError::setting("model.embed_dim", problem));
            }
        }
        let reads = [
            ("model.image.tower", image.tower),
            ("model.text.tower", text.tower),
        ];
        let sides = if config.has_text_tower() { 2 } else { 1 };
        for ((key, tower), width) in reads.into_iter().zip(self.widths()).take(sides) {
            let problem = match (tower, width) {
                (TowerKind::Transformer, Some(width)) => {
                    format!("this side is vectors of {width} numbers: set it to \"features\"")
                }
                (TowerKind::Features, None) => {
                    "this side has no vectors: set it to \"transformer\"".into()
                }
                _ => continue,
            };
            return Err(DataError::setting(key, problem));
        }
        let by_class =
            matches!(config.loss, LossConfig::Classify(_)) || config.loss.positives_by_class();
        if by_class && self.classes.is_empty() {
            return Err(DataError::setting(
                "data.label",
                "the loss goes by classes, and the samples have none",
            ));
        }
        Ok(())
    }

    /// Number of token ids.
    pub fn vocabulary(&self) -> usize {
        self.tokenizer.ids()
    }

    /// What makes token ids of texts.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What becomes of the training pairs.
    pub fn corruption(&self) -> &Corruption {
        &self.corruption
    }

    /// The same set without any corruption, for evaluations that look at training examples.
    pub fn unspoilt(&self) -> Self {
        Self {
            corruption: Corruption::none(),
            ..self.clone()
        }
    }

    /// Those that drawn captions are in; of files they are not known beforehand.
    pub fn languages(&self) -> &[Language] {
        match &self.set {
            Set::Shapes(set) => set.languages(),
            Set::Files(_) => &[],
        }
    }

    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// The tokens of every prompt for a class, in the `language`-th of [`languages`](Self::languages) where there are any.
    ///
    /// # Errors
    /// Texts that the tokenizer gives up on.
    pub fn prompts(&self, class: usize, language: usize) -> Result<Vec<Vec<i32>>, DataError> {
        let prompts: Vec<String> = match &self.set {
            Set::Shapes(set) => set.prompts(class, language),
            Set::Files(samples) => samples.files().prompts(&self.classes[class].name),
        };
        prompts
            .iter()
            .map(|prompt| self.tokenizer.tokens(prompt))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::corrupt::CorruptConfig;
    use crate::train::data::text::words;

    fn open(config: &DataConfig, context: usize, run_seed: u64) -> Source {
        Source::open(config, context, run_seed).unwrap()
    }

    #[test]
    fn a_batch_is_its_slices_in_order() {
        let source = open(&DataConfig::default(), 12, 7);
        let [whole, left, right] = [100..164, 100..117, 117..164].map(|r| source.train(r).unwrap());
        type Draw = fn(&Source, &[Example]) -> Result<Vec<i32>, DataError>;
        let joined = |draw: Draw| {
            let [left, right] = [&left, &right].map(|part| draw(&source, part).unwrap());
            [left, right].concat()
        };
        let tokens = source.tokens(&whole).unwrap();
        assert_eq!(tokens, joined(Source::tokens));
        assert_eq!(source.labels(&whole).unwrap(), joined(Source::labels));
        let [left, right] = [&left, &right].map(|at| source.pixels(at).unwrap());
        let pixels = source.pixels(&whole).unwrap();
        assert_eq!(pixels, [left, right].concat());
        assert_eq!(pixels.len(), 64 * 32 * 32 * 3);
        assert_eq!(tokens.len(), 64 * 12);
    }

    #[test]
    fn a_finite_set_is_gone_through_epoch_by_epoch() {
        let source = |pairs, run_seed| {
            let config = shapes::ShapesConfig {
                pairs,
                ..shapes::ShapesConfig::default()
            };
            open(&DataConfig::Shapes(config), 12, run_seed)
        };
        let indices = |source: &Source, range| -> Vec<u64> {
            let examples = source.train(range).unwrap();
            examples.iter().map(Example::index).collect()
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
        let source = open(&DataConfig::default(), 16, 0);
        let mut prompts = std::collections::BTreeSet::new();
        for class in 0..source.class_count() {
            for prompt in source.prompts(class, 0).unwrap() {
                assert!(!prompt.contains(&words::UNKNOWN));
                assert!(prompt.iter().all(|&id| (id as usize) < source.vocabulary()));
                assert!(prompts.insert(prompt), "class {class}");
            }
        }
    }

    #[test]
    fn corruption_spoils_what_it_says_of_training_alone() {
        let with = |image, text| {
            let config = shapes::ShapesConfig {
                corrupt: CorruptConfig {
                    image,
                    text,
                    alignment: 0.0,
                },
                ..shapes::ShapesConfig::default()
            };
            open(&DataConfig::Shapes(config), 12, 7)
        };
        let clean = open(&DataConfig::default(), 12, 7);
        let n = 400;
        let train = clean.train(0..n).unwrap();
        let apart = |a: &[f32], b: &[f32], length: usize| {
            let pairs = a.chunks_exact(length).zip(b.chunks_exact(length));
            pairs.filter(|(a, b)| a != b).count()
        };
        let pixels = clean.pixels(&train).unwrap();
        let tokens = clean.tokens(&train).unwrap();
        for (image, text) in [(0.0, 0.0), (0.3, 0.0), (0.0, 0.3), (0.3, 0.3)] {
            let spoilt = with(image, text);
            let found = spoilt.pixels(&train).unwrap();
            let pictures = apart(&pixels, &found, 32 * 32 * 3);
            let texts = spoilt.tokens(&train).unwrap();
            let pairs = tokens.chunks_exact(12).zip(texts.chunks_exact(12));
            let texts = pairs.filter(|(a, b)| a != b).count();
            // Within five deviations of 120, or none.
            let bounds = |share: f64| if share > 0.0 { 74..=166 } else { 0..=0 };
            assert!(bounds(image).contains(&pictures), "{image}: {pictures}");
            assert!(bounds(text).contains(&texts), "{text}: {texts}");
            let eval = clean.eval(0..n).unwrap();
            assert_eq!(clean.pixels(&eval).unwrap(), spoilt.pixels(&eval).unwrap());
            assert_eq!(clean.tokens(&eval).unwrap(), spoilt.tokens(&eval).unwrap());
            assert_eq!(pixels, spoilt.unspoilt().pixels(&train).unwrap());
        }
    }

    #[test]
    fn captions_come_in_the_languages_that_are_asked_for_over_the_same_pictures() {
        let with = |languages: &[&str], weights: &[f64]| {
            let tags = languages.iter().map(|tag| Language::new(tag).unwrap());
            let config = DataConfig::Shapes(shapes::ShapesConfig {
                languages: tags.collect(),
                language_weights: weights.to_vec(),
                ..shapes::ShapesConfig::default()
            });
            config.validate().unwrap();
            open(&config, 40, 7)
        };
        let english = open(&DataConfig::default(), 40, 7);
        let n = 1_000;
        let train = english.train(0..n).unwrap();
        let tokens = english.tokens(&train).unwrap();
        for (languages, weights, share) in [
            (&["en"][..], &[][..], 1.0),
            (&["en", "de"], &[], 0.5),
            (&["en", "iw", "fr"], &[8.0, 1.0, 1.0], 0.8),
            (&["zh", "he"], &[], 0.0),
        ] {
            let source = with(languages, weights);
            assert_eq!(
                source.pixels(&train[..32]).unwrap(),
                english.pixels(&train[..32]).unwrap()
            );
            let found = source.tokens(&train).unwrap();
            assert!(!found.contains(&words::UNKNOWN), "{languages:?}");
            // English comes first in the vocabulary, so that its ids stay what they are.
            let same = tokens
                .chunks_exact(40)
                .zip(found.chunks_exact(40))
                .filter(|(a, b)| a == b)
                .count();
            let expected = share * n as f64;
            let deviation = (expected * (1.0 - share)).sqrt();
            assert!(
                (same as f64 - expected).abs() <= 5.0 * deviation,
                "{languages:?}: {same}"
            );
            for language in 0..languages.len() {
                let prompts = source.prompts(17, language).unwrap().concat();
                assert!(!prompts.contains(&words::UNKNOWN), "{languages:?}");
            }
        }
    }
}
