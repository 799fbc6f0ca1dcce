//! `siglab table FILE`: the tables that an experiment's reports ask for, from what has been run so far.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::DONE;
use crate::analysis::{Effects, Table, effects, require_metric, tables};
use crate::export::{Format, write, write_effects};
use crate::spec::{Cell, Experiment, Grid, Report};
use crate::store::Store;

/// Show an experiment's results: mean over seeds, 95 % interval, and what is missing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment file.
    pub file: PathBuf,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// text, md, csv or json.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
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
}

impl Args {
    /// The reports of `file` as they are.
    pub fn of_file(file: PathBuf, set: Vec<(String, String)>) -> Self {
        Self {
            file,
            set,
            format: Format::Text,
            metric: None,
            rows: None,
            columns: None,
            effects: false,
        }
    }
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let experiment = Experiment::load(&args.file, &args.set)?;
    let reports = experiment.reports_with(
        args.rows.as_deref(),
        args.columns.as_deref(),
        args.metric.as_deref(),
    )?;
    let grid = experiment.expand()?;
    grid.require_valid(&experiment)?;
    let store = Store::open(workspace)?;
    for report in &reports {
        let specs = grid.cells.iter().filter_map(Cell::run);
        require_metric(specs.filter_map(|spec| store.get(&spec.id)), &report.metric)?;
    }
    if args.effects {
        let metrics: BTreeSet<&str> = reports
            .iter()
            .map(|report| report.metric.as_str())
            .collect();
        let on = |metric| effects(&experiment, &grid, metric, |spec| store.get(&spec.id));
        let effects: Vec<Effects> = metrics.into_iter().map(on).collect();
        super::print(&write_effects(&effects, args.format)?)?;
        return Ok(DONE);
    }
    print(&collect(&experiment, &grid, &reports, &store)?, args.format)?;
    Ok(DONE)
}

/// The experiment's own tables, for a terminal: how a `run` ends.
pub fn print_reports(experiment: &Experiment, grid: &Grid, store: &Store) -> anyhow::Result<()> {
    print(
        &collect(experiment, grid, &experiment.reports(), store)?,
        Format::Text,
    )
}

fn collect(
    experiment: &Experiment,
    grid: &Grid,
    reports: &[Report],
    store: &Store,
) -> anyhow::Result<Vec<Table>> {
    let each = reports
        .iter()
        .map(|report| tables(experiment, grid, report, |spec| store.get(&spec.id)));
    Ok(each.collect::<Result<Vec<_>, _>>()?.concat())
}

fn print(tables: &[Table], format: Format) -> anyhow::Result<()> {
    super::print(&write(tables, format)?)?;
    Ok(())
}
