//! Axes of print: from values to places, where they are marked, and the panel that two of them span.

use super::super::ticks::{self, Scale, Tick};
use super::sheet::{Anchor, Ink, Point, Sheet, Type, breaks_well, fit, wrap};
use crate::analysis::Along;

/// Values from `low` to `high`, and where they are marked.
#[derive(Clone, Debug)]
pub struct Axis {
    pub low: f64,
    pub high: f64,
    pub scale: Scale,
    pub ticks: Vec<Tick>,
}

/// What an axis must show, and what it shows if that takes no more than its share of the room.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    needed: Option<(f64, f64)>,
    wished: Option<(f64, f64)>,
    log: bool,
}

impl Reach {
    pub fn new(log: bool) -> Self {
        Self {
            needed: None,
            wished: None,
            log,
        }
    }

    fn has_place(self, value: f64) -> bool {
        value.is_finite() && (!self.log || value > 0.0)
    }

    /// A value that must be seen.
    pub fn need(&mut self, value: f64) {
        if self.has_place(value) {
            widen(&mut self.needed, value);
        }
    }

    /// The end of an interval.
    pub fn wish(&mut self, value: f64) {
        if self.has_place(value) {
            widen(&mut self.wished, value);
        }
    }

    /// From the least to the greatest value that the axis shows, and whether ends of intervals lie beyond. On either side
    /// intervals have `share` of the room that the values have between them.
    pub fn ends(self, limits: (f64, f64), share: f64) -> (f64, f64, bool) {
        let place = |x: f64| if self.log { x.ln() } else { x };
        let value = |x: f64| if self.log { x.exp() } else { x };
        let Some((low, high)) = self.needed else {
            return if self.log {
                (0.1, 10.0, false)
            } else {
                (0.0, 1.0, false)
            };
        };
        let (from, to) = (place(low), place(high));
        let alone = if self.log { 1.0 } else { about(to) };
        let room = share * if to > from { to - from } else { alone };
        let (least, greatest) = self.wished.unwrap_or((low, high));
        let down = place(least).max(from - room).min(from);
        let up = place(greatest).min(to + room).max(to);
        // Shares end at nothing and at all; losses at nothing.
        let shown = (
            value(down).max(limits.0.min(low)),
            value(up).min(limits.1.max(high)),
        );
        let cut = least < shown.0 - 1e-9 * room || greatest > shown.1 + 1e-9 * room;
        (shown.0, shown.1, cut)
    }
}

/// What a value by itself has on either side: a tenth of its own size, and 0, which has none, as much as 1.
fn about(value: f64) -> f64 {
    if value == 0.0 { 1.0 } else { 0.1 * value.abs() }
}

fn widen(ends: &mut Option<(f64, f64)>, value: f64) {
    *ends = Some(match *ends {
        Some((low, high)) => (low.min(value), high.max(value)),
        None => (value, value),
    });
}

impl Axis {
    /// An axis of values with some air at both ends, within `limits` of what the metric can be.
    pub fn of_values(low: f64, high: f64, log: bool, limits: (f64, f64), most: usize) -> Self {
        let scale = if log { Scale::Log } else { Scale::Linear };
        let (from, to) = (scale.place(low), scale.place(high));
        let air = match to - from {
            room if room > 0.0 => 0.05 * room,
            _ if log => 0.5,
            _ => about(to),
        };
        let (mut low, mut high) = (scale.value(from - air), scale.value(to + air));
        if !log {
            low = low.max(limits.0.min(from));
            high = high.min(limits.1.max(to));
        }
        if high <= low {
            high = low + 1.0;
        }
        Self {
            low,
            high,
            scale,
            ticks: ticks::of_values(low, high, scale, most),
        }
    }

    /// What curves run over, from its beginning.
    pub fn along(high: f64, along: Along, most: usize) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        Self {
            low: 0.0,
            high,
            scale: Scale::Linear,
            ticks: ticks::along(0.0, high, Scale::Linear, along, most),
        }
    }

    /// One place for each of these labels, at 0, 1, 2 and so on.
    pub fn of_labels(labels: &[String]) -> Self {
        let tick = |(at, label): (usize, &String)| Tick {
            at: at as f64,
            label: label.clone(),
        };
        Self {
            low: -0.5,
            high: labels.len().max(1) as f64 - 0.5,
            scale: Scale::Linear,
            ticks: labels.iter().enumerate().map(tick).collect(),
        }
    }

    /// An axis that is marked at these values: logarithmic where they are powers of two or span a factor of eight.
    pub fn of_places(places: &[f64], labels: &[String]) -> Self {
        let (low, high) = places
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                (low.min(*x), high.max(*x))
            });
        let binary = places.len() > 1 && places.iter().all(|x| is_power_of_two(*x));
        let log = low > 0.0 && (binary || high / low >= 8.0);
        let scale = if log { Scale::Log } else { Scale::Linear };
        let (from, to) = (scale.place(low), scale.place(high));
        let air = if to > from { 0.06 * (to - from) } else { 0.5 };
        let label = |(at, label): (&f64, &String)| Tick {
            at: *at,
            label: if binary && *at >= 1024.0 {
                by_1024(*at)
            } else {
                label.clone()
            },
        };
        let mut ticks: Vec<Tick> = places.iter().zip(labels).map(label).collect();
        ticks.sort_by(|a, b| a.at.total_cmp(&b.at));
        Self {
            low: scale.value(from - air),
            high: scale.value(to + air),
            scale,
            ticks,
        }
    }

    /// Where a value lies, 0 to 1.
    pub fn share(&self, value: f64) -> f64 {
        let place = |x| self.scale.place(x);
        (place(value) - place(self.low)) / (place(self.high) - place(self.low))
    }

    /// The room that the labels of a vertical axis take.
    pub fn gutter(&self) -> f64 {
        let widths = self
            .ticks
            .iter()
            .map(|tick| Type::TICK.width(&print(&tick.label)));
        widths.fold(0.0, f64::max)
    }
}

fn is_power_of_two(x: f64) -> bool {
    x >= 1.0 && x.fract() == 0.0 && x <= 2f64.powi(52) && (x as u64).is_power_of_two()
}

/// `16k`: a power of two as papers write batch sizes.
fn by_1024(x: f64) -> String {
    match x {
        x if x < 1024.0 * 1024.0 => format!("{}k", x / 1024.0),
        x if x < 1024.0 * 1024.0 * 1024.0 => format!("{}M", x / 1024.0 / 1024.0),
        x => format!("{x}"),
    }
}

/// A number with the sign that print has for minus.
pub fn print(number: &str) -> String {
    number.replace('-', "−")
}

/// A rectangle, and the axes along its lower and its left side.
#[derive(Clone, Debug)]
pub struct Panel {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
    /// Room for the labels of the vertical axis; that of the widest of panels that stand above each other.
    pub gutter: f64,
}

/// What is said of the horizontal axis of a panel.
#[derive(Clone, Copy, Debug)]
pub enum Below<'a> {
    /// Another panel below says it.
    Nothing,
    Numbers(&'a str),
    /// Labels that may take several lines; where a word would be broken, or they are more, all of them stand upright.
    Words(&'a str),
}

/// Between the panel and the labels of its vertical axis.
const TICK: f64 = 2.5;
const GAP: f64 = 1.5;
const SPINE: f64 = 0.6;
/// Of labels that lie.
const LINES: usize = 3;
/// Of labels that stand upright.
const TALLEST: f64 = 90.0;

/// What stands left of a panel whose labels take `gutter`.
pub fn left_margin(gutter: f64) -> f64 {
    Type::LABEL.leading() + 3.0 + gutter + TICK + GAP
}

impl Panel {
    pub fn x(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.right - self.left)
    }

    pub fn y(&self, value: f64) -> f64 {
        self.bottom - self.y.share(value) * (self.bottom - self.top)
    }

    /// Where a value is drawn; at the edge where it lies beyond.
    pub fn y_within(&self, value: f64) -> f64 {
        match self.y(value) {
            y if y.is_nan() => self.bottom,
            y => y.clamp(self.top, self.bottom),
        }
    }

    pub fn at(&self, x: f64, y: f64) -> Point {
        (self.x(x), self.y_within(y))
    }

    /// Draw the axes with their labels. The lower end of what was drawn.
    pub fn draw(&self, sheet: &mut Sheet, label: &str, below: Below) -> f64 {
        for tick in &self.y.ticks {
            let y = self.y(tick.at);
            if y < self.bottom - 0.5 {
                sheet.line((self.left, y), (self.right, y), 0.4, Ink::FAINT);
            }
            sheet.line((self.left - TICK, y), (self.left, y), SPINE, Ink::DARK);
            let style = Type::TICK.anchored(Anchor::Right);
            let at = (self.left - TICK - GAP, y + style.rise() / 2.0);
            sheet.text(at, &print(&tick.label), style);
        }
        for (from, to) in [
            ((self.left, self.top), (self.left, self.bottom)),
            ((self.left, self.bottom), (self.right, self.bottom)),
        ] {
            sheet.line(from, to, SPINE, Ink::DARK);
        }
        let height = self.bottom - self.top;
        let style = Type::LABEL.turned().anchored(Anchor::Middle);
        let lines = wrap(label, style, height + 12.0, 2);
        let first = self.left - TICK - GAP - self.gutter - 4.0;
        for (line, text) in lines.iter().rev().enumerate() {
            let x = first - line as f64 * style.leading();
            sheet.text((x, self.top + height / 2.0), text, style);
        }
        match below {
            Below::Nothing => {
                self.mark_x(sheet, f64::MAX, |_, _, _| 0.0);
                self.bottom
            }
            Below::Numbers(name) => {
                let lower = self.mark_x(sheet, f64::MAX, |sheet, tick, at| {
                    let style = Type::TICK.anchored(Anchor::Middle);
                    sheet.text((at, self.bottom + TICK + GAP + style.rise()), tick, style);
                    style.rise()
                });
                self.name_x(sheet, name, lower)
            }
            Below::Words(name) => {
                let count = self.x.ticks.len().max(1) as f64;
                let room = (self.right - self.left) / count - 3.0;
                let room = room.max(8.0);
                let mut labels = self.x.ticks.iter().map(|tick| print_if_number(&tick.label));
                let lie = labels.all(|label| {
                    let lines = wrap(&label, Type::TICK, room, LINES + 1).len();
                    breaks_well(&label, Type::TICK, room) && lines <= LINES
                });
                if !lie {
                    let style = Type::TICK.turned().anchored(Anchor::Right);
                    let lower = self.mark_x(sheet, style.rise(), |sheet, tick, at| {
                        let tick = fit(tick, style, TALLEST);
                        let top = self.bottom + TICK + GAP;
                        sheet.text((at + style.rise() / 2.0, top), &tick, style);
                        style.width(&tick)
                    });
                    return self.name_x(sheet, name, lower);
                }
                let lower = self.mark_x(sheet, room, |sheet, tick, at| {
                    let style = Type::TICK.anchored(Anchor::Middle);
                    let lines = wrap(tick, style, room, LINES);
                    let mut y = self.bottom + TICK + GAP + style.rise();
                    for line in &lines {
                        sheet.text((at, y), line, style);
                        y += style.leading();
                    }
                    style.rise() + style.leading() * lines.len().saturating_sub(1) as f64
                });
                self.name_x(sheet, name, lower)
            }
        }
    }

    /// Mark the horizontal axis and write what fits below, labels being no wider than `most`; the lowest point of it.
    fn mark_x(
        &self,
        sheet: &mut Sheet,
        most: f64,
        write: impl Fn(&mut Sheet, &str, f64) -> f64,
    ) -> f64 {
        let mut taken = f64::NEG_INFINITY;
        let mut tallest: f64 = 0.0;
        for tick in &self.x.ticks {
            let x = self.x(tick.at);
            sheet.line((x, self.bottom), (x, self.bottom + TICK), SPINE, Ink::DARK);
            let label = print_if_number(&tick.label);
            let half = Type::TICK.width(&label).min(most) / 2.0;
            // Labels that would run into each other are left out; their marks stay. Those that just fit do not.
            if x - half < taken - 0.01 {
                continue;
            }
            taken = x + half + 3.0;
            tallest = tallest.max(write(sheet, &label, x));
        }
        self.bottom + TICK + GAP + tallest
    }

    fn name_x(&self, sheet: &mut Sheet, name: &str, lower: f64) -> f64 {
        let style = Type::LABEL.anchored(Anchor::Middle);
        let baseline = lower + 4.0 + style.rise();
        let name = fit(name, style, self.right - self.left + 20.0);
        sheet.text(((self.left + self.right) / 2.0, baseline), &name, style);
        baseline + 2.0
    }
}

/// A label with print's minus if it is a number, and as it is if it is a word.
fn print_if_number(label: &str) -> String {
    match label.parse::<f64>() {
        Ok(_) => print(label),
        Err(_) => label.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);

    fn labels(axis: &Axis) -> String {
        let labels: Vec<&str> = axis.ticks.iter().map(|tick| &*tick.label).collect();
        labels.join(" ")
    }

    #[test]
    fn batch_sizes_double_along_their_axis() {
        let words = |places: &[f64]| -> Vec<String> { places.iter().map(f64::to_string).collect() };
        let sizes = [512.0, 1024.0, 16384.0, 1048576.0];
        let axis = Axis::of_places(&sizes, &words(&sizes));
        assert_eq!((axis.scale, &*labels(&axis)), (Scale::Log, "512 1k 16k 1M"));
        let middle = Axis::of_places(&[64.0, 128.0, 256.0], &words(&[64.0, 128.0, 256.0]));
        assert!((middle.share(128.0) - 0.5).abs() < 1e-12);
        let rates = [1e-4, 1e-3, 1e-2];
        let axis = Axis::of_places(&rates, &words(&rates));
        assert_eq!(
            (axis.scale, &*labels(&axis)),
            (Scale::Log, "0.0001 0.001 0.01")
        );
        let few = [0.0, 0.1, 0.2];
        assert_eq!(Axis::of_places(&few, &words(&few)).scale, Scale::Linear);
    }

    /// The quickstart's two seeds: a mean of 30 % with a half-width of 201.
    #[test]
    fn an_interval_has_no_more_room_than_the_values_and_says_where_it_is_cut() {
        let mut reach = Reach::new(false);
        for (value, half) in [(30.0, 201.0), (69.0, 27.0)] {
            reach.need(value);
            reach.wish(value - half);
            reach.wish(value + half);
        }
        assert_eq!(reach.ends((0.0, 100.0), 1.0), (0.0, 100.0, true));
        assert_eq!(reach.ends(FREE, 1.0), (-9.0, 108.0, true));
        let mut small = Reach::new(false);
        [1.0, 2.0].into_iter().for_each(|x| small.need(x));
        small.wish(2.5);
        assert_eq!(small.ends(FREE, 1.0), (1.0, 2.5, false));
    }

    #[test]
    fn values_without_a_place_do_not_count() {
        let mut reach = Reach::new(true);
        [0.0, -1.0, f64::NAN, f64::INFINITY, 2.0, 8.0]
            .into_iter()
            .for_each(|x| reach.need(x));
        let (low, high, cut) = reach.ends(FREE, 1.0);
        assert!((low - 2.0).abs() < 1e-12 && (high - 8.0).abs() < 1e-12 && !cut);
        assert_eq!(Reach::new(false).ends(FREE, 1.0), (0.0, 1.0, false));
        let alone = Axis::of_values(0.0, 0.0, false, FREE, 5);
        assert_eq!((alone.low, alone.high), (-1.0, 1.0));
        assert!(!alone.ticks.is_empty());
    }
}
