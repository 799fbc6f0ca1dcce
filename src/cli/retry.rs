//! `siglab retry RUN…`: let runs that failed, diverged or were stopped go again.

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
        if workbench.retry(run)? {
            eprintln!(
                "{}  may go again: `siglab run` of its experiment starts it",
                run.id()
            );
            code = DONE;
        } else {
            eprintln!("{}  is {}: nothing to retry", run.id(), run.state.name());
        }
    }
    Ok(code)
}
