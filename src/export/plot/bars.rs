//! A bar for each cell of a table, in groups by row, from zero up or down, with its interval and a dot for each seed.

use super::axis::{Axis, Below, Panel};
use super::caption;
use super::line::{entries, estimate, values, whisker, why_empty};
use super::page::{Entry, Key, Page};
use super::palette;
use super::sheet::{Anchor, Ink, Sheet, Type};
use super::{Size, terms};
use crate::analysis::{Cell, Figure, Table};

/// A bar is no wider than this, however few there are.
const WIDEST: f64 = 20.0;

pub fn lay_out(figure: &Figure, table: &Table, size: Size) -> Sheet {
    let mut page = Page::new(size.points());
    page.head(figure);
    let mut legend = entries(table, Key::Bar);
    let mut cells = table.cells.iter().flatten();
    if cells.any(|cell| cell.samples.len() > 1) {
        legend.push(Entry {
            key: Key::Seed,
            series: 0,
            label: "a seed".into(),
        });
    }
    page.legend(&terms::axis(&table.column_axis), &legend);
    page.y += 4.0;
    let (factor, y, cut) = values(table, false, Some(0.0));
    let height = match size {
        Size::One => 120.0,
        Size::Two => 150.0,
    };
    let panel = page.panel(height, 2.0, Axis::of_labels(&table.rows), y);
    let name = terms::axis(&table.row_axis);
    page.y = panel.draw(
        &mut page.sheet,
        &terms::metric(&table.metric),
        Below::Words(&name),
    );
    let group = (panel.right - panel.left) / table.rows.len().max(1) as f64;
    let bars = table.columns.len().max(1) as f64;
    let width = (group * 0.82 / bars).min(WIDEST);
    let sheet = &mut page.sheet;
    for (row, cells) in table.cells.iter().enumerate() {
        for (series, cell) in cells.iter().enumerate() {
            let place = series as f64 - (bars - 1.0) / 2.0;
            let x = panel.x(row as f64) + place * width;
            bar(sheet, &panel, cell, series, factor, (x, width));
        }
    }
    let zero = panel.y_within(0.0);
    sheet.line((panel.left, zero), (panel.right, zero), 0.6, Ink::DARK);
    page.foot(&caption::sentences(figure, cut))
}

fn bar(
    sheet: &mut Sheet,
    panel: &Panel,
    cell: &Cell,
    series: usize,
    factor: f64,
    (x, width): (f64, f64),
) {
    let ink = palette::ink(series);
    let zero = panel.y_within(0.0);
    if let Some(why) = why_empty(cell) {
        let up = if zero > panel.top + 40.0 {
            zero
        } else {
            panel.bottom
        };
        palette::cross(sheet, (x, up - 3.2), ink);
        let style = Type::NOTE.turned().anchored(Anchor::Left);
        sheet.text((x + style.rise() / 2.0, up - 7.5), why, style);
    }
    if let Some((mean, _)) = estimate(cell) {
        let half = (width / 2.0 - 0.5).max(0.5);
        let end = panel.y_within(factor * mean);
        let corners = [
            (x - half, zero),
            (x + half, zero),
            (x + half, end),
            (x - half, end),
        ];
        sheet.area(corners.to_vec(), palette::fill(series));
    }
    whisker(sheet, panel, cell, factor, x, Ink::BLACK);
    // A single seed is the bar itself. The dots stand apart, in the order of the seeds.
    if cell.samples.len() > 1 {
        let apart = (width * 0.6 / cell.samples.len() as f64).min(2.6);
        let first = x - apart * (cell.samples.len() - 1) as f64 / 2.0;
        for (place, sample) in cell.samples.iter().enumerate() {
            let at = (
                first + apart * place as f64,
                panel.y_within(factor * sample.value),
            );
            sheet.disc(at, 1.5, Ink::WHITE);
            sheet.disc(at, 1.1, Ink::BLACK.thin(0.55));
        }
    }
    if let Some(reported) = &cell.reported {
        let at = (x, panel.y_within(factor * reported.value));
        palette::hollow(sheet, series, at, 2.6);
    }
}
