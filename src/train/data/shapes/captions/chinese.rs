//! Chinese: nothing is inflected and nothing stands between words, which the vocabulary reads by character.

use super::super::dice::Dice;
use super::super::scene::{BACKGROUNDS, COLOURS, CORNERS, ClassId, SHAPES, SIZES, TEXTURES};
use super::{Other, Said, word};

/// Words of a shape.
const NOUNS: [&[&str]; SHAPES.len()] = [
    &["圆形", "圆盘"],
    &["正方形"],
    &["三角形"],
    &["菱形"],
    &["六边形"],
    &["星形"],
    &["十字形", "加号"],
    &["心形"],
    &["月牙形", "月牙"],
    &["圆环"],
    &["箭头"],
    &["椭圆形", "椭圆"],
];
const COLOUR_WORDS: [&[&str]; COLOURS.len()] = [
    &["红色"],
    &["橙色"],
    &["黄色"],
    &["青柠色", "黄绿色"],
    &["绿色"],
    &["青色"],
    &["蓝色"],
    &["紫色"],
    &["粉色", "粉红色"],
    &["棕色"],
];
const TEXTURE_WORDS: [&[&str]; TEXTURES.len()] =
    [&["纯色"], &["条纹"], &["格子"], &["圆点", "波点"]];
const SIZE_WORDS: [&str; SIZES.len()] = ["小", "中号", "大"];
const TINY: [&str; 2] = ["迷你", "微型"];
const BACKGROUND_WORDS: [&str; BACKGROUNDS.len()] = ["黑色", "灰色", "深蓝色", "酒红色", "墨绿色"];
const CORNER_WORDS: [&str; CORNERS.len()] = ["左上角", "右上角", "左下角", "右下角"];

/// Counts things: "一个红色的圆形".
const ONE: &str = "一个";
/// Makes what stands before it describe what follows.
const OF: &str = "的";

/// Openings with an object, which does not have its counter where it is described.
const OBJECTS: [&str; 6] = [
    "{one}{}",
    "一张{}的图片",
    "一幅{}的图像",
    "这是{one}{}",
    "图中有{one}{}",
    "{}",
];
/// The first four.
const PROMPTS: usize = 4;

const GROUNDS: [&str; 2] = ["背景是{}的", "在{}背景上"];
/// `{}` is a smaller object with its counter.
const COMPANY: [&str; 3] = ["旁边有{}", "附近有{}", "还有{}"];

pub fn caption(said: &Said, dice: &mut Dice) -> String {
    let noun = word(NOUNS[said.class.shape()], dice);
    let colour = word(COLOUR_WORDS[said.class.colour()], dice);
    let size = said.size.map_or("", |size| SIZE_WORDS[size]);
    let texture = said
        .texture
        .map_or("", |texture| word(TEXTURE_WORDS[texture], dice));
    let thing = format!("{texture}{size}{noun}");
    let form = dice.below(OBJECTS.len() + 2);
    let opening = if let Some(form) = OBJECTS.get(form) {
        filled(form, &format!("{colour}{OF}{thing}"))
    } else if form == OBJECTS.len() {
        format!("{thing}，{colour}")
    } else {
        format!("这个{thing}是{colour}{OF}")
    };
    let company = said.other.as_ref().map(|other| company(other, dice));
    let ground = said
        .background
        .map(|ground| dice.pick(&GROUNDS).replace("{}", BACKGROUND_WORDS[ground]));
    let parts = [Some(opening), company, ground];
    parts.into_iter().flatten().collect::<Vec<_>>().join("，")
}

pub fn name(class: ClassId) -> String {
    format!(
        "{}{OF}{}",
        COLOUR_WORDS[class.colour()][0],
        NOUNS[class.shape()][0]
    )
}

pub fn prompts(class: ClassId) -> Vec<String> {
    OBJECTS[..PROMPTS]
        .iter()
        .map(|form| filled(form, &name(class)))
        .collect()
}

pub fn words() -> Vec<String> {
    let tables = [&NOUNS[..], &COLOUR_WORDS, &TEXTURE_WORDS];
    let tables = tables.into_iter().flatten().copied().flatten().copied();
    let names = SIZE_WORDS
        .into_iter()
        .chain(TINY)
        .chain(BACKGROUND_WORDS)
        .chain(CORNER_WORDS);
    let forms = OBJECTS.into_iter().chain(GROUNDS).chain(COMPANY);
    let forms = forms.map(|form| form.replace("{one}", ONE).replace("{}", " "));
    let rest = [ONE, OF, "这个是", "有"];
    tables
        .chain(names)
        .chain(rest)
        .map(str::to_owned)
        .chain(forms)
        .collect()
}

fn filled(form: &str, thing: &str) -> String {
    form.replace("{one}", ONE).replace("{}", thing)
}

fn company(other: &Other, dice: &mut Dice) -> String {
    let noun = word(NOUNS[other.class.shape()], dice);
    let tiny = if other.tiny { word(&TINY, dice) } else { "" };
    let colour = word(COLOUR_WORDS[other.class.colour()], dice);
    let thing = format!("{ONE}{colour}{OF}{tiny}{noun}");
    match other.corner {
        Some(corner) => format!("{}有{thing}", CORNER_WORDS[corner]),
        None => dice.pick(&COMPANY).replace("{}", &thing),
    }
}
