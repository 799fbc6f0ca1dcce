//! Hebrew, written from right to left: nouns have one of two genders, which the adjectives after them follow. There is no
//! indefinite article; the definite one and "and" are letters in front of a word.

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
    &[("עיגול", M), ("דיסקה", F)],
    &[("ריבוע", M)],
    &[("משולש", M)],
    &[("מעוין", M)],
    &[("משושה", M)],
    &[("כוכב", M)],
    &[("צלב", M), ("פלוס", M)],
    &[("לב", M)],
    &[("סהר", M), ("ירח", M)],
    &[("טבעת", F), ("חישוק", M)],
    &[("חץ", M)],
    &[("אליפסה", F)],
];

/// An adjective by gender.
type Forms = [&'static str; 2];

const COLOUR_WORDS: [&[Forms]; COLOURS.len()] = [
    &[["אדום", "אדומה"]],
    &[["כתום", "כתומה"]],
    &[["צהוב", "צהובה"]],
    &[["בצבע ליים", "בצבע ליים"]],
    &[["ירוק", "ירוקה"]],
    &[["בצבע טורקיז", "בצבע טורקיז"], ["בצבע ציאן", "בצבע ציאן"]],
    &[["כחול", "כחולה"]],
    &[["סגול", "סגולה"]],
    &[["ורוד", "ורודה"]],
    &[["חום", "חומה"]],
];
const TEXTURE_WORDS: [Forms; TEXTURES.len()] = [
    ["חלק", "חלקה"],
    ["מפוספס", "מפוספסת"],
    ["משובץ", "משובצת"],
    ["מנוקד", "מנוקדת"],
];
const SIZE_WORDS: [Forms; SIZES.len()] =
    [["קטן", "קטנה"], ["בינוני", "בינונית"], ["גדול", "גדולה"]];
const TINY: [Forms; 2] = [["זעיר", "זעירה"], ["קטנטן", "קטנטנה"]];
const ONE: Forms = ["אחד", "אחת"];
/// A ground is masculine.
const BACKGROUND_WORDS: [&str; BACKGROUNDS.len()] =
    ["שחור", "אפור", "כחול כהה", "בורדו", "כחול ירקרק"];

const CORNER_WORDS: [&str; CORNERS.len()] = [
    "בפינה השמאלית העליונה",
    "בפינה הימנית העליונה",
    "בפינה השמאלית התחתונה",
    "בפינה הימנית התחתונה",
];

const THE: &str = "ה";
const AND: &str = "ו";

const OBJECTS: [&str; 5] = ["{}", "תמונה של {}", "איור של {}", "הנה {}", "יש כאן {}"];
/// The first four.
const PROMPTS: usize = 4;

const GROUNDS: [&str; 2] = ["על רקע {}", "עם רקע {}"];
const COMPANY: [&str; 4] = ["ליד {}", "לצד {}", "בקרבת {}", "עם {}"];

pub fn caption(said: &Said, dice: &mut Dice) -> String {
    let noun = word(NOUNS[said.class.shape()], dice);
    let colour = word(COLOUR_WORDS[said.class.colour()], dice);
    let size = said.size.map(|size| SIZE_WORDS[size]);
    let texture = said.texture.map(|texture| TEXTURE_WORDS[texture]);
    let look: Vec<Forms> = [size, texture, Some(colour)]
        .into_iter()
        .flatten()
        .collect();
    let form = dice.below(OBJECTS.len() + 3);
    let (opening, link) = if let Some(form) = OBJECTS.get(form) {
        (form.replace("{}", &phrase(noun, &look)), " ")
    } else {
        match form - OBJECTS.len() {
            // "circle one red".
            0 => (phrase(noun, &[&[ONE][..], &look].concat()), " "),
            1 => (format!("{}, {}", noun.0, listed(noun.1, &look)), ", "),
            // A sentence without a verb: "the circle red".
            _ => (format!("{THE}{} {}", noun.0, listed(noun.1, &look)), ", "),
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
    phrase(NOUNS[class.shape()][0], &[COLOUR_WORDS[class.colour()][0]])
}

pub fn prompts(class: ClassId) -> Vec<String> {
    OBJECTS[..PROMPTS]
        .iter()
        .map(|form| form.replace("{}", &name(class)))
        .collect()
}

pub fn words() -> Vec<String> {
    let nouns = NOUNS.iter().copied().flatten().map(|(noun, _)| *noun);
    let nouns = nouns.flat_map(|noun| [noun.to_owned(), format!("{THE}{noun}")]);
    let colours = COLOUR_WORDS.iter().copied().flatten();
    let adjectives = colours
        .chain(&TEXTURE_WORDS)
        .chain(&SIZE_WORDS)
        .chain(&TINY)
        .flatten();
    let adjectives = adjectives.flat_map(|word| [(*word).to_owned(), format!("{AND}{word}")]);
    let forms = OBJECTS.into_iter().chain(GROUNDS).chain(COMPANY);
    let rest = ONE
        .into_iter()
        .chain(BACKGROUND_WORDS)
        .chain(CORNER_WORDS)
        .chain(forms);
    nouns.chain(adjectives).chain(rest.map(plain)).collect()
}

/// "עיגול קטן אדום": the noun, and what it looks like behind it.
fn phrase((noun, gender): (&str, Gender), look: &[Forms]) -> String {
    let look = look.iter().map(|forms| forms[gender as usize]);
    [noun].into_iter().chain(look).collect::<Vec<_>>().join(" ")
}

/// "קטן, מפוספס ואדום": the last one with "and" in front.
fn listed(gender: Gender, look: &[Forms]) -> String {
    let look: Vec<&str> = look.iter().map(|forms| forms[gender as usize]).collect();
    match look.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{} {AND}{last}", rest.join(", ")),
        _ => look.concat(),
    }
}

fn company(other: &Other, dice: &mut Dice) -> String {
    let noun = word(NOUNS[other.class.shape()], dice);
    let tiny = other.tiny.then(|| word(&TINY, dice));
    let colour = word(COLOUR_WORDS[other.class.colour()], dice);
    let look: Vec<Forms> = tiny.into_iter().chain([colour]).collect();
    let company = dice.pick(&COMPANY).replace("{}", &phrase(noun, &look));
    match other.corner {
        Some(corner) => format!("{company} {}", CORNER_WORDS[corner]),
        None => company,
    }
}
