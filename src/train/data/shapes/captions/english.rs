//! English. Its words for attributes stand in the tables of `scene`. What it draws, and in which order, is older than the
//! other languages and does not change: pictures take their noise from what is drawn after it.

use super::super::dice::Dice;
use super::super::scene::{
    BACKGROUNDS, COLOURS, CORNERS, Kind, Object, SHAPES, SIZES, Scene, TEXTURES,
};

/// `{thing}` is the main object with its article, `{look}` its adjectives, `{shape}` its noun.
const OPENINGS: [&str; 8] = [
    "{thing}",
    "a picture of {thing}",
    "an image of {thing}",
    "there is {thing}",
    "one {look} {shape}",
    "{look} {shape}",
    "{shape}, {look}",
    "the {shape} is {look}",
];

/// Prompts for a class; `{}` is its name with the article. Their words and forms are those of the captions.
const PROMPTS: [&str; 4] = ["{}", "a picture of {}", "an image of {}", "there is {}"];

const GROUNDS: [&str; 2] = ["on a {ground} background", "against a {ground} backdrop"];

/// `{other}` is a smaller object with its article.
const COMPANY: [&str; 4] = [
    "next to {other}",
    "beside {other}",
    "near {other}",
    "with {other}",
];

const TINY: [&str; 2] = ["tiny", "mini"];
const ARTICLES: [&str; 2] = ["a", "an"];

pub fn caption(scene: &Scene, dice: &mut Dice) -> String {
    let shape = word(&SHAPES[scene.main.class.shape()], dice);
    let look = look(scene, dice);
    let mut caption = dice
        .pick(&OPENINGS)
        .replace("{thing}", &with_article(&format!("{look} {shape}")))
        .replace("{look}", &look)
        .replace("{shape}", shape);
    let mut remarks = Vec::new();
    if !scene.others.is_empty() && dice.chance(0.5) {
        remarks.push(company(dice.pick(&scene.others), dice));
    }
    if dice.chance(0.4) {
        let ground = word(&BACKGROUNDS[scene.background], dice);
        remarks.push(dice.pick(&GROUNDS).replace("{ground}", ground));
    }
    for remark in remarks {
        caption.push(' ');
        caption.push_str(&remark);
    }
    caption
}

/// A class's name: "red hexagon".
pub fn name(shape: usize, colour: usize) -> String {
    format!("{} {}", COLOURS[colour].words[0], SHAPES[shape].words[0])
}

/// A class said in each of the templates.
pub fn prompts(shape: usize, colour: usize) -> Vec<String> {
    let thing = with_article(&name(shape, colour));
    let prompts = PROMPTS.iter().map(|form| form.replace("{}", &thing));
    prompts.collect()
}

fn with_article(noun: &str) -> String {
    let [a, an] = ARTICLES;
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'u']) {
        an
    } else {
        a
    };
    format!("{article} {noun}")
}

/// Every word that a caption or a prompt can hold, some more than once.
pub fn words() -> impl Iterator<Item = &'static str> {
    fn of<T>(table: &'static [Kind<T>]) -> impl Iterator<Item = &'static str> {
        table.iter().flat_map(|kind| kind.words.iter().copied())
    }
    let forms = OPENINGS
        .into_iter()
        .chain(PROMPTS)
        .chain(GROUNDS)
        .chain(COMPANY);
    let names = ARTICLES
        .into_iter()
        .chain(of(&SHAPES))
        .chain(of(&COLOURS))
        .chain(of(&TEXTURES))
        .chain(of(&SIZES));
    let rest = of(&BACKGROUNDS).chain(of(&CORNERS)).chain(TINY);
    names
        .chain(rest)
        .chain(forms)
        .flat_map(str::split_whitespace)
        .filter(|word| !word.contains('{'))
}

fn word<T>(kind: &Kind<T>, dice: &mut Dice) -> &'static str {
    dice.pick::<&str>(kind.words)
}

/// Colour always; size and texture as it happens.
fn look(scene: &Scene, dice: &mut Dice) -> String {
    let mut look = String::new();
    if dice.chance(0.4) {
        look.push_str(word(&SIZES[scene.size], dice));
        look.push(' ');
    }
    if dice.chance(0.5) {
        look.push_str(word(&TEXTURES[scene.main.texture], dice));
        look.push(' ');
    }
    look + word(&COLOURS[scene.main.class.colour()], dice)
}

fn company((other, corner): &(Object, usize), dice: &mut Dice) -> String {
    let tiny = if dice.chance(0.4) {
        format!("{} ", dice.pick(&TINY))
    } else {
        String::new()
    };
    let colour = word(&COLOURS[other.class.colour()], dice);
    let shape = word(&SHAPES[other.class.shape()], dice);
    let other = with_article(&format!("{tiny}{colour} {shape}"));
    let company = dice.pick(&COMPANY).replace("{other}", &other);
    if dice.chance(0.5) {
        format!("{company} {}", word(&CORNERS[*corner], dice))
    } else {
        company
    }
}
