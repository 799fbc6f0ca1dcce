//! `siglab table FILE`: the tables that an experiment's reports ask for, from what has been run so far.

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::{DONE, say};
use crate::analysis::{Sheet, UnknownMetric, effects, resolve, sheets, verdicts};
use crate::export::{Format, in_own_unit, verdict_lines, write};
use crate::spec::{Experiment, Grid, Report};
use crate::store::Store;
use crate::tui::quoted;
use crate::util::{as_word, write_atomic};

/// Show an experiment's results: mean over seeds, 95 % interval, and what is missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment file.
    pub file: PathBuf,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// text, md, tex, html, csv, json or parquet [default: by the ending of --output, and text without one].
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Write to this file, in place of one that is there; `-` is standard output.
    #[arg(short, long, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Show this report of the file alone, counted from 1; a figure as the table that it is drawn from.
    #[arg(long, value_name = "N")]
    pub report: Option<usize>,
    /// The measurement to show instead of the reports'.
    #[arg(long, value_name = "KEY")]
    pub metric: Option<String>,
    /// Show what each axis does to the metric over the whole grid, and what pairs of two-level axes do together.
    #[arg(long, conflicts_with_all = ["rows", "columns"])]
    pub effects: bool,
    /// A key of the axis to show as rows.
    #[arg(long, value_name = "AXIS")]
    pub rows: Option<String>,
    /// A key of the axis to show as columns.
    #[arg(long, value_name = "AXIS")]
    pub columns: Option<String>,
    /// Say for each comparison how many seeds would tell such a difference, in the unit that the table shows.
    #[arg(long, value_name = "DIFFERENCE", value_parser = positive, conflicts_with = "effects")]
    pub resolve: Option<f64>,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok();
    let number = number.filter(|x| *x > 0.0 && x.is_finite());
    number.ok_or_else(|| "expected a number above 0, such as 1.5".into())
}

impl Args {
    /// The reports of `file` as they are.
    pub fn of_file(file: PathBuf, set: Vec<(String, String)>) -> Self {
        Self {
            file,
            set,
            format: None,
            output: None,
            report: None,
            metric: None,
            effects: false,
            rows: None,
            columns: None,
            resolve: None,
        }
    }
}

/// A format that is not to be guessed, or not to be written where it would go.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// Bytes that no terminal is to get.
    #[error("{} is no text: name a file with -o FILE.{}", .0.name(), .0.ending())]
    Binary(Format),
    #[error(
        "no format has files such as {}: name one that ends in .{}, or the format with --format", .0.display(),
        Format::ALL.map(Format::ending).join(", .")
    )]
    Ending(PathBuf),
}

impl Args {
    fn path(&self) -> Option<&Path> {
        self.output.as_deref().filter(|path| *path != "-")
    }

    /// The format that is meant.
    fn format(&self) -> Result<Format, FormatError> {
        let by_ending = self.path().and_then(Format::of_path);
        let format = match (self.format.or(by_ending), self.path()) {
            (None, Some(path)) if path.extension().is_some() => {
                return Err(FormatError::Ending(path.to_owned()));
            }
            (format, _) => format.unwrap_or_default(),
        };
        match self.path().is_none() && !format.is_text() && stdout().is_terminal() {
            true => Err(FormatError::Binary(format)),
            false => Ok(format),
        }
    }

    /// Whether all that the file asks for goes to standard output.
    fn is_whole(&self) -> bool {
        let flags = [&self.metric, &self.rows, &self.columns];
        let turned =
            flags.iter().any(|flag| flag.is_some()) || self.effects || self.report.is_some();
        !turned && self.path().is_none()
    }

    /// Put what was made where it belongs.
    fn put(&self, bytes: &[u8], format: Format) -> anyhow::Result<()> {
        match self.path() {
            Some(path) => write_atomic(path, bytes)
                .with_context(|| format!("cannot write {}", path.display())),
            None if format.is_text() => Ok(say::print(str::from_utf8(bytes)?)?),
            None => Ok(say::put(bytes)?),
        }
    }
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let format = args.format()?;
    let experiment = Experiment::load(&args.file, &args.set)?;
    let reports = experiment.sheets_with(
        args.report,
        args.rows.as_deref(),
        args.columns.as_deref(),
        args.metric.as_deref(),
    )?;
    let grid = experiment.expand()?;
    grid.require_valid(&experiment)?;
    let store = Store::open(workspace)?;
    let mut shown = if args.effects {
        let on = |report| {
            let found = effects(&experiment, &grid, report, |spec| store.get(&spec.id))?;
            Ok(Sheet::Effects(found))
        };
        let found = once(&reports).into_iter().map(on);
        found.collect::<anyhow::Result<Vec<Sheet>>>()?
    } else {
        collect(&experiment, &grid, &reports, &store)?
    };
    if let Some(difference) = args.resolve {
        for sheet in &mut shown {
            if let Sheet::Table(table) = sheet {
                let difference = in_own_unit(&table.metric, difference);
                table.resolution = Some(resolve(table, difference));
            }
        }
    }
    args.put(&write(&shown, format)?, format)?;
    if args.is_whole() && format == Format::Text {
        print_verdicts(&experiment, &grid, &store)?;
    }
    if args.resolve.is_some() {
        say_how(&experiment, &shown, &args);
    }
    super::warn_of_changes(&grid, &store);
    Ok(DONE)
}

/// Say how to get to the seeds that all comparisons take.
fn say_how(experiment: &Experiment, sheets: &[Sheet], args: &Args) {
    let tables = sheets.iter().filter_map(|sheet| match sheet {
        Sheet::Table(table) => table.resolution.as_ref(),
        Sheet::Effects(_) => None,
    });
    let needed: Option<Vec<u32>> = tables
        .flat_map(|resolution| &resolution.cells)
        .map(|cell| cell.seeds)
        .collect();
    let there = experiment.seeds.len();
    match needed.map(|needed| needed.into_iter().max()) {
        None => super::tell(format_args!(
            "no number of seeds that anybody would run tells them all; a larger difference needs fewer"
        )),
        Some(None) => super::tell(format_args!(
            "there is no comparison by pairs of seeds yet, so nothing is known about the spread"
        )),
        Some(Some(most)) if most as usize <= there => super::tell(format_args!(
            "the {there} seeds of the file are enough for every comparison"
        )),
        Some(Some(most)) => {
            let file = as_word(&args.file);
            let file = file.display();
            let more = most as usize - there;
            let sets: String = args
                .set
                .iter()
                .map(|(key, value)| format!(" --set {}", quoted(&format!("{key}={value}"))))
                .collect();
            super::tell(format_args!(
                "{most} seeds are enough for every comparison, {more} more a cell:"
            ));
            super::tell(format_args!(
                "siglab edit {file} seeds {} && siglab run {file}{sets}",
                seeds(&experiment.seeds, most as usize)
            ));
        }
    }
}

/// So many seeds as `siglab edit` takes them, those that are there kept.
fn seeds(there: &[u64], count: usize) -> String {
    let first: Vec<u64> = (0..there.len() as u64).collect();
    if there == first {
        return count.to_string();
    }
    let mut seeds = there.to_vec();
    let others = (0..).filter(|seed| !there.contains(seed));
    seeds.extend(others.take(count - there.len()));
    format!("'{seeds:?}'")
}

/// One report for each metric and moment.
fn once(reports: &[Report]) -> Vec<&Report> {
    let mut found: Vec<&Report> = Vec::new();
    for report in reports {
        let is_same = |other: &&Report| other.metrics == report.metrics && other.at == report.at;
        if !found.iter().any(is_same) {
            found.push(report);
        }
    }
    found
}

/// The experiment's own tables, for a terminal: how a `run` ends.
pub fn print_reports(experiment: &Experiment, grid: &Grid, store: &Store) -> anyhow::Result<()> {
    let reports = experiment.sheets_with(None, None, None, None)?;
    match collect(experiment, grid, &reports, store) {
        // Nobody asked for the metric that a file without a report is shown by.
        Err(error) if experiment.reports.is_empty() && error.is::<UnknownMetric>() => {
            super::tell(format_args!(
                "no table: {error}; a [[report]] says which to show"
            ));
        }
        sheets => {
            let bytes = write(&sheets?, Format::Text)?;
            say::print(str::from_utf8(&bytes)?)?;
            print_verdicts(experiment, grid, store)?;
        }
    }
    Ok(())
}

/// What the runs say of each claim of the file, below its tables.
fn print_verdicts(experiment: &Experiment, grid: &Grid, store: &Store) -> anyhow::Result<()> {
    let verdicts = verdicts(experiment, grid, |spec| store.get(&spec.id));
    if !verdicts.is_empty() {
        let lines = verdict_lines(&verdicts).join("\n");
        say::print(&format!("\nClaims\n\n{lines}\n"))?;
    }
    Ok(())
}

fn collect(
    experiment: &Experiment,
    grid: &Grid,
    reports: &[Report],
    store: &Store,
) -> anyhow::Result<Vec<Sheet>> {
    let each = reports
        .iter()
        .map(|report| sheets(experiment, grid, report, |spec| store.get(&spec.id)));
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_seeds_keep_those_that_are_there() {
        assert_eq!(seeds(&[0, 1, 2], 7), "7");
        assert_eq!(seeds(&[3, 7], 5), "'[3, 7, 0, 1, 2]'");
    }
}
