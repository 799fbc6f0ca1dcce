//! What each axis does, and what pairs of axes do together: differences with their intervals about a line at zero.

use super::super::number::Scale;
use super::axis::{Axis, Reach, print};
use super::caption;
use super::page::{EDGE, Page};
use super::palette;
use super::sheet::{Anchor, Ink, Sheet, Type, fit};
use super::{Size, terms};
use crate::analysis::{Effects, Estimate, Figure};

const LINE: f64 = 11.0;

/// A line of the forest.
enum Row<'a> {
    Heading(String),
    Effect(String, &'a Estimate),
}

pub fn lay_out(figure: &Figure, effects: &Effects, size: Size) -> Sheet {
    let mut page = Page::new(size.points());
    page.head(figure);
    page.y += 2.0;
    let rows = rows(effects);
    if rows.is_empty() {
        page.nothing("No axis has two levels");
        return page.foot(&[]);
    }
    let scale = Scale::of(&effects.metric);
    let factor = match scale {
        Scale::Percent => 100.0,
        Scale::Plain => 1.0,
    };
    let (x, cut) = axis(&rows, factor);
    let (label, value) = (Type::TICK, Type::TICK.anchored(Anchor::Right));
    let numbers: Vec<Option<String>> = rows.iter().map(|row| number(row, scale)).collect();
    let width = |text: &String| value.width(text);
    let numbers_width = numbers.iter().flatten().map(width).fold(0.0, f64::max);
    let right = page.sheet.width - EDGE;
    let names = rows.iter().map(|row| match row {
        Row::Heading(text) => label.width(text),
        Row::Effect(text, _) => label.width(text) + 8.0,
    });
    let names_width = names.fold(0.0, f64::max).min((right - EDGE) * 0.42);
    let (from, to) = (EDGE + names_width + 8.0, right - numbers_width - 8.0);
    let top = page.y;
    let bottom = top + LINE * rows.len() as f64 + 3.0;
    let place = |value: f64| from + x.share(value).clamp(0.0, 1.0) * (to - from);
    let sheet = &mut page.sheet;
    for tick in &x.ticks {
        let at = place(tick.at);
        sheet.line((at, top), (at, bottom), 0.4, Ink::FAINT);
        sheet.line((at, bottom), (at, bottom + 2.5), 0.6, Ink::DARK);
        let style = Type::TICK.anchored(Anchor::Middle);
        sheet.text(
            (at, bottom + 4.0 + style.rise()),
            &print(&tick.label),
            style,
        );
    }
    let zero = place(0.0);
    sheet.line((zero, top), (zero, bottom), 0.8, Ink::DARK);
    sheet.line((from, bottom), (to, bottom), 0.6, Ink::DARK);
    for (line, (row, number)) in rows.iter().zip(&numbers).enumerate() {
        let middle = top + LINE * (line as f64 + 0.5);
        let baseline = middle + label.rise() / 2.0;
        match row {
            Row::Heading(text) => {
                sheet.text((EDGE, baseline), &fit(text, label, right - EDGE), label);
            }
            Row::Effect(text, effect) => {
                let text = fit(text, label, names_width - 8.0);
                sheet.text((EDGE + 8.0, baseline), &text, label);
                estimate(sheet, effect, &x, factor, middle, &place);
            }
        }
        if let Some(number) = number {
            sheet.text((right, baseline), number, value);
        }
    }
    let style = Type::LABEL.anchored(Anchor::Middle);
    let difference = format!(
        "Difference in {}",
        terms::within(&terms::metric(&effects.metric))
    );
    // In points of percent: a difference of shares is no share.
    let difference = difference.replace(" (%)", " (points)");
    let name = fit(&difference, style, right - EDGE);
    let half = style.width(&name) / 2.0;
    let at = ((from + to) / 2.0).clamp(EDGE + half, right - half);
    page.y = bottom + 4.0 + Type::TICK.rise() + 4.0 + style.rise();
    page.sheet.text((at, page.y), &name, style);
    page.y += 2.0;
    page.foot(&caption::sentences(figure, cut))
}

fn rows(effects: &Effects) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for axis in &effects.axes {
        let name = terms::axis(&axis.axis);
        rows.push(Row::Heading(format!("{name}, against {}", axis.reference)));
        let levels = axis.levels.iter();
        rows.extend(levels.map(|level| Row::Effect(level.level.clone(), &level.effect)));
    }
    for pair in &effects.interactions {
        let [one, other] = &pair.axes;
        let heading = format!("{} × {}", terms::axis(one), terms::axis(other));
        rows.push(Row::Heading(heading));
        rows.push(Row::Effect(pair.levels.join(" × "), &pair.effect));
    }
    rows
}

/// An interval so many times as wide as the middle one is cut.
const MOST: f64 = 4.0;

/// An axis with zero in it.
fn axis(rows: &[Row], factor: f64) -> (Axis, bool) {
    let mut reach = Reach::new(false);
    reach.need(0.0);
    let effects = rows.iter().filter_map(|row| match row {
        Row::Effect(_, effect) => Some(effect),
        _ => None,
    });
    let mut halves: Vec<f64> = effects
        .clone()
        .filter_map(|effect| effect.half_width)
        .collect();
    halves.sort_by(f64::total_cmp);
    // Intervals are what such a figure is for: they are seen whole, but for one that would leave the others no room.
    let usual = halves.get(halves.len() / 2).copied().unwrap_or_default();
    for effect in effects {
        let mean = effect.mean.map(|mean| factor * mean);
        mean.into_iter().for_each(|mean| reach.need(mean));
        if let (Some(mean), Some(half)) = (mean, effect.half_width) {
            for end in [mean - factor * half, mean + factor * half] {
                match half <= MOST * usual {
                    true => reach.need(end),
                    false => reach.wish(end),
                }
            }
        }
    }
    let free = (f64::NEG_INFINITY, f64::INFINITY);
    let (low, high, cut) = reach.ends(free, 1.0);
    (Axis::of_values(low, high, false, free, 5), cut)
}

fn number(row: &Row, scale: Scale) -> Option<String> {
    let Row::Effect(_, effect) = row else {
        return None;
    };
    let Some(mean) = effect.mean else {
        return Some("missing".into());
    };
    let sign = if mean > 0.0 { "+" } else { "" };
    Some(print(&format!(
        "{sign}{}",
        scale.estimate(mean, effect.half_width)
    )))
}

fn estimate(
    sheet: &mut Sheet,
    effect: &Estimate,
    x: &Axis,
    factor: f64,
    y: f64,
    place: &impl Fn(f64) -> f64,
) {
    let ink = palette::ink(0);
    let Some(mean) = effect.mean.map(|mean| factor * mean) else {
        return palette::cross(sheet, (place(0.0), y), Ink::SOFT);
    };
    if let Some(half) = effect.half_width.map(|half| factor * half) {
        for (end, out) in [(mean - half, -1.0), (mean + half, 1.0)] {
            let at = place(end);
            sheet.line((place(mean), y), (at, y), 0.9, ink);
            if end < x.low || end > x.high {
                let back = at - 3.0 * out;
                sheet.area(vec![(back, y - 1.7), (back, y + 1.7), (at, y)], ink);
            } else {
                sheet.line((at, y - 1.7), (at, y + 1.7), 0.9, ink);
            }
        }
    }
    // Without an interval the middle is empty: nothing is known of how sure it is.
    sheet.disc((place(mean), y), 2.2, ink);
    if effect.half_width.is_none() {
        sheet.disc((place(mean), y), 1.4, Ink::WHITE);
    }
}
