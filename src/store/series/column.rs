//! One metric of a run over its rows, with a pyramid of summaries above the values: any range is summarised exactly,
//! extremes included, in time that grows with the logarithm of its length. It does not know what a row is.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Children of one node of the pyramid.
const BRANCH: usize = 16;

/// What a range of values comes to. No decimation may lose `min` or `max`: a spike of one point is one of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub min: f64,
    pub max: f64,
    pub first: f64,
    pub last: f64,
    pub sum: f64,
    /// Values that are there.
    pub count: u32,
}

impl Summary {
    fn of(value: f64) -> Self {
        Self {
            min: value,
            max: value,
            first: value,
            last: value,
            sum: value,
            count: 1,
        }
    }

    /// This range, and `next` right after it.
    fn then(self, next: Self) -> Self {
        Self {
            // Not `f64::min`, which is slower for the sake of NaN, and there is none here.
            min: if next.min < self.min {
                next.min
            } else {
                self.min
            },
            max: if next.max > self.max {
                next.max
            } else {
                self.max
            },
            first: self.first,
            last: next.last,
            sum: self.sum + next.sum,
            count: self.count + next.count,
        }
    }

    pub fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// `range` after `range`, either of which may hold nothing.
fn join(left: Option<Summary>, right: Option<Summary>) -> Option<Summary> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.then(right)),
        (left, right) => left.or(right),
    }
}

/// Push onto a vector that grows by a half: a vector's own doubling would leave up to half of the memory empty.
pub(super) fn push<T>(values: &mut Vec<T>, value: T) {
    if values.len() == values.capacity() {
        values.reserve_exact((values.len() / 2).max(4));
    }
    values.push(value);
}

/// Tells columns apart.
static NEXT: AtomicU64 = AtomicU64::new(0);

fn next() -> u64 {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Values by row; NaN where a row lacks the metric. Rows hold finite numbers only.
#[derive(Debug)]
pub struct Column {
    id: u64,
    values: Vec<f64>,
    /// `levels[k][i]` summarises the values from `i·16^(k+1)` up to `(i+1)·16^(k+1)`; whole nodes only.
    levels: Vec<Vec<Option<Summary>>>,
}

impl Default for Column {
    fn default() -> Self {
        Self {
            id: next(),
            values: Vec::new(),
            levels: Vec::new(),
        }
    }
}

impl Clone for Column {
    fn clone(&self) -> Self {
        Self {
            id: next(),
            values: self.values.clone(),
            levels: self.levels.clone(),
        }
    }
}

impl Column {
    /// Of the same id and as many rows are the same values: none is taken back or comes from another column without another
    /// id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A column that the first `rows` rows lack.
    pub fn absent(rows: usize) -> Self {
        let mut column = Self::default();
        (0..rows).for_each(|_| column.push(f64::NAN));
        column
    }

    /// The value of each row; NaN where the row has none.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    pub fn len(&self) -> usize {
        self.values.len()
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a row that has one.
    pub fn get(&self, row: usize) -> Option<f64> {
        self.values.get(row).copied().filter(|x| !x.is_nan())
    }

    pub fn push(&mut self, value: f64) {
        push(&mut self.values, value);
        if self.values.len().is_multiple_of(BRANCH) {
            self.summarise();
        }
    }

    /// Add the nodes that the newest value makes whole.
    fn summarise(&mut self) {
        let mut level = 0;
        let mut length = self.values.len();
        while length.is_multiple_of(BRANCH) {
            let node = self.items(level, length - BRANCH..length);
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            push(&mut self.levels[level], node);
            length /= BRANCH;
            level += 1;
        }
    }

    /// Forget all rows from `rows` on.
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.values.len() {
            return;
        }
        self.id = next();
        self.values.truncate(rows);
        let mut length = self.values.len();
        for level in &mut self.levels {
            length /= BRANCH;
            level.truncate(length);
        }
    }

    /// What the rows of `range` come to; none when none of them has the metric.
    ///
    /// # Panics
    /// When `range` ends after the last row.
    pub fn summary(&self, range: Range<usize>) -> Option<Summary> {
        assert!(
            range.end <= self.values.len(),
            "{range:?} is within the rows"
        );
        let (mut start, mut end) = (range.start, range.end);
        let (mut left, mut right) = (None, None);
        let mut level = 0;
        while start < end {
            let whole = start.next_multiple_of(BRANCH).min(end);
            let after = (end / BRANCH * BRANCH).max(whole);
            // Both in the order of the rows, as memory is fetched ahead.
            left = join(left, self.items(level, start..whole));
            right = join(self.items(level, after..end), right);
            (start, end) = (whole / BRANCH, after / BRANCH);
            level += 1;
        }
        join(left, right)
    }

    /// The last row before `row` that has a value.
    pub fn last_before(&self, row: usize) -> Option<usize> {
        let (mut end, mut width) = (row.min(self.len()), 1);
        while end > 0 {
            let mut start = end.saturating_sub(width);
            if self.summary(start..end).is_some() {
                while end - start > 1 {
                    let middle = start + (end - start) / 2;
                    match self.summary(middle..end) {
                        Some(_) => start = middle,
                        None => end = middle,
                    }
                }
                return Some(start);
            }
            (end, width) = (start, 2 * width);
        }
        None
    }

    /// The first row from `row` on that has a value.
    pub fn first_from(&self, row: usize) -> Option<usize> {
        let (mut start, mut width) = (row, 1);
        while start < self.len() {
            let mut end = (start + width).min(self.len());
            if self.summary(start..end).is_some() {
                while end - start > 1 {
                    let middle = start + (end - start) / 2;
                    match self.summary(start..middle) {
                        Some(_) => end = middle,
                        None => start = middle,
                    }
                }
                return Some(start);
            }
            (start, width) = (end, 2 * width);
        }
        None
    }

    /// What the nodes `range` of the level above `level - 1` come to; the values themselves are level 0.
    fn items(&self, level: usize, range: Range<usize>) -> Option<Summary> {
        match level.checked_sub(1) {
            None => {
                let there = self.values[range].iter().filter(|x| !x.is_nan());
                there.map(|&x| Summary::of(x)).reduce(Summary::then)
            }
            Some(above) => {
                let there = self.levels[above][range].iter().flatten();
                there.copied().reduce(Summary::then)
            }
        }
    }

    /// Give back the room for more values.
    pub(super) fn settle(&mut self) {
        self.values.shrink_to_fit();
        self.levels.shrink_to_fit();
        self.levels.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// Bytes that the column holds.
    pub fn bytes(&self) -> usize {
        let nodes: usize = self.levels.iter().map(Vec::capacity).sum();
        self.values.capacity() * size_of::<f64>() + nodes * size_of::<Option<Summary>>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn column(values: &[f64]) -> Column {
        let mut column = Column::default();
        values.iter().for_each(|&x| column.push(x));
        column
    }

    /// The definition, value by value.
    fn scan(values: &[f64]) -> Option<Summary> {
        let there: Vec<f64> = values.iter().copied().filter(|x| !x.is_nan()).collect();
        Some(Summary {
            min: there.iter().copied().reduce(f64::min)?,
            max: there.iter().copied().reduce(f64::max)?,
            first: *there.first()?,
            last: *there.last()?,
            sum: there.iter().sum(),
            count: there.len() as u32,
        })
    }

    fn same(found: Option<Summary>, expected: Option<Summary>) -> bool {
        match (found, expected) {
            (Some(a), Some(b)) => {
                let close = (a.sum - b.sum).abs() <= 1e-9 * (1.0 + b.sum.abs());
                close && Summary { sum: 0.0, ..a } == Summary { sum: 0.0, ..b }
            }
            (a, b) => a.is_none() && b.is_none(),
        }
    }

    proptest! {
        /// No extreme is ever lost, whatever the range, and whatever was taken back and pushed again before.
        #[test]
        fn every_range_is_summarised_exactly(
            values in prop::collection::vec(prop_oneof![4 => -1e3..1e3f64, 1 => Just(f64::NAN)], 0..1200),
            (cut, from, to) in (0.0..1.0f64, 0.0..1.0f64, 0.0..1.0f64),
        ) {
            let at = |part: f64, of: usize| (part * of as f64) as usize;
            let mut found = column(&values);
            let kept = at(cut, values.len());
            found.truncate(kept);
            values[kept..].iter().for_each(|&x| found.push(x));
            let (a, b) = (at(from, values.len() + 1), at(to, values.len() + 1));
            let range = a.min(b)..a.max(b);
            prop_assert!(same(found.summary(range.clone()), scan(&values[range])));
        }
    }

    proptest! {
        #[test]
        fn the_nearest_rows_with_a_value_are_those_of_a_scan(
            values in prop::collection::vec(prop_oneof![1 => Just(1.0), 9 => Just(f64::NAN)], 0..300),
            row in 0..320usize,
        ) {
            let column = column(&values);
            let there = |i: &usize| !values[*i].is_nan();
            prop_assert_eq!(column.last_before(row), (0..row.min(values.len())).rev().find(there));
            prop_assert_eq!(column.first_from(row), (row..values.len()).find(there));
        }
    }

    #[test]
    fn an_id_stands_for_values() {
        let mut first = column(&[1.0, 2.0, 3.0]);
        let id = first.id();
        first.push(4.0);
        first.truncate(4);
        assert_eq!(first.id(), id, "nothing was taken back");
        first.truncate(3);
        let others = [first.id(), first.clone().id(), column(&[1.0]).id()];
        assert!(!others.contains(&id) && others[0] != others[1]);
    }

    #[test]
    fn one_point_among_a_million_is_found_in_every_range_that_has_it() {
        let mut values = vec![1.0; 1_000_000];
        values[765_432] = 9.0;
        let column = column(&values);
        let max = |range: Range<usize>| column.summary(range).map(|s| s.max);
        assert_eq!(max(0..1_000_000), Some(9.0));
        assert_eq!(
            (
                max(765_432..765_433),
                max(0..765_432),
                max(765_433..1_000_000)
            ),
            (Some(9.0), Some(1.0), Some(1.0))
        );
    }
}
