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
    kind([0.86, 0.12, 0.14], &["red"]),
    kind([0.98, 0.55, 0.08], &["orange"]),
    kind([0.97, 0.88, 0.15], &["yellow"]),
    kind([0.58, 0.86, 0.18], &["lime"]),
    kind([0.06, 0.48, 0.20], &["green"]),
    kind([0.16, 0.78, 0.80], &["cyan", "turquoise"]),
    kind([0.12, 0.28, 0.88], &["blue"]),
    kind([0.50, 0.18, 0.70], &["purple", "violet"]),
    kind([0.98, 0.52, 0.74], &["pink"]),
    kind([0.46, 0.27, 0.12], &["brown"]),
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
    kind((0.21, 0.24), &["small", "little"]),
    kind((0.26, 0.30), &["medium"]),
    kind((0.34, 0.39), &["large", "big"]),
];

pub const BACKGROUNDS: [Kind<Rgb>; 5] = [
    kind([0.95, 0.95, 0.95], &["white"]),
    kind([0.55, 0.56, 0.57], &["grey"]),
    kind([0.06, 0.06, 0.07], &["black"]),
    kind([0.86, 0.78, 0.64], &["beige"]),
    kind([0.74, 0.72, 0.92], &["lavender"]),
];

/// Column and row of the ninth of the picture that the main object stands in.
pub const PLACES: [Kind<(u8, u8)>; 9] = [
    kind((0, 0), &["at the top left"]),
    kind((1, 0), &["at the top"]),
    kind((2, 0), &["at the top right"]),
    kind((0, 1), &["on the left"]),
    kind((1, 1), &["in the middle", "in the centre"]),
    kind((2, 1), &["on the right"]),
    kind((0, 2), &["at the bottom left"]),
    kind((1, 2), &["at the bottom"]),
    kind((2, 2), &["at the bottom right"]),
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
    pub place: usize,
    /// Smaller objects behind the main one, of other shapes and colours.
    pub others: Vec<Object>,
    pub background: usize,
    /// How the background brightens from edge to edge, across and down.
    pub slope: (f32, f32),
    /// Factor on the light of the whole picture.
    pub light: f32,
}

impl Scene {
    /// A picture of `class` with up to `distractors` other objects, which come from `seen`.
    pub fn draw(dice: &mut Dice, class: ClassId, seen: &[ClassId], distractors: usize) -> Self {
        let size = dice.below(SIZES.len());
        let place = dice.below(PLACES.len());
        let (low, high) = SIZES[size].value;
        let radius = dice.between(low, high);
        let (column, row) = PLACES[place].value;
        // A touch over the edge of the picture is allowed.
        let margin = 0.95 * radius;
        let mut inside =
            |ninth: u8| margin + (1.0 - 2.0 * margin) * (f32::from(ninth) + dice.unit()) / 3.0;
        let (x, y) = (inside(column), inside(row));
        let texture = dice.below(TEXTURES.len());
        let main = Object::draw(dice, class, texture, (x, y), radius);
        let others = (0..dice.below(distractors + 1))
            .map(|_| Self::distractor(dice, &main, seen))
            .collect();
        let background = dice.below(BACKGROUNDS.len());
        let slope = (dice.between(-0.25, 0.25), dice.between(-0.25, 0.25));
        let light = dice.between(0.8, 1.1);
        Self {
            main,
            size,
            place,
            others,
            background,
            slope,
            light,
        }
    }

    fn distractor(dice: &mut Dice, main: &Object, seen: &[ClassId]) -> Object {
        let class = loop {
            let class = *dice.pick(seen);
            if class.shape() != main.class.shape() && class.colour() != main.class.colour() {
                break class;
            }
        };
        let radius = dice.between(0.11, 0.15);
        let mut best = (f32::NEG_INFINITY, (0.5, 0.5));
        for _ in 0..8 {
            let (x, y) = (dice.between(0.08, 0.92), dice.between(0.08, 0.92));
            let gap = (x - main.x).abs().max((y - main.y).abs()) - main.radius - radius;
            // Anywhere clear of the main object will do; else the place that it hides least.
            if gap.min(0.0) > best.0 {
                best = (gap.min(0.0), (x, y));
            }
        }
        Object::draw(dice, class, 0, best.1, radius)
    }
}

impl Object {
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
