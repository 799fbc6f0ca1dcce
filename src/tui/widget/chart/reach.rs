//! Which dots of each dot column a line lights: one unbroken stretch from the highest to the lowest of its values, and
//! its part of the straight lines to the columns on both sides. Columns without a value between two that have one are
//! bridged; a stretch may lie wholly or partly outside the rows of the plot.

use super::scale::{Rows, round};
use super::span::{Outside, Span};

/// Rows from `top` down to `bottom`, both lit; none when `top > bottom`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    pub top: i32,
    pub bottom: i32,
}

impl Reach {
    pub const NONE: Self = Self {
        top: i32::MAX,
        bottom: i32::MIN,
    };

    pub fn is_none(&self) -> bool {
        self.top > self.bottom
    }

    pub fn include(&mut self, top: i32, bottom: i32) {
        self.top = self.top.min(top);
        self.bottom = self.bottom.max(bottom);
    }
}

/// Bring `reaches` up to date with `spans`, of which those from column `from` on are new.
pub fn connect(
    spans: &[Span],
    outside: (Outside, Outside),
    rows: &Rows,
    from: usize,
    reaches: &mut [Reach],
) {
    let place = |(column, value): (i64, f64)| (column, rows.row(value));
    let leaves = |c: usize| (c as i64, rows.row(spans[c].last));
    let holds = |span: &Span| !span.is_none();
    // The last column that stands leads to what is new, so it is drawn again, from the one before it.
    let again = spans[..from].iter().rposition(holds);
    let led = again.and_then(|again| spans[..again].iter().rposition(holds));
    let mut at = led.map(leaves).or(outside.0.map(place));
    let start = again.unwrap_or(0);
    reaches[start..].fill(Reach::NONE);
    for (c, span) in spans
        .iter()
        .enumerate()
        .skip(start)
        .filter(|(_, span)| holds(span))
    {
        if let Some(before) = at {
            join(reaches, before, (c as i64, rows.row(span.first)));
        }
        // A value at zero lies above one that is below the range of a logarithmic axis.
        let (a, b) = (rows.row(span.max), rows.row(span.min));
        reaches[c].include(a.min(b), a.max(b));
        at = Some(leaves(c));
    }
    if let (Some(before), Some(after)) = (at, outside.1) {
        join(reaches, before, place(after));
    }
}

/// The straight line between two dots, each its column and row, `a` left of `b`. Each column takes the rows from where
/// the line is half a column before its middle to half a column after it.
fn join(reaches: &mut [Reach], a: (i64, i32), b: (i64, i32)) {
    if b.0 == a.0 + 1 && a.0 >= 0 && b.0 < reaches.len() as i64 {
        // Nearly all of them: the same, without the division.
        let end = a.1 + ((b.1 - a.1 + 1) >> 1);
        let start = end + (b.1 - end).signum();
        reaches[a.0 as usize].include(a.1.min(end), a.1.max(end));
        reaches[b.0 as usize].include(start.min(b.1), start.max(b.1));
        return;
    }
    let across = (b.0 - a.0) as f64;
    let rise = f64::from(b.1) - f64::from(a.1);
    let leaves = |c: i64| match c {
        _ if c < a.0 => a.1,
        _ if c >= b.0 => b.1,
        _ => a.1 + round(rise * ((c - a.0) as f64 + 0.5) / across),
    };
    let (from, to) = (a.0.max(0), b.0.min(reaches.len() as i64 - 1));
    let mut previous = leaves(from - 1);
    for c in from..=to {
        let end = leaves(c);
        // The row where the column before ended is lit there already; diagonals join.
        let start = if c == a.0 {
            previous
        } else {
            previous + (end - previous).signum()
        };
        reaches[c as usize].include(start.min(end), start.max(end));
        previous = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::widget::chart::scale::Scale;

    fn drawn(values: &[f64], before: Outside, after: Outside) -> Vec<(i32, i32)> {
        let span = |&v: &f64| Span {
            min: v,
            max: v,
            first: v,
            last: v,
        };
        let spans: Vec<Span> = values.iter().map(span).collect();
        let mut reaches = vec![Reach::NONE; spans.len()];
        let rows = Rows::new(0.0, 9.0, Scale::Linear, 10);
        connect(&spans, (before, after), &rows, 0, &mut reaches);
        reaches.iter().map(|r| (9 - r.bottom, 9 - r.top)).collect()
    }

    #[test]
    fn neighbours_meet_half_way_and_gaps_are_bridged() {
        let nan = f64::NAN;
        assert_eq!(
            drawn(&[1.0, 1.0, 2.0], None, None),
            [(1, 1), (1, 1), (2, 2)]
        );
        assert_eq!(drawn(&[0.0, 8.0], None, None), [(0, 4), (5, 8)]);
        assert_eq!(
            drawn(&[0.0, nan, nan, 9.0], None, None),
            [(0, 1), (2, 4), (5, 7), (8, 9)]
        );
    }

    #[test]
    fn a_line_enters_and_leaves_the_view() {
        let nan = f64::NAN;
        assert_eq!(
            drawn(&[nan, nan], Some((-1, 0.0)), Some((2, 9.0))),
            [(2, 4), (5, 7)]
        );
        assert_eq!(
            drawn(&[5.0, nan], None, Some((1_000_000_000, 5.0))),
            [(5, 5), (5, 5)]
        );
    }
}
