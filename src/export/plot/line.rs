//! A metric against an axis: a line for each position of another, with an interval at each point; empty markers for what
//! somebody else reports, and a cross on the axis where nothing was measured.

use super::axis::{Axis, Below, Panel, Reach};
use super::caption;
use super::page::{Entry, Key, Page};
use super::palette;
use super::sheet::{Anchor, Ink, Point, Sheet, Type, dashed};
use super::{Size, range_of, terms};
use crate::analysis::{Cell, Figure, Table};

/// Between the points of neighbouring series at one place, so that their intervals do not cover each other.
const DODGE: f64 = 2.4;

pub fn lay_out(
    figure: &Figure,
    table: &Table,
    places: Option<&[f64]>,
    log: bool,
    size: Size,
) -> Sheet {
    let mut page = Page::new(size.points());
    page.head(figure);
    page.legend(
        &terms::axis(&table.column_axis),
        &entries(table, Key::LineAndMarker),
    );
    page.y += 4.0;
    let (factor, y, cut) = values(table, log, None);
    let x = match places {
        Some(places) => Axis::of_places(places, &table.rows),
        None => Axis::of_labels(&table.rows),
    };
    let height = match size {
        Size::One => 125.0,
        Size::Two => 165.0,
    };
    let panel = page.panel(height, 8.0, x, y);
    let name = terms::axis(&table.row_axis);
    let below = match places {
        Some(_) => Below::Numbers(&name),
        None => Below::Words(&name),
    };
    page.y = panel.draw(&mut page.sheet, &terms::metric(&table.metric), below);
    let at = |row: usize| panel.x(places.map_or(row as f64, |places| places[row]));
    // Lines go from place to place, in whatever order the file has them.
    let mut order: Vec<usize> = (0..table.rows.len()).collect();
    order.sort_by(|a, b| at(*a).total_cmp(&at(*b)));
    let series = table.columns.len();
    let room = order.windows(2).map(|pair| at(pair[1]) - at(pair[0]));
    let room = room.fold(f64::INFINITY, f64::min);
    let step = DODGE.min(0.5 * room / series.max(1) as f64);
    let dodged =
        |row: usize, column: usize| at(row) + (column as f64 - (series - 1) as f64 / 2.0) * step;
    let sheet = &mut page.sheet;
    for column in 0..series {
        let line: Vec<Option<Point>> = order
            .iter()
            .map(|row| {
                let (mean, _) = estimate(&table.cells[*row][column])?;
                Some((dodged(*row, column), panel.y_within(factor * mean)))
            })
            .collect();
        for stretch in line.split(Option::is_none) {
            let stretch: Vec<Point> = stretch.iter().flatten().copied().collect();
            for piece in dashed(&stretch, palette::dashes(column)) {
                sheet.path(piece, 1.0, palette::ink(column));
            }
        }
    }
    for row in order {
        for column in 0..series {
            let cell = &table.cells[row][column];
            let x = dodged(row, column);
            whisker(sheet, &panel, cell, factor, x, palette::ink(column));
            if let Some((mean, _)) = estimate(cell) {
                palette::marker(sheet, column, (x, panel.y_within(factor * mean)), 2.0);
            }
            if let Some(reported) = &cell.reported {
                let at = (x, panel.y_within(factor * reported.value));
                palette::hollow(sheet, column, at, 2.6);
            }
        }
        gaps(sheet, &panel, &table.cells[row], factor, at(row));
    }
    page.foot(&caption::sentences(figure, cut))
}

/// The columns of `table` for a legend, and the empty marker if there are numbers that it stands for.
pub fn entries(table: &Table, key: Key) -> Vec<Entry> {
    let entry = |(series, label): (usize, &String)| Entry {
        key,
        series,
        label: label.clone(),
    };
    let mut entries: Vec<Entry> = match table.column_axis.is_empty() {
        true => Vec::new(),
        false => table.columns.iter().enumerate().map(entry).collect(),
    };
    let mut cells = table.cells.iter().flatten();
    if cells.any(|cell| cell.reported.is_some()) {
        entries.push(Entry {
            key: Key::Reported,
            series: 0,
            label: "reported".into(),
        });
    }
    entries
}

/// The factor of the table's values, their axis, which holds `base` if there is one, and whether intervals go beyond.
pub fn values(table: &Table, log: bool, base: Option<f64>) -> (f64, Axis, bool) {
    let cells = || table.cells.iter().flatten();
    let needed = || {
        cells().flat_map(|cell| {
            let reported = cell.reported.as_ref().map(|reported| reported.value);
            let seeds = cell.samples.iter().map(|sample| sample.value);
            let mean = estimate(cell).map(|(mean, _)| mean);
            mean.into_iter().chain(reported).chain(seeds)
        })
    };
    let (factor, limits) = range_of(&table.metric, needed().chain(base));
    let mut reach = Reach::new(log);
    needed().for_each(|y| reach.need(factor * y));
    base.into_iter().for_each(|y| reach.need(y));
    for cell in cells() {
        if let Some((_, Some(ends))) = estimate(cell) {
            ends.iter().for_each(|end| reach.wish(factor * end));
        }
    }
    let (low, high, cut) = reach.ends(limits, 1.0);
    (factor, Axis::of_values(low, high, log, limits, 6), cut)
}

/// The mean of a cell and the ends of its interval, if they can be drawn.
pub fn estimate(cell: &Cell) -> Option<(f64, Option<[f64; 2]>)> {
    let mean = cell.mean.filter(|x| x.is_finite())?;
    let interval = cell
        .interval
        .filter(|ends| ends.iter().all(|x| x.is_finite()));
    Some((mean, interval))
}

/// The interval of a cell, up to the edge of the panel; an arrow head says that it goes on.
pub fn whisker(sheet: &mut Sheet, panel: &Panel, cell: &Cell, factor: f64, x: f64, ink: Ink) {
    let Some((_, Some(ends))) = estimate(cell) else {
        return;
    };
    let ends = ends.map(|end| factor * end);
    let [low, high] = ends.map(|y| panel.y_within(y));
    sheet.line((x, low), (x, high), 0.8, ink);
    for (value, y, out) in [(ends[0], low, 1.0), (ends[1], high, -1.0)] {
        let beyond = value < panel.y.low || value > panel.y.high;
        if beyond {
            let back = y - 3.0 * out;
            sheet.area(vec![(x - 1.7, back), (x + 1.7, back), (x, y)], ink);
        } else {
            sheet.line((x - 1.5, y), (x + 1.5, y), 0.8, ink);
        }
    }
}

/// Crosses on the axis for the cells of a row that have no value, and why: above them, or at the top of the panel where
/// other cells of the row leave no room; the caption says it in any case.
fn gaps(sheet: &mut Sheet, panel: &Panel, cells: &[Cell], factor: f64, x: f64) {
    let empty: Vec<(usize, &'static str)> = cells
        .iter()
        .enumerate()
        .filter_map(|(series, cell)| Some((series, why_empty(cell)?)))
        .collect();
    let first = x - (empty.len() as f64 - 1.0) / 2.0 * 4.6;
    for (place, (series, _)) in empty.iter().enumerate() {
        let at = (first + place as f64 * 4.6, panel.bottom - 3.2);
        palette::cross(sheet, at, palette::ink(*series));
    }
    let mut words: Vec<&str> = Vec::new();
    for (_, why) in &empty {
        if !words.contains(why) {
            words.push(why);
        }
    }
    let words = words.join(", ");
    let style = Type::NOTE.turned().anchored(Anchor::Left);
    let long = style.width(&words);
    let taken = |from: f64, to: f64| {
        let ends = cells.iter().filter_map(|cell| {
            let (mean, ends) = estimate(cell)?;
            let [low, high] = ends
                .unwrap_or([mean; 2])
                .map(|y| panel.y_within(factor * y));
            Some((high - 4.0, low + 4.0))
        });
        ends.into_iter()
            .any(|(top, bottom)| top < from && to < bottom)
    };
    let lowest = [panel.bottom - 7.5, panel.top + long];
    let free = lowest
        .into_iter()
        .find(|lowest| !taken(*lowest, lowest - long));
    if let Some(lowest) = free {
        sheet.text((x + style.rise() / 2.0, lowest), &words, style);
    }
}

/// Why a cell that was asked for has no value.
pub fn why_empty(cell: &Cell) -> Option<&'static str> {
    match cell {
        cell if estimate(cell).is_some() || cell.expected == 0 => None,
        cell if cell.diverged == cell.expected => Some("diverged"),
        cell if cell.failed == cell.expected => Some("failed"),
        cell if cell.missing == 0 => Some("no result"),
        _ => Some("missing"),
    }
}
