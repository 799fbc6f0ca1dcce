//! Answers to bytes: one file a format, each a function from tables to text or bytes, and one for effects; figures to
//! pictures; and what runs measured in full, for other programs. What the numbers mean was settled before; here they get
//! digits, separators and places.

mod cells;
mod csv;
mod diff;
mod effects;
mod findings;
mod frame;
mod html;
mod json;
mod latex;
mod legend;
mod markdown;
mod number;
mod parquet;
pub mod plot;
mod runs;
pub mod tensorboard;
mod text;
pub mod ticks;
mod verdicts;
mod words;

use std::collections::BTreeSet;
use std::path::Path;
use std::str::FromStr;

use crate::analysis::{Cell, Effects, Interval, Sheet, Table};
pub use csv::CsvFile;
pub use diff::{DiffLine, diff_sections, diff_text, diff_verdict};
pub use effects::text as effects_text;
pub use findings::{Picture, Section, write_findings};
pub use frame::Frame;
use legend::interval;
pub use legend::{evaluation, intervals, moment, sources};
use number::Scale;
pub use parquet::ParquetFile;
pub use runs::{Columns, MetricError, Named};
pub use text::align;
pub use verdicts::verdict_lines;
pub use words::comparison;
use words::show;

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Aligned columns for a terminal.
    #[default]
    Text,
    Markdown,
    Latex,
    Html,
    Csv,
    Json,
    Parquet,
}

impl Format {
    pub const ALL: [Self; 7] = [
        Self::Text,
        Self::Markdown,
        Self::Latex,
        Self::Html,
        Self::Csv,
        Self::Json,
        Self::Parquet,
    ];

    /// As the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "md",
            Self::Latex => "tex",
            Self::Html => "html",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Parquet => "parquet",
        }
    }

    pub fn purpose(self) -> &'static str {
        match self {
            Self::Text => "aligned columns",
            Self::Markdown => "for a page on GitHub or in a notebook",
            Self::Latex => "for a paper: a float with booktabs' rules",
            Self::Html => "for a browser: one file by itself",
            Self::Csv => "for a spreadsheet or pandas: every digit, one row a cell",
            Self::Json => "for a script: every digit, values by seed",
            Self::Parquet => "for pandas or polars: as csv, with types",
        }
    }

    /// How the name of a file ends.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            other => other.name(),
        }
    }

    /// The format of files with such a name.
    pub fn of_path(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        let of = |format: &Self| format.ending() == ending;
        Self::ALL.into_iter().find(of).or(match ending {
            "htm" => Some(Self::Html),
            "markdown" => Some(Self::Markdown),
            _ => None,
        })
    }

    /// Whether people can read it.
    pub fn is_text(self) -> bool {
        self != Self::Parquet
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|format| format.name() == name);
        named.ok_or_else(|| format!("expected one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}

/// Two kinds of answers in a format that has one set of columns.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "tables and effects have other columns, so one {0} file cannot hold both; --report N takes one report of the file, \
     counted from 1"
)]
pub struct Mixed(&'static str);

/// The answers as the content of a file.
///
/// # Errors
/// [`Mixed`] for tables and effects together in CSV and Parquet.
pub fn write(sheets: &[Sheet], format: Format) -> anyhow::Result<Vec<u8>> {
    match format {
        Format::Text => Ok(text::write(sheets).into_bytes()),
        Format::Markdown => Ok(markdown::write(sheets).into_bytes()),
        Format::Latex => Ok(latex::write(sheets).into_bytes()),
        Format::Html => Ok(html::write(sheets).into_bytes()),
        Format::Csv => csv::bytes(&frame(sheets, format)?),
        Format::Json => json::write(sheets),
        Format::Parquet => parquet::bytes(&frame(sheets, format)?, &about(sheets)),
    }
}

/// The columns of answers of one kind.
fn frame(sheets: &[Sheet], format: Format) -> Result<Frame, Mixed> {
    let tables: Vec<&Table> = sheets.iter().filter_map(Sheet::table).collect();
    let effects: Vec<&Effects> = sheets.iter().filter_map(Sheet::effects).collect();
    match (tables.is_empty(), effects.is_empty()) {
        (false, false) => Err(Mixed(format.name())),
        (true, false) => Ok(effects::frame(&effects)),
        (_, true) => Ok(cells::frame(&tables)),
    }
}

/// What is shown as `shown`, such as 1.5 in percent, in the unit of `metric` itself.
pub fn in_own_unit(metric: &str, shown: f64) -> f64 {
    shown / Scale::of(metric).factor()
}

/// A value of `metric` as it is shown: 0.373 as 37.3 where it is a share.
pub fn value(metric: &str, value: f64) -> String {
    Scale::of(metric).alone(value)
}

/// What answers are from, for a file that says so once.
fn about(sheets: &[Sheet]) -> Vec<(&'static str, String)> {
    let mut runs: BTreeSet<&str> = BTreeSet::new();
    for sheet in sheets {
        match sheet {
            Sheet::Table(table) => {
                let samples = table.cells.iter().flatten().flat_map(|cell| &cell.samples);
                runs.extend(samples.map(|sample| sample.run.as_str()));
            }
            Sheet::Effects(effects) => runs.extend(effects.runs.iter().map(String::as_str)),
        }
    }
    let (experiment, by) = match sheets.first() {
        Some(Sheet::Table(table)) => (table.experiment.as_str(), table.interval),
        Some(Sheet::Effects(effects)) => (effects.experiment.as_str(), effects.interval),
        None => ("", Interval::default()),
    };
    origin_of(experiment, by, runs)
}

/// Experiment, runs, how many they are, what the intervals are, and by which version.
fn origin_of<'r>(
    experiment: &str,
    by: Interval,
    runs: impl IntoIterator<Item = &'r str>,
) -> Vec<(&'static str, String)> {
    let runs: Vec<&str> = runs.into_iter().collect();
    vec![
        ("siglab", VERSION.to_owned()),
        ("experiment", experiment.to_owned()),
        ("interval", interval(by)),
        ("n", runs.len().to_string()),
        ("runs", runs.join(" ")),
    ]
}

/// A cell of `table` as people read it.
pub fn cell(table: &Table, cell: &Cell) -> String {
    show(cell, Scale::of(&table.metric))
}

/// A value of `metric` by itself, as people read it.
pub fn number(metric: &str, value: f64) -> String {
    Scale::of(metric).alone(value)
}

/// A table with every mark and every gap.
#[cfg(test)]
fn example() -> Table {
    use crate::analysis::{Asked, Comparison, Interval, Mark, Sample, Test};

    let cell = |mean: Option<f64>, half_width: Option<f64>, n: u32, diverged| Cell {
        mean,
        sd: half_width.map(|half| half / 2.0),
        interval: mean
            .zip(half_width)
            .map(|(mean, half)| [mean - half, mean + half]),
        half_width,
        n,
        expected: 3,
        missing: 3 - n - diverged,
        diverged,
        samples: (0..u64::from(n))
            .zip(mean.into_iter().cycle())
            .map(|(seed, value)| Sample {
                seed,
                value,
                step: 100,
                run: format!("{seed:010x}"),
            })
            .collect(),
        ..Cell::default()
    };
    let against = |mark, adjusted, cell| Cell {
        mark,
        comparison: Some(Comparison {
            test: Test::Paired,
            difference: -0.01,
            half_width: 0.015,
            pairs: Some(3),
            sd: Some(0.006),
            p: adjusted / 2.0,
            adjusted,
        }),
        ..cell
    };
    let marked = |mark, cell| Cell { mark, ..cell };
    Table {
        experiment: "experiments/example.toml".into(),
        title: "Zero-shot | top-1".into(),
        metric: "zeroshot/top1".into(),
        asked: Asked::default(),
        interval: Interval::T,
        against: None,
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
        resolution: None,
    }
}
