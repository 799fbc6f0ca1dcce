//! The built-in data set: rendered pictures of a main object (one of 12 shapes in one of 10 colours, of some texture
//! and size, near the middle of some background, with smaller objects in the corners) and captions from templates.
//! An example is a pure function of the settings, the run's seed and its index: endless, no files, the same on
//! every machine.
//!
//! A class is a shape and a colour, 120 in all, and is what zero-shot has to name. One class in seven is held out:
//! no training picture or caption has it, not even beside the main object, though its shape and its colour occur in
//! others. The evaluation pictures go round all classes in turn and do not depend on the run's seed.

mod captions;
mod dice;
mod outline;
mod render;
mod scene;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corrupt::CorruptConfig;
use super::language::Language;
use super::source::Class;
use super::text::TokensConfig;
use super::text::words::Vocabulary;
use crate::train::config::{ConfigError, check};
use captions::Tongue;
use dice::{Dice, Stream};
use scene::{ClassId, Scene};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShapesConfig {
    /// Examples in the training set: the first so many of the stream, gone through epoch by epoch, each in an order of
    /// its own; 0 is endless, and no example comes twice. A run of another seed has another set.
    pub pairs: u64,
    /// What the two sides of a pair are. The supervised loss has no pairs.
    pub views: Views,
    /// Side of the square images in pixels.
    pub image_size: usize,
    /// How far the main object strays from the middle, either way and across as well as down, as a share of the
    /// side. The hardest part of the pictures for a small tower: at 0.15 shapes take many times the examples.
    pub spread: f32,
    /// Other objects in a picture, at most.
    pub distractors: usize,
    /// Noise on every pixel value, uniform up to this much of half the range.
    pub noise: f32,
    /// Which endless stream of scenes; the evaluation pictures follow from it alone.
    pub seed: u64,
    /// The languages of captions, each of an example in one of them: en, de, fr, he, zh. Zero-shot is measured in each, and
    /// `zeroshot/top1` is the mean.
    pub languages: Vec<Language>,
    /// How often each of them is drawn, in their order and in proportion; empty is equally often.
    pub language_weights: Vec<f64>,
    /// How captions become token ids.
    pub text: TokensConfig,
    /// Shares of the training pairs that are spoilt.
    pub corrupt: CorruptConfig,
}

impl Default for ShapesConfig {
    fn default() -> Self {
        Self {
            pairs: 0,
            views: Views::ImageText,
            image_size: 32,
            spread: 0.05,
            distractors: 1,
            noise: 0.1,
            seed: 0,
            languages: vec![Language::new(Tongue::English.tag()).expect("the tag is one")],
            language_weights: Vec::new(),
            text: TokensConfig::default(),
            corrupt: CorruptConfig::default(),
        }
    }
}

impl ShapesConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check(
            "data.image_size",
            (8..=512).contains(&self.image_size),
            || format!("{} is not between 8 and 512 pixels", self.image_size),
        )?;
        check("data.pairs", self.pairs <= MOST_PAIRS, || {
            format!("{} is not between 0 and {MOST_PAIRS}", self.pairs)
        })?;
        check("data.distractors", self.distractors <= 4, || {
            format!("{} is more than 4, one a corner", self.distractors)
        })?;
        check("data.spread", (0.0..=0.25).contains(&self.spread), || {
            format!("{} is not between 0 and 0.25", self.spread)
        })?;
        check("data.noise", (0.0..=1.0).contains(&self.noise), || {
            format!("{} is not between 0 and 1", self.noise)
        })?;
        self.validate_languages()
    }

    fn validate_languages(&self) -> Result<(), ConfigError> {
        let Self {
            languages,
            language_weights: weights,
            ..
        } = self;
        check("data.languages", !languages.is_empty(), || {
            "names none".into()
        })?;
        for (i, language) in languages.iter().enumerate() {
            check("data.languages", Tongue::of(language).is_some(), || {
                let known = Tongue::ALL.map(Tongue::tag).join(", ");
                format!("shapes are told in {known}, and not in {language}")
            })?;
            check("data.languages", !languages[..i].contains(language), || {
                format!("{language} is there twice")
            })?;
        }
        let fits = weights.is_empty() || weights.len() == languages.len();
        check("data.language_weights", fits, || {
            let (weights, languages) = (weights.len(), languages.len());
            format!("{weights} weights are not one for each of {languages} languages")
        })?;
        for weight in weights {
            check(
                "data.language_weights",
                *weight > 0.0 && *weight <= 1e6,
                || format!("{weight} is not between 0 and a million"),
            )?;
        }
        Ok(())
    }
}

/// So many that a slip of the keyboard is refused.
const MOST_PAIRS: u64 = 1 << 32;

/// What the two sides of a pair are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Views {
    /// A picture and its caption.
    #[default]
    ImageText,
    /// Two pictures of one scene, both for the image tower (SigCLR, arXiv 2410.17427): what a caption could say is the
    /// same in both, while place, turn, exact colours, light and noise are drawn for each. There is no text tower.
    ImageImage,
}

/// Where an example stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// In the training stream of the runs with this seed.
    Train { run_seed: u64, index: u64 },
    /// Among the evaluation's.
    Eval { index: u64 },
}

#[derive(Clone, Debug)]
pub struct Shapes {
    config: ShapesConfig,
    seen: Vec<ClassId>,
    /// By language, with the sum of the weights up to it, as a share of all.
    tongues: Vec<(Tongue, f64)>,
}

impl Shapes {
    /// `config` is valid.
    pub fn new(config: &ShapesConfig) -> Self {
        let weight = |i| config.language_weights.get(i).copied().unwrap_or(1.0);
        let total: f64 = (0..config.languages.len()).map(weight).sum();
        let mut sum = 0.0;
        let tongues = config.languages.iter().enumerate().map(|(i, language)| {
            sum += weight(i);
            let tongue = Tongue::of(language).expect("the languages are known");
            (tongue, sum / total)
        });
        Self {
            tongues: tongues.collect(),
            config: config.clone(),
            seen: ClassId::all().filter(|class| !class.held_out()).collect(),
        }
    }

    /// Class of the main object.
    pub fn class(&self, at: Address) -> u16 {
        self.open(at).0.0
    }

    /// What is said of the picture, in the language that the example has drawn.
    pub fn caption(&self, at: Address) -> String {
        let (class, mut dice) = self.open(at);
        let scene = self.scene(class, &mut dice);
        match self.tongue(at) {
            (Tongue::English, _) => Tongue::English.caption(&scene, &mut dice),
            (other, mut dice) => other.caption(&scene, &mut dice),
        }
    }

    /// Which of `data.languages` the example is told in.
    pub fn language(&self, at: Address) -> &Language {
        let (tongue, _) = self.tongue(at);
        let languages = self.config.languages.iter();
        let mut languages = languages.filter(|language| language.as_str() == tongue.tag());
        languages
            .next()
            .expect("tongues are those of the languages")
    }

    /// The language of an example, and the draws of what it says in others than English. They are their own, so that
    /// pictures do not depend on languages.
    fn tongue(&self, at: Address) -> (Tongue, Dice) {
        let mut dice = self.dice(at, [Stream::TrainWords, Stream::EvalWords]);
        let drawn = f64::from(dice.unit());
        let tongue = self.tongues.iter().find(|(_, upto)| drawn < *upto);
        (
            tongue
                .or(self.tongues.last())
                .expect("there is a language")
                .0,
            dice,
        )
    }

    /// RGB in [-1, 1], height x width x 3, row-major.
    pub fn picture(&self, at: Address) -> Vec<f32> {
        let (class, mut dice) = self.open(at);
        let scene = self.scene(class, &mut dice);
        // The grain's draws follow those of the caption.
        Tongue::English.caption(&scene, &mut dice);
        render::render(&scene, self.config.image_size, self.config.noise, &mut dice)
    }

    /// A second picture of the same scene, in the form of the first.
    pub fn second_picture(&self, at: Address) -> Vec<f32> {
        let (class, mut dice) = self.open(at);
        let scene = self.scene(class, &mut dice);
        let mut dice = self.dice(at, [Stream::TrainAgain, Stream::EvalAgain]);
        let scene = scene.again(self.config.spread, &mut dice);
        render::render(&scene, self.config.image_size, self.config.noise, &mut dice)
    }

    /// The class, and the draws of all the rest.
    fn open(&self, at: Address) -> (ClassId, Dice) {
        let mut dice = self.dice(at, [Stream::Train, Stream::Eval]);
        let class = match at {
            Address::Train { .. } => *dice.pick(&self.seen),
            Address::Eval { index } => ClassId((index % u64::from(ClassId::COUNT)) as u16),
        };
        (class, dice)
    }

    /// The draws of an example, from the stream for training or the one for evaluation.
    fn dice(&self, at: Address, [train, eval]: [Stream; 2]) -> Dice {
        let seed = self.config.seed;
        match at {
            Address::Train { run_seed, index } => Dice::new(seed, run_seed, train, index),
            Address::Eval { index } => Dice::new(seed, 0, eval, index),
        }
    }

    fn scene(&self, class: ClassId, dice: &mut Dice) -> Scene {
        let ShapesConfig {
            spread,
            distractors,
            ..
        } = self.config;
        Scene::draw(dice, class, &self.seen, spread, distractors)
    }

    /// By class number.
    pub fn classes(&self) -> Vec<Class> {
        let class = |id: ClassId| Class {
            name: Tongue::English.name(id),
            held_out: id.held_out(),
        };
        ClassId::all().map(class).collect()
    }

    /// Class number `class` said in each of the templates of the `language`-th of `data.languages`.
    pub fn prompts(&self, class: usize, language: usize) -> Vec<String> {
        self.tongues[language].0.prompts(ClassId(class as u16))
    }

    pub fn languages(&self) -> &[Language] {
        &self.config.languages
    }

    /// All words of captions and prompts.
    pub fn vocabulary(&self) -> Vocabulary {
        let words: Vec<String> = self
            .tongues
            .iter()
            .flat_map(|(tongue, _)| tongue.words())
            .collect();
        Vocabulary::new(words.iter().map(String::as_str))
    }
}

#[cfg(test)]
mod tests;
