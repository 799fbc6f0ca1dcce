//! French: nouns have one of two genders, most adjectives follow them, and articles are cut short before a vowel.

use super::super::dice::Dice;
use super::super::scene::{BACKGROUNDS, COLOURS, CORNERS, ClassId, SHAPES, SIZES, TEXTURES};
use super::{Other, Said, plain, word};

#[derive(Clone, Copy)]
enum Gender {
    M,
    F,
}
use Gender::{F, M};

/// Words of a shape.
const NOUNS: [&[(&str, Gender)]; SHAPES.len()] = [
    &[("cercle", M), ("disque", M)],
    &[("carré", M)],
    &[("triangle", M)],
    &[("losange", M), ("rhombe", M)],
    &[("hexagone", M)],
    &[("étoile", F)],
    &[("croix", F)],
    &[("cœur", M)],
    &[("croissant", M), ("lune", F)],
    &[("anneau", M), ("cerceau", M)],
    &[("flèche", F)],
    &[("ovale", M), ("ellipse", F)],
];

/// An adjective by gender.
type Forms = [&'static str; 2];

const fn same(form: &'static str) -> Forms {
    [form, form]
}

const COLOUR_WORDS: [&[Forms]; COLOURS.len()] = [
    &[same("rouge")],
    &[same("orange")],
    &[same("jaune")],
    &[same("vert citron")],
    &[["vert", "verte"]],
    &[same("cyan"), same("turquoise")],
    &[["bleu", "bleue"]],
    &[["violet", "violette"], same("mauve")],
    &[same("rose")],
    &[same("marron"), ["brun", "brune"]],
];
const TEXTURE_WORDS: [&[Forms]; TEXTURES.len()] = [
    &[["uni", "unie"]],
    &[["rayé", "rayée"]],
    &[same("à carreaux")],
    &[same("à pois")],
];
/// Before the noun, but for the one in the middle.
const SIZE_WORDS: [Forms; SIZES.len()] = [
    ["petit", "petite"],
    same("de taille moyenne"),
    ["grand", "grande"],
];
const MEDIUM: usize = 1;
const TINY: [Forms; 2] = [same("minuscule"), ["tout petit", "toute petite"]];
/// A ground is masculine.
const BACKGROUND_WORDS: [&str; BACKGROUNDS.len()] =
    ["noir", "gris", "bleu marine", "bordeaux", "bleu canard"];

const CORNER_WORDS: [&str; CORNERS.len()] = [
    "en haut à gauche",
    "en haut à droite",
    "en bas à gauche",
    "en bas à droite",
];

const ARTICLES: Forms = ["un", "une"];
const DEFINITE: Forms = ["le", "la"];

/// Openings with an object and its article.
const OBJECTS: [&str; 5] = [
    "{}",
    "une image d'{}",
    "un dessin d'{}",
    "voici {}",
    "il y a {}",
];
/// The first four.
const PROMPTS: usize = 4;

const GROUNDS: [&str; 2] = ["sur fond {}", "sur un fond {}"];
const COMPANY: [&str; 4] = ["à côté d'{}", "près d'{}", "non loin d'{}", "avec {}"];

pub fn caption(said: &Said, dice: &mut Dice) -> String {
    let noun = word(NOUNS[said.class.shape()], dice);
    let size = said.size.map(|size| (SIZE_WORDS[size], size != MEDIUM));
    let texture = said
        .texture
        .map(|texture| word(TEXTURE_WORDS[texture], dice));
    let colour = word(COLOUR_WORDS[said.class.colour()], dice);
    let phrase = phrase(noun, size, colour, texture);
    let listed = || listed(noun.1, [size.map(|(size, _)| size), texture, Some(colour)]);
    let form = dice.below(OBJECTS.len() + 3);
    let (opening, link) = if let Some(form) = OBJECTS.get(form) {
        (form.replace("{}", &with_article(&phrase, noun.1)), " ")
    } else {
        match form - OBJECTS.len() {
            0 => (phrase, " "),
            1 => (format!("{}, {}", noun.0, listed()), ", "),
            _ => (format!("{} est {}", definite(noun), listed()), ", "),
        }
    };
    let company = said.other.as_ref().map(|other| company(other, dice));
    let ground = said
        .background
        .map(|ground| dice.pick(&GROUNDS).replace("{}", BACKGROUND_WORDS[ground]));
    let parts = [Some(opening), company, ground];
    parts.into_iter().flatten().collect::<Vec<_>>().join(link)
}

pub fn name(class: ClassId) -> String {
    phrase(
        NOUNS[class.shape()][0],
        None,
        COLOUR_WORDS[class.colour()][0],
        None,
    )
}

pub fn prompts(class: ClassId) -> Vec<String> {
    let (_, gender) = NOUNS[class.shape()][0];
    let object = with_article(&name(class), gender);
    OBJECTS[..PROMPTS]
        .iter()
        .map(|form| form.replace("{}", &object))
        .collect()
}

pub fn words() -> Vec<String> {
    let nouns = NOUNS.iter().copied().flatten().map(|(noun, _)| *noun);
    let tables = [&COLOUR_WORDS[..], &TEXTURE_WORDS, &[&SIZE_WORDS, &TINY]];
    let adjectives = tables
        .into_iter()
        .flatten()
        .copied()
        .flatten()
        .flatten()
        .copied();
    let articles = ARTICLES.into_iter().chain(DEFINITE).chain(["l", "d"]);
    let forms = OBJECTS.into_iter().chain(GROUNDS).chain(COMPANY);
    let rest = BACKGROUND_WORDS
        .into_iter()
        .chain(CORNER_WORDS)
        .chain(["et", "est"])
        .chain(forms);
    nouns
        .chain(adjectives)
        .chain(articles)
        .chain(rest)
        .map(plain)
        .collect()
}

/// "petit cercle rouge rayé". `size` comes with whether it stands before the noun.
fn phrase(
    (noun, gender): (&str, Gender),
    size: Option<(Forms, bool)>,
    colour: Forms,
    texture: Option<Forms>,
) -> String {
    let size = |before| {
        size.filter(|(_, stands)| *stands == before)
            .map(|(forms, _)| forms[gender as usize])
    };
    let [colour, texture] =
        [Some(colour), texture].map(|forms| forms.map(|forms| forms[gender as usize]));
    let parts = [size(true), Some(noun), colour, texture, size(false)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn with_article(phrase: &str, gender: Gender) -> String {
    format!("{} {phrase}", ARTICLES[gender as usize])
}

/// "le cercle", "l'étoile": the h of our words is mute.
fn definite((noun, gender): (&str, Gender)) -> String {
    if noun.starts_with(['a', 'e', 'é', 'h', 'o']) {
        format!("l'{noun}")
    } else {
        format!("{} {noun}", DEFINITE[gender as usize])
    }
}

/// "petit, rayé et rouge".
fn listed(gender: Gender, look: [Option<Forms>; 3]) -> String {
    let look: Vec<&str> = look
        .into_iter()
        .flatten()
        .map(|forms| forms[gender as usize])
        .collect();
    match look.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} et {last}", rest.join(", ")),
        _ => look.concat(),
    }
}

fn company(other: &Other, dice: &mut Dice) -> String {
    let noun = word(NOUNS[other.class.shape()], dice);
    let tiny = other.tiny.then(|| (word(&TINY, dice), true));
    let colour = word(COLOUR_WORDS[other.class.colour()], dice);
    let object = with_article(&phrase(noun, tiny, colour, None), noun.1);
    let company = dice.pick(&COMPANY).replace("{}", &object);
    match other.corner {
        Some(corner) => format!("{company} {}", CORNER_WORDS[corner]),
        None => company,
    }
}
