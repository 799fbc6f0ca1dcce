//! `siglab run FILE`: the scheduler, in the foreground with progress, or with `--detach` in the background.

mod session;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use super::progress::{Bars, Json, Lines, Named, Progress};
use super::{DONE, FAILED, INTERRUPTED, print, table, tell};
use crate::record::{RunId, Wish};
use crate::spec::{Experiment, Grid, RunSpec, label};
use crate::store::{RunState, Store};
use crate::util::{as_word, printable};
use crate::workbench::{self, Handover, Limits, Workbench};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment file.
    pub file: PathBuf,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// Show what would start and start nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Report as one JSON object a line on standard output.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub on: super::On,
    /// Seconds that a worker may take to save and stop, once asked, before it is killed.
    #[arg(long, value_name = "SECONDS", env = "SIGLAB_GRACE", default_value_t = Limits::default().grace.as_secs())]
    pub grace: u64,
    /// Seconds without a step after which a worker that trains counts as stalled: it is killed and goes on from its last
    /// checkpoint. Five times the longest step is always granted. Evaluating, saving and compiling may take longer while
    /// the worker computes, reads or writes.
    #[arg(long, value_name = "SECONDS", env = "SIGLAB_STALL", default_value_t = Limits::default().stall.as_secs())]
    pub stall: u64,
    /// Schedule in the background; the workers outlive the terminal in any case.
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    pub detach: bool,
}

impl Args {
    /// All that is missing of `file`, in the foreground.
    pub fn of_file(file: PathBuf, on: super::On) -> Self {
        let Limits { grace, stall, .. } = Limits::default();
        Self {
            file,
            set: Vec::new(),
            dry_run: false,
            json: false,
            on,
            grace: grace.as_secs(),
            stall: stall.as_secs(),
            detach: false,
        }
    }
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let experiment = Experiment::load(&args.file, &args.set)?;
    let grid = experiment.expand()?;
    grid.require_valid(&experiment)?;
    let (code, seen) = train(workspace, &args, &grid)?;
    if let Some(workbench) = seen.filter(|_| code != INTERRUPTED && !args.json) {
        table::print_reports(&experiment, &grid, workbench.store())?;
        super::warn_of_changes(&grid, workbench.store());
    }
    Ok(code)
}

/// Train what has no result yet. The workbench comes back where that was seen to its end.
pub fn train(
    workspace: &Path,
    args: &Args,
    grid: &Grid,
) -> anyhow::Result<(u8, Option<Workbench>)> {
    let specs: Vec<RunSpec> = grid.runs().into_iter().cloned().collect();
    let names = names(grid);
    let mut workbench = Workbench::open(workspace)?;
    workbench::require_sources(workbench.store(), &specs)?;
    let startable = specs
        .iter()
        .filter(|spec| can_start(workbench.store(), spec));
    // Before anything starts: each of the runs would fail of it.
    if let Some(absent) = workbench::absent(startable.clone()).into_iter().next() {
        return Err(absent.into());
    }
    let startable = startable.count();
    let slots = workbench::slots(&args.on.devices(), args.on.at_a_time(), startable)?;
    if args.dry_run {
        return Ok((dry_run(args, workbench.store(), &names)?, None));
    }
    if args.detach && startable > 0 {
        return Ok((detach(&mut workbench, &specs, args)?, None));
    }
    let mut progress = progress(args);
    let code = if startable == 0 {
        session::nothing_to_do(&workbench, &names, &mut *progress)?
    } else {
        // The lock first: of two that come together, one makes the runs.
        let scope = specs.iter().map(|spec| spec.id.clone()).collect();
        let limits = Limits {
            grace: Duration::from_secs(args.grace),
            stall: Duration::from_secs(args.stall),
        };
        let mut scheduler = workbench.schedule(scope, slots)?.with_limits(limits);
        workbench.submit(&specs)?;
        session::run(&mut workbench, &mut scheduler, &names, &mut *progress)?
    };
    Ok((code, Some(workbench)))
}

/// The runs of the grid in the order to start them, prerequisites by their names in the file.
fn names(grid: &Grid) -> Vec<Named> {
    let of_prerequisite = |(name, spec): &(String, RunSpec)| Named {
        id: spec.id.clone(),
        label: printable(name),
        brief: printable(name),
    };
    let mut names: Vec<Named> = grid.prerequisites.iter().map(of_prerequisite).collect();
    let mut seen: BTreeSet<RunId> = names.iter().map(|named| named.id.clone()).collect();
    for cell in &grid.cells {
        let Some(spec) = cell.run().filter(|spec| seen.insert(spec.id.clone())) else {
            continue;
        };
        let seed = json!(cell.seed);
        let settings = cell.settings().map(|(key, value)| (key.as_str(), value));
        let settings = settings.chain([("seed", &seed)]);
        names.push(Named {
            id: spec.id.clone(),
            label: label::label(settings.clone()),
            brief: label::brief(settings),
        });
    }
    names
}

fn can_start(store: &Store, spec: &RunSpec) -> bool {
    store.get(&spec.id).is_none_or(|run| !run.state.is_over())
}

fn dry_run(args: &Args, store: &Store, names: &[Named]) -> anyhow::Result<u8> {
    let line = |Named { id, label, .. }: &Named| {
        let state = store.get(id).map_or("new", |run| run.state.name());
        let starts = store.get(id).is_none_or(|run| {
            !run.state.is_over() && run.state != RunState::Running && run.want.wish == Wish::Run
        });
        if args.json {
            format!(
                "{}\n",
                json!({ "run": id, "label": label, "state": state, "starts": starts })
            )
        } else {
            format!(
                "{id}  {state:11}  {:6}  {label}\n",
                if starts { "starts" } else { "" }
            )
        }
    };
    print(&names.iter().map(line).collect::<String>())?;
    Ok(DONE)
}

fn detach(workbench: &mut Workbench, specs: &[RunSpec], args: &Args) -> anyhow::Result<u8> {
    let mut arguments: Vec<OsString> = vec![as_word(&args.file).into()];
    for (key, value) in &args.set {
        arguments.extend(["--set".into(), format!("{key}={value}").into()]);
    }
    arguments.extend(["--device".into(), args.on.devices().join(",").into()]);
    if let Some(jobs) = args.on.at_a_time() {
        arguments.extend(["--jobs".into(), jobs.to_string().into()]);
    }
    for (flag, seconds) in [("--grace", args.grace), ("--stall", args.stall)] {
        arguments.extend([flag.into(), seconds.to_string().into()]);
    }
    let log = workbench.root().join("scheduler.log");
    match workbench.launch(specs, arguments)? {
        Handover::Over => tell(format_args!(
            "nothing is left to do; {} tells more",
            log.display()
        )),
        Handover::Taken { by } => tell(format_args!("{by} is at work here and takes the runs on")),
        Handover::Began { pid } => {
            tell(format_args!(
                "process {pid} schedules in the background and writes to {}",
                log.display()
            ));
            tell(format_args!(
                "`siglab ls` shows the runs; `kill {pid}` stops them at a checkpoint"
            ));
        }
    }
    Ok(DONE)
}

fn progress(args: &Args) -> Box<dyn Progress> {
    if args.json {
        Box::new(Json::new())
    } else if stderr().is_terminal() {
        Box::new(Bars::new())
    } else {
        Box::new(Lines::new())
    }
}
