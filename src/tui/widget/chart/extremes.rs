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

    fn rows(&mut self, column: &Column, rows: Range<usize>, scale: Scale) {
        let Some(summary) = column.summary(rows.clone()) else {
            return;
        };
        if scale == Scale::Linear || summary.min > 0.0 {
            self.include(summary.min, summary.max);
            return;
        }
        let mut least = f64::INFINITY;
        self.unplaced += split_at_zero(column, rows, &mut least);
        self.include(least, summary.max);
    }
}

/// The extremes of the values of `chart` whose x is in view. When there are none, those of the points on both sides,
/// whose joining line may cross it.
pub fn of(chart: &Chart) -> Extremes {
    let (from, to) = chart.view.sane().x;
    let scale = chart.y.scale;
    let mut found = Extremes::default();
    for line in chart.lines {
        match line.data {
            Data::Raw { series, column } => {
                let all = span::rows(series, column);
                let rows = series.rows_between(chart.along, from, to.next_up());
                found.rows(column, rows.start.min(all)..rows.end.min(all), scale);
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
    }
}
