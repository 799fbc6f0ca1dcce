//! What a picture shows, before it is drawn or told: the tables of attributes with their words, and one draw from
//! them. The first word of an entry is the one that class names use, the others are synonyms of captions.

use super::dice::Dice;
use super::outline::Outline;

/// RGB in [0, 1].
pub type Rgb = [f32; 3];

/// A value of an attribute and the words for it.
#[derive(Clone, Copy, Debug)]
pub struct Kind<T: 'static> {
    pub value: T,
    pub words: &'static [&'static str],
}

const fn kind<T>(value: T, words: &'static [&'static str]) -> Kind<T> {
    Kind { value, words }
}

pub const SHAPES: [Kind<Outline>; 12] = [
    kind(Outline::Circle, &["circle", "disc"]),
    kind(Outline::Square, &["square"]),
    kind(Outline::Triangle, &["triangle"]),
    kind(Outline::Diamond, &["diamond", "rhombus"]),
    kind(Outline::Hexagon, &["hexagon"]),
    kind(Outline::Star, &["star"]),
    kind(Outline::Cross, &["cross", "plus"]),
    kind(Outline::Heart, &["heart"]),
    kind(Outline::Crescent, &["crescent", "moon"]),
    kind(Outline::Ring, &["ring", "hoop"]),
    kind(Outline::Arrow, &["arrow"]),
    kind(Outline::Oval, &["oval", "ellipse"]),
];

pub const COLOURS: [Kind<Rgb>; 10] = [
    kind([0.95, 0.18, 0.18], &["red"]),
    kind([1.00, 0.56, 0.10], &["orange"]),
    kind([1.00, 0.92, 0.18], &["yellow"]),
    kind([0.64, 0.95, 0.22], &["lime"]),
    kind([0.12, 0.68, 0.28], &["green"]),
    kind([0.20, 0.86, 0.88], &["cyan", "turquoise"]),
    kind([0.22, 0.42, 1.00], &["blue"]),
    kind([0.66, 0.30, 0.90], &["purple", "violet"]),
    kind([1.00, 0.58, 0.80], &["pink"]),
    kind([0.66, 0.42, 0.24], &["brown"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texture {
    Solid,
    Striped,
    Checkered,
    Dotted,
}

pub const TEXTURES: [Kind<Texture>; 4] = [
    kind(Texture::Solid, &["solid", "plain"]),
    kind(Texture::Striped, &["striped"]),
    kind(Texture::Checkered, &["checkered"]),
    kind(Texture::Dotted, &["dotted", "spotted"]),
];

/// Radii of the main object, from and to, as shares of the picture's side.
pub const SIZES: [Kind<(f32, f32)>; 3] = [
    kind((0.24, 0.26), &["small", "little"]),
    kind((0.29, 0.32), &["medium"]),
    kind((0.36, 0.40), &["large", "big"]),
];

pub const BACKGROUNDS: [Kind<Rgb>; 5] = [
    kind([0.03, 0.03, 0.03], &["black"]),
    kind([0.27, 0.27, 0.28], &["grey"]),
    kind([0.04, 0.07, 0.30], &["navy"]),
    kind([0.28, 0.04, 0.08], &["maroon"]),
    kind([0.03, 0.22, 0.16], &["teal"]),
];

/// The corners that smaller objects stand in, as the side of the middle across and down.
pub const CORNERS: [Kind<(f32, f32)>; 4] = [
    kind((-1.0, -1.0), &["at the top left"]),
    kind((1.0, -1.0), &["at the top right"]),
    kind((-1.0, 1.0), &["at the bottom left"]),
    kind((1.0, 1.0), &["at the bottom right"]),
];

/// What zero-shot has to name: a shape and a colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClassId(pub u16);

impl ClassId {
    pub const COUNT: u16 = (SHAPES.len() * COLOURS.len()) as u16;

    pub fn all() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    pub fn shape(self) -> usize {
        self.0 as usize / COLOURS.len()
    }

    pub fn colour(self) -> usize {
        self.0 as usize % COLOURS.len()
    }

    /// Never shown in training: one class in seven, spread so that every shape and every colour loses one or two.
    pub fn held_out(self) -> bool {
        (self.colour() + 3 * self.shape()) % 7 == 5
    }
}

/// Attributes are indices into the tables above; lengths are shares of the picture's side, from its top left.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub class: ClassId,
    pub texture: usize,
    pub x: f32,
    pub y: f32,
    pub radius: f32,
    /// Tangent of half the angle that it is turned by: cosine and sine follow by division alone.
    pub turn: f32,
    /// Factor on its width.
    pub stretch: f32,
    pub paint: Rgb,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    pub main: Object,
    pub size: usize,
    /// Smaller objects behind the main one, of other shapes and colours, each with its own corner.
    pub others: Vec<(Object, usize)>,
    pub background: usize,
    /// How the background brightens from edge to edge, across and down.
    pub slope: (f32, f32),
    /// Factor on the light of the whole picture.
    pub light: f32,
}

impl Scene {
    /// A picture of `class`, the main object up to `spread` away from the middle, with up to `distractors` other
    /// objects, whose classes come from `seen`.
    pub fn draw(
        dice: &mut Dice,
        class: ClassId,
        seen: &[ClassId],
        spread: f32,
        distractors: usize,
    ) -> Self {
        let size = dice.below(SIZES.len());
        let radius = radius(size, dice);
        let texture = dice.below(TEXTURES.len());
        let at = middle(spread, dice);
        let main = Object::draw(dice, class, texture, at, radius);
        let mut corners = [0, 1, 2, 3];
        let others = (0..dice.below(distractors.min(corners.len()) + 1))
            .map(|taken| {
                let free = taken + dice.below(corners.len() - taken);
                corners.swap(taken, free);
                (
                    Self::distractor(dice, &main, corners[taken], seen),
                    corners[taken],
                )
            })
            .collect();
        let background = dice.below(BACKGROUNDS.len());
        let (slope, light) = lighting(dice);
        Self {
            main,
            size,
            others,
            background,
            slope,
            light,
        }
    }

    /// Another picture of the same: what a caption could say of it stays, and all else is drawn anew.
    pub fn again(&self, spread: f32, dice: &mut Dice) -> Self {
        let radius = radius(self.size, dice);
        let Object { class, texture, .. } = self.main;
        let at = middle(spread, dice);
        let main = Object::draw(dice, class, texture, at, radius);
        let others = self.others.iter();
        let others = others.map(|(other, corner)| {
            let other = Object::in_corner(dice, other.class, *corner);
            (other, *corner)
        });
        let others = others.collect();
        let (slope, light) = lighting(dice);
        Self {
            main,
            size: self.size,
            others,
            background: self.background,
            slope,
            light,
        }
    }

    fn distractor(dice: &mut Dice, main: &Object, corner: usize, seen: &[ClassId]) -> Object {
        let class = loop {
            let class = *dice.pick(seen);
            if class.shape() != main.class.shape() && class.colour() != main.class.colour() {
                break class;
            }
        };
        Object::in_corner(dice, class, corner)
    }
}

/// Of a main object of `size`.
fn radius(size: usize, dice: &mut Dice) -> f32 {
    let (low, high) = SIZES[size].value;
    dice.between(low, high)
}

/// Where a main object stands.
fn middle(spread: f32, dice: &mut Dice) -> (f32, f32) {
    let mut astray = || 0.5 + dice.between(-spread, spread);
    (astray(), astray())
}

/// The slope and the light of a scene.
fn lighting(dice: &mut Dice) -> ((f32, f32), f32) {
    let slope = (dice.between(-0.25, 0.25), dice.between(-0.25, 0.25));
    (slope, dice.between(0.8, 1.1))
}

impl Object {
    /// A smaller object.
    fn in_corner(dice: &mut Dice, class: ClassId, corner: usize) -> Self {
        let (right, down) = CORNERS[corner].value;
        let at = (
            0.5 + right * dice.between(0.34, 0.4),
            0.5 + down * dice.between(0.34, 0.4),
        );
        let radius = dice.between(0.11, 0.14);
        Self::draw(dice, class, 0, at, radius)
    }

    fn draw(
        dice: &mut Dice,
        class: ClassId,
        texture: usize,
        (x, y): (f32, f32),
        radius: f32,
    ) -> Self {
        let turn = dice.between(-0.12, 0.12);
        let stretch = dice.between(0.92, 1.08);
        let paint = COLOURS[class.colour()]
            .value
            .map(|c| (c + dice.between(-0.06, 0.06)).clamp(0.0, 1.0));
        Self {
            class,
            texture,
            x,
            y,
            radius,
            turn,
            stretch,
            paint,
        }
    }
}
