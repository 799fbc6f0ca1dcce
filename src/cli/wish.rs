//! `siglab stop|pause|resume|retry|priority RUN…`: say what is wanted of runs. A run that is held back saves a
//! checkpoint and goes; one that may go again is started by a scheduler.

use std::path::Path;
use std::time::Duration;

use super::{DONE, FAILED, tell};
use crate::spec::Experiment;
use crate::store::{Run, RunId};
use crate::workbench::{Leave, Limits, Verb, Workbench};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ids, or enough of their beginnings; an experiment file stands for all its runs that there is something to do to.
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<String>,
}

#[derive(clap::Args, Debug)]
pub struct StopArgs {
    #[command(flatten)]
    pub args: Args,
    /// Seconds that a worker may take to save and go. A scheduler has a limit of its own; where there is none this waits,
    /// and kills those that are not gone by then, with all that they started.
    #[arg(long, value_name = "SECONDS", env = "SIGLAB_GRACE", default_value_t = Limits::default().grace.as_secs())]
    pub grace: u64,
}

#[derive(clap::Args, Debug)]
pub struct PriorityArgs {
    /// Runs of a higher priority start first; runs begin with 0.
    #[arg(allow_negative_numbers = true)]
    pub priority: i32,
    #[command(flatten)]
    pub args: Args,
}

/// Stop or pause runs, and see off the workers that nobody else does.
pub fn stop(workspace: &Path, verb: Verb, args: StopArgs) -> anyhow::Result<u8> {
    let workbench = Workbench::open(workspace)?;
    let (mut code, changed) = say(&workbench, verb, args.args)?;
    let grace = Duration::from_secs(args.grace);
    workbench.see_off(&changed, grace, |id, leave| match leave {
        Leave::Went => tell(format_args!("{id}  its worker is gone")),
        Leave::Killed => tell(format_args!(
            "{id}  its worker was killed: it did not stop within {} s",
            args.grace
        )),
        Leave::Handed => {}
        Leave::Stays(e) => {
            tell(format_args!("{id}  its worker stays: {e:#}"));
            code = FAILED;
        }
    })?;
    Ok(code)
}

/// Say `verb` of each run.
pub fn run(workspace: &Path, verb: Verb, args: Args) -> anyhow::Result<u8> {
    Ok(say(&Workbench::open(workspace)?, verb, args)?.0)
}

/// Say `verb` of each run and what follows, and give those that it changed. Done if one was; a name that fits no run changes
/// none.
fn say(workbench: &Workbench, verb: Verb, args: Args) -> anyhow::Result<(u8, Vec<RunId>)> {
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
    let mut runs: Vec<(&Run, bool)> = Vec::new();
    for name in &args.runs {
        if Path::new(name).is_file() {
            let grid = Experiment::load(Path::new(name), &[])?.expand()?;
            let there = grid.runs().into_iter();
            let there = there.filter_map(|spec| workbench.store().get(&spec.id));
            runs.extend(there.map(|run| (run, false)));
        } else {
            runs.push((workbench.find(name)?, true));
        }
    }
    let mut changed = Vec::new();
    for (run, by_name) in runs {
        let id = run.id();
        if workbench.wish(verb, run)? {
            tell(format_args!("{id}  {}", follows(id.as_str())));
            changed.push(id.clone());
        } else if by_name {
            tell(format_args!(
                "{id}  is {}: nothing to {}",
                run.state.name(),
                verb.name()
            ));
        }
    }
    if changed.is_empty() {
        tell("nothing was changed");
        return Ok((FAILED, changed));
    }
    Ok((DONE, changed))
}
