//! Which line is which, without colour: each line's letter beside its end, and along it where the letter stands in
//! for dots of its own line alone; and the markers of sparse points.

use ratatui::buffer::Buffer;
use ratatui::style::{Modifier, Style};

use super::raster::Rank;
use super::scale::Rows;
use super::{Chart, ChartCache, Data, Glyphs, Panel};

/// Cells from one letter of a line to its next.
const PERIOD: usize = 24;

pub fn draw(chart: &Chart, panel: &Panel, rows: &Rows, cache: &ChartCache, buffer: &mut Buffer) {
    let marked = |i: &usize| chart.lines[*i].stroke.mark.is_some() && !chart.lines[*i].stroke.dim;
    let count = (0..chart.lines.len()).filter(marked).count();
    let lines = (0..chart.lines.len()).filter(marked);
    ends(chart, panel, rows, cache, lines.clone(), buffer);
    for (turn, line) in lines.enumerate() {
        if chart.glyphs == Glyphs::Braille && count > 1 {
            let first = PERIOD / 2 + turn * PERIOD / count;
            along(chart, panel, cache, line, first, buffer);
        }
    }
    for (i, line) in chart.lines.iter().enumerate() {
        if let Data::Points(points) = line.data {
            markers(chart, panel, rows, cache, (i, points), buffer);
        }
    }
}

fn style(chart: &Chart, line: usize) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    match chart.colour {
        true => style.fg(chart.lines[line].stroke.colour),
        false => style,
    }
}

/// The letters beside the plot: each at the height where its line ends in view, or as near as the others let it,
/// in the order of the lines' ends. When there are more than rows, the last lines go without.
fn ends(
    chart: &Chart,
    panel: &Panel,
    rows: &Rows,
    cache: &ChartCache,
    lines: impl Iterator<Item = usize>,
    buffer: &mut Buffer,
) {
    let plot = panel.plot;
    if plot.right() >= panel.title.right() {
        return;
    }
    let ended = |line: usize| {
        let last = cache.lines[line]
            .spans
            .iter()
            .rfind(|span| !span.is_none())?;
        Some((rows.row(last.last).clamp(0, rows.count - 1), line))
    };
    let mut ends: Vec<_> = lines
        .filter_map(ended)
        .take(usize::from(plot.height))
        .collect();
    ends.sort_unstable();
    let wanted: Vec<i32> = ends
        .iter()
        .map(|(dots, _)| dots / chart.glyphs.dots().1 as i32)
        .collect();
    for ((_, line), row) in ends.iter().zip(apart(wanted, i32::from(plot.height))) {
        if let Some(mark) = chart.lines[*line].stroke.mark {
            let place = (plot.right(), plot.y + row as u16);
            buffer[place].set_char(mark).set_style(style(chart, *line));
        }
    }
}

/// Ascending rows, moved down and then up as little as it takes for each to have its own among `height`.
fn apart(mut rows: Vec<i32>, height: i32) -> Vec<i32> {
    let mut free = 0;
    for row in rows.iter_mut() {
        *row = (*row).max(free);
        free = *row + 1;
    }
    let mut free = height - 1;
    for row in rows.iter_mut().rev() {
        *row = (*row).min(free);
        free = *row - 1;
    }
    rows
}

/// Letters along the line, from cell `first` on, wherever a cell holds all that the line has in its columns and no
/// dots of another.
fn along(
    chart: &Chart,
    panel: &Panel,
    cache: &ChartCache,
    line: usize,
    first: usize,
    buffer: &mut Buffer,
) {
    let (across, down) = chart.glyphs.dots();
    let Some(mark) = chart.lines[line].stroke.mark else {
        return;
    };
    for cell in (first..usize::from(panel.plot.width)).step_by(PERIOD) {
        let reaches = &cache.lines[line].reaches[cell * across..(cell + 1) * across];
        let rows = reaches.iter().map(|reach| {
            (
                reach.top.div_euclid(down as i32),
                reach.bottom.div_euclid(down as i32),
            )
        });
        let mut rows = rows.flat_map(|(top, bottom)| [top, bottom]);
        let Some(row) = rows
            .next()
            .filter(|row| (0..i32::from(panel.plot.height)).contains(row))
        else {
            continue;
        };
        let ink = cache.raster.ink(cell, row as usize);
        let alone = usize::from(ink.line) == line && !ink.shared && ink.rank == Rank::Line;
        if alone && rows.all(|other| other == row) {
            let place = (panel.plot.x + cell as u16, panel.plot.y + row as u16);
            buffer[place].set_char(mark).set_style(style(chart, line));
        }
    }
}

/// A marker at each point, unless there are more of them than room.
fn markers(
    chart: &Chart,
    panel: &Panel,
    rows: &Rows,
    cache: &ChartCache,
    (line, points): (usize, &[(f64, f64)]),
    buffer: &mut Buffer,
) {
    let (across, down) = chart.glyphs.dots();
    let (from, to) = chart.view.sane().x;
    let start = points.partition_point(|point| point.0 < from);
    let end = points.partition_point(|point| point.0 <= to);
    let inside = points.get(start..end).unwrap_or_default();
    if inside.len() * 2 > usize::from(panel.plot.width) {
        return;
    }
    let symbol = chart.lines[line]
        .stroke
        .mark
        .unwrap_or(chart.glyphs.pick('•', 'o'));
    for (x, y) in inside.iter().filter(|point| point.1.is_finite()) {
        let row = rows.row(*y);
        if let Some(column) = cache
            .columns
            .column(*x)
            .filter(|_| (0..rows.count).contains(&row))
        {
            let place = ((column / across) as u16, (row as usize / down) as u16);
            let cell = &mut buffer[(panel.plot.x + place.0, panel.plot.y + place.1)];
            cell.set_char(symbol).set_style(style(chart, line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn letters_keep_the_order_of_their_lines_and_stay_inside() {
        assert_eq!(apart(vec![1, 4, 6], 8), [1, 4, 6]);
        assert_eq!(apart(vec![1, 1, 2], 8), [1, 2, 3]);
        assert_eq!(apart(vec![6, 7, 7], 8), [5, 6, 7]);
        assert_eq!(apart(vec![2, 2, 2], 3), [0, 1, 2]);
    }
}
