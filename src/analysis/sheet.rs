//! The answer to a report of any kind that is not drawn: the tables of a table, the effects of effects.

use serde::Serialize;

use super::effects::{Effects, effects};
use super::table::{Table, tables};
use crate::spec::{Experiment, Grid, Report, ReportKind, RunSpec};
use crate::store::Run;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Sheet {
    Table(Table),
    Effects(Effects),
}

impl Sheet {
    pub fn table(&self) -> Option<&Table> {
        match self {
            Self::Table(table) => Some(table),
            Self::Effects(_) => None,
        }
    }

    pub fn effects(&self) -> Option<&Effects> {
        match self {
            Self::Effects(effects) => Some(effects),
            Self::Table(_) => None,
        }
    }
}

/// What the runs answer to `report`, whose figures are tables here: what they are drawn from.
///
/// # Errors
/// As of [`tables`].
pub fn sheets<'s>(
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    run_of: impl Fn(&RunSpec) -> Option<&'s Run>,
) -> anyhow::Result<Vec<Sheet>> {
    if report.kind == ReportKind::Effects {
        let found = effects(experiment, grid, report, run_of)?;
        return Ok(vec![Sheet::Effects(found)]);
    }
    let found = tables(experiment, grid, report, run_of)?;
    Ok(found.into_iter().map(Sheet::Table).collect())
}
