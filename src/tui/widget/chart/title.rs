//! The first row of a chart: its name and scale, what the axis could not show, and the newest value.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::extremes::Extremes;
use super::{Chart, Scale, ticks};
use crate::util::printable;

pub fn draw(chart: &Chart, extremes: &Extremes, area: Rect, buffer: &mut Buffer) {
    if area.is_empty() {
        return;
    }
    let name = printable(chart.title);
    let width = usize::from(area.width);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let (mut x, y) = buffer.set_stringn(area.x, area.y, name, width, bold);
    let separator = chart.glyphs.pick(" · ", ", ");
    for note in notes(chart, extremes) {
        for text in [separator, &note] {
            (x, _) = buffer.set_stringn(x, y, text, usize::from(area.right() - x), Style::new());
        }
    }
    if let Some(latest) = chart.latest {
        let latest = ticks::short(latest);
        let start = area.right().saturating_sub(latest.len() as u16);
        if start > x {
            buffer.set_string(start, y, latest, bold);
        }
    }
}

fn notes(chart: &Chart, extremes: &Extremes) -> Vec<String> {
    let mut notes = Vec::new();
    if chart.y.scale == Scale::Log {
        notes.push("log".into());
    }
    match extremes.unplaced {
        0 => {}
        1 => notes.push(format!(
            "1 value {} 0 at the bottom",
            chart.glyphs.pick("≤", "<=")
        )),
        n => notes.push(format!(
            "{n} values {} 0 at the bottom",
            chart.glyphs.pick("≤", "<=")
        )),
    }
    match (extremes.range, chart.y.range) {
        (None, _) if extremes.unplaced == 0 => notes.push("no values in view".into()),
        (Some((low, high)), Some((bottom, top))) => {
            if high > top {
                notes.push(format!("up to {}", ticks::short(high)));
            }
            if low < bottom {
                notes.push(format!("down to {}", ticks::short(low)));
            }
        }
        _ => {}
    }
    notes
}
