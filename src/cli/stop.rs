//! `siglab stop RUN…`: want runs no more; their workers save a checkpoint and stop.

use std::path::Path;

use super::{DONE, FAILED};
use crate::workbench::Workbench;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ids, or enough of their beginnings.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let workbench = Workbench::open(workspace)?;
    let runs = args
        .runs
        .iter()
        .map(|prefix| workbench.find(prefix))
        .collect::<Result<Vec<_>, _>>()?;
    let mut code = FAILED;
    for run in runs {
        if workbench.stop(run)? {
            eprintln!("{}  stops; `siglab retry {0}` takes it up again", run.id());
            code = DONE;
        } else {
            eprintln!("{}  is {}: nothing to stop", run.id(), run.state.name());
        }
    }
    Ok(code)
}
