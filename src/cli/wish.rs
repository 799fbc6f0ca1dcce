//! `siglab stop RUN…` and `siglab retry RUN…`: say what is wanted of runs. A stopped run's worker saves a checkpoint
//! and goes; a retried run may go again, which is a scheduler's affair.

use std::path::Path;

use super::{DONE, FAILED};
use crate::store::Run;
use crate::workbench::Workbench;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ids, or enough of their beginnings.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
}

pub fn stop(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let workbench = Workbench::open(workspace)?;
    let follows = |id: &str| format!("stops; `siglab retry {id}` takes it up again");
    each(&workbench, &args, Workbench::stop, follows, "stop")
}

pub fn retry(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let workbench = Workbench::open(workspace)?;
    let scheduler = workbench.scheduler()?;
    let follows = |_: &str| match &scheduler {
        Some(name) => format!("may go again: {name} starts it if it schedules its experiment"),
        None => "may go again: `siglab run` of its experiment starts it".into(),
    };
    each(&workbench, &args, Workbench::retry, follows, "retry")
}

/// Change the wish for each run and say what `follows`. Done if one was changed; a name that fits no run changes none.
fn each(
    workbench: &Workbench,
    args: &Args,
    change: fn(&Workbench, &Run) -> anyhow::Result<bool>,
    follows: impl Fn(&str) -> String,
    verb: &str,
) -> anyhow::Result<u8> {
    let named = args.runs.iter().map(|prefix| workbench.find(prefix));
    let mut code = FAILED;
    for run in named.collect::<Result<Vec<_>, _>>()? {
        let id = run.id();
        if change(workbench, run)? {
            eprintln!("{id}  {}", follows(id.as_str()));
            code = DONE;
        } else {
            eprintln!("{id}  is {}: nothing to {verb}", run.state.name());
        }
    }
    Ok(code)
}
