//! What each dot column holds of a line: the extremes of all raw values whose x falls into it, and where the line
//! enters and leaves. Rows are summarised by the column's pyramid; none is skipped.

use super::scale::Columns;
use crate::store::{Along, Column, Series};

/// Rows to one node of the pyramid: a range that starts and ends on a node needs no leaf.
const NODE: usize = 16;
/// Dot columns whose rows are found before any is summarised: memory is then read for several at once.
const BLOCK: usize = 64;

/// The values of one dot column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// NaN when the column holds no value.
    pub min: f64,
    pub max: f64,
    pub first: f64,
    pub last: f64,
}

impl Span {
    pub const NONE: Self = Self {
        min: f64::NAN,
        max: f64::NAN,
        first: f64::NAN,
        last: f64::NAN,
    };

    pub fn is_none(&self) -> bool {
        self.min.is_nan()
    }

    /// Take in a value after all others.
    pub fn push(&mut self, value: f64) {
        self.scan(&[value]);
    }

    /// Take in values after all others.
    fn scan(&mut self, values: &[f64]) {
        let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
        for &value in values {
            // Not `f64::min`: a comparison that a NaN fails is one instruction.
            min = if value < min { value } else { min };
            max = if value > max { value } else { max };
        }
        let present = |value: &&f64| !value.is_nan();
        if let (Some(&first), Some(&last)) =
            (values.iter().find(present), values.iter().rfind(present))
        {
            self.join(Self {
                min,
                max,
                first,
                last,
            });
        }
    }

    fn join(&mut self, next: Self) {
        if next.is_none() {
            return;
        }
        if self.is_none() {
            *self = next;
            return;
        }
        self.min = self.min.min(next.min);
        self.max = self.max.max(next.max);
        self.last = next.last;
    }
}

/// A point of a line by the dot column that it falls into, which may lie outside the view, and its value.
pub type Outside = Option<(i64, f64)>;

/// The rows of a series that a column has.
pub fn rows(series: &Series, column: &Column) -> usize {
    series.len().min(column.len())
}

/// Fill `spans[from..]` with the rows of `column`.
pub fn of_series(
    series: &Series,
    column: &Column,
    along: Along,
    columns: &Columns,
    from: usize,
    spans: &mut [Span],
) {
    let rows = rows(series, column);
    match along {
        Along::Examples => fill(
            &series.examples()[..rows],
            |x| x as f64,
            column,
            columns,
            from,
            spans,
        ),
        Along::Steps => fill(
            &series.steps()[..rows],
            |x| x as f64,
            column,
            columns,
            from,
            spans,
        ),
        Along::Seconds => fill(
            &series.seconds()[..rows],
            |x| x,
            column,
            columns,
            from,
            spans,
        ),
    }
}

/// The last value before the view.
pub fn before(series: &Series, column: &Column, along: Along, columns: &Columns) -> Outside {
    let first = series.first_at(along, columns.edges()[0]);
    let row = column.last_before(first.min(rows(series, column)))?;
    Some((columns.reaching(series.x(along, row))?, column.get(row)?))
}

/// The first value after the view.
pub fn after(series: &Series, column: &Column, along: Along, columns: &Columns) -> Outside {
    let end = series.first_at(along, columns.edges()[columns.len()]);
    let row = column.first_from(end).filter(|row| *row < series.len())?;
    Some((columns.reaching(series.x(along, row))?, column.get(row)?))
}

/// Spans of points that are sorted by x, and the points before and after the view. Values that are not finite are
/// left out.
pub fn of_points(
    points: impl Iterator<Item = (f64, f64)>,
    columns: &Columns,
    spans: &mut [Span],
) -> (Outside, Outside) {
    let (mut before, mut after) = (None, None);
    for (x, y) in points.filter(|(_, y)| y.is_finite()) {
        match columns.reaching(x) {
            Some(c) if c < 0 => before = Some((c, y)),
            Some(c) if c >= spans.len() as i64 => {
                after = Some((c, y));
                break;
            }
            Some(c) => spans[c as usize].push(y),
            None => {}
        }
    }
    (before, after)
}

fn fill<X: Copy>(
    xs: &[X],
    place: impl Fn(X) -> f64 + Copy,
    column: &Column,
    columns: &Columns,
    from: usize,
    spans: &mut [Span],
) {
    let edges = columns.edges();
    let before = |row: usize, edge: f64| row < xs.len() && place(xs[row]) < edge;
    let mut start = xs.partition_point(|&x| place(x) < edges[from]);
    let mut rows = 0;
    let mut early = [false; BLOCK];
    let mut cuts = [Cut::default(); BLOCK + 1];
    for (block, spans) in spans[from..].chunks_mut(BLOCK).enumerate() {
        let count = spans.len();
        let edges = &edges[from + block * BLOCK + 1..][..count];
        let (last, guess) = (edges[count - 1], start + rows);
        rows = settle(xs, place, start, (guess, before(guess, last)), last) - start;
        // Rows mostly come at an even pace. All guesses are looked at first, since none waits for another.
        let expected = |c: usize| start + rows * (c + 1) / count;
        for (c, edge) in edges.iter().enumerate() {
            early[c] = before(expected(c), *edge);
        }
        cuts[0].row = start;
        for (c, edge) in edges.iter().enumerate() {
            cuts[c + 1].row = settle(xs, place, cuts[c].row, (expected(c), early[c]), *edge);
        }
        start += rows;
        let cuts = &mut cuts[..=count];
        cuts.iter_mut().for_each(|cut| cut.copy(column.values()));
        for (span, pair) in spans.iter_mut().zip(cuts.windows(2)) {
            *span = between(column, &pair[0], &pair[1]);
        }
    }
}

/// The row where one dot column ends and the next begins, and the values of the node that holds it.
#[derive(Clone, Copy)]
struct Cut {
    row: usize,
    /// NaN after the last row.
    values: [f64; NODE],
}

impl Default for Cut {
    fn default() -> Self {
        Self {
            row: 0,
            values: [f64::NAN; NODE],
        }
    }
}

impl Cut {
    /// Copy the values. Done for many cuts in a row and nothing else between, so that the processor fetches the next
    /// ones, each far from the last in memory, while it waits for the first.
    fn copy(&mut self, values: &[f64]) {
        let rest = &values[self.row / NODE * NODE..];
        match rest.first_chunk() {
            Some(node) => self.values = *node,
            None => {
                self.values = [f64::NAN; NODE];
                self.values[..rest.len()].copy_from_slice(rest);
            }
        }
    }
}

/// The first row from `from` on that lies at `edge` or after it, looked for around a guess: a row, and whether it lies
/// before the edge. A good guess takes one or two steps where bisection takes seventeen.
fn settle<X: Copy>(
    xs: &[X],
    place: impl Fn(X) -> f64,
    from: usize,
    (guess, early): (usize, bool),
    edge: f64,
) -> usize {
    let before = |row: usize| place(xs[row]) < edge;
    // Rows below `low` lie before the edge, rows from `high` on do not.
    let (mut low, mut high) = match early {
        true => (from.max(guess + 1), xs.len()),
        false => (from, from.max(guess.min(xs.len()))),
    };
    let mut stride = 1;
    while low < high {
        let probe = match early {
            true => (low + stride - 1).min(high - 1),
            false => high.saturating_sub(stride).max(low),
        };
        let passed = before(probe);
        if passed {
            low = probe + 1;
        } else {
            high = probe;
        }
        if passed != early {
            break;
        }
        stride *= 2;
    }
    low + xs[low..high].partition_point(|&x| place(x) < edge)
}

/// The values from one cut to the next.
fn between(column: &Column, from: &Cut, to: &Cut) -> Span {
    let (first, last) = (from.row / NODE + 1, to.row / NODE);
    let mut span = Span::NONE;
    if first > last {
        span.scan(&from.values[from.row % NODE..][..to.row - from.row]);
        return span;
    }
    span.scan(&from.values[from.row % NODE..]);
    if let Some(summary) = column.summary(first * NODE..last * NODE) {
        span.join(Span {
            min: summary.min,
            max: summary.max,
            first: summary.first,
            last: summary.last,
        });
    }
    span.scan(&to.values[..to.row % NODE]);
    span
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_edge_is_found_from_any_guess(
            gaps in prop::collection::vec(0..9u64, 0..200), from in 0.0..1.0f64, guess in 0..300usize, edge in 0..900u64,
        ) {
            let xs: Vec<u64> = gaps.iter().scan(0, |x, gap| { *x += gap; Some(*x) }).collect();
            let from = (from * xs.len() as f64) as usize;
            let edge = edge as f64;
            let expected = (from..xs.len()).find(|&row| xs[row] as f64 >= edge).unwrap_or(xs.len());
            let early = xs.get(guess).is_some_and(|x| (*x as f64) < edge);
            prop_assert_eq!(settle(&xs, |x| x as f64, from, (guess, early), edge), expected);
        }

        #[test]
        fn a_span_is_what_a_scan_finds(
            values in prop::collection::vec(prop_oneof![3 => -9.0..9.0f64, 1 => Just(f64::NAN)], 1..900),
            ends in (0.0..1.0f64, 0.0..1.0f64),
        ) {
            let mut column = Column::default();
            values.iter().for_each(|&x| column.push(x));
            let at = |share: f64| (share * values.len() as f64) as usize;
            let rows = at(ends.0.min(ends.1))..at(ends.0.max(ends.1));
            let there: Vec<f64> = values[rows.clone()].iter().copied().filter(|x| !x.is_nan()).collect();
            let cut = |row| {
                let mut cut = Cut { row, ..Cut::default() };
                cut.copy(&values);
                cut
            };
            let found = between(&column, &cut(rows.start), &cut(rows.end));
            let expected = there.first().map(|first| (
                there.iter().copied().fold(f64::INFINITY, f64::min),
                there.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                *first,
                there[there.len() - 1],
            ));
            prop_assert_eq!((!found.is_none()).then_some((found.min, found.max, found.first, found.last)), expected);
        }
    }
}
