//! The cells of the grid, laid out: the last axis across, the others down, a sign for each seed. Cells that a design does
//! not take are blank.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::spec::{Cell, CellKind, Experiment, Grid};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;
use crate::workbench::outlook;

/// Widest label of a row's axis.
const LABEL: u16 = 18;

/// What a run of the grid would do about a cell, in the words of a plan.
pub(super) const STATES: [(&str, &str, &str, Role); 11] = [
    ("new", "○", "o", Role::Plain),
    ("cached", "●", "#", Role::Good),
    ("running", "▶", ">", Role::Accent),
    ("stopped", "■", "s", Role::Warn),
    ("interrupted", "▲", "i", Role::Warn),
    ("diverged", "✖", "x", Role::Bad),
    ("failed", "✗", "!", Role::Bad),
    ("blocked", "◍", "b", Role::Bad),
    ("excluded", "·", ".", Role::Dim),
    ("invalid", "?", "?", Role::Bad),
    ("", " ", " ", Role::Plain),
];

/// The sign and look of a state.
pub(super) fn sign(state: &str, theme: Theme) -> (&'static str, Role) {
    let found = STATES
        .iter()
        .find(|(name, ..)| *name == state)
        .unwrap_or(&STATES[10]);
    (if theme.ascii() { found.2 } else { found.1 }, found.3)
}

/// A cell's state, and what there is to say about it.
pub(super) fn state(
    cell: &Cell,
    experiment: &Experiment,
    world: &World,
) -> (&'static str, Option<String>) {
    match &cell.kind {
        CellKind::Run(spec) => outlook(&world.view, &spec.id),
        CellKind::Excluded { by } => (
            "excluded",
            Some(format!("by {}", experiment.excludes[*by].label())),
        ),
        CellKind::Invalid { reason } => ("invalid", Some(reason.to_string())),
    }
}

/// Cells by state, in the order of [`STATES`].
pub(super) fn counts(
    experiment: &Experiment,
    grid: &Grid,
    world: &World,
) -> Vec<(&'static str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for cell in &grid.cells {
        *counts.entry(state(cell, experiment, world).0).or_insert(0) += 1;
    }
    STATES
        .iter()
        .filter_map(|(name, ..)| counts.get(name).map(|n| (*name, *n)))
        .collect()
}

/// The grid as rows and columns of cells.
#[derive(Debug, Default)]
pub(super) struct Matrix {
    /// For each row, the point on each axis but the last.
    rows: Vec<Vec<usize>>,
    /// Points on the last axis.
    columns: usize,
    /// Positions in the grid's cells, one a seed.
    cells: BTreeMap<(usize, usize), Vec<usize>>,
}

impl Matrix {
    pub(super) fn of(experiment: &Experiment, grid: &Grid) -> Self {
        let mut matrix = Self {
            columns: experiment.axes.last().map_or(1, |axis| axis.points.len()),
            ..Self::default()
        };
        let mut row_of: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        for (i, cell) in grid.cells.iter().enumerate() {
            let (column, row) = match cell.position.split_last() {
                Some((column, row)) => (*column, row.to_vec()),
                None => (0, Vec::new()),
            };
            let next = row_of.len();
            let row = *row_of.entry(row).or_insert_with_key(|row| {
                matrix.rows.push(row.clone());
                next
            });
            matrix.cells.entry((row, column)).or_default().push(i);
        }
        matrix
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.rows.len(), self.columns)
    }

    /// The grid's cells at a place, one a seed.
    pub(super) fn at(&self, row: usize, column: usize) -> &[usize] {
        self.cells.get(&(row, column)).map_or(&[], Vec::as_slice)
    }

    /// Any cell of a row.
    pub(super) fn in_row(&self, row: usize) -> Option<usize> {
        self.cells
            .range((row, 0)..=(row, usize::MAX))
            .flat_map(|(_, cells)| cells)
            .next()
            .copied()
    }
}

/// What is drawn, and where the cursor is in it.
pub(super) struct Shown<'a> {
    pub experiment: &'a Experiment,
    pub grid: &'a Grid,
    pub matrix: &'a Matrix,
    pub cursor: (usize, usize),
    pub focused: bool,
}

/// Draw the matrix; returns the first row and column in sight and where cells are, for the mouse.
pub(super) fn draw(
    shown: &Shown,
    area: Rect,
    buffer: &mut Buffer,
    world: &World,
    theme: Theme,
    first: (usize, usize),
) -> ((usize, usize), Vec<(Rect, (usize, usize))>) {
    let Shown {
        experiment,
        grid,
        matrix,
        cursor,
        ..
    } = shown;
    let mut places = Vec::new();
    if area.height < 3 || area.width < 10 {
        return (first, places);
    }
    let axes = &experiment.axes;
    let row_axes = &axes[..axes.len().saturating_sub(1)];
    let labels: Vec<u16> = row_axes
        .iter()
        .map(|axis| {
            let widest = axis
                .points
                .iter()
                .map(|point| text::width(&point.label()))
                .max()
                .unwrap_or(0);
            let name = text::width(&short(&axis.name()));
            widest.max(name).min(LABEL) + 2
        })
        .collect();
    let labels_width = labels.iter().sum::<u16>().min(area.width * 3 / 5).max(2);
    let seeds = experiment.seeds.len() as u16;
    let widest = axes.last().map_or(0, |axis| {
        axis.points
            .iter()
            .map(|point| text::width(&point.label()))
            .max()
            .unwrap_or(0)
    });
    let width = widest.clamp(3, 16).max(seeds.min(10)) + 2;
    let fit_columns = usize::from((area.width - labels_width) / width).max(1);
    let fit_rows = usize::from(area.height - 2);
    let follow = |first: usize, cursor: usize, fit: usize| {
        first.min(cursor).max((cursor + 1).saturating_sub(fit))
    };
    let first = (
        follow(first.0, cursor.0, fit_rows),
        follow(first.1, cursor.1, fit_columns),
    );

    // Headings: the names of the axes, and the values of the one that goes across.
    let mut x = area.x;
    for (axis, width) in row_axes.iter().zip(&labels) {
        let room = (area.x + labels_width).saturating_sub(x);
        text::put(
            buffer,
            x,
            area.y + 1,
            (*width - 1).min(room),
            &short(&axis.name()),
            theme.style(Role::Dim),
        );
        x += width;
    }
    let left = area.x + labels_width;
    if let Some(axis) = axes.last() {
        text::put(
            buffer,
            left,
            area.y,
            area.right() - left,
            &axis.name(),
            theme.style(Role::Dim),
        );
        for (n, point) in axis
            .points
            .iter()
            .enumerate()
            .skip(first.1)
            .take(fit_columns)
        {
            let x = left + (n - first.1) as u16 * width;
            let role = if n == cursor.1 {
                Role::Accent
            } else {
                Role::Title
            };
            text::put(
                buffer,
                x,
                area.y + 1,
                width - 1,
                &point.label(),
                theme.style(role),
            );
        }
    }
    let (rows, columns) = matrix.size();
    for row in (first.0..rows).take(fit_rows) {
        let y = area.y + 2 + (row - first.0) as u16;
        let mut x = area.x;
        for (((axis, &point), width), n) in
            row_axes.iter().zip(&matrix.rows[row]).zip(&labels).zip(0..)
        {
            // A value that stands above already is not said again.
            let above = row
                .checked_sub(1)
                .filter(|_| row > first.0)
                .map(|above| &matrix.rows[above]);
            let said = above.is_some_and(|above| above[..=n] == matrix.rows[row][..=n]);
            let role = if row == cursor.0 {
                Role::Accent
            } else {
                Role::Title
            };
            let room = left.saturating_sub(x);
            if !said || row == cursor.0 {
                text::put(
                    buffer,
                    x,
                    y,
                    (*width - 1).min(room),
                    &axis.points[point].label(),
                    theme.style(role),
                );
            }
            x += width;
        }
        for column in (first.1..columns).take(fit_columns) {
            let place = Rect::new(left + (column - first.1) as u16 * width, y, width - 1, 1)
                .intersection(area);
            let cells = matrix.at(row, column);
            draw_cell(
                place,
                buffer,
                cells
                    .iter()
                    .map(|&i| state(&grid.cells[i], experiment, world).0),
                cells.len(),
                theme,
            );
            if (row, column) == *cursor {
                let look = if shown.focused {
                    Role::Cursor
                } else {
                    Role::Accent
                };
                if shown.focused {
                    buffer.set_style(place, theme.style(look));
                }
            }
            places.push((place, (row, column)));
        }
    }
    let hidden = (
        rows.saturating_sub(first.0 + fit_rows),
        columns.saturating_sub(first.1 + fit_columns),
    );
    if hidden != (0, 0) || first != (0, 0) {
        let words = format!(
            "{} of {rows} rows, {} of {columns} columns",
            rows.min(fit_rows),
            columns.min(fit_columns)
        );
        text::put_right(
            buffer,
            left,
            area.y,
            area.right() - left,
            &words,
            theme.style(Role::Dim),
        );
    }
    (first, places)
}

/// A sign for each seed, or counts where they do not fit.
fn draw_cell(
    place: Rect,
    buffer: &mut Buffer,
    states: impl Iterator<Item = &'static str>,
    count: usize,
    theme: Theme,
) {
    let states: Vec<&str> = states.collect();
    if states.is_empty() {
        return;
    }
    if count <= usize::from(place.width) {
        for (x, state) in (place.x..).zip(states) {
            let (sign, role) = sign(state, theme);
            text::put(buffer, x, place.y, 1, sign, theme.style(role));
        }
        return;
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    states
        .into_iter()
        .for_each(|state| *counts.entry(state).or_insert(0) += 1);
    let mut x = place.x;
    for (state, n) in counts {
        let (sign, role) = sign(state, theme);
        let words = format!("{sign}{n} ");
        x = text::put(
            buffer,
            x,
            place.y,
            place.right().saturating_sub(x),
            &words,
            theme.style(role),
        );
    }
}

/// The part of a key that tells it apart at a glance.
fn short(name: &str) -> String {
    let first = name.split(", ").next().unwrap_or(name);
    let mut segments = first.rsplit('.');
    let last = segments.next().unwrap_or(first);
    let generic = ["kind", "init", "mode"].contains(&last);
    let end = if generic {
        segments.next().unwrap_or(last)
    } else {
        last
    };
    if name.contains(", ") {
        format!("{end}…")
    } else {
        end.to_owned()
    }
}
