//! The last so many values of a curve, and what is normal by them: a level that follows a falling curve closely, and a
//! scale that a fall does not widen.

use std::collections::VecDeque;

/// Median absolute deviation to standard deviation, for normal noise.
const NORMAL: f64 = 1.4826;

/// Values with the row that each stands in, oldest first. The oldest leaves when the window is full.
#[derive(Clone, Debug)]
pub(super) struct Window {
    size: usize,
    values: VecDeque<(usize, f64)>,
    /// The newer half, by size.
    newer: Vec<f64>,
}

/// What the rows of a window say of the next one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    pub level: f64,
    pub scale: f64,
}

impl Window {
    /// Of at least four rows.
    pub(super) fn new(size: usize) -> Self {
        Self {
            size: size.max(4),
            values: VecDeque::new(),
            newer: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.size);
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.values.iter().map(|(row, _)| *row)
    }

    /// Take in a finite value, in O(log size) comparisons and at most half of the window's moves.
    pub(super) fn push(&mut self, row: usize, value: f64) {
        let half = self.size / 2;
        if self.newer.len() == half {
            let (_, leaves) = self.values[self.values.len() - half];
            replace(&mut self.newer, leaves, value);
        } else {
            let place = self.newer.partition_point(|x| *x < value);
            self.newer.insert(place, value);
        }
        if self.values.len() == self.size {
            self.values.pop_front();
        }
        self.values.push_back((row, value));
    }

    /// The level alone, at once; NaN of nothing.
    pub(super) fn level(&self) -> f64 {
        match (self.newer.len(), self.newer.len() / 2) {
            (0, _) => f64::NAN,
            (n, half) if n % 2 == 1 => self.newer[half],
            (_, half) => (self.newer[half - 1] + self.newer[half]) / 2.0,
        }
    }

    /// Level and scale, in O(size).
    pub(super) fn usual(&self, floor: f64) -> Option<Usual> {
        let values = self.values.iter().map(|(_, value)| *value).collect();
        Usual::of(values, self.size / 2, floor)
    }
}

impl Usual {
    /// Of `values`, oldest first. The level is the median of the last `half`. The scale is the median absolute deviation
    /// from the line through the medians of both halves, as a standard deviation, and at least `floor`.
    pub(super) fn of(mut values: Vec<f64>, half: usize, floor: f64) -> Option<Self> {
        let (older, newer) = values.split_at(values.len().saturating_sub(half));
        let level = median(&mut newer.to_vec())?;
        let slope = median(&mut older.to_vec())
            .map_or(0.0, |before| 2.0 * (level - before) / values.len() as f64);
        for (i, x) in (0..).zip(&mut values) {
            *x -= slope * f64::from(i);
        }
        let centre = median(&mut values)?;
        values.iter_mut().for_each(|x| *x = (*x - centre).abs());
        Some(Self {
            level,
            scale: (NORMAL * median(&mut values)?).max(floor),
        })
    }

    pub(super) fn score(self, value: f64) -> f64 {
        (value - self.level) / self.scale
    }
}

/// Put `new` in the place of `old`, which is there, and keep the order.
fn replace(sorted: &mut [f64], old: f64, new: f64) {
    let mut at = sorted.partition_point(|x| *x < old);
    while at + 1 < sorted.len() && sorted[at + 1] < new {
        sorted[at] = sorted[at + 1];
        at += 1;
    }
    while at > 0 && sorted[at - 1] > new {
        sorted[at] = sorted[at - 1];
        at -= 1;
    }
    sorted[at] = new;
}

/// The middle value, or the mean of the middle two; none of nothing. It changes the order.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    let odd = values.len() % 2 == 1;
    let half = values.len() / 2;
    let (below, &mut upper, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    if odd {
        return Some(upper);
    }
    let lower = below.iter().copied().fold(f64::MIN, f64::max);
    Some((lower + upper) / 2.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted_median(values: &[f64]) -> f64 {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let half = values.len() / 2;
        if values.len() % 2 == 1 {
            values[half]
        } else {
            (values[half - 1] + values[half]) / 2.0
        }
    }

    proptest! {
        /// Against sorting anew at each step; whole numbers bring ties.
        #[test]
        fn the_level_is_the_median_of_the_newer_half(
            values in prop::collection::vec((-20..20i32).prop_map(f64::from), 1..60),
            size in 4..12usize,
        ) {
            let mut window = Window::new(size);
            for (row, &value) in values.iter().enumerate() {
                window.push(row, value);
                let newer = &values[(row + 1).saturating_sub(size / 2)..=row];
                prop_assert_eq!(window.level(), sorted_median(newer));
                prop_assert_eq!(window.usual(0.0).unwrap().level, sorted_median(newer));
                let rows: Vec<usize> = window.rows().collect();
                prop_assert_eq!(rows, ((row + 1).saturating_sub(size)..=row).collect::<Vec<_>>());
            }
        }

        /// A slope changes the scale by nothing, which for noise alone is that of the noise.
        #[test]
        fn the_scale_is_that_of_the_noise_whatever_the_slope(slope in -1.0..1.0f64) {
            let noise = |i: i32| f64::from(i * 7 % 5 - 2);
            let curve = |slope: f64| (0..60).map(|i| noise(i) + slope * f64::from(i)).collect::<Vec<_>>();
            let scale = Usual::of(curve(slope), 30, 0.0).unwrap().scale;
            // Noise of -2, -1, 0, 1, 2 has a median absolute deviation of 1.
            prop_assert!((scale - NORMAL).abs() < 0.35, "{}", scale);
        }
    }
}
