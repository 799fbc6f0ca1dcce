//! What is said of a scene, in one language or another. Each has a file with its words and forms, and says with them an
//! opening that names the main object's colour and shape, and up to two remarks: as much and as often in every language.
//! Every word stands in a table, so that the vocabulary is closed.

mod chinese;
mod english;
mod french;
mod german;
mod hebrew;

use super::dice::Dice;
use super::scene::{ClassId, Scene};
use crate::train::data::language::Language;

/// A language that scenes can be told in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tongue {
    English,
    German,
    French,
    Hebrew,
    Chinese,
}

impl Tongue {
    pub const ALL: [Self; 5] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Hebrew,
        Self::Chinese,
    ];

    pub fn of(language: &Language) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|tongue| tongue.tag() == language.as_str())
    }

    /// As BCP 47 has it.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Hebrew => "he",
            Self::Chinese => "zh",
        }
    }

    pub fn caption(self, scene: &Scene, dice: &mut Dice) -> String {
        match self {
            Self::English => english::caption(scene, dice),
            Self::German => german::caption(&Said::draw(scene, dice), dice),
            Self::French => french::caption(&Said::draw(scene, dice), dice),
            Self::Hebrew => hebrew::caption(&Said::draw(scene, dice), dice),
            Self::Chinese => chinese::caption(&Said::draw(scene, dice), dice),
        }
    }

    /// A class's name: "red hexagon".
    pub fn name(self, class: ClassId) -> String {
        match self {
            Self::English => english::name(class.shape(), class.colour()),
            Self::German => german::name(class),
            Self::French => french::name(class),
            Self::Hebrew => hebrew::name(class),
            Self::Chinese => chinese::name(class),
        }
    }

    /// A class said in each of the language's templates for zero-shot.
    pub fn prompts(self, class: ClassId) -> Vec<String> {
        match self {
            Self::English => english::prompts(class.shape(), class.colour()),
            Self::German => german::prompts(class),
            Self::French => french::prompts(class),
            Self::Hebrew => hebrew::prompts(class),
            Self::Chinese => chinese::prompts(class),
        }
    }

    /// Every word that a caption or a prompt can hold, some more than once, maybe several to a text.
    pub fn words(self) -> Vec<String> {
        match self {
            Self::English => english::words().map(str::to_owned).collect(),
            Self::German => german::words(),
            Self::French => french::words(),
            Self::Hebrew => hebrew::words(),
            Self::Chinese => chinese::words(),
        }
    }
}

/// What is said of a scene beside the main object's colour and shape, as indices into the tables of `scene`.
struct Said {
    class: ClassId,
    size: Option<usize>,
    texture: Option<usize>,
    other: Option<Other>,
    background: Option<usize>,
}

/// A smaller object.
struct Other {
    class: ClassId,
    tiny: bool,
    corner: Option<usize>,
}

impl Said {
    /// With the chances that English has.
    fn draw(scene: &Scene, dice: &mut Dice) -> Self {
        let mut told = |chance, value| dice.chance(chance).then_some(value);
        let size = told(0.4, scene.size);
        let texture = told(0.5, scene.main.texture);
        let background = told(0.4, scene.background);
        let other = (!scene.others.is_empty() && dice.chance(0.5)).then(|| {
            let (object, corner) = dice.pick(&scene.others);
            let (class, corner) = (object.class, *corner);
            Other {
                class,
                tiny: dice.chance(0.4),
                corner: dice.chance(0.5).then_some(corner),
            }
        });
        Self {
            class: scene.main.class,
            size,
            texture,
            other,
            background,
        }
    }
}

/// One of the words for a thing.
fn word<T: Copy>(words: &[T], dice: &mut Dice) -> T {
    *dice.pick(words)
}

/// The words of `template`, without what stands for others.
fn plain(template: &str) -> String {
    let words = template.split_whitespace();
    let plain: Vec<&str> = words.filter(|word| !word.contains('{')).collect();
    plain.join(" ")
}

#[cfg(test)]
mod tests;
