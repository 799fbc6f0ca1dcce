//! A page as marks in points (1/72 inch) from its upper left corner, before anything is drawn: what figures are laid out
//! on. Text stands on its baseline. How marks become bytes is the media's affair.

use super::font;
use crate::util::printable;

pub type Point = (f64, f64);

/// A colour and how much of it, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ink {
    pub rgb: (u8, u8, u8),
    pub alpha: f64,
}

impl Ink {
    pub const BLACK: Self = Self::grey(0);
    /// Of axes and what is written.
    pub const DARK: Self = Self::grey(51);
    /// Of what is said beside.
    pub const SOFT: Self = Self::grey(96);
    /// Of lines that guide the eye.
    pub const FAINT: Self = Self::grey(226);
    pub const WHITE: Self = Self::grey(255);

    const fn grey(level: u8) -> Self {
        Self {
            rgb: (level, level, level),
            alpha: 1.0,
        }
    }

    pub fn thin(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// As on paper when thin, and as opaque as before.
    pub fn pale(self, share: f64) -> Self {
        let mixed = |c: u8| (255.0 - share * (255.0 - f64::from(c))).round() as u8;
        let (r, g, b) = self.rgb;
        Self {
            rgb: (mixed(r), mixed(g), mixed(b)),
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Left,
    Middle,
    Right,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Mark {
    Path {
        points: Vec<Point>,
        width: f64,
        ink: Ink,
    },
    Area {
        points: Vec<Point>,
        ink: Ink,
    },
    Disc {
        at: Point,
        radius: f64,
        ink: Ink,
    },
    Text {
        at: Point,
        text: String,
        size: f64,
        anchor: Anchor,
        /// Written from the bottom to the top.
        turned: bool,
        ink: Ink,
    },
}

impl Mark {
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text { .. })
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    pub width: f64,
    pub height: f64,
    pub marks: Vec<Mark>,
}

/// How text is written.
#[derive(Clone, Copy, Debug)]
pub struct Type {
    pub size: f64,
    pub ink: Ink,
    pub anchor: Anchor,
    pub turned: bool,
}

impl Type {
    pub const TITLE: Self = Self::new(8.0, Ink::BLACK);
    pub const LABEL: Self = Self::new(8.0, Ink::BLACK);
    pub const TICK: Self = Self::new(7.0, Ink::DARK);
    pub const NOTE: Self = Self::new(6.5, Ink::SOFT);

    const fn new(size: f64, ink: Ink) -> Self {
        Self {
            size,
            ink,
            anchor: Anchor::Left,
            turned: false,
        }
    }

    pub fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub fn turned(self) -> Self {
        Self {
            turned: true,
            ..self
        }
    }

    pub fn width(self, text: &str) -> f64 {
        font::width(text, self.size)
    }

    /// From one baseline to the next.
    pub fn leading(self) -> f64 {
        self.size * 1.2
    }

    /// How far digits and capitals rise above the baseline.
    pub fn rise(self) -> f64 {
        self.size * 0.72
    }
}

impl Sheet {
    pub fn new(width: f64) -> Self {
        Self {
            width,
            height: 0.0,
            marks: Vec::new(),
        }
    }

    pub fn path(&mut self, points: Vec<Point>, width: f64, ink: Ink) {
        if points.len() > 1 {
            self.marks.push(Mark::Path { points, width, ink });
        }
    }

    pub fn line(&mut self, from: Point, to: Point, width: f64, ink: Ink) {
        self.path(vec![from, to], width, ink);
    }

    pub fn area(&mut self, points: Vec<Point>, ink: Ink) {
        if points.len() > 2 {
            self.marks.push(Mark::Area { points, ink });
        }
    }

    pub fn disc(&mut self, at: Point, radius: f64, ink: Ink) {
        self.marks.push(Mark::Disc { at, radius, ink });
    }

    pub fn text(&mut self, at: Point, text: &str, style: Type) {
        if !text.is_empty() {
            self.marks.push(Mark::Text {
                at,
                text: clean(text),
                size: style.size,
                anchor: style.anchor,
                turned: style.turned,
                ink: style.ink,
            });
        }
    }
}

/// `text` without what neither a terminal nor XML may have.
pub fn clean(text: &str) -> String {
    let allowed = |c| !matches!(c, '\u{fffe}' | '\u{ffff}');
    let swap = |c| if allowed(c) { c } else { '\u{fffd}' };
    printable(text).chars().map(swap).collect()
}

/// `text` in at most `most` lines of at most `width`; what does not fit ends in an ellipsis. Lines break at spaces, and
/// inside a word that is wider than a line.
pub fn wrap(text: &str, style: Type, width: f64, most: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let text = clean(text);
    for word in text.split_whitespace() {
        let longer = match line.is_empty() {
            true => word.to_owned(),
            false => format!("{line} {word}"),
        };
        if style.width(&longer) <= width {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            line.push(c);
            if style.width(&line) > width && line.chars().count() > 1 {
                let rest = line.split_off(seam(&line));
                lines.push(std::mem::replace(&mut line, rest));
            }
            if lines.len() > most {
                break;
            }
        }
        if lines.len() > most {
            break;
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > most {
        lines.truncate(most);
        if let Some(last) = lines.last_mut() {
            *last = ended(last, style, width);
        }
    }
    lines
}

/// Signs that join the parts of a word: behind one a line may break.
const JOINTS: [char; 6] = ['=', '/', '_', ',', '-', '+'];

/// Where a word that is one letter too wide is broken: behind its last sign that joins, or before that letter.
fn seam(word: &str) -> usize {
    let last = word.char_indices().next_back().map_or(0, |(at, _)| at);
    let joint = word[..last].rfind(JOINTS);
    joint.map_or(last, |at| at + 1)
}

/// Whether lines of this width hold `text` without a break inside of a word.
pub fn breaks_well(text: &str, style: Type, width: f64) -> bool {
    let text = clean(text);
    let parts = text
        .split_whitespace()
        .flat_map(|word| word.split_inclusive(JOINTS));
    parts.into_iter().all(|part| style.width(part) <= width)
}

/// `text` in one line of at most `width`, cut if need be.
pub fn fit(text: &str, style: Type, width: f64) -> String {
    let text = clean(text);
    if style.width(&text) <= width {
        text
    } else {
        ended(&text, style, width)
    }
}

fn ended(text: &str, style: Type, width: f64) -> String {
    let mut kept = text.trim_end().to_owned();
    while !kept.is_empty() && style.width(&format!("{kept}…")) > width {
        kept.pop();
    }
    format!("{}…", kept.trim_end())
}

/// The parts of a line that are drawn where `pattern` has dashes and gaps in turn; all of it without a pattern.
pub fn dashed(points: &[Point], pattern: &[f64]) -> Vec<Vec<Point>> {
    if pattern.is_empty() {
        return vec![points.to_vec()];
    }
    let mut pieces = Vec::new();
    let mut piece: Vec<Point> = points.first().copied().into_iter().collect();
    let (mut turn, mut left) = (0, pattern[0]);
    for ends in points.windows(2) {
        let (mut from, to) = (ends[0], ends[1]);
        loop {
            let (dx, dy) = (to.0 - from.0, to.1 - from.1);
            let length = dx.hypot(dy);
            if length <= left {
                left -= length;
                if turn % 2 == 0 {
                    piece.push(to);
                }
                break;
            }
            from = (from.0 + dx / length * left, from.1 + dy / length * left);
            if turn % 2 == 0 {
                piece.push(from);
                pieces.push(std::mem::take(&mut piece));
            } else {
                piece = vec![from];
            }
            turn += 1;
            left = pattern[turn % pattern.len()];
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| piece.len() > 1);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_spaces_and_cut_with_a_sign() {
        let wrapped = |text: &str, width, most| wrap(text, Type::TICK, width, most);
        assert_eq!(wrapped("one two three", 30.0, 3), ["one two", "three"]);
        assert_eq!(
            wrapped("log_t.init=2.302585", 40.0, 2),
            ["log_t.init=", "2.302585"]
        );
        let cut = wrapped("one two three four five six", 30.0, 2);
        assert_eq!(cut, ["one two", "three f…"]);
        assert!(wrapped(&"w".repeat(10_000), 30.0, 2).len() == 2);
        assert!(
            wrapped("a\u{1b}[31mb\u{ffff}", 100.0, 1)[0]
                .chars()
                .all(|c| c != '\u{1b}' && c != '\u{ffff}')
        );
        for line in wrapped("sigmoid bias.init=-10, log_t.init=2.30259", 40.0, 3) {
            assert!(Type::TICK.width(&line) <= 40.0, "{line}");
        }
    }

    #[test]
    fn dashes_and_gaps_follow_the_line() {
        let line = [(0.0, 0.0), (5.0, 0.0), (5.0, 5.0)];
        assert_eq!(
            dashed(&line, &[3.0, 1.0]),
            [
                vec![(0.0, 0.0), (3.0, 0.0)],
                vec![(4.0, 0.0), (5.0, 0.0), (5.0, 2.0)],
                vec![(5.0, 3.0), (5.0, 5.0)]
            ]
        );
        assert_eq!(dashed(&line, &[]), [line.to_vec()]);
    }
}
