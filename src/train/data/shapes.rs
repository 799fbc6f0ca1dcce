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

use super::source::Class;
use super::words::Vocabulary;
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
        }
    }
}

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
}

impl Shapes {
    pub fn new(config: &ShapesConfig) -> Self {
        Self {
            config: config.clone(),
            seen: ClassId::all().filter(|class| !class.held_out()).collect(),
        }
    }

    /// Class of the main object.
    pub fn class(&self, at: Address) -> u16 {
        self.open(at).0.0
    }

    /// What is said of the picture.
    pub fn caption(&self, at: Address) -> String {
        let (class, mut dice) = self.open(at);
        captions::caption(&self.scene(class, &mut dice), &mut dice)
    }

    /// RGB in [-1, 1], height x width x 3, row-major.
    pub fn picture(&self, at: Address) -> Vec<f32> {
        let (class, mut dice) = self.open(at);
        let scene = self.scene(class, &mut dice);
        // The grain's draws follow those of the caption.
        captions::caption(&scene, &mut dice);
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
            name: captions::name(id.shape(), id.colour()),
            held_out: id.held_out(),
        };
        ClassId::all().map(class).collect()
    }

    /// `name` said in each of the templates.
    pub fn prompts(&self, name: &str) -> impl Iterator<Item = String> {
        let thing = captions::with_article(name);
        captions::PROMPTS
            .iter()
            .map(move |form| form.replace("{}", &thing))
    }

    /// All words of captions and prompts.
    pub fn vocabulary(&self) -> Vocabulary {
        Vocabulary::new(captions::words())
    }
}

#[cfg(test)]
mod tests;
