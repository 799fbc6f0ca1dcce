//! The command line: the verbs, one file each. Data goes to standard output, messages to standard error; 0 done,
//! 1 failed, 2 wrong usage, 130 interrupted. No verb can do what the workbench cannot.

mod bench;
mod check;
mod completions;
mod convert;
mod diff;
mod doctor;
mod edit;
mod embed;
mod eval;
mod export;
mod keys;
mod library;
mod logs;
mod ls;
mod new;
mod open;
mod plan;
mod plot;
mod progress;
mod report;
mod run;
mod say;
mod spikes;
mod table;
mod wish;
mod worker;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::analysis::{NoBest, UnknownMetric};
use crate::export::{MetricError, Mixed};
use crate::spec::{EditError, EditWordsError, Grid, SpecError};
use crate::store::{QueryError, Store, WorkspaceError};
use crate::tui::PreferencesError;
use crate::util::printable;
use crate::workbench::{
    Absent, DeviceError, FindError, Verb as Wish, Workbench, changed, each_device, instead,
};
use say::{print, tell, usage};

/// Exit codes that verbs return.
pub const DONE: u8 = 0;
pub const FAILED: u8 = 1;
pub const USAGE: u8 = 2;
pub const INTERRUPTED: u8 = 130;

/// A terminal workbench for ablations of contrastive image-text pretraining.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// Directory of the runs.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SIGLAB_WORKSPACE",
        default_value = "runs"
    )]
    pub workspace: PathBuf,
    #[command(subcommand)]
    pub verb: Option<Verb>,
    #[command(flatten)]
    pub open: open::Args,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Train every run of an experiment that has no result yet, then show the table.
    Run(run::Args),
    /// Show each cell of an experiment: new, cached, running, excluded or invalid, and why.
    Plan(plan::Args),
    /// Change an experiment file: its axes, zips, excludes, base, seeds; what is not spoken of stays as it is.
    Edit(edit::Args),
    /// Show an experiment's results: mean over seeds, 95 % interval, and what is missing.
    Table(table::Args),
    /// Run what is missing of experiments, and write a page of answers: verdicts, tables, figures, cost.
    Report(report::Args),
    /// Draw an experiment's results for a paper: curves, lines, bars, effects, with their intervals, as SVG or PNG.
    Plot(plot::Args),
    /// List or search the settings that an experiment can vary: what they mean, what they can be, their defaults.
    Keys(keys::Args),
    /// Begin an experiment with one of the paper's ablations.
    New(new::Args),
    /// List runs: state, progress, loss, accuracy, and what sets each apart from the defaults.
    Ls(ls::Args),
    /// List the loss spikes of runs, and what preceded each.
    Spikes(spikes::Args),
    /// Show what tells two runs apart: settings, code, environment, data, and what came out.
    Diff(diff::Args),
    /// Write what runs logged and evaluated as tables for pandas and polars, or as event files for TensorBoard.
    Export(export::Args),
    /// Show a run's log.
    Logs(logs::Args),
    /// Stop runs at a checkpoint, and start them no more until they are retried.
    Stop(wish::StopArgs),
    /// Hold runs back at a checkpoint, so that their devices go to others, until they are resumed.
    Pause(wish::StopArgs),
    /// Let runs that were paused or stopped go on, with the next `siglab run` or the one at work.
    Resume(wish::Args),
    /// Let runs that failed, diverged or were stopped go again, with the next `siglab run` or the one at work.
    Retry(wish::Args),
    /// Let runs start before or after others: `siglab priority 5 RUN…`.
    Priority(wish::PriorityArgs),
    /// Print a completion script for a shell.
    Completions(completions::Args),
    /// Evaluate a run or a checkpoint on a data set: zero-shot, retrieval, probes.
    Eval(eval::Args),
    /// Hold this build's arithmetic against recorded values.
    #[command(subcommand)]
    Check(check::Check),
    /// Time this build's arithmetic on this machine.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Show what this build and this machine can do.
    Doctor(doctor::Args),
    /// Embed pictures and texts with a model: a run's, or a checkpoint of another program.
    Embed(embed::Args),
    /// Write a model in Hugging Face's layout, for transformers to load.
    Convert(convert::Args),
    /// Train one run in this process; the workbench starts it.
    Worker(worker::Args),
    /// Tell what a library has here, for siglab to read.
    #[command(hide = true)]
    Library(library::Args),
}

impl Cli {
    /// The devices that this process is to compute on itself; none where it runs no model.
    fn computes_on(&self) -> Option<Vec<&str>> {
        use Verb::{Bench, Check, Embed, Eval, Worker};
        Some(match self.verb.as_ref()? {
            Worker(args) => args.devices.iter().map(String::as_str).collect(),
            Bench(bench) => vec![bench.device()],
            Check(check) => vec![check.device()],
            Eval(args) => vec![&args.device],
            Embed(args) => vec![&args.device],
            _ => return None,
        })
    }
}

/// mimalloc's `mi_option_purge_delay`, which its bindings do not name.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// The programme, but for its allocator: reads the command line, does what it says, and prints an error once, as a chain
/// of causes.
pub fn main() -> ExitCode {
    let code = match Cli::try_parse() {
        Err(error) => usage(&error),
        Ok(cli) => {
            hold_memory(cli.computes_on().is_some());
            run(cli).unwrap_or_else(|error| {
                tell(format_args!("error: {error:#}"));
                exit_code(&error)
            })
        }
    };
    ExitCode::from(code)
}

/// A training step frees and takes the same large buffers again and again: giving them back to the system in between
/// costs much of the step in page faults, and large pages save some. Whoever does not train gives back at once what it
/// has no use for, and takes small pages, for of a large one nothing returns until all of it is free.
fn hold_memory(computes: bool) {
    let milliseconds = if computes { -1 } else { 0 };
    // SAFETY: sets an integer option of the allocator, which it reads whenever it frees pages.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, milliseconds) };
    // Inherited by workers, which take it back. A kernel without large pages has nothing to switch off.
    let _ = rustix::thread::disable_transparent_huge_pages(!computes);
}

/// Do what the command line says; the number is the exit code.
fn run(cli: Cli) -> anyhow::Result<u8> {
    if let Some(devices) = cli.computes_on()
        && let Some(program) = instead(&devices)?
    {
        let error = Command::new(&program)
            .args(std::env::args_os().skip(1))
            .exec();
        return Err(error).with_context(|| format!("cannot start {}", program.display()));
    }
    let workspace = cli.workspace.as_path();
    let Some(verb) = cli.verb else {
        return open::run(workspace, cli.open);
    };
    if let Some(stray) = cli.open.stray() {
        tell(format_args!(
            "error: {stray} stands before the verb; flags of a verb follow it"
        ));
        return Ok(USAGE);
    }
    match verb {
        Verb::Run(args) => run::run(workspace, args),
        Verb::Plan(args) => plan::run(workspace, args),
        Verb::Edit(args) => edit::run(args),
        Verb::Table(args) => table::run(workspace, args),
        Verb::Report(args) => report::run(workspace, args),
        Verb::Plot(args) => plot::run(workspace, args),
        Verb::Keys(args) => keys::run(args),
        Verb::New(args) => new::run(args),
        Verb::Ls(args) => ls::run(workspace, args),
        Verb::Spikes(args) => spikes::run(workspace, args),
        Verb::Diff(args) => diff::run(workspace, args),
        Verb::Export(args) => export::run(workspace, args),
        Verb::Logs(args) => logs::run(workspace, args),
        Verb::Stop(args) => wish::stop(workspace, Wish::Stop, args),
        Verb::Pause(args) => wish::stop(workspace, Wish::Pause, args),
        Verb::Resume(args) => wish::run(workspace, Wish::Resume, args),
        Verb::Retry(args) => wish::run(workspace, Wish::Retry, args),
        Verb::Priority(priority) => {
            wish::run(workspace, Wish::Priority(priority.priority), priority.args)
        }
        Verb::Completions(args) => completions::run(args),
        Verb::Eval(args) => eval::run(workspace, args),
        Verb::Check(check) => check::run(check),
        Verb::Bench(bench) => bench::run(bench),
        Verb::Doctor(args) => doctor::run(workspace, args),
        Verb::Embed(args) => embed::run(workspace, args),
        Verb::Convert(args) => convert::run(workspace, args),
        Verb::Worker(args) => worker::run(args),
        Verb::Library(args) => library::run(&args),
    }
}

/// What an error means to a script: wrong input is 2, everything else 1.
fn exit_code(error: &anyhow::Error) -> u8 {
    let wrong_input = error.is::<SpecError>()
        || error.is::<EditError>()
        || error.is::<EditWordsError>()
        || error.is::<Absent>()
        || error.is::<DeviceError>()
        || error.is::<FindError>()
        || error.is::<UnknownMetric>()
        || error.is::<NoBest>()
        || error.is::<Mixed>()
        || error.is::<WorkspaceError>()
        || error.is::<QueryError>()
        || error.is::<PreferencesError>()
        || error.is::<MetricError>()
        || error.is::<export::ExportError>()
        || error.is::<table::FormatError>()
        || error.is::<open::NoFile>()
        || error.is::<plot::Unplottable>()
        || error.is::<check::Unusable>()
        || error.is::<bench::multiply::UnknownDevice>()
        || error.is::<bench::multiply::NotServed>();
    if wrong_input { USAGE } else { FAILED }
}

/// What runs are started on.
#[derive(clap::Args, Clone, Debug)]
pub struct On {
    /// Devices to train on: `cpu`, `cpu:0-3`; with libtorch `tch:cpu`, `tch:cuda:0`, `tch:cuda:0-3`; with burn-cuda
    /// `cuda:0`.
    #[arg(
        long,
        value_name = "DEVICE",
        value_delimiter = ',',
        default_value = "cpu"
    )]
    device: Vec<String>,
    /// Runs at a time [default: one a device; on `cpu` alone one a core].
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
    /// Runs that share each device, where they are small.
    #[arg(long, value_name = "N", conflicts_with = "jobs")]
    pub jobs_per_device: Option<usize>,
}

impl On {
    /// Runs at a time, if that was said.
    pub fn at_a_time(&self) -> Option<usize> {
        let shared = |n: usize| n * self.devices().len();
        self.jobs.or(self.jobs_per_device.map(shared))
    }

    /// The devices one by one.
    pub fn devices(&self) -> Vec<String> {
        each_device(&self.device)
    }
}

/// `KEY=VALUE` of `--set`.
fn parse_set(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().into(), value.trim().into()))
        }
        _ => Err("expected KEY=VALUE, such as optim.lr=1e-3".into()),
    }
}

/// A path as it is, and else a run of the workspace.
fn model_path(workspace: &Path, model: &str) -> anyhow::Result<PathBuf> {
    let path = PathBuf::from(model);
    if path.exists() {
        return Ok(path);
    }
    let workbench = Workbench::open(workspace)?;
    let run = workbench.find(model);
    let run = run.with_context(|| format!("there is no file `{}`", printable(model)))?;
    Ok(run.dir.path().to_owned())
}

/// Say which files have changed since runs of the grid read them.
fn warn_of_changes(grid: &Grid, store: &Store) {
    let runs = grid.runs().into_iter();
    for said in changed(runs.filter_map(|spec| store.get(&spec.id))) {
        tell(format_args!("warning: {said}"));
    }
}
