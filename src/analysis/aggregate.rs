//! Observations to means over seeds, by way of polars. What was not measured is counted beside the mean, by reason,
//! and never becomes a part of it.

use std::collections::BTreeMap;

use polars::prelude::*;

use super::answer::Answer;

/// Where a cell of the grid is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub table: usize,
    pub row: usize,
    pub column: usize,
}

impl Place {
    /// Of a table, before all others of it.
    pub fn first(table: usize) -> Self {
        Self {
            table,
            row: 0,
            column: 0,
        }
    }
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
    let index = |name: &str, of: fn(&Place) -> usize| {
        let each = observations.iter();
        let places: Vec<u64> = each.map(|(place, _)| of(place) as u64).collect();
        Column::new(name.into(), places)
    };
    let is = |name: &str, of: fn(&Answer) -> bool| {
        let each = observations.iter();
        Column::new(
            name.into(),
            each.map(|(_, answer)| u32::from(of(answer)))
                .collect::<Vec<u32>>(),
        )
    };
    let values = observations.iter().map(|(_, answer)| answer.value());
    let values: Vec<Option<f64>> = values.collect();
    let frame = DataFrame::new(
        observations.len(),
        vec![
            index("table", |place| place.table),
            index("row", |place| place.row),
            index("column", |place| place.column),
            Column::new("value".into(), values),
            is("missing", |answer| *answer == Answer::Missing),
            is("diverged", |answer| *answer == Answer::Diverged),
            is("failed", |answer| *answer == Answer::Failed),
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
    let index = |name: &str, row: usize| {
        PolarsResult::Ok(groups.column(name)?.u64()?.get(row).unwrap_or(0) as usize)
    };
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
        let place = Place {
            table: index("table", row)?,
            row: index("row", row)?,
            column: index("column", row)?,
        };
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
    use super::super::answer::Reading;
    use super::*;

    fn measured(value: f64) -> Answer {
        Answer::Measured(Reading {
            value,
            step: 1,
            evaluated: true,
            spent: None,
            trials: None,
        })
    }

    #[test]
    fn means_are_over_what_was_measured_and_the_rest_is_counted() {
        let at = |table, row, column| Place { table, row, column };
        let (a, b, c) = (at(0, 0, 0), at(0, 0, 1), at(1, 2, 3));
        let found = summarise(&[
            (a, measured(1.0)),
            (b, measured(5.0)),
            (a, Answer::Diverged),
            (a, measured(3.0)),
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
