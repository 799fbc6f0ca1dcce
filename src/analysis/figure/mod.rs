//! A report as figures: the same answers as its tables and effects, or the course of training, with what a reader must
//! know to trust them. Axes that a figure has no place for are never pooled: each of their positions has a figure of its
//! own. How it looks is `export`'s affair.

mod curves;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::bail;

use super::{Effects, Table, effects, spikes::SpikeConfig, tables};
use crate::spec::{Experiment, Grid, Report, ReportKind, RunSpec};
use crate::store::Run;
pub use curves::{Curve, Curves, Panel, Trace};

/// One picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// The file that asks for it.
    pub experiment: String,
    /// What the report calls it.
    pub title: Option<String>,
    /// Axes that this figure holds fixed, and where.
    pub given: Vec<(String, String)>,
    pub plot: Plot,
    /// Ids of the runs that are in it, in order.
    pub runs: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Plot {
    Curves(Curves),
    /// The rows of the table along x, a line for each of its columns.
    Line {
        table: Table,
        /// Where the rows lie, if they are numbers.
        places: Option<Vec<f64>>,
        /// Whether the metric has a logarithmic axis.
        log: bool,
    },
    /// The rows of the table along x, in each a bar for each of its columns.
    Bars(Table),
    Effects(Effects),
}

impl Plot {
    pub fn kind(&self) -> ReportKind {
        match self {
            Self::Curves(_) => ReportKind::Curves,
            Self::Line { .. } => ReportKind::Line,
            Self::Bars(_) => ReportKind::Bars,
            Self::Effects(_) => ReportKind::Effects,
        }
    }

    /// What it is of, from the top.
    pub fn metrics(&self) -> Vec<&str> {
        match self {
            Self::Curves(curves) => curves.panels.iter().map(|panel| &*panel.metric).collect(),
            Self::Line { table, .. } | Self::Bars(table) => vec![&table.metric],
            Self::Effects(effects) => vec![&effects.metric],
        }
    }
}

impl Figure {
    /// What it is called: its title, or what it is of, and what it holds fixed.
    pub fn name(&self) -> String {
        let metrics = || self.plot.metrics().join(", ");
        let title = self.title.clone().unwrap_or_else(metrics);
        let given = self.given.iter();
        let given: Vec<String> = given.map(|(axis, at)| format!("{axis} = {at}")).collect();
        match given.is_empty() {
            true => title,
            false => format!("{title} ({})", given.join("; ")),
        }
    }

    /// Whether there is anything to see. That no effect can be told from what was measured is something.
    fn has_data(&self) -> bool {
        match &self.plot {
            Plot::Curves(curves) => curves.has_data(),
            Plot::Line { table, .. } | Plot::Bars(table) => {
                let mut cells = table.cells.iter().flatten();
                cells.any(|cell| cell.mean.is_some() || cell.diverged + cell.failed > 0)
            }
            Plot::Effects(_) => !self.runs.is_empty(),
        }
    }
}

/// The figures of one report; a table is drawn as [`Experiment::drawn`] has it. `spikes` says what counts as one where
/// the report marks them.
///
/// # Errors
/// As of [`tables`], and when nothing was measured at all.
pub fn figures<'s>(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    spikes: &SpikeConfig,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Vec<Figure>> {
    let report = &experiment.drawn(report.clone());
    let figure = |given, plot, runs| Figure {
        experiment: experiment.path.display().to_string(),
        title: report.title.clone(),
        given,
        plot,
        runs,
    };
    let figures: Vec<Figure> = match report.kind {
        ReportKind::Curves => {
            let drawn = curves::curves(experiment, grid, report, spikes, run_of)?.into_iter();
            drawn
                .map(|(given, curves, runs)| figure(given, Plot::Curves(curves), runs))
                .collect()
        }
        ReportKind::Effects => {
            let effects = effects(experiment, grid, report, &run_of)?;
            let runs: BTreeSet<String> = effects.runs.iter().cloned().collect();
            vec![figure(
                Vec::new(),
                Plot::Effects(effects),
                runs.into_iter().collect(),
            )]
        }
        ReportKind::Line | ReportKind::Bars | ReportKind::Table => {
            let places = report.rows.and_then(|axis| experiment.axes[axis].numbers());
            let log = report.log.iter().any(|name| name == report.metric());
            let drawn = |table: Table| {
                let samples = table.cells.iter().flatten().flat_map(|cell| &cell.samples);
                let runs: BTreeSet<String> = samples.map(|sample| sample.run.clone()).collect();
                let given = table.given.clone();
                let plot = match report.kind {
                    ReportKind::Bars => Plot::Bars(table),
                    _ => Plot::Line {
                        table,
                        places: places.clone(),
                        log,
                    },
                };
                figure(given, plot, runs.into_iter().collect())
            };
            let tables = tables(experiment, grid, report, &run_of)?;
            tables.into_iter().map(drawn).collect()
        }
    };
    if !figures.iter().any(Figure::has_data) {
        bail!(
            "there is nothing to draw: no run of {} has measured {} yet; `siglab run` trains them, `siglab ls` says how far they are",
            crate::util::printable(&experiment.path.display().to_string()),
            crate::util::printable(&report.metrics.join(", ")),
        );
    }
    Ok(figures)
}
