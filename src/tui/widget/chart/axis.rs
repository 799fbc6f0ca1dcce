//! The frame of a plot: values in the gutter, and under the lowest panel of a stack the marks and units of the x-axis.

use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};

use super::scale::{Columns, Rows};
use super::ticks::{self, Tick};
use super::{Chart, Glyphs, Panel, Scale};
use crate::store::Along;

const FAINT: Style = Style::new().add_modifier(Modifier::DIM);

/// Marks of the y-axis of a plot `height` cells high: one for every other row at most.
pub fn ticks_of(rows: &Rows, height: u16) -> Vec<Tick> {
    let most = usize::from(height).div_ceil(2).clamp(1, 10);
    ticks::of_values(rows.low, rows.high, rows.scale, most)
}

/// Columns for these labels and the axis.
pub fn gutter(ticks: &[Tick]) -> u16 {
    let widest = ticks.iter().map(|tick| tick.label.len()).max();
    widest.unwrap_or(0) as u16 + 1
}

pub fn draw(chart: &Chart, panel: &Panel, rows: &Rows, columns: &Columns, buffer: &mut Buffer) {
    if panel.plot.x > panel.title.x {
        values(chart.glyphs, panel, rows, buffer);
    }
    if !panel.axis.is_empty() {
        along(chart, panel, columns, buffer);
    }
}

fn values(glyphs: Glyphs, panel: &Panel, rows: &Rows, buffer: &mut Buffer) {
    let plot = panel.plot;
    let x = plot.x - 1;
    for y in plot.top()..plot.bottom() {
        buffer[(x, y)]
            .set_char(glyphs.pick('│', '|'))
            .set_style(FAINT);
    }
    let room = usize::from(x - panel.title.x);
    let down = glyphs.dots().1 as i32;
    for tick in ticks_of(rows, plot.height) {
        let row = rows.row(tick.at).clamp(0, rows.count - 1) / down;
        let y = plot.y + row as u16;
        if tick.label.len() <= room && buffer[(x, y)].symbol() != glyphs.pick("┤", "+") {
            buffer[(x, y)].set_char(glyphs.pick('┤', '+'));
            buffer.set_string(x - tick.label.len() as u16, y, &tick.label, FAINT);
        }
    }
}

fn along(chart: &Chart, panel: &Panel, columns: &Columns, buffer: &mut Buffer) {
    let (axis, glyphs) = (panel.axis, chart.glyphs);
    let (line, labels) = (axis.y, axis.y + 1);
    for x in axis.left()..axis.right() {
        buffer[(x, line)]
            .set_char(glyphs.pick('─', '-'))
            .set_style(FAINT);
    }
    if axis.x > panel.title.x {
        buffer[(axis.x - 1, line)]
            .set_char(glyphs.pick('└', '+'))
            .set_style(FAINT);
    }
    let unit = match chart.along {
        Along::Examples => "examples",
        Along::Steps => "steps",
        Along::Seconds => "",
    };
    // Labels may reach under the gutter and to the end of the panel.
    let (left, mut right) = (panel.title.left(), panel.title.right());
    if !unit.is_empty() && usize::from(axis.width) >= 3 * unit.len() {
        let x = right - unit.len() as u16;
        buffer.set_string(x, labels, unit, FAINT);
        right = x.saturating_sub(1);
    }
    let mut free = left;
    for (tick, cell) in marks(chart, axis.width, columns) {
        let (x, width) = (axis.x + cell, tick.label.len() as u16);
        buffer[(x, line)].set_char(glyphs.pick('┬', '+'));
        let start = x.saturating_sub(width / 2).max(left);
        if start >= free && start + width <= right {
            buffer.set_string(start, labels, &tick.label, FAINT);
            free = start + width + 1;
        }
    }
}

/// The finest marks whose labels leave room between them, each with its cell.
fn marks(chart: &Chart, width: u16, columns: &Columns) -> Vec<(Tick, u16)> {
    let view = chart.view.sane();
    let across = chart.glyphs.dots().0;
    let cells = |ticks: Vec<Tick>| -> Vec<(Tick, u16)> {
        let cell = |tick: Tick| {
            let column = columns.column(tick.at)?;
            Some((tick, (column / across) as u16))
        };
        ticks.into_iter().filter_map(cell).collect()
    };
    let most = usize::from(width / 6).max(1);
    let counts = (1..=most)
        .rev()
        .map(|most| ticks::along(view.x.0, view.x.1, view.scale, chart.along, most));
    let mut last = Vec::new();
    for marks in counts.map(cells) {
        let apart = |pair: &[(Tick, u16)]| {
            let labels = (pair[0].0.label.len() + pair[1].0.label.len()).div_ceil(2);
            usize::from(pair[1].1 - pair[0].1) > labels + 1
        };
        if marks.windows(2).all(apart) || view.scale == Scale::Log && marks.len() <= 2 {
            return marks;
        }
        last = marks;
    }
    last
}
