//! From values to dots: the dot columns of an x-axis by their edges, and the dot rows of a y-axis. Both only ever round
//! one way, so that a larger value never lands below a smaller one.

pub use crate::export::ticks::Scale;

/// The dot columns of a view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    scale: Scale,
    /// Column `c` holds the x with `edges[c] <= x < edges[c + 1]`; the last one also holds the end of the view.
    edges: Vec<f64>,
}

impl Columns {
    pub fn new(x: (f64, f64), scale: Scale, count: usize) -> Self {
        let (from, to) = (scale.place(x.0), scale.place(x.1));
        let mut edges: Vec<f64> = (0..=count)
            .map(|c| scale.value(from + (to - from) * (c as f64 / count.max(1) as f64)))
            .collect();
        edges[0] = x.0;
        // Rounding must not push an edge past the end, nor the end out of the last column.
        edges
            .iter_mut()
            .for_each(|edge| *edge = edge.clamp(x.0, x.1));
        edges[count] = x.1.next_up();
        Self { scale, edges }
    }

    pub fn len(&self) -> usize {
        self.edges.len().saturating_sub(1)
    }

    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The column that holds `x`.
    pub fn column(&self, x: f64) -> Option<usize> {
        let after = self.edges.partition_point(|edge| *edge <= x);
        (after > 0 && after < self.edges.len()).then(|| after - 1)
    }

    /// The column that holds `x`, counted on beyond both ends of the view; none where the axis has no place for it.
    pub fn reaching(&self, x: f64) -> Option<i64> {
        if let Some(column) = self.column(x) {
            return Some(column as i64);
        }
        let (from, to) = (self.edges.first()?, self.edges.last()?);
        let place = |x| self.scale.place(x);
        let share = (place(x) - place(*from)) / (place(*to) - place(*from));
        // A line so steep that it matters would leave the view within its first column anyway.
        let column = (share * self.len() as f64).floor().clamp(-1e12, 1e12);
        match x < *from {
            _ if column.is_nan() || !place(x).is_finite() => None,
            true => Some((column as i64).min(-1)),
            false => Some((column as i64).max(self.len() as i64)),
        }
    }

    /// The x in the middle of a column.
    pub fn middle(&self, column: usize) -> f64 {
        let ends = (self.edges[column], self.edges[column + 1]);
        let middle = self
            .scale
            .value(self.scale.place(ends.0) / 2.0 + self.scale.place(ends.1) / 2.0);
        middle.clamp(ends.0, ends.1)
    }
}

/// The dot rows of a range of values, counted from the top.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rows {
    pub scale: Scale,
    pub low: f64,
    pub high: f64,
    pub count: i32,
    /// Half the place of `low`, and rows for each half of a place: halves, so that no difference overflows.
    from: f64,
    steep: f64,
}

impl Rows {
    /// `low < high`, both above zero on a logarithmic scale; at least one row.
    pub fn new(low: f64, high: f64, scale: Scale, count: i32) -> Self {
        let (from, to) = (scale.place(low) / 2.0, scale.place(high) / 2.0);
        Self {
            scale,
            low,
            high,
            count,
            from,
            steep: f64::from(count - 1) / (to - from),
        }
    }

    /// The row of a value: 0 at `high`, `count - 1` at `low`, and on beyond both. Without a place on a logarithmic
    /// scale, a value lies in the lowest row.
    pub fn row(&self, value: f64) -> i32 {
        if self.scale == Scale::Log && value <= 0.0 {
            return self.count - 1;
        }
        let above = (self.scale.place(value) / 2.0 - self.from) * self.steep;
        // Half of what `round` can tell, so that it can tell the rise from one such row to another.
        self.count - 1 - round(above.clamp(-5e5, 5e5))
    }
}

/// The nearest whole number, halves up, within a million of zero. Above zero a cast rounds down and is one instruction,
/// where `floor` is a call.
pub fn round(x: f64) -> i32 {
    const ABOVE: i32 = 1 << 20;
    (x.clamp(-1e6, 1e6) + (f64::from(ABOVE) + 0.5)) as i32 - ABOVE
}

/// Room around the extremes, so that no line runs along the frame: 4 % above and below, of the range as it is drawn.
/// A range of one value gets room to stand in.
pub fn padded(low: f64, high: f64, scale: Scale) -> (f64, f64) {
    let (low, high) = match scale {
        Scale::Linear => (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300)),
        Scale::Log => (low.clamp(1e-300, 1e300), high.clamp(1e-300, 1e300)),
    };
    let (from, to) = (scale.place(low), scale.place(high));
    let smallest = (from.abs().max(to.abs()) * 1e-9).max(1e-200);
    let room = if to - from > smallest {
        0.04 * (to - from)
    } else {
        match scale {
            Scale::Linear if low.abs() < 1e-200 => 1.0,
            Scale::Linear => 0.1 * low.abs(),
            Scale::Log => 0.1,
        }
    };
    // What is never negative is not drawn over negative numbers.
    let bottom = match scale {
        Scale::Linear if low >= 0.0 => (low - room).max(0.0),
        _ => scale.value(from - room),
    };
    let top = scale.value(to + room);
    match scale {
        Scale::Linear => (bottom, top),
        Scale::Log => (bottom.max(f64::MIN_POSITIVE), top.min(f64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against the formula of the axis, away from the edges themselves.
        #[test]
        fn columns_cut_the_view_evenly(
            from in -1e6..1e6f64, length in 1e-3..1e6f64, count in 1..300usize, share in 0.0..1.0f64,
        ) {
            let columns = Columns::new((from, from + length), Scale::Linear, count);
            let at = share * count as f64;
            prop_assume!((at - at.round()).abs() > 1e-3);
            prop_assert_eq!(columns.column(from + share * length), Some(at as usize));
            prop_assert_eq!(columns.reaching(from + (share + 2.0) * length), Some((at + 2.0 * count as f64) as i64));
            prop_assert_eq!(columns.column(columns.middle(at as usize)), Some(at as usize));
            let logarithmic = Columns::new((1.0, 10.0), Scale::Log, count);
            prop_assert_eq!(logarithmic.column(10f64.powf(share)), Some(at as usize));
        }

        #[test]
        fn a_larger_value_is_never_drawn_lower(
            a in -1e3..1e3f64, b in -1e3..1e3f64, low in -1e3..1e3f64, length in 1e-6..1e3f64, count in 1..80i32,
        ) {
            let rows = Rows::new(low, low + length, Scale::Linear, count);
            prop_assert!(rows.row(a.max(b)) <= rows.row(a.min(b)));
            prop_assert_eq!((rows.row(low), rows.row(low + length)), (count - 1, 0));
            let rows = Rows::new(length, length * 10.0, Scale::Log, count);
            prop_assert!(rows.row(a.abs().max(b.abs())) <= rows.row(a.abs().min(b.abs())));
            prop_assert_eq!((rows.row(length), rows.row(length * 10.0)), (count - 1, 0));
        }

        #[test]
        fn padding_leaves_a_range_that_can_be_drawn(low in any::<f64>(), length in prop::num::f64::POSITIVE) {
            prop_assume!(low.is_finite());
            for (low, scale) in [(low, Scale::Linear), (low.abs().max(1e-300), Scale::Log)] {
                let (bottom, top) = padded(low, low + length.min(1e300), scale);
                prop_assert!(bottom < top && (top - bottom).is_finite(), "{bottom} {top}");
            }
        }
    }

    #[test]
    fn both_ends_of_a_view_are_in_it() {
        let columns = Columns::new((3.0, 7.0), Scale::Linear, 8);
        assert_eq!(
            (columns.column(3.0), columns.column(7.0)),
            (Some(0), Some(7))
        );
        assert_eq!((columns.column(2.9), columns.column(7.1)), (None, None));
        assert_eq!(
            (columns.reaching(2.9), columns.reaching(7.1)),
            (Some(-1), Some(8))
        );
        assert_eq!(Columns::new((1.0, 10.0), Scale::Log, 4).reaching(0.0), None);
    }
}
