//! Observations to means over seeds, by way of polars. What was not measured is counted beside the mean, by reason,
//! and never becomes a part of it.

use std::collections::BTreeMap;

use polars::prelude::*;

/// Table, row and column that an observation belongs to.
pub type Place = (u32, u32, u32);

/// One run's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Measured(f64),
    /// Not done yet, or done without this metric.
    Missing,
    Diverged,
    Failed,
}

/// The answers of one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Runs that were measured.
    pub n: u32,
    pub mean: Option<f64>,
    /// Of the sample; none below two.
    pub sd: Option<f64>,
    /// Runs that were asked for.
    pub expected: u32,
    pub missing: u32,
    pub diverged: u32,
    pub failed: u32,
}

pub fn summarise(observations: &[(Place, Answer)]) -> PolarsResult<BTreeMap<Place, Summary>> {
    let index = |name: &str, of: fn(&Place) -> u32| {
        Column::new(
            name.into(),
            observations
                .iter()
                .map(|(place, _)| of(place))
                .collect::<Vec<u32>>(),
        )
    };
    let is = |name: &str, answer: Answer| {
        Column::new(
            name.into(),
            observations
                .iter()
                .map(|(_, a)| u32::from(*a == answer))
                .collect::<Vec<u32>>(),
        )
    };
    let values: Vec<Option<f64>> = observations
        .iter()
        .map(|(_, answer)| {
            if let Answer::Measured(x) = answer {
                Some(*x)
            } else {
                None
            }
        })
        .collect();
    let frame = DataFrame::new(
        observations.len(),
        vec![
            index("table", |place| place.0),
            index("row", |place| place.1),
            index("column", |place| place.2),
            Column::new("value".into(), values),
            is("missing", Answer::Missing),
            is("diverged", Answer::Diverged),
            is("failed", Answer::Failed),
        ],
    )?;
    let groups = frame
        .lazy()
        .group_by([col("table"), col("row"), col("column")])
        .agg([
            col("value").count().alias("n").cast(DataType::UInt32),
            col("value").mean().alias("mean"),
            col("value").std(1).alias("sd"),
            len().alias("expected").cast(DataType::UInt32),
            col("missing").sum(),
            col("diverged").sum(),
            col("failed").sum(),
        ])
        .collect()?;
    let whole = |name: &str, row: usize| {
        PolarsResult::Ok(groups.column(name)?.u32()?.get(row).unwrap_or(0))
    };
    let real = |name: &str, row: usize| {
        PolarsResult::Ok(
            groups
                .column(name)?
                .f64()?
                .get(row)
                .filter(|x| x.is_finite()),
        )
    };
    let summary = |row| {
        let place = (
            whole("table", row)?,
            whole("row", row)?,
            whole("column", row)?,
        );
        let summary = Summary {
            n: whole("n", row)?,
            mean: real("mean", row)?,
            sd: real("sd", row)?,
            expected: whole("expected", row)?,
            missing: whole("missing", row)?,
            diverged: whole("diverged", row)?,
            failed: whole("failed", row)?,
        };
        Ok((place, summary))
    };
    (0..groups.height()).map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_what_was_measured_and_the_rest_is_counted() {
        let (a, b, c) = ((0, 0, 0), (0, 0, 1), (1, 2, 3));
        let found = summarise(&[
            (a, Answer::Measured(1.0)),
            (b, Answer::Measured(5.0)),
            (a, Answer::Diverged),
            (a, Answer::Measured(3.0)),
            (a, Answer::Missing),
            (c, Answer::Failed),
        ])
        .unwrap();
        assert_eq!(
            found[&a],
            Summary {
                n: 2,
                mean: Some(2.0),
                sd: Some(2.0_f64.sqrt()),
                expected: 4,
                missing: 1,
                diverged: 1,
                failed: 0
            }
        );
        assert_eq!(
            found[&b],
            Summary {
                n: 1,
                mean: Some(5.0),
                sd: None,
                expected: 1,
                missing: 0,
                diverged: 0,
                failed: 0
            }
        );
        assert_eq!(
            found[&c],
            Summary {
                n: 0,
                mean: None,
                sd: None,
                expected: 1,
                missing: 0,
                diverged: 0,
                failed: 1
            }
        );
    }

    #[test]
    fn nothing_observed_is_no_group() {
        assert!(summarise(&[]).unwrap().is_empty());
    }
}
