//! `siglab stop|pause|resume|retry|priority RUN…`: say what is wanted of runs. A run that is held back saves a
//! checkpoint and goes; one that may go again is started by a scheduler.

use std::path::Path;

use super::{DONE, FAILED};
use crate::workbench::{Verb, Workbench};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ids, or enough of their beginnings.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub struct PriorityArgs {
    /// Runs of a higher priority start first; runs begin with 0.
    #[arg(allow_negative_numbers = true)]
    pub priority: i32,
    #[command(flatten)]
    pub args: Args,
}

/// Say `verb` of each run and what follows. Done if one was changed; a name that fits no run changes none.
pub fn run(workspace: &Path, verb: Verb, args: Args) -> anyhow::Result<u8> {
    let workbench = Workbench::open(workspace)?;
    let scheduler = workbench.scheduler()?;
    let goes = match &scheduler {
        Some(name) => format!("{name} starts it if it schedules its experiment"),
        None => "`siglab run` of its experiment starts it".into(),
    };
    let follows = |id: &str| match verb {
        Verb::Stop => format!("stops; `siglab retry {id}` takes it up again"),
        Verb::Pause => format!("pauses; `siglab resume {id}` lets it go on"),
        Verb::Resume => format!("may go on: {goes}"),
        Verb::Retry => format!("may go again: {goes}"),
        Verb::Priority(priority) => format!("has priority {priority}"),
    };
    let named = args.runs.iter().map(|prefix| workbench.find(prefix));
    let mut code = FAILED;
    for run in named.collect::<Result<Vec<_>, _>>()? {
        let id = run.id();
        if workbench.wish(verb, run)? {
            eprintln!("{id}  {}", follows(id.as_str()));
            code = DONE;
        } else {
            eprintln!("{id}  is {}: nothing to {}", run.state.name(), verb.name());
        }
    }
    Ok(code)
}
