//! From a scene to pixels: the background, the smaller objects, the main one over them, then light and noise. Edges
//! are anti-aliased from their distance, without supersampling: about a dozen operations a pixel of an object.

use super::dice::Dice;
use super::scene::{BACKGROUNDS, Object, SHAPES, Scene, TEXTURES, Texture};

/// `side` x `side` RGB in [-1, 1], row-major, with uniform noise of up to `noise` on every value.
pub fn render(scene: &Scene, side: usize, noise: f32, dice: &mut Dice) -> Vec<f32> {
    let mut canvas = background(scene, side);
    for object in scene
        .others
        .iter()
        .map(|(object, _)| object)
        .chain([&scene.main])
    {
        paint(&mut canvas, side, object);
    }
    let mut grain = vec![0; canvas.len()];
    dice.fill(&mut grain);
    for (value, grain) in canvas.iter_mut().zip(grain) {
        let grain = (f32::from(grain) - 127.5) / 127.5;
        *value = (2.0 * scene.light * *value - 1.0 + noise * grain).clamp(-1.0, 1.0);
    }
    canvas
}

fn background(scene: &Scene, side: usize) -> Vec<f32> {
    let colour = BACKGROUNDS[scene.background].value;
    let mut canvas = Vec::with_capacity(side * side * 3);
    for row in 0..side {
        for column in 0..side {
            let (x, y) = (centre(column, side) - 0.5, centre(row, side) - 0.5);
            let light = 1.0 + scene.slope.0 * x + scene.slope.1 * y;
            canvas.extend(colour.map(|c| c * light));
        }
    }
    canvas
}

/// Where the middle of pixel `i` lies in the picture.
fn centre(i: usize, side: usize) -> f32 {
    (i as f32 + 0.5) / side as f32
}

fn paint(canvas: &mut [f32], side: usize, object: &Object) {
    let outline = SHAPES[object.class.shape()].value;
    let texture = TEXTURES[object.texture].value;
    let t = object.turn;
    let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    // Pixels a unit of the outline's own coordinates.
    let scale = object.radius * side as f32;
    let reach = 1.4 * object.radius;
    let span = |middle: f32| {
        let (low, high) = (
            (middle - reach) * side as f32,
            (middle + reach) * side as f32,
        );
        low.max(0.0) as usize..(high.ceil().max(0.0) as usize).min(side)
    };
    for row in span(object.y) {
        for column in span(object.x) {
            let dx = (centre(column, side) - object.x) / object.radius;
            let dy = (centre(row, side) - object.y) / object.radius;
            let (x, y) = ((cos * dx + sin * dy) / object.stretch, cos * dy - sin * dx);
            let cover = sharp(-outline.distance(x, y), scale) * texture.opacity(x, y, scale);
            if cover > 0.0 {
                let pixel = &mut canvas[(row * side + column) * 3..][..3];
                for (value, paint) in pixel.iter_mut().zip(object.paint) {
                    *value += cover * (paint - *value);
                }
            }
        }
    }
}

/// How much of a pixel lies on the positive side of an edge that is `distance` away.
fn sharp(distance: f32, scale: f32) -> f32 {
    (0.5 + distance * scale).clamp(0.0, 1.0)
}

impl Texture {
    /// How much the paint covers at (x, y): in its gaps, what lies behind shines through.
    fn opacity(self, x: f32, y: f32, scale: f32) -> f32 {
        const GAP: f32 = 0.4;
        const STRIPE: f32 = 0.72;
        const CHECK: f32 = 1.0;
        const DOT: f32 = 0.66;
        let paint = match self {
            Self::Solid => return 1.0,
            Self::Striped => sharp(wave(x + y, STRIPE * 1.414), scale),
            Self::Checkered => {
                let (a, b) = (wave(x + 0.25, CHECK), wave(y + 0.25, CHECK));
                sharp(a.abs().min(b.abs()) * a.signum() * b.signum(), scale)
            }
            Self::Dotted => {
                let (a, b) = (x - DOT * (x / DOT).round(), y - DOT * (y / DOT).round());
                sharp((a * a + b * b).sqrt() - 0.3 * DOT, scale)
            }
        };
        GAP + (1.0 - GAP) * paint
    }
}

/// Distance to the nearest edge of stripes that repeat every `period`: positive on one half, negative on the other.
fn wave(x: f32, period: f32) -> f32 {
    let turns = x / period;
    ((turns - turns.floor() - 0.5).abs() - 0.25) * period
}
