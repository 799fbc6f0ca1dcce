//! `siglab plot FILE`: the figures that an experiment's reports ask for, or one that the flags describe, from what has been
//! run so far.

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::say::put;
use super::{DONE, tell};
use crate::analysis::{Figure, figures};
use crate::export::plot::{Medium, Size, named, plot};
use crate::spec::{Along, Experiment, Grid, Report, ReportKind};
use crate::store::Store;
use crate::tui::Preferences;
use crate::util::{printable, write_atomic};

/// Draw an experiment's results for a paper: curves, lines, bars, effects, with their intervals, as SVG or PNG.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment file.
    pub file: PathBuf,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// The report of the file to draw, counted from 1 [default: all that are figures, or else the tables as figures].
    #[arg(long, value_name = "N")]
    pub report: Option<usize>,
    /// A file, `-` for standard output, or a directory for several figures [default: the current directory].
    #[arg(long, short, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    /// svg or png [default: as the file's name ends, else svg].
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Medium>,
    /// The width in print: one column (3.3 in) or two (6.9 in).
    #[arg(long, value_name = "COLUMNS", default_value = "one")]
    pub size: Size,
    #[command(flatten)]
    pub own: Own,
}

/// A figure that no report of the file asks for.
#[derive(clap::Args, Debug, Default)]
pub struct Own {
    /// Draw a figure of this kind: curves, line, bars or effects.
    #[arg(long, value_parser = parse_kind, conflicts_with = "report", requires = "metric")]
    pub kind: Option<ReportKind>,
    /// What it is of; several times for the panels of curves.
    #[arg(long, value_name = "KEY", requires = "kind")]
    pub metric: Vec<String>,
    /// A key of the axis that a line or bars run along.
    #[arg(long, value_name = "AXIS", requires = "kind")]
    pub rows: Option<String>,
    /// A key of the axis whose positions are lines or bars.
    #[arg(long, value_name = "AXIS", requires = "kind")]
    pub columns: Option<String>,
    /// What curves run over: examples, steps or seconds.
    #[arg(long, value_parser = parse_along, requires = "kind")]
    pub along: Option<Along>,
    /// Curves of each run by itself, with its loss spikes marked.
    #[arg(long, requires = "kind")]
    pub spikes: bool,
    /// A metric that has a logarithmic axis.
    #[arg(long, value_name = "KEY", requires = "kind")]
    pub log: Vec<String>,
}

/// A command line that asks for what cannot be drawn or written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unplottable(String);

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let experiment = Experiment::load(&args.file, &args.set)?;
    let reports = asked(&experiment, &args)?;
    let grid = experiment.expand()?;
    grid.require_valid(&experiment)?;
    let store = Store::open(workspace)?;
    let drawn = draw(&experiment, &grid, &reports, &store)?;
    let output = args.output.unwrap_or_else(|| PathBuf::from("."));
    let medium = args.format.or(ending(&output)).unwrap_or_default();
    let bytes = |figure: &Figure| plot(figure, args.size, medium);
    if output.as_os_str() == "-" {
        if stdout().is_terminal() {
            let problem =
                "-o -: a figure is for a file or a pipe, and standard output is a terminal";
            return Err(Unplottable(problem.into()).into());
        }
        put(&bytes(only(&drawn, "-")?)?)?;
    } else if output.is_dir() || output.extension().is_none() {
        write_all(&output, &stem(&args.file), &drawn, args.size, medium)?;
    } else {
        let name = printable(&output.display().to_string());
        if args.format.or(ending(&output)).is_none() {
            let problem = format!(
                "{name} ends in neither .svg nor .png; say --format, or name a file that does"
            );
            return Err(Unplottable(problem).into());
        }
        write(&output, &bytes(only(&drawn, &name)?)?)?;
    }
    super::warn_of_changes(&grid, &store);
    Ok(DONE)
}

/// What the command line asks to be drawn.
fn asked(experiment: &Experiment, args: &Args) -> anyhow::Result<Vec<Report>> {
    let own = &args.own;
    if let Some(kind) = own.kind {
        let axis = |flag: &str, key: &Option<String>| {
            let key = key.as_deref().map(|key| experiment.axis_flag(flag, key));
            key.transpose()
        };
        let report = Report {
            kind,
            metrics: own.metric.clone(),
            along: own.along.unwrap_or_default(),
            spikes: own.spikes,
            log: own.log.clone(),
            ..Report::table(axis("rows", &own.rows)?, axis("columns", &own.columns)?, "")
        };
        report.check().map_err(Unplottable)?;
        return Ok(vec![report]);
    }
    let Some(number) = args.report else {
        return Ok(experiment.figures());
    };
    let count = experiment.reports.len();
    let report = number
        .checked_sub(1)
        .and_then(|n| experiment.reports.get(n));
    let report = report.cloned().ok_or_else(|| {
        Unplottable(match count {
            0 => "--report: the file has no [[report]]; say --kind and --metric".into(),
            1 => format!("--report {number}: the file has one report"),
            _ => format!("--report {number}: the file has reports 1 to {count}"),
        })
    })?;
    Ok(vec![experiment.drawn(report)])
}

/// The figures of `reports`.
pub fn draw(
    experiment: &Experiment,
    grid: &Grid,
    reports: &[Report],
    store: &Store,
) -> anyhow::Result<Vec<Figure>> {
    let spikes = match reports.iter().any(|report| report.spikes) {
        true => Preferences::load()?.spikes,
        false => Default::default(),
    };
    let each = reports.iter().map(|report| {
        figures(experiment, grid, report, &spikes, |spec| {
            store.get(&spec.id)
        })
    });
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}

/// Each of `figures` as a file of its own in `directory`, which is made if need be; their names.
pub fn write_all(
    directory: &Path,
    stem: &str,
    figures: &[Figure],
    size: Size,
    medium: Medium,
) -> anyhow::Result<Vec<String>> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    // `./` before a name says nothing.
    let directory = if directory == Path::new(".") {
        Path::new("")
    } else {
        directory
    };
    let each = named(stem, figures).into_iter().map(|(name, figure)| {
        let name = format!("{name}.{}", medium.name());
        write(&directory.join(&name), &plot(figure, size, medium)?)?;
        Ok(name)
    });
    each.collect()
}

/// What the names of an experiment's figures begin with.
pub fn stem(file: &Path) -> String {
    let stem = file.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// The one figure that a file has room for.
fn only<'f>(figures: &'f [Figure], output: &str) -> Result<&'f Figure, Unplottable> {
    match figures {
        [figure] => Ok(figure),
        _ => Err(Unplottable(format!(
            "{} figures do not go into one file, {}: name a directory with -o DIR, or choose a report with --report N",
            figures.len(),
            output
        ))),
    }
}

/// What a file's name says that it is.
fn ending(output: &Path) -> Option<Medium> {
    output.extension()?.to_str()?.parse().ok()
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    write_atomic(path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    tell(format_args!("wrote {}", path.display()));
    Ok(())
}

fn parse_kind(name: &str) -> Result<ReportKind, String> {
    let figures = || ReportKind::ALL.into_iter().filter(|kind| kind.is_figure());
    let names = || {
        figures()
            .map(ReportKind::name)
            .collect::<Vec<_>>()
            .join(", ")
    };
    let named = figures().find(|kind| kind.name() == name);
    named.ok_or_else(|| format!("expected one of {}", names()))
}

fn parse_along(name: &str) -> Result<Along, String> {
    let named = Along::ALL.into_iter().find(|along| along.name() == name);
    named.ok_or_else(|| "expected examples, steps or seconds".into())
}
