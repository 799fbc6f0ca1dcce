//! From an experiment file to runs. This layer reads settings and makes ids; it starts nothing and knows no
//! process, screen or tensor.

mod catalogue;
mod claim;
mod design;
pub mod edit;
mod error;
mod experiment;
mod grid;
mod identity;
pub mod label;
pub mod leaves;
pub mod path;
mod prerequisite;
pub mod preset;
mod problem;
mod reader;
mod report;
mod schema;
mod sections;
mod source;
#[cfg(test)]
mod tests;
mod trail;
pub mod values;

use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::record::{FORMAT, RunDir, RunId};
pub use crate::train::TrainConfig;
use crate::util::{disk, printable, write_atomic};

pub use catalogue::{Choice, KindDefault, KnownKey, catalogue};
pub use claim::{Claim, ClaimSort, Conditions};
pub use design::{Aliased, Aliases, Design, Effect};
pub use edit::{Edit, EditError, EditWordsError, Seeds};
pub use error::SpecError;
pub use experiment::{Axis, Exclude, Experiment, Point, Reported, Setting};
pub use grid::{Cell, CellKind, Grid};
pub use identity::run_id;
pub use report::{Against, Along, Amount, Budget, Interval, Moment, Report, ReportKind};
pub use schema::Schema;
pub use source::{Place, read_text};

/// What one run is: the content of `spec.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub format: u32,
    pub id: RunId,
    /// The version of siglab that made the run.
    pub siglab: String,
    /// Every setting, defaults included.
    pub config: TrainConfig,
}

impl RunSpec {
    pub fn new(config: TrainConfig) -> Self {
        Self::in_schema(&Schema::learn(), config)
    }

    /// [`RunSpec::new`] for those who make many.
    pub(crate) fn in_schema(schema: &Schema, config: TrainConfig) -> Self {
        Self {
            format: FORMAT,
            id: identity::run_id_in(schema, &config),
            siglab: env!("CARGO_PKG_VERSION").to_owned(),
            config,
        }
    }

    /// The spec on disk. A newer format is refused as such, whatever its settings.
    pub fn read(dir: &RunDir) -> io::Result<Self> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
            #[serde(default)]
            siglab: String,
        }
        let path = dir.spec();
        let unfit = |problem: String| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: {}", path.display(), printable(&problem)),
            )
        };
        let no_run = |e: serde_json::Error| unfit(format!("not the description of a run: {e}"));
        let bytes = disk::read_small(&path)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        let read = match serde_json::from_slice::<Self>(&bytes) {
            Ok(spec) if spec.format <= FORMAT => return Ok(spec),
            read => read,
        };
        let version: Version = serde_json::from_slice(&bytes).map_err(no_run)?;
        if version.format > FORMAT {
            return Err(unfit(format!(
                "written by siglab {} in format {}; this siglab reads up to {FORMAT}: use the newer one",
                version.siglab, version.format
            )));
        }
        read.map_err(no_run)
    }

    /// Make the run's directory and put the spec into it, whole or not at all.
    pub fn write(&self, dir: &RunDir) -> io::Result<()> {
        fs::create_dir_all(dir.path())?;
        write_atomic(&dir.spec(), &serde_json::to_vec_pretty(self)?)
    }
}
