//! The one face of figures: Liberation Sans, built in, so that a picture needs nothing installed. Its letters are as wide
//! as those of Arial. A PNG has them as dots, an SVG as outlines: text that names a face is set in another one wherever
//! that is not installed, and runs out of its place, and a face that is embedded is heard by browsers alone, while
//! Inkscape, rsvg-convert and so LaTeX's tool chains pass it over. What is written stands beside the outlines as a label.

use std::fmt::Write;
use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId, OutlineCurve};
use plotters::style::{FontStyle, register_font};

static FACE: &[u8] = include_bytes!("../../../assets/fonts/LiberationSans-Regular.ttf");

/// The name under which plotters knows the face.
pub const FAMILY: &str = "Liberation Sans";
/// plotters asks a face for its height, ascent to descent, which in this one is so many ems.
pub const HEIGHT: f64 = 2288.0 / EM;
/// The units that the face is drawn in, to an em.
pub const EM: f64 = 2048.0;

/// The face, known to plotters too.
fn face() -> &'static FontRef<'static> {
    static ONCE: OnceLock<FontRef> = OnceLock::new();
    ONCE.get_or_init(|| {
        let known = register_font(FAMILY, FontStyle::Normal, FACE);
        assert!(known.is_ok(), "the built-in face can be read");
        FontRef::try_from_slice(FACE).expect("the built-in face can be read")
    })
}

/// Make the face known to plotters, which has no other.
pub fn register() {
    face();
}

/// How wide `text` is at so many points.
pub fn width(text: &str, size: f64) -> f64 {
    let advances = text.chars().map(|c| advance(glyph(c)));
    advances.sum::<f64>() / EM * size
}

/// The glyph of a character; the box of the face where it has none.
pub fn glyph(c: char) -> GlyphId {
    face().glyph_id(c)
}

/// From a glyph to the next, in units of the face.
pub fn advance(glyph: GlyphId) -> f64 {
    f64::from(face().h_advance_unscaled(glyph))
}

/// The outline of a glyph as the data of an SVG path in units of the face, y upwards. None for a space.
pub fn outline(glyph: GlyphId) -> Option<String> {
    let mut path = String::new();
    let mut pen = None;
    for curve in face().outline(glyph)?.curves {
        let (from, control, to) = match curve {
            OutlineCurve::Line(from, to) => (from, None, to),
            OutlineCurve::Quad(from, control, to) => (from, Some(control), to),
            // TrueType has none; its ends alone would still be legible.
            OutlineCurve::Cubic(from, _, _, to) => (from, None, to),
        };
        if from == to {
            continue;
        }
        if pen != Some(from) {
            if pen.is_some() {
                path.push('Z');
            }
            let _ = write!(path, "M{} {}", from.x, from.y);
        }
        let _ = match control {
            Some(control) => write!(path, "Q{} {} {} {}", control.x, control.y, to.x, to.y),
            None => write!(path, "L{} {}", to.x, to.y),
        };
        pen = Some(to);
    }
    path.push('Z');
    pen.map(|_| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of Arial: n 1139, i 455, 0 1139 of 2048 units; figures are all as wide.
    #[test]
    fn letters_are_as_wide_as_those_of_arial() {
        for (text, units) in [("n", 1139.0), ("i", 455.0), ("0", 1139.0), ("10", 2278.0)] {
            assert_eq!(width(text, EM), units, "{text}");
        }
        assert_eq!(width("", 7.0), 0.0);
        assert_eq!(f64::from(face().height_unscaled()), HEIGHT * EM);
        assert_eq!(face().units_per_em(), Some(EM as f32));
    }

    #[test]
    fn what_figures_write_has_glyphs() {
        let written = "−±×…²·–→≤≥βμσΔ’é0123456789abcxyzABCXYZ()[]%=/_@+";
        let lacking: String = written.chars().filter(|c| glyph(*c).0 == 0).collect();
        assert_eq!(lacking, "");
        assert!(
            outline(glyph('\u{e000}')).is_some(),
            "a box for what it lacks"
        );
    }

    #[test]
    fn outlines_are_closed_and_a_space_has_none() {
        assert_eq!(outline(glyph(' ')), None);
        let bar = outline(glyph('l')).unwrap();
        assert_eq!(bar, "M138 0L138 1484L318 1484L318 0L138 0Z");
        let holed = outline(glyph('o')).unwrap();
        assert_eq!(holed.matches('M').count(), 2);
        assert_eq!(holed.matches('Z').count(), 2);
    }
}
