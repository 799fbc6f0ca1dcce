//! The rows of one run by column: where each row lies (step, examples seen, seconds of training) and what it measured.
//! Rows that a resume made void are not here; which those are is the fold's affair.

mod column;

use std::collections::BTreeMap;
use std::ops::Range;

pub use crate::spec::Along;
use column::push;
pub use column::{Column, Summary};

#[derive(Clone, Debug, Default)]
pub struct Series {
    steps: Vec<u64>,
    examples: Vec<u64>,
    seconds: Vec<f64>,
    /// First row of each attempt that has rows, and the attempt's number.
    attempts: Vec<(usize, u32)>,
    /// Names of the columns, in the order in which they first came.
    names: Vec<String>,
    columns: Vec<Column>,
    index: BTreeMap<String, usize>,
    /// The column of each value of the newest row, by place: rows name their metrics in one order.
    layout: Vec<usize>,
}

/// Where a row lies. `seconds` are those of its attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    pub attempt: u32,
    pub step: u64,
    pub examples: u64,
    pub seconds: f64,
}

impl Series {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Updates done at each row, strictly rising.
    pub fn steps(&self) -> &[u64] {
        &self.steps
    }

    /// Pairs seen at each row.
    pub fn examples(&self) -> &[u64] {
        &self.examples
    }

    /// Seconds of training at each row, over all attempts that stand.
    pub fn seconds(&self) -> &[f64] {
        &self.seconds
    }

    /// The attempt that wrote a row.
    pub fn attempt(&self, row: usize) -> Option<u32> {
        let after = self.attempts.partition_point(|(first, _)| *first <= row);
        (row < self.len()).then(|| self.attempts[after - 1].1)
    }

    /// The metrics that some row has, in the order in which they first came.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.index.get(name).map(|&i| &self.columns[i])
    }

    /// The newest value of a metric.
    pub fn latest(&self, name: &str) -> Option<f64> {
        let values = self.column(name)?.values();
        values.iter().rev().copied().find(|x| !x.is_nan())
    }

    /// Where a row lies along an axis.
    pub fn x(&self, along: Along, row: usize) -> f64 {
        match along {
            Along::Examples => self.examples[row] as f64,
            Along::Steps => self.steps[row] as f64,
            Along::Seconds => self.seconds[row],
        }
    }

    /// The rows at `x` or after it are those from here on.
    pub fn first_at(&self, along: Along, x: f64) -> usize {
        match along {
            Along::Examples => self.examples.partition_point(|&e| (e as f64) < x),
            Along::Steps => self.steps.partition_point(|&s| (s as f64) < x),
            Along::Seconds => self.seconds.partition_point(|&s| s < x),
        }
    }

    /// The rows with `from <= x < to`.
    pub fn rows_between(&self, along: Along, from: f64, to: f64) -> Range<usize> {
        let first = self.first_at(along, from);
        first..self.first_at(along, to).max(first)
    }

    /// Add a row after all others. Metrics that it does not name are absent from it.
    pub fn push<'a>(&mut self, at: Position, values: impl IntoIterator<Item = (&'a str, f64)>) {
        let row = self.len();
        if self
            .attempts
            .last()
            .is_none_or(|(_, attempt)| *attempt != at.attempt)
        {
            self.attempts.push((row, at.attempt));
        }
        let began = self.attempts.last().map_or(0, |(first, _)| *first);
        // An attempt's clock starts at zero: its rows go on from where the one before ended.
        let before = began.checked_sub(1).map_or(0.0, |last| self.seconds[last]);
        push(&mut self.steps, at.step);
        push(&mut self.examples, at.examples);
        push(&mut self.seconds, before + at.seconds);
        for (place, (name, value)) in values.into_iter().enumerate() {
            let slot = match self.layout.get(place) {
                Some(&slot) if self.names[slot] == name => slot,
                _ => self.slot(place, name, row),
            };
            if self.columns[slot].len() == row {
                self.columns[slot].push(value);
            }
        }
        for column in self.columns.iter_mut().filter(|column| column.len() == row) {
            column.push(f64::NAN);
        }
    }

    /// The column of `name`, which stands at `place` of the row after `rows` others.
    fn slot(&mut self, place: usize, name: &str, rows: usize) -> usize {
        let slot = match self.index.get(name) {
            Some(&slot) => slot,
            None => {
                self.names.push(name.to_owned());
                self.columns.push(Column::absent(rows));
                self.index.insert(name.to_owned(), self.columns.len() - 1);
                self.columns.len() - 1
            }
        };
        self.layout.truncate(place);
        self.layout.push(slot);
        slot
    }

    /// Forget all rows after `step`. True when there were some.
    pub fn rewind(&mut self, step: u64) -> bool {
        let rows = self.steps.partition_point(|&s| s <= step);
        if rows == self.len() {
            return false;
        }
        self.steps.truncate(rows);
        self.examples.truncate(rows);
        self.seconds.truncate(rows);
        self.attempts.retain(|(first, _)| *first < rows);
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(rows));
        true
    }

    /// No more rows are expected: give back the room for them.
    pub fn settle(&mut self) {
        self.steps.shrink_to_fit();
        self.examples.shrink_to_fit();
        self.seconds.shrink_to_fit();
        self.columns.shrink_to_fit();
        self.columns.iter_mut().for_each(Column::settle);
    }

    /// Bytes that the rows hold.
    pub fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::bytes).sum();
        let places = self.steps.capacity() + self.examples.capacity() + self.seconds.capacity();
        columns + places * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(attempt: u32, step: u64, seconds: f64) -> Position {
        Position {
            attempt,
            step,
            examples: 10 * step,
            seconds,
        }
    }

    #[test]
    fn rows_that_lack_a_metric_are_absent_and_not_zero() {
        let mut series = Series::default();
        series.push(at(1, 1, 0.1), [("loss", 3.0)]);
        series.push(at(1, 2, 0.2), [("loss", 2.0), ("bias", -10.0)]);
        series.push(at(1, 3, 0.3), [("bias", -9.0)]);
        let column = |name: &str| {
            let column = series.column(name).unwrap();
            (0..3).map(|row| column.get(row)).collect::<Vec<_>>()
        };
        assert_eq!(column("loss"), [Some(3.0), Some(2.0), None]);
        assert_eq!(column("bias"), [None, Some(-10.0), Some(-9.0)]);
        assert_eq!(
            (series.latest("loss"), series.latest("t")),
            (Some(2.0), None)
        );
        assert_eq!(series.names().collect::<Vec<_>>(), ["loss", "bias"]);
    }

    #[test]
    fn a_series_that_is_whole_gives_back_the_room_for_more_and_goes_on_all_the_same() {
        let mut series = Series::default();
        (1..=50).for_each(|step| series.push(at(1, step, step as f64), [("loss", step as f64)]));
        let before = series.bytes();
        series.settle();
        assert!(series.bytes() < before);
        // Three places and one value a row, and three whole nodes.
        assert_eq!(
            series.bytes(),
            50 * 4 * 8 + 3 * size_of::<Option<Summary>>()
        );
        series.push(at(1, 51, 51.0), [("loss", 7.0)]);
        assert_eq!((series.len(), series.latest("loss")), (51, Some(7.0)));
    }

    #[test]
    fn a_rewind_takes_rows_back_and_time_goes_on_from_there() {
        let mut series = Series::default();
        (1..=4).for_each(|step| series.push(at(1, step, step as f64), [("loss", 0.0)]));
        assert!(!series.rewind(4));
        assert!(series.rewind(2));
        series.push(at(2, 3, 0.5), [("loss", 1.0)]);
        assert_eq!(series.steps(), [1, 2, 3]);
        assert_eq!(series.seconds(), [1.0, 2.0, 2.5]);
        assert_eq!(
            (series.attempt(1), series.attempt(2), series.attempt(3)),
            (Some(1), Some(2), None)
        );
        assert_eq!(series.column("loss").unwrap().values(), [0.0, 0.0, 1.0]);
    }

    /// 20 bytes a point are the promise for a run of 20 metrics, whatever its length does to the vectors' room.
    #[test]
    fn a_point_costs_at_most_twenty_bytes() {
        let names: Vec<String> = (0..20).map(|n| format!("metric/{n}")).collect();
        let mut series = Series::default();
        for step in 1..=20_000 {
            series.push(
                at(1, step, step as f64),
                names.iter().map(|name| (name.as_str(), 0.5)),
            );
            let points = 20 * step as usize;
            assert!(
                step < 1_000 || series.bytes() <= 20 * points,
                "{} bytes, {points} points",
                series.bytes()
            );
        }
    }

    #[test]
    fn rows_may_name_their_metrics_in_any_order() {
        let mut series = Series::default();
        series.push(at(1, 1, 0.1), [("a", 1.0), ("b", 2.0)]);
        series.push(at(1, 2, 0.2), [("b", 3.0), ("c", 4.0), ("a", 5.0)]);
        series.push(at(1, 3, 0.3), [("b", 6.0), ("a", 7.0)]);
        series.push(at(1, 4, 0.4), [("a", 8.0), ("b", 9.0)]);
        let last = |name: &str| series.column(name).unwrap().values().to_vec();
        assert_eq!(
            (last("a"), last("b")),
            (vec![1.0, 5.0, 7.0, 8.0], vec![2.0, 3.0, 6.0, 9.0])
        );
        assert_eq!(series.column("c").unwrap().get(1), Some(4.0));
        assert_eq!(series.names().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn ranges_are_found_along_every_axis() {
        let mut series = Series::default();
        (1..=9).for_each(|step| series.push(at(1, step, 0.25 * step as f64), []));
        assert_eq!(series.rows_between(Along::Steps, 3.0, 5.0), 2..4);
        assert_eq!(series.rows_between(Along::Examples, 30.0, 50.0), 2..4);
        assert_eq!(series.rows_between(Along::Seconds, 0.75, 1.25), 2..4);
        assert_eq!(series.rows_between(Along::Steps, 5.0, 3.0), 4..4);
    }
}
