//! German: nouns have one of three genders, which articles and adjectives follow through the cases.

use super::super::dice::Dice;
use super::super::scene::{BACKGROUNDS, COLOURS, CORNERS, ClassId, SHAPES, SIZES, TEXTURES};
use super::{Other, Said, plain, word};

#[derive(Clone, Copy)]
enum Gender {
    M,
    F,
    N,
}
use Gender::{F, M, N};

const HEART: &str = "Herz";
/// The one noun here that a case changes.
const HEARTS_DATIVE: &str = "Herzen";

/// Words of a shape.
const NOUNS: [&[(&str, Gender)]; SHAPES.len()] = [
    &[("Kreis", M), ("Scheibe", F)],
    &[("Quadrat", N)],
    &[("Dreieck", N)],
    &[("Raute", F), ("Rhombus", M)],
    &[("Sechseck", N)],
    &[("Stern", M)],
    &[("Kreuz", N), ("Plus", N)],
    &[(HEART, N)],
    &[("Halbmond", M), ("Mondsichel", F)],
    &[("Ring", M), ("Reif", M)],
    &[("Pfeil", M)],
    &[("Oval", N), ("Ellipse", F)],
];

// Adjectives without their endings, which are regular.
const COLOUR_WORDS: [&[&str]; COLOURS.len()] = [
    &["rot"],
    &["orangefarben"],
    &["gelb"],
    &["limettengrün"],
    &["grün"],
    &["türkisfarben", "zyanblau"],
    &["blau"],
    &["violett"],
    &["rosafarben"],
    &["braun"],
];
const TEXTURE_WORDS: [&[&str]; TEXTURES.len()] = [
    &["einfarbig"],
    &["gestreift"],
    &["kariert"],
    &["gepunktet", "getupft"],
];
const SIZE_WORDS: [&[&str]; SIZES.len()] = [&["klein"], &["mittelgroß"], &["groß"]];
const BACKGROUND_WORDS: [&[&str]; BACKGROUNDS.len()] = [
    &["schwarz"],
    &["grau"],
    &["marineblau"],
    &["weinrot"],
    &["petrolfarben"],
];
const TINY: [&str; 2] = ["winzig", "klitzeklein"];

const CORNER_WORDS: [&str; CORNERS.len()] =
    ["oben links", "oben rechts", "unten links", "unten rechts"];

#[derive(Clone, Copy)]
enum Case {
    Nominative,
    Accusative,
    Dative,
}
use Case::{Accusative, Dative, Nominative};

/// By case and gender: the indefinite article, and the endings of adjectives after it.
const INDEFINITE: [[(&str, &str); 3]; 3] = [
    [("ein", "er"), ("eine", "e"), ("ein", "es")],
    [("einen", "en"), ("eine", "e"), ("ein", "es")],
    [("einem", "en"), ("einer", "en"), ("einem", "en")],
];
/// By gender: the definite article.
const DEFINITE: [&str; 3] = ["der", "die", "das"];

/// Openings with an object in some case.
const OBJECTS: [(&str, Case); 5] = [
    ("{}", Nominative),
    ("ein Bild von {}", Dative),
    ("eine Grafik mit {}", Dative),
    ("hier ist {}", Nominative),
    ("es gibt {}", Accusative),
];
/// The first four.
const PROMPTS: usize = 4;

const GROUNDS: [&str; 2] = ["auf {}em Hintergrund", "vor {}em Hintergrund"];
/// With a dative.
const COMPANY: [&str; 4] = ["neben {}", "bei {}", "nahe {}", "mit {}"];

pub fn caption(said: &Said, dice: &mut Dice) -> String {
    let noun = word(NOUNS[said.class.shape()], dice);
    let look = look(said, dice);
    let look: Vec<&str> = look.collect();
    let form = dice.below(OBJECTS.len() + 3);
    let (opening, link) = if let Some((form, case)) = OBJECTS.get(form) {
        (form.replace("{}", &object(*case, &look, noun)), " ")
    } else {
        match form - OBJECTS.len() {
            0 => (bare(&look, noun), " "),
            1 => (format!("{}, {}", noun.0, listed(&look)), ", "),
            _ => {
                let article = DEFINITE[noun.1 as usize];
                (format!("{article} {} ist {}", noun.0, listed(&look)), ", ")
            }
        }
    };
    let company = said.other.as_ref().map(|other| company(other, dice));
    let ground = said.background.map(|ground| {
        let colour = word(BACKGROUND_WORDS[ground], dice);
        dice.pick(&GROUNDS).replace("{}", colour)
    });
    let parts = [Some(opening), company, ground];
    parts.into_iter().flatten().collect::<Vec<_>>().join(link)
}

pub fn name(class: ClassId) -> String {
    bare(&[COLOUR_WORDS[class.colour()][0]], NOUNS[class.shape()][0])
}

pub fn prompts(class: ClassId) -> Vec<String> {
    let (look, noun) = ([COLOUR_WORDS[class.colour()][0]], NOUNS[class.shape()][0]);
    let forms = OBJECTS[..PROMPTS].iter();
    forms
        .map(|(form, case)| form.replace("{}", &object(*case, &look, noun)))
        .collect()
}

pub fn words() -> Vec<String> {
    let nouns = NOUNS
        .iter()
        .copied()
        .flatten()
        .map(|(noun, _)| (*noun).to_owned());
    let tables = [&COLOUR_WORDS[..], &TEXTURE_WORDS, &SIZE_WORDS, &[&TINY]];
    let adjectives = tables.into_iter().flatten().copied().flatten();
    let adjectives = adjectives
        .flat_map(|stem| ["", "e", "en", "er", "es"].map(|ending| format!("{stem}{ending}")));
    let grounds = BACKGROUND_WORDS
        .iter()
        .copied()
        .flatten()
        .map(|stem| format!("{stem}em"));
    let articles = INDEFINITE
        .as_flattened()
        .iter()
        .map(|(article, _)| *article)
        .chain(DEFINITE);
    let forms = OBJECTS
        .iter()
        .map(|(form, _)| *form)
        .chain(GROUNDS)
        .chain(COMPANY);
    let rest = articles
        .chain(CORNER_WORDS)
        .chain(["und", "ist", HEARTS_DATIVE])
        .chain(forms)
        .map(plain);
    nouns.chain(adjectives).chain(grounds).chain(rest).collect()
}

/// Adjectives without endings: size and texture as it happens, then the colour.
fn look(said: &Said, dice: &mut Dice) -> impl Iterator<Item = &'static str> {
    let size = said.size.map(|size| word(SIZE_WORDS[size], dice));
    let texture = said
        .texture
        .map(|texture| word(TEXTURE_WORDS[texture], dice));
    let colour = word(COLOUR_WORDS[said.class.colour()], dice);
    [size, texture, Some(colour)].into_iter().flatten()
}

/// "einem kleinen roten Kreis".
fn object(case: Case, look: &[&str], (noun, gender): (&str, Gender)) -> String {
    let (article, ending) = INDEFINITE[case as usize][gender as usize];
    let noun = match case {
        Dative if noun == HEART => HEARTS_DATIVE,
        _ => noun,
    };
    format!("{article} {} {noun}", declined(look, ending))
}

/// "kleiner roter Kreis": without an article the nominative ends as after "ein".
fn bare(look: &[&str], (noun, gender): (&str, Gender)) -> String {
    let (_, ending) = INDEFINITE[Nominative as usize][gender as usize];
    format!("{} {noun}", declined(look, ending))
}

fn declined(look: &[&str], ending: &str) -> String {
    let look = look.iter().map(|stem| format!("{stem}{ending}"));
    look.collect::<Vec<_>>().join(" ")
}

/// "klein, gestreift und rot".
fn listed(look: &[&str]) -> String {
    match look {
        [rest @ .., last] if !rest.is_empty() => format!("{} und {last}", rest.join(", ")),
        _ => look.concat(),
    }
}

fn company(other: &Other, dice: &mut Dice) -> String {
    let noun = word(NOUNS[other.class.shape()], dice);
    let tiny = other.tiny.then(|| word(&TINY, dice));
    let colour = word(COLOUR_WORDS[other.class.colour()], dice);
    let look: Vec<&str> = tiny.into_iter().chain([colour]).collect();
    let company = dice
        .pick(&COMPANY)
        .replace("{}", &object(Dative, &look, noun));
    match other.corner {
        Some(corner) => format!("{company} {}", CORNER_WORDS[corner]),
        None => company,
    }
}
