//! What happened at an x: spikes, divergence, evaluations, and the cursor. Signs have a row of their own above the
//! plot; the lines under them and the cursor go behind the dots, so that they hide none.

use ratatui::buffer::Buffer;
use ratatui::style::{Color, Modifier, Style};

use super::scale::Columns;
use super::{Chart, Panel};
use crate::util::printable;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// A model was evaluated here.
    Evaluated,
    /// The loss leapt.
    Spike,
    /// It was no longer finite.
    Diverged,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marker<'a> {
    pub x: f64,
    pub sign: Sign,
    /// Written beside the sign where there is room; may be empty.
    pub label: &'a str,
}

pub fn draw(chart: &Chart, panel: &Panel, columns: &Columns, buffer: &mut Buffer) {
    let across = chart.glyphs.dots().0;
    let cell = |x: f64| {
        columns
            .column(x)
            .map(|column| panel.plot.x + (column / across) as u16)
    };
    // The graver sign wins a cell.
    for kind in [Sign::Evaluated, Sign::Spike, Sign::Diverged] {
        for marker in chart.markers.iter().filter(|marker| marker.sign == kind) {
            if let Some(x) = cell(marker.x) {
                sign(chart, panel, kind, x, buffer);
            }
        }
    }
    for marker in chart
        .markers
        .iter()
        .filter(|marker| !marker.label.is_empty())
    {
        if let Some(x) = cell(marker.x) {
            label(panel, x + 2, marker.label, buffer);
        }
    }
    if let Some(x) = chart.cursor.and_then(cell) {
        cursor(chart, panel, x, buffer);
    }
}

fn sign(chart: &Chart, panel: &Panel, sign: Sign, x: u16, buffer: &mut Buffer) {
    let glyphs = chart.glyphs;
    let (symbol, colour) = match sign {
        Sign::Evaluated => (glyphs.pick('╷', '\''), Color::Cyan),
        Sign::Spike => (glyphs.pick('▼', 'v'), Color::Yellow),
        Sign::Diverged => (glyphs.pick('✖', 'x'), Color::Red),
    };
    let mut style = Style::new();
    if chart.colour {
        style = style.fg(colour);
    }
    let grave = sign > Sign::Evaluated;
    // Without a row for signs, the grave ones take the top of the plot.
    let row = if panel.markers.is_empty() {
        panel.plot
    } else {
        panel.markers
    };
    if grave || !panel.markers.is_empty() {
        let weight = if grave { Modifier::BOLD } else { Modifier::DIM };
        buffer[(x, row.y)].reset();
        buffer[(x, row.y)]
            .set_char(symbol)
            .set_style(style.add_modifier(weight));
    }
    for y in panel.plot.top()..panel.plot.bottom() {
        let cell = &mut buffer[(x, y)];
        if grave && cell.symbol() == " " {
            cell.set_char(glyphs.pick('┊', '!')).set_style(style);
        }
    }
}

/// Write a label from `x` on, if the row is free for all of it and a blank on both sides.
fn label(panel: &Panel, x: u16, label: &str, buffer: &mut Buffer) {
    let row = panel.markers;
    let label = printable(label);
    let width = ratatui::text::Span::raw(label.as_str()).width() as u16;
    let fits = !row.is_empty() && width < row.right().saturating_sub(x);
    if fits && (x - 1..=x + width).all(|x| buffer[(x, row.y)].symbol() == " ") {
        buffer.set_string(x, row.y, label, Style::new().add_modifier(Modifier::BOLD));
    }
}

/// A line in free cells, reversed dots in others: neither needs colour.
fn cursor(chart: &Chart, panel: &Panel, x: u16, buffer: &mut Buffer) {
    for y in panel.plot.top()..panel.plot.bottom() {
        let cell = &mut buffer[(x, y)];
        if [" ", "┊", "!"].contains(&cell.symbol()) {
            cell.set_char(chart.glyphs.pick('│', '|'));
        } else {
            cell.modifier.insert(Modifier::REVERSED);
        }
    }
    if !panel.axis.is_empty() {
        let cell = &mut buffer[(x, panel.axis.y)];
        cell.set_char(chart.glyphs.pick('▲', '^'));
        cell.modifier = Modifier::BOLD;
    }
}
