//! `siglab diff RUN RUN`: what tells two runs apart. Two runs never have the same settings, so the exit code says whether
//! it is the seed alone.

use std::path::Path;

use super::{DONE, FAILED, print};
use crate::analysis::diff;
use crate::export::diff_text;
use crate::workbench::Workbench;

/// Show what tells two runs apart: settings, code, environment, data, and what came out. Exit code 0: nothing but the seed
/// does, whatever came out; 1: something else does.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The first run's id, or enough of its beginning.
    #[arg(value_name = "RUN")]
    pub one: String,
    /// The other's.
    #[arg(value_name = "RUN")]
    pub other: String,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let workbench = Workbench::survey(workspace)?;
    let whole = |prefix: &str| -> anyhow::Result<_> {
        let id = workbench.find(prefix)?.id();
        workbench.store().whole(id).map_err(anyhow::Error::msg)
    };
    let found = diff(&whole(&args.one)?, &whole(&args.other)?);
    if args.json {
        print(&(serde_json::to_string(&found)? + "\n"))?;
    } else {
        print(&diff_text(&found))?;
    }
    Ok(if found.replicates { DONE } else { FAILED })
}
