//! Columns of a table for programs, as CSV and Parquet take them alike: typed, named, with gaps. It is a part of a table
//! where the whole would be too long; it does not know what its columns mean.

use std::sync::Arc;

/// A column's values; none where there is nothing, and nothing that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Text(Vec<Option<Arc<str>>>),
    Whole(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Truth(Vec<Option<bool>>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Whole(values) => values.len(),
            Self::Real(values) => values.len(),
            Self::Truth(values) => values.len(),
        }
    }

    /// Words; none of them are a gap.
    pub fn words(words: impl IntoIterator<Item = String>) -> Self {
        let there = |word: String| (!word.is_empty()).then(|| word.into());
        Self::Text(words.into_iter().map(there).collect())
    }

    /// Counts; one that no signed number holds is a gap.
    pub fn counts(counts: impl IntoIterator<Item = u64>) -> Self {
        let counts = counts.into_iter();
        Self::Whole(counts.map(|count| i64::try_from(count).ok()).collect())
    }

    pub fn reals(values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let values = values.into_iter();
        Self::Real(values.map(|x| x.filter(|x| x.is_finite())).collect())
    }
}

/// Columns of one length, by name. Every part of one table has the same names and types.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Frame {
    pub columns: Vec<(String, Values)>,
}

impl Frame {
    pub fn push(&mut self, name: impl Into<String>, values: Values) {
        self.columns.push((name.into(), values));
    }

    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }
}
