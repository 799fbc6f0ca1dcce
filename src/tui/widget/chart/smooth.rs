//! A metric smoothed over its rows, kept up as rows come: a column of its own, so that it is drawn like any other.

use crate::store::Column;

/// The exponential moving average with the bias of its start taken out, as TensorBoard draws it. Over the rows that
/// have a value, with weight w:
///
/// ```text
/// e₀ = 0,   eₙ = w · eₙ₋₁ + (1 − w) · xₙ,   smoothedₙ = eₙ / (1 − wⁿ)
/// ```
#[derive(Clone, Debug)]
pub struct Smooth {
    weight: f64,
    /// eₙ.
    average: f64,
    /// wⁿ.
    bias: f64,
    column: Column,
}

impl Smooth {
    /// `weight` from 0, which changes nothing, to just below 1.
    pub fn new(weight: f64) -> Self {
        Self {
            weight: weight.clamp(0.0, 0.999_999),
            average: 0.0,
            bias: 1.0,
            column: Column::default(),
        }
    }

    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The smoothed rows; absent where the source is.
    pub fn column(&self) -> &Column {
        &self.column
    }

    /// Take in the rows of `source` that came since.
    pub fn extend(&mut self, source: &Column) {
        for &value in source.values().get(self.column.len()..).unwrap_or_default() {
            if value.is_nan() {
                self.column.push(f64::NAN);
                continue;
            }
            self.average = self.weight * self.average + (1.0 - self.weight) * value;
            self.bias *= self.weight;
            self.column.push(self.average / (1.0 - self.bias));
        }
    }

    /// Forget the rows from `rows` on: the run was rewound.
    pub fn truncate(&mut self, rows: usize) {
        let rows = rows.min(self.column.len());
        self.column.truncate(rows);
        let left = self.column.summary(0..rows);
        self.bias = self
            .weight
            .powf(left.map_or(0.0, |left| f64::from(left.count)));
        self.average = left.map_or(0.0, |left| left.last * (1.0 - self.bias));
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

    /// Against pandas 3.1.1, whose `adjust=True` is the same weighted mean (it repeats the last where a value is absent):
    /// `pd.Series([3, 1, nan, 4, 1, 5]).ewm(alpha=0.1, adjust=True, ignore_na=True).mean()`
    #[test]
    fn the_average_is_that_of_pandas() {
        let mut smooth = Smooth::new(0.9);
        smooth.extend(&column(&[3.0, 1.0, f64::NAN, 4.0, 1.0, 5.0]));
        let expected = [
            3.0,
            1.9473684210526319,
            f64::NAN,
            2.7047970479704797,
            2.209072404768828,
            2.8906009621254665,
        ];
        for (found, expected) in smooth.column().values().iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-12 || found.is_nan() && expected.is_nan(),
                "{found} {expected}"
            );
        }
    }

    proptest! {
        #[test]
        fn rows_that_come_one_by_one_and_are_taken_back_are_smoothed_as_all_at_once(
            values in prop::collection::vec(prop_oneof![4 => -9.0..9.0f64, 1 => Just(f64::NAN)], 0..200),
            (weight, cut) in (0.0..0.99f64, 0..200usize),
        ) {
            let mut whole = Smooth::new(weight);
            whole.extend(&column(&values));
            let mut parts = Smooth::new(weight);
            (0..=values.len()).for_each(|rows| parts.extend(&column(&values[..rows])));
            prop_assert_eq!(format!("{:?}", parts.column().values()), format!("{:?}", whole.column().values()));
            parts.truncate(cut);
            parts.extend(&column(&values));
            for (a, b) in parts.column().values().iter().zip(whole.column().values()) {
                prop_assert!((a - b).abs() < 1e-9 || a.is_nan() && b.is_nan(), "{} {}", a, b);
            }
        }
    }
}
