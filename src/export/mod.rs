//! Tables to text: one file a format, each a function from tables to text, and one for effects. What the numbers mean was settled
//! before; here they get digits and separators.

mod csv;
mod effects;
mod json;
mod markdown;
mod number;
mod text;

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::analysis::{Cell, Mark, Table, Test};
pub use effects::write_effects;
use number::Scale;
pub use text::align;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal.
    #[default]
    Text,
    Markdown,
    Csv,
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" => Ok(Self::Text),
            "md" => Ok(Self::Markdown),
            "csv" => Ok(Self::Csv),
            "json" => Ok(Self::Json),
            _ => Err("expected text, md, csv or json".into()),
        }
    }
}

pub fn write(tables: &[Table], format: Format) -> anyhow::Result<String> {
    match format {
        Format::Text => Ok(text::write(tables)),
        Format::Markdown => Ok(markdown::write(tables)),
        Format::Csv => csv::write(tables),
        Format::Json => json::write(tables),
    }
}

/// A cell of `table` as people read it.
pub fn cell(table: &Table, cell: &Cell) -> String {
    show(cell, Scale::of(&table.metric))
}

/// A value of `metric` by itself, as people read it.
pub fn number(metric: &str, value: f64) -> String {
    Scale::of(metric).estimate(value, None)
}

/// A cell for people: `52.3 ± 1.2`, `51.0 (1/3, 2 diverged)`, `missing (0/3)`,
/// `none (0/3, 3 failed)`, `excluded`.
fn show(cell: &Cell, scale: Scale) -> String {
    if cell.expected == 0 {
        return "excluded".into();
    }
    let mean = match scale.show(cell) {
        Some(mean) => mean,
        None if cell.missing > 0 => "missing".into(),
        None => "none".into(),
    };
    let lost = [(cell.diverged, "diverged"), (cell.failed, "failed")];
    let lost: String = lost
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, how)| format!(", {n} {how}"))
        .collect();
    let partial = if cell.is_partial() {
        format!(" ({}/{}{lost})", cell.n, cell.expected)
    } else {
        String::new()
    };
    // Never part of the mean: a number in brackets is somebody else's.
    let reported = cell.reported.as_ref();
    let reported = reported.map_or_else(String::new, |reported| {
        format!(" [{}]", scale.estimate(reported.value, None))
    });
    mean + &partial + &reported
}

/// Where the numbers in brackets come from, if there are some.
pub fn sources(table: &Table) -> Option<String> {
    let reported = table
        .cells
        .iter()
        .flatten()
        .filter_map(|cell| cell.reported.as_ref());
    let sources: BTreeSet<String> = reported
        .map(|reported| format!("{}: {}", reported.source, reported.what))
        .collect();
    let sources: Vec<String> = sources.into_iter().collect();
    (!sources.is_empty()).then(|| format!("[reported] {}", sources.join("; ")))
}

/// The mark behind a cell for people: ` =`, or ` ?` where the best one could be tested and the cell could not.
fn sign(table: &Table, cell: &Cell) -> &'static str {
    match cell.mark {
        Mark::Tied => " =",
        Mark::Untested if is_tested(table) => " ?",
        Mark::Best | Mark::Worse | Mark::Untested | Mark::None => "",
    }
}

/// Whether the best cell of `table` has the two seeds that a test takes.
fn is_tested(table: &Table) -> bool {
    let mut cells = table.cells.iter().flatten();
    cells.any(|cell| cell.mark == Mark::Best && cell.samples.len() > 1)
}

/// What the marks mean, where there are some; `best` is how the best cell is marked.
fn marks(table: &Table, best: &str) -> Option<String> {
    let cells = || table.cells.iter().flatten();
    let has = |mark| cells().any(|cell| cell.mark == mark);
    let uses = |test| cells().any(|cell| cell.against_best.is_some_and(|c| c.test == test));
    let test = match (uses(Test::Paired), uses(Test::Welch)) {
        (true, false) => "paired t over seeds",
        (false, true) => "Welch's t",
        (true, true) => "paired t over seeds where two are shared, else Welch's t",
        (false, false) => "",
    };
    let mut words = vec![best.to_owned()];
    if !is_tested(table) {
        words.push("one seed is no test".into());
    } else if !test.is_empty() {
        words.push(format!(
            "= not distinguishable from the best ({test}, Holm, 5 %)"
        ));
    }
    if is_tested(table) && has(Mark::Untested) {
        words.push("? too few seeds to test".into());
    }
    has(Mark::Best).then(|| words.join("; "))
}

/// What the numbers are and over how many seeds.
fn legend(table: &Table) -> String {
    let what = match table.seeds() {
        0 | 1 => "one seed, so no interval".to_owned(),
        n => format!("mean ± half-width of the 95 % interval over n = {n} seeds"),
    };
    let partial = table
        .cells
        .iter()
        .flatten()
        .any(|cell| cell.expected > 0 && cell.is_partial());
    let sources = sources(table).map_or_else(String::new, |sources| format!("; {sources}"));
    format!(
        "{}{}: {what}{}{sources}",
        table.metric,
        Scale::of(&table.metric).unit(),
        if partial {
            "; (n/expected) where runs are missing"
        } else {
            ""
        }
    )
}

/// `optim.lr = 0.001`: what holds for the whole table.
fn heading(table: &Table) -> String {
    let given: Vec<String> = table
        .given
        .iter()
        .map(|(axis, label)| format!("{axis} = {label}"))
        .collect();
    if given.is_empty() {
        table.title.clone()
    } else {
        format!("{} ({})", table.title, given.join("; "))
    }
}

/// The table's corner: `train.batch_size / loss.kind`.
fn corner(table: &Table) -> String {
    if table.column_axis.is_empty() {
        table.row_axis.clone()
    } else {
        format!("{} / {}", table.row_axis, table.column_axis)
    }
}

/// A table with every mark and every gap.
#[cfg(test)]
fn example() -> Table {
    use crate::analysis::{Comparison, Sample};

    let cell = |mean: Option<f64>, half_width, n: u32, diverged| Cell {
        mean,
        half_width,
        n,
        expected: 3,
        missing: 3 - n - diverged,
        diverged,
        samples: (0..u64::from(n))
            .zip(mean.into_iter().cycle())
            .map(|(seed, value)| Sample { seed, value })
            .collect(),
        ..Cell::default()
    };
    let against = |mark, adjusted, cell| Cell {
        mark,
        against_best: Some(Comparison {
            test: Test::Paired,
            difference: -0.01,
            p: adjusted / 2.0,
            adjusted,
        }),
        ..cell
    };
    let marked = |mark, cell| Cell { mark, ..cell };
    Table {
        title: "Zero-shot | top-1".into(),
        metric: "zeroshot/top1".into(),
        given: vec![("optim.lr".into(), "0.001".into())],
        row_axis: "train.batch_size".into(),
        column_axis: "loss.kind".into(),
        rows: vec!["64".into(), "128".into(), "=1+2".into()],
        columns: vec!["sigmoid".into(), "softmax".into()],
        cells: vec![
            vec![
                marked(Mark::Best, cell(Some(0.52341), Some(0.012), 3, 0)),
                marked(Mark::Untested, cell(Some(0.5), None, 1, 2)),
            ],
            vec![
                against(Mark::Tied, 0.25, cell(Some(0.518), Some(0.02), 3, 0)),
                against(Mark::Worse, 0.004, cell(Some(0.402), Some(0.015), 3, 0)),
            ],
            vec![cell(None, None, 0, 0), Cell::default()],
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reported_number_stands_in_brackets_with_its_source_below() {
        let mut table = example();
        table.cells[0][0].reported = Some(crate::analysis::Reported {
            value: 0.63,
            source: "SigLIP, table 4".into(),
            what: "ImageNet".into(),
        });
        assert_eq!(cell(&table, &table.cells[0][0]), "52.3 ± 1.2 [63.0]");
        assert!(legend(&table).ends_with("; [reported] SigLIP, table 4: ImageNet"));
    }

    #[test]
    fn runs_that_ended_without_a_result_are_not_called_missing() {
        let cell = Cell {
            expected: 2,
            diverged: 1,
            failed: 1,
            ..Cell::default()
        };
        assert_eq!(
            show(&cell, Scale::Plain),
            "none (0/2, 1 diverged, 1 failed)"
        );
    }

    #[test]
    fn marks_are_explained_as_far_as_there_are_any() {
        let mut table = example();
        let of = |table: &Table| marks(table, "* best");
        for cell in table.cells.iter_mut().flatten() {
            cell.samples.truncate(1);
            cell.against_best = None;
        }
        assert_eq!(of(&table).unwrap(), "* best; one seed is no test");
        table.cells[0][0].mark = Mark::None;
        assert_eq!(of(&table), None);
        let mut welch = example();
        for comparison in welch
            .cells
            .iter_mut()
            .flatten()
            .flat_map(|c| &mut c.against_best)
        {
            comparison.test = Test::Welch;
        }
        assert_eq!(
            of(&welch).unwrap(),
            "* best; = not distinguishable from the best (Welch's t, Holm, 5 %); ? too few seeds to test"
        );
    }
}
