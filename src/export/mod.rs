//! Tables to text: one file a format, each a function from tables to text. What the numbers mean was settled
//! before; here they get digits and separators.

mod csv;
mod json;
mod markdown;
mod number;
mod text;

use std::str::FromStr;

use crate::analysis::{Cell, Table};
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
    mean + &partial
}

/// What the numbers are and over how many seeds.
fn legend(table: &Table) -> String {
    let seeds = table
        .cells
        .iter()
        .flatten()
        .map(|cell| cell.expected)
        .max()
        .unwrap_or(0);
    let what = match seeds {
        0 | 1 => "one seed, so no interval".to_owned(),
        n => format!("mean ± half-width of the 95 % interval over n = {n} seeds"),
    };
    let partial = table
        .cells
        .iter()
        .flatten()
        .any(|cell| cell.expected > 0 && cell.is_partial());
    format!(
        "{}{}: {what}{}",
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

#[cfg(test)]
fn example() -> Table {
    let cell = |mean: Option<f64>, half_width, n, diverged| Cell {
        mean,
        half_width,
        n,
        expected: 3,
        missing: 3 - n - diverged,
        diverged,
        failed: 0,
    };
    Table {
        title: "Zero-shot | top-1".into(),
        metric: "zeroshot/top1".into(),
        given: vec![("optim.lr".into(), "0.001".into())],
        row_axis: "train.batch_size".into(),
        column_axis: "loss.kind".into(),
        rows: vec!["64".into(), "=1+2".into()],
        columns: vec!["sigmoid".into(), "softmax".into()],
        cells: vec![
            vec![
                cell(Some(0.52341), Some(0.012), 3, 0),
                cell(Some(0.5), None, 1, 2),
            ],
            vec![cell(None, None, 0, 0), Cell::default()],
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
