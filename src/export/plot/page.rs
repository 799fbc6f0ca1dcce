//! What all figures have around their panels: title and what they hold fixed above, the legend below that, where it can
//! cover no data, and a small caption at the foot that says what a reader must know.

use super::axis::{Axis, Panel, left_margin};
use super::palette;
use super::sheet::{Anchor, Ink, Point, Sheet, Type, dashed, fit, wrap};
use super::terms;
use crate::analysis::Figure;

/// Around everything.
pub const EDGE: f64 = 3.0;

/// A figure as it grows downwards.
pub struct Page {
    pub sheet: Sheet,
    /// Where the next thing may begin.
    pub y: f64,
}

/// How a series is drawn, and so what stands for it in the legend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Line,
    LineAndMarker,
    /// A raw curve, which dashes would tear.
    SolidAndMarker,
    Bar,
    /// An empty marker: a number that somebody else reports.
    Reported,
    /// A small dot: one seed.
    Seed,
    /// Where a loss spike began.
    Spike,
}

/// A line of the legend.
#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Key,
    pub series: usize,
    pub label: String,
}

impl Page {
    pub fn new(width: f64) -> Self {
        Self {
            sheet: Sheet::new(width),
            y: EDGE,
        }
    }

    /// A panel that is as wide as the page but for `spare` points on its right.
    pub fn panel(&self, height: f64, spare: f64, x: Axis, y: Axis) -> Panel {
        Panel {
            left: EDGE + left_margin(y.gutter()),
            top: self.y,
            right: self.sheet.width - EDGE - spare,
            bottom: self.y + height,
            x,
            gutter: y.gutter(),
            y,
        }
    }

    /// The title, and below it what the figure holds fixed.
    pub fn head(&mut self, figure: &Figure) {
        let given = figure.given.iter();
        let given: Vec<String> = given
            .map(|(axis, label)| format!("{} = {label}", terms::axis(axis)))
            .collect();
        let title = figure.title.as_deref().unwrap_or_default();
        for (text, style) in [(title, Type::TITLE), (&*given.join("; "), Type::NOTE)] {
            self.lines(text, style, 2);
        }
        self.y += 1.0;
    }

    fn lines(&mut self, text: &str, style: Type, most: usize) {
        for line in wrap(text, style, self.sheet.width - 2.0 * EDGE, most) {
            self.y += style.leading();
            self.sheet
                .text((EDGE, self.y - style.size * 0.25), &line, style);
        }
    }

    /// The series, in as many rows as they take; `title` is the axis that they are positions of.
    pub fn legend(&mut self, title: &str, entries: &[Entry]) {
        const SAMPLE: f64 = 17.0;
        const APART: f64 = 9.0;
        if entries.is_empty() {
            return;
        }
        let style = Type::TICK;
        let right = self.sheet.width - EDGE;
        let mut heading = match title.is_empty() {
            true => String::new(),
            false => format!("{title}:"),
        };
        if style.width(&heading) > (right - EDGE) * 0.5 {
            // A long one has lines of its own.
            self.lines(&std::mem::take(&mut heading), style, 3);
        }
        let first = match heading.is_empty() {
            true => EDGE,
            false => EDGE + style.width(&heading) + 6.0,
        };
        self.y += style.leading();
        self.sheet.text((EDGE, self.y - 2.0), &heading, style);
        let mut x = first;
        for entry in entries {
            let sample = sample_width(entry.key).min(SAMPLE);
            let label = fit(&entry.label, style, right - EDGE - sample - 3.0);
            let width = sample + 3.0 + style.width(&label);
            if x > EDGE && x + width > right {
                // A long label under a long heading may use the whole line.
                x = if first + width > right { EDGE } else { first };
                self.y += style.leading();
            }
            let middle = self.y - 2.0 - style.rise() / 2.0;
            self.sample(entry, (x, middle), sample);
            self.sheet
                .text((x + sample + 3.0, self.y - 2.0), &label, style);
            x += width + APART;
        }
        self.y += 2.0;
    }

    fn sample(&mut self, entry: &Entry, (x, y): Point, width: f64) {
        let ink = palette::ink(entry.series);
        let sheet = &mut self.sheet;
        let middle = (x + width / 2.0, y);
        match entry.key {
            Key::Line | Key::LineAndMarker | Key::SolidAndMarker => {
                let line = [(x, y), (x + width, y)];
                let dashes = match entry.key {
                    Key::SolidAndMarker => &[],
                    _ => palette::dashes(entry.series),
                };
                for piece in dashed(&line, dashes) {
                    sheet.path(piece, 1.1, ink);
                }
                if entry.key != Key::Line {
                    palette::marker(sheet, entry.series, middle, 2.2);
                }
            }
            Key::Bar => {
                let (top, bottom) = (y - 2.8, y + 2.8);
                let corners = vec![(x, top), (x + width, top), (x + width, bottom), (x, bottom)];
                sheet.area(corners, palette::fill(entry.series));
            }
            Key::Reported => palette::reported(sheet, middle),
            Key::Seed => sheet.disc(middle, 1.1, Ink::BLACK.thin(0.55)),
            Key::Spike => spike(sheet, (middle.0, y - 2.2), Ink::DARK),
        }
    }

    /// The words at the foot, and the end of the page.
    pub fn foot(mut self, sentences: &[String]) -> Sheet {
        self.y += 2.0;
        self.lines(&sentences.join(" "), Type::NOTE, 8);
        self.sheet.height = self.y + EDGE;
        self.sheet
    }

    /// In the place of a panel, why there is none.
    pub fn nothing(&mut self, why: &str) {
        let style = Type::LABEL.anchored(Anchor::Middle);
        self.sheet
            .text((self.sheet.width / 2.0, self.y + 30.0), why, style);
        self.y += 50.0;
    }
}

fn sample_width(key: Key) -> f64 {
    match key {
        Key::Line | Key::LineAndMarker | Key::SolidAndMarker => 17.0,
        Key::Bar => 7.0,
        Key::Reported | Key::Spike => 6.0,
        Key::Seed => 3.0,
    }
}

/// A small triangle that points down at where a spike began.
pub fn spike(sheet: &mut Sheet, (x, y): Point, ink: Ink) {
    sheet.area(vec![(x - 2.0, y), (x + 2.0, y), (x, y + 3.6)], ink);
}
