//! The outlines of objects as signed distance functions around the origin, y pointing down, each about one unit
//! from the centre to its edge: negative inside, and near the edge as long as the way to it, which is what
//! anti-aliasing needs. Only `+ - * /` and square roots, which every machine rounds alike.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outline {
    Circle,
    Square,
    Triangle,
    Diamond,
    Hexagon,
    Star,
    Cross,
    Heart,
    Crescent,
    Ring,
    Arrow,
    Oval,
}

impl Outline {
    /// Signed distance from (x, y) to the edge.
    pub fn distance(self, x: f32, y: f32) -> f32 {
        let (ax, ay) = (x.abs(), y.abs());
        match self {
            Self::Circle => length(x, y) - 0.9,
            Self::Square => ax.max(ay) - 0.8,
            Self::Triangle => triangle(ax, y, -1.0, 0.75, 1.0),
            Self::Diamond => {
                (ax * 1.05 + ay * 0.7) / length(1.05, 0.7) - 0.7 * 1.05 / length(1.05, 0.7)
            }
            Self::Hexagon => (ax * 0.866_025_4 + ay * 0.5).max(ay) - 0.83,
            Self::Star => star(x, -y),
            Self::Cross => (ax - 0.33).max(ay - 0.95).min((ax - 0.95).max(ay - 0.33)),
            Self::Heart => heart(ax / 1.7, (0.85 - y) / 1.7) * 1.7,
            Self::Crescent => (length(x, y) - 0.95).max(0.78 - length(x - 0.45, y)),
            Self::Ring => (length(x, y) - 0.68).abs() - 0.24,
            Self::Arrow => {
                let shaft = (ax - 0.28).max((y - 0.4).abs() - 0.55);
                shaft.min(triangle(ax, y, -1.0, 0.05, 0.9))
            }
            Self::Oval => oval(x, y, 1.0, 0.55),
        }
    }
}

fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// An upright triangle with its tip at `top`, its base at `bottom` and half as wide as `half`; `ax` is |x|.
fn triangle(ax: f32, y: f32, top: f32, bottom: f32, half: f32) -> f32 {
    let height = bottom - top;
    let side = (ax * height - (y - top) * half) / length(height, half);
    side.max(y - bottom)
}

/// A five-pointed star, tip up; here y points up.
fn star(x: f32, y: f32) -> f32 {
    // cos and sin of 36 degrees: the normals of the two mirrors that fold ten half-points into one.
    const MIRROR: (f32, f32) = (0.809_017, -0.587_785_24);
    const SHARPNESS: f32 = 0.45;
    let (mut x, mut y) = (x.abs(), y);
    for sign in [1.0, -1.0] {
        let normal = (sign * MIRROR.0, MIRROR.1);
        let beyond = 2.0 * (normal.0 * x + normal.1 * y).max(0.0);
        x -= beyond * normal.0;
        y -= beyond * normal.1;
    }
    let (x, y) = (x.abs(), y - 1.05);
    let edge = (-SHARPNESS * MIRROR.1, SHARPNESS * MIRROR.0 - 1.0);
    let along = ((x * edge.0 + y * edge.1) / (edge.0 * edge.0 + edge.1 * edge.1)).clamp(0.0, 1.05);
    let away = length(x - edge.0 * along, y - edge.1 * along);
    if y * edge.0 > x * edge.1 { away } else { -away }
}

/// A heart that stands on its tip at the origin, about 1.1 high; here y points up, and `ax` is |x|.
fn heart(ax: f32, y: f32) -> f32 {
    if ax + y > 1.0 {
        return length(ax - 0.25, y - 0.75) - 0.125_f32.sqrt();
    }
    let along = 0.5 * (ax + y).max(0.0);
    let away = length(ax, y - 1.0).min(length(ax - along, y - along));
    if ax > y { away } else { -away }
}

/// Half axes `a` and `b`; the distance to first order, good near the edge.
fn oval(x: f32, y: f32, a: f32, b: f32) -> f32 {
    let value = length(x / a, y / b);
    let slope = length(x / (a * a), y / (b * b));
    if slope > 0.0 {
        value * (value - 1.0) / slope
    } else {
        -b
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::data::shapes::scene::SHAPES;

    /// Share of the square [-1.25, 1.25]^2 that lies inside.
    fn area(outline: Outline) -> f32 {
        let steps = 200;
        let at = |i: i32| (i as f32 + 0.5) * 2.5 / steps as f32 - 1.25;
        let inside = (0..steps * steps)
            .filter(|i| outline.distance(at(i % steps), at(i / steps)) < 0.0)
            .count();
        inside as f32 * 6.25 / (steps * steps) as f32
    }

    #[test]
    fn outlines_are_of_like_area_and_fit_their_box() {
        for outline in SHAPES.map(|kind| kind.value) {
            let area = area(outline);
            assert!((1.0..2.8).contains(&area), "{outline:?} covers {area}");
            for i in -130..=130 {
                let t = i as f32 / 100.0;
                for (x, y) in [(t, 1.2), (t, -1.2), (1.2, t), (-1.2, t)] {
                    assert!(outline.distance(x, y) > 0.0, "{outline:?} at ({x}, {y})");
                }
            }
        }
    }

    #[test]
    fn distances_change_at_most_as_fast_as_the_way() {
        for outline in SHAPES.map(|kind| kind.value) {
            for i in 0..400 {
                let (x, y) = ((i % 20) as f32 / 9.5 - 1.0, (i / 20) as f32 / 9.5 - 1.0);
                let here = outline.distance(x, y);
                if here.abs() > 0.15 {
                    continue; // anti-aliasing reads the neighbourhood of the edge only
                }
                let step = (outline.distance(x + 1e-3, y) - here).abs();
                assert!(step < 1.3e-3, "{outline:?} at ({x}, {y}): {step}");
            }
        }
    }
}
