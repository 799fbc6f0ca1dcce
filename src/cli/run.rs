//! `siglab run FILE`: the scheduler, in the foreground with progress, or with `--detach` in the background.

mod session;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};

use serde_json::json;

use super::progress::{Bars, Json, Lines, Named, Progress};
use super::{DONE, FAILED, INTERRUPTED, print, table};
use crate::record::{RunId, Wish};
use crate::spec::{Experiment, Grid, RunSpec, label};
use crate::store::{RunState, Store};
use crate::util::printable;
use crate::workbench::{self, Handover, Workbench};

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
    /// Schedule in the background; the workers outlive the terminal in any case.
    #[arg(long, conflicts_with_all = ["dry_run", "json"])]
    pub detach: bool,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let experiment = Experiment::load(&args.file, &args.set)?;
    let grid = experiment.expand()?;
    grid.require_valid(&experiment)?;
    let specs: Vec<RunSpec> = grid.runs().into_iter().cloned().collect();
    let names = names(&grid);
    let mut workbench = Workbench::open(workspace)?;
    workbench::require_sources(workbench.store(), &specs)?;
    let startable = specs
        .iter()
        .filter(|spec| can_start(workbench.store(), spec))
        .count();
    let slots = workbench::slots(&args.on.device, args.on.jobs, startable)?;
    if args.dry_run {
        return dry_run(&args, workbench.store(), &names);
    }
    if args.detach && startable > 0 {
        return detach(&mut workbench, &specs, &args);
    }
    let mut progress = progress(&args);
    let code = if startable == 0 {
        session::nothing_to_do(&workbench, &names, &mut *progress)?
    } else {
        // The lock first: of two that come together, one makes the runs.
        let scope = specs.iter().map(|spec| spec.id.clone()).collect();
        let mut scheduler = workbench.schedule(scope, slots)?;
        workbench.submit(&specs)?;
        session::run(&mut workbench, &mut scheduler, &names, &mut *progress)?
    };
    if code != INTERRUPTED && !args.json {
        table::print_reports(&experiment, &grid, workbench.store())?;
    }
    Ok(code)
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
        let settings = cell
            .settings
            .iter()
            .map(|(key, value)| (key.as_str(), value));
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
    let mut arguments: Vec<OsString> = vec![args.file.clone().into()];
    for (key, value) in &args.set {
        arguments.extend(["--set".into(), format!("{key}={value}").into()]);
    }
    arguments.extend(["--device".into(), args.on.device.join(",").into()]);
    if let Some(jobs) = args.on.jobs {
        arguments.extend(["--jobs".into(), jobs.to_string().into()]);
    }
    let log = workbench.root().join("scheduler.log");
    match workbench.launch(specs, arguments)? {
        Handover::Over => eprintln!("nothing is left to do; {} tells more", log.display()),
        Handover::Taken { by } => eprintln!("{by} is at work here and takes the runs on"),
        Handover::Began { pid } => {
            eprintln!(
                "process {pid} schedules in the background and writes to {}",
                log.display()
            );
            eprintln!("`siglab ls` shows the runs; `kill {pid}` stops them at a checkpoint");
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
