//! The exact extremes of what is in view, for an axis that loses none of them, and what a logarithmic axis cannot
//! place. Rows are asked of their pyramid; only where values change sign is anything looked at one by one.

use std::ops::Range;

use super::scale::Scale;
use super::{Chart, Data, span};
use crate::store::Column;

/// Rows that are looked at one by one.
const FEW: usize = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extremes {
    /// Lowest and highest value that the axis can place; none when there is none.
    pub range: Option<(f64, f64)>,
    /// Values at zero or below on a logarithmic axis.
    pub unplaced: usize,
}

impl Extremes {
    fn include(&mut self, low: f64, high: f64) {
        if low.is_finite() && high.is_finite() {
            let (l, h) = self.range.unwrap_or((low, high));
            self.range = Some((l.min(low), h.max(high)));
        }
    }

    fn value(&mut self, value: f64, scale: Scale) {
        match scale {
            Scale::Log if value <= 0.0 => self.unplaced += 1,
            _ => self.include(value, value),
        }
    }

    fn rows(&mut self, column: &Column, rows: Range<usize>, scale: Scale, seen: &mut Seen) {
        seen.bring_to(column, rows, scale);
        self.unplaced += seen.unplaced;
        self.include(seen.low, seen.high);
    }
}

/// What the rows of a line that are in view come to. Kept from picture to picture: only rows that came since are looked at.
#[derive(Clone, Debug)]
pub struct Seen {
    column: Option<u64>,
    rows: Range<usize>,
    scale: Scale,
    /// Of the values that the scale can place; beyond all numbers where there is none.
    low: f64,
    high: f64,
    unplaced: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            column: None,
            rows: 0..0,
            scale: Scale::Linear,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            unplaced: 0,
        }
    }
}

impl Seen {
    /// Be about the rows `rows`.
    fn bring_to(&mut self, column: &Column, rows: Range<usize>, scale: Scale) {
        let goes_on = self.column == Some(column.id())
            && self.scale == scale
            && self.rows.start == rows.start
            && self.rows.end <= rows.end;
        if !goes_on {
            *self = Self {
                column: Some(column.id()),
                rows: rows.start..rows.start,
                scale,
                ..Self::default()
            };
        }
        let new = self.rows.end..rows.end;
        self.rows.end = rows.end;
        let Some(summary) = column.summary(new.clone()) else {
            return;
        };
        self.high = self.high.max(summary.max);
        if scale == Scale::Linear || summary.min > 0.0 {
            self.low = self.low.min(summary.min);
        } else {
            self.unplaced += split_at_zero(column, new, &mut self.low);
        }
    }
}

/// The extremes of the values of `chart` whose x is in view. When there are none, those of the points on both sides,
/// whose joining line may cross it. `seen` is of the picture before, one a line.
pub fn of(chart: &Chart, seen: &mut Vec<Seen>) -> Extremes {
    let (from, to) = chart.view.sane().x;
    let scale = chart.y.scale;
    let mut found = Extremes::default();
    seen.resize_with(chart.lines.len(), Seen::default);
    for (line, seen) in chart.lines.iter().zip(seen) {
        match line.data {
            Data::Raw { series, column } => {
                let all = span::rows(series, column);
                let rows = series.rows_between(chart.along, from, to.next_up());
                let rows = rows.start.min(all)..rows.end.min(all);
                found.rows(column, rows, scale, seen);
            }
            Data::Points(points) => {
                let start = points.partition_point(|point| point.0 < from);
                let inside = points[start..].iter().take_while(|point| point.0 <= to);
                let values = inside.map(|point| point.1).filter(|y| y.is_finite());
                values.for_each(|y| found.value(y, scale));
            }
            Data::Band(points) => {
                for point in points.iter().filter(|point| (from..=to).contains(&point.x)) {
                    if let Some(mean) = point.mean {
                        let half = point.half_width.unwrap_or(0.0);
                        for value in [mean - half, mean, mean + half] {
                            found.value(value, scale);
                        }
                    }
                }
            }
        }
    }
    if found == Extremes::default() {
        outside(chart, (from, to), &mut found);
    }
    found
}

fn outside(chart: &Chart, (from, to): (f64, f64), found: &mut Extremes) {
    let scale = chart.y.scale;
    for line in chart.lines {
        let values = match line.data {
            Data::Raw { series, column } => {
                let rows = series.rows_between(chart.along, from, to.next_up());
                let before = column.last_before(rows.start.min(series.len()));
                let after = column
                    .first_from(rows.end)
                    .filter(|row| *row < series.len());
                [before, after].map(|row| row.and_then(|row| column.get(row)))
            }
            Data::Points(points) => {
                let start = points.partition_point(|point| point.0 < from);
                let end = points.partition_point(|point| point.0 <= to);
                let finite = |point: &&(f64, f64)| point.1.is_finite();
                let before = points[..start].iter().rfind(finite);
                let after = points[end..].iter().find(finite);
                [before, after].map(|point| point.map(|point| point.1))
            }
            Data::Band(points) => {
                let start = points.partition_point(|point| point.x < from);
                let end = points.partition_point(|point| point.x <= to);
                let before = points[..start].last().and_then(|point| point.mean);
                let after = points[end..].first().and_then(|point| point.mean);
                [before, after]
            }
        };
        if let [Some(before), Some(after)] = values {
            found.value(before, scale);
            found.value(after, scale);
        }
    }
}

/// Counts the values of `rows` at zero or below, and lowers `least` to the smallest of the others.
fn split_at_zero(column: &Column, rows: Range<usize>, least: &mut f64) -> usize {
    let Some(summary) = column.summary(rows.clone()) else {
        return 0;
    };
    if summary.min > 0.0 {
        *least = least.min(summary.min);
        return 0;
    }
    if summary.max <= 0.0 {
        return summary.count as usize;
    }
    if rows.len() <= FEW {
        let mut below = 0;
        for &value in &column.values()[rows] {
            if value <= 0.0 {
                below += 1;
            } else {
                *least = least.min(value);
            }
        }
        return below;
    }
    let part = (rows.len() / 16).next_multiple_of(16);
    let starts = rows.clone().step_by(part);
    starts
        .map(|start| split_at_zero(column, start..(start + part).min(rows.end), least))
        .sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_are_told_apart_at_zero_as_by_a_scan(
            values in prop::collection::vec(prop_oneof![4 => -1.0..9.0f64, 1 => Just(f64::NAN), 2 => Just(0.0)], 0..2000),
        ) {
            let mut column = Column::default();
            values.iter().for_each(|&x| column.push(x));
            let mut least = f64::INFINITY;
            let below = split_at_zero(&column, 0..values.len(), &mut least);
            prop_assert_eq!(below, values.iter().filter(|x| **x <= 0.0).count());
            let smallest = values.iter().copied().filter(|x| *x > 0.0).fold(f64::INFINITY, f64::min);
            prop_assert_eq!(least, smallest);
        }

        /// Rows are added, taken back and written again, the view moves and so does the scale: what is kept must not show.
        #[test]
        fn what_is_kept_is_what_a_new_look_finds(
            values in prop::collection::vec(prop_oneof![4 => -1.0..9.0f64, 1 => Just(0.0)], 1..600),
            looks in prop::collection::vec((0.0..1.0f64, 0.0..0.2f64, any::<bool>(), any::<bool>()), 1..12),
        ) {
            let (mut column, mut seen) = (Column::default(), Seen::default());
            for (upto, from, log, again) in looks {
                let upto = (upto * values.len() as f64) as usize + 1;
                // Taken back, and perhaps as many written again before the next look.
                column.truncate(if again { upto / 2 } else { upto });
                let more = f64::from(u8::from(again));
                for value in &values[column.len()..upto] {
                    column.push(value + more);
                }
                let rows = (from * upto as f64) as usize..upto;
                let scale = if log { Scale::Log } else { Scale::Linear };
                seen.bring_to(&column, rows.clone(), scale);
                let mut new = Seen::default();
                new.bring_to(&column, rows, scale);
                prop_assert_eq!((seen.low, seen.high, seen.unplaced), (new.low, new.high, new.unplaced));
            }
        }
    }
}
