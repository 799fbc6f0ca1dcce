//! The tables with their marks, and all about the cell under the cursor.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::Results;
use crate::analysis::{Cell, Mark, Table};
use crate::export;
use crate::spec::{Experiment, Grid, Report};
use crate::store::RunId;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;

/// The sign and look of a mark.
fn mark(table: &Table, mark: Mark, theme: Theme) -> (&'static str, Role) {
    match mark {
        Mark::Best => (theme.sign("★", "*"), Role::Good),
        Mark::Tied => (theme.sign("≈", "="), Role::Accent),
        Mark::Baseline => (theme.sign("◆", "#"), Role::Accent),
        Mark::Better => (theme.sign("▲", ">"), Role::Good),
        // Of the best cell all others are worse; of a baseline it is news.
        Mark::Worse if table.against.is_some() => (theme.sign("▼", "<"), Role::Bad),
        Mark::Differs => (theme.sign("≠", "!"), Role::Accent),
        Mark::Worse | Mark::None => (" ", Role::Plain),
        Mark::Untested => ("?", Role::Dim),
    }
}

fn role(table: &Table, cell: &Cell, theme: Theme) -> Role {
    if cell.expected == 0 || cell.mean.is_none() {
        return Role::Dim;
    }
    if cell.is_partial() {
        return Role::Warn;
    }
    mark(table, cell.mark, theme).1
}

/// The runs behind a cell of a table.
pub(super) fn runs(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    table: &Table,
    at: (usize, usize),
) -> Vec<RunId> {
    let fits = |cell: &&crate::spec::Cell| {
        let along = |axis: Option<usize>, point: usize| {
            axis.is_none_or(|axis| cell.position[axis] == point)
        };
        let given = table.given.iter().all(|(name, label)| {
            let axis = experiment.axes.iter().position(|axis| axis.name() == *name);
            axis.is_none_or(|axis| {
                experiment.axes[axis].points[cell.position[axis]].label() == *label
            })
        });
        given && along(report.rows, at.0) && along(report.columns, at.1)
    };
    let cells = grid.cells.iter().filter(fits);
    cells
        .filter_map(|cell| Some(cell.run()?.id.clone()))
        .collect()
}

pub(super) fn draw(results: &mut Results, area: Rect, buffer: &mut Buffer, theme: Theme) {
    let cursor = results.cursor;
    // Every table begins where the ones before end; the cursor's stays in sight.
    let legends: Vec<Vec<String>> = results
        .tables
        .iter()
        .map(|table| text::wrap(&legend(table, theme), area.width.into()))
        .collect();
    let heights: Vec<usize> = results
        .tables
        .iter()
        .zip(&legends)
        .map(|(table, legend)| table.rows.len() + 3 + legend.len())
        .collect();
    let line_of_cursor =
        heights[..cursor.0.min(heights.len())].iter().sum::<usize>() + 2 + cursor.1;
    let fits = usize::from(area.height);
    let line_of_table = line_of_cursor - cursor.1 - 2;
    results.top = results
        .top
        .min(line_of_table)
        .max((line_of_cursor + 3).saturating_sub(fits));
    if line_of_cursor < results.top {
        results.top = line_of_cursor;
    }
    let top = results.top;
    let mut places = Vec::new();
    let mut line = 0;
    for (t, table) in results.tables.iter().enumerate() {
        let y = |line: usize| {
            let y = line.checked_sub(top)?;
            (y < fits).then(|| area.y + y as u16)
        };
        let given: Vec<String> = table
            .given
            .iter()
            .map(|(axis, label)| format!("{axis} = {label}"))
            .collect();
        let title = if given.is_empty() {
            table.title.clone()
        } else {
            format!("{}   {}", table.title, given.join("  "))
        };
        if let Some(y) = y(line) {
            text::put(
                buffer,
                area.x,
                y,
                area.width,
                &title,
                theme.style(Role::Title),
            );
        }
        let corner = if table.column_axis.is_empty() {
            table.row_axis.clone()
        } else {
            format!("{} / {}", table.row_axis, table.column_axis)
        };
        let label_width = table
            .rows
            .iter()
            .map(|label| text::width(label))
            .chain([text::width(&corner)])
            .max()
            .unwrap_or(0)
            .min(area.width / 3);
        let words: Vec<Vec<String>> = table
            .cells
            .iter()
            .map(|row| row.iter().map(|cell| export::cell(table, cell)).collect())
            .collect();
        let widths: Vec<u16> = (0..table.columns.len())
            .map(|column| {
                let cells = words.iter().map(|row| text::width(&row[column]) + 2);
                cells
                    .chain([text::width(&table.columns[column])])
                    .max()
                    .unwrap_or(0)
                    .clamp(6, 30)
                    + 2
            })
            .collect();
        // Columns to the left of the cursor go when there is not room for all.
        let room = area.width.saturating_sub(label_width + 2);
        let mut first = 0;
        while t == cursor.0
            && widths[first..=cursor.2.min(widths.len() - 1)]
                .iter()
                .sum::<u16>()
                > room
            && first < cursor.2
        {
            first += 1;
        }
        let xs: Vec<(usize, u16)> = widths
            .iter()
            .enumerate()
            .skip(first)
            .scan(area.x + label_width + 2, |x, (column, width)| {
                let at = *x;
                *x += width;
                Some((column, at))
            })
            .collect();
        if let Some(y) = y(line + 1) {
            text::put(
                buffer,
                area.x,
                y,
                label_width,
                &corner,
                theme.style(Role::Dim),
            );
            for &(column, x) in &xs {
                let role = if (t, column) == (cursor.0, cursor.2) {
                    Role::Accent
                } else {
                    Role::Title
                };
                text::put(
                    buffer,
                    x + 2,
                    y,
                    widths[column].saturating_sub(3),
                    &table.columns[column],
                    theme.style(role),
                );
            }
        }
        for (r, label) in table.rows.iter().enumerate() {
            let Some(y) = y(line + 2 + r) else { continue };
            let look = if (t, r) == (cursor.0, cursor.1) {
                Role::Accent
            } else {
                Role::Title
            };
            text::put(buffer, area.x, y, label_width, label, theme.style(look));
            for &(column, x) in &xs {
                let cell = &table.cells[r][column];
                let (sign, sign_role) = mark(table, cell.mark, theme);
                let width = widths[column].saturating_sub(1);
                text::put(buffer, x, y, 1, sign, theme.style(sign_role));
                text::put(
                    buffer,
                    x + 2,
                    y,
                    width.saturating_sub(2),
                    &words[r][column],
                    theme.style(role(table, cell, theme)),
                );
                let place = Rect::new(x, y, width, 1).intersection(area);
                if (t, r, column) == cursor {
                    buffer.set_style(place, theme.style(Role::Cursor));
                }
                places.push((place, (t, r, column)));
            }
        }
        for (n, words) in legends[t].iter().enumerate() {
            if let Some(y) = y(line + 2 + table.rows.len() + n) {
                let style = theme.style(Role::Dim);
                text::put(buffer, area.x, y, area.width, words, style);
            }
        }
        line += heights[t];
    }
    results.places = places;
}

/// What the numbers and signs of a table mean.
fn legend(table: &Table, theme: Theme) -> String {
    let mut words = export::intervals(table);
    let said = [export::moment(&table.asked), export::evaluation(table)];
    for said in said.into_iter().flatten() {
        words += &format!("; {said}");
    }
    let has = |wanted: Mark| table.cells.iter().flatten().any(|cell| cell.mark == wanted);
    let to = match table.against.as_deref() {
        Some(against) => format!("{against}, the baseline"),
        None => "the best".into(),
    };
    let meanings = [
        (Mark::Best, "best".to_owned()),
        (Mark::Baseline, "baseline".into()),
        (Mark::Better, format!("better than {to}")),
        (Mark::Worse, format!("worse than {to}")),
        (Mark::Differs, format!("differs from {to}")),
        (Mark::Tied, format!("not distinguishable from {to}")),
        (Mark::Untested, "too few seeds to tell".into()),
    ];
    for (wanted, meaning) in meanings.into_iter().filter(|(wanted, _)| has(*wanted)) {
        let sign = mark(table, wanted, theme).0;
        if sign != " " {
            words += &format!("; {sign} {meaning}");
        }
    }
    if let Some(sources) = export::sources(table) {
        words += &format!("; {sources}");
    }
    words
}

/// All about a cell: its seeds, how it compares, what is reported of it, what is missing.
pub(super) fn about(
    table: &Table,
    (row, column): (usize, usize),
    runs: &[RunId],
    area: Rect,
    buffer: &mut Buffer,
    world: &World,
    theme: Theme,
) {
    let Some(cell) = table.cells.get(row).and_then(|row| row.get(column)) else {
        return;
    };
    let mut lines: Vec<(String, Role)> = Vec::new();
    let heading = [table.rows.get(row), table.columns.get(column)];
    let heading: Vec<&str> = heading.into_iter().flatten().map(String::as_str).collect();
    lines.push((
        format!("{}: {}", heading.join(" / "), export::cell(table, cell)),
        Role::Title,
    ));
    let by_seed: Vec<String> = cell
        .samples
        .iter()
        .map(|sample| {
            let value = export::value(&table.metric, sample.value);
            format!("seed {} {value}", sample.seed)
        })
        .collect();
    if !by_seed.is_empty() {
        lines.push((by_seed.join("   "), Role::Plain));
    }
    let compared = match cell.mark {
        Mark::Best => "the best of the table".to_owned(),
        Mark::Baseline => "the baseline".into(),
        Mark::Untested => match table.against.as_deref() {
            Some(against) => format!("too few seeds to compare it with {against}"),
            None => "too few seeds to compare it with the best".into(),
        },
        _ => export::comparison(table, cell).unwrap_or_default(),
    };
    if !compared.is_empty() {
        lines.push((compared, Role::Plain));
    }
    if let Some(reported) = &cell.reported {
        lines.push((
            format!(
                "reported: {} ({})",
                export::number(&table.metric, reported.value),
                reported.source
            ),
            Role::Accent,
        ));
    }
    let without: Vec<String> = runs
        .iter()
        .filter_map(|id| match world.run(id) {
            None => Some(format!("{id} new")),
            Some(run) if run.state == crate::store::RunState::Completed => None,
            Some(run) => Some(format!("{id} {}", run.state.name())),
        })
        .collect();
    if !without.is_empty() {
        lines.push((
            format!("without a result: {}", without.join(", ")),
            Role::Warn,
        ));
    }
    let blank = u16::from(area.height > 4);
    let mut rest = Rect {
        y: area.y + blank,
        height: area.height - blank,
        ..area
    };
    for (line, role) in lines {
        rest = text::put_wrapped(buffer, rest, &line, theme.style(role));
    }
}
