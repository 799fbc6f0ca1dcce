//! The command line: the verbs, one file each. Data goes to standard output, messages to standard error; 0 done,
//! 1 failed, 2 wrong usage, 130 interrupted. No verb can do what the workbench cannot.

mod bench;
mod check;
mod completions;
mod convert;
mod doctor;
mod edit;
mod embed;
mod eval;
mod keys;
mod logs;
mod ls;
mod new;
mod open;
mod plan;
mod progress;
mod run;
mod spikes;
mod table;
mod wish;
mod worker;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::analysis::UnknownMetric;
use crate::spec::{EditError, EditWordsError, SpecError};
use crate::store::{QueryError, WorkspaceError};
use crate::tui::PreferencesError;
use crate::workbench::{DeviceError, FindError, Verb as Wish};

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
    /// List or search the settings that an experiment can vary: what they mean, what they can be, their defaults.
    Keys(keys::Args),
    /// Begin an experiment with one of the paper's ablations.
    New(new::Args),
    /// List runs: state, progress, loss, accuracy, and what sets each apart from the defaults.
    Ls(ls::Args),
    /// List the loss spikes of runs, and what preceded each.
    Spikes(spikes::Args),
    /// Show a run's log.
    Logs(logs::Args),
    /// Stop runs at a checkpoint, and start them no more until they are retried.
    Stop(wish::Args),
    /// Hold runs back at a checkpoint, so that their devices go to others, until they are resumed.
    Pause(wish::Args),
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
}

/// Do what the command line says; the number is the exit code.
pub fn run(cli: Cli) -> anyhow::Result<u8> {
    let workspace = cli.workspace.as_path();
    let Some(verb) = cli.verb else {
        return open::run(workspace, cli.open);
    };
    if let Some(stray) = cli.open.stray() {
        eprintln!("error: {stray} stands before the verb; flags of a verb follow it");
        return Ok(USAGE);
    }
    match verb {
        Verb::Run(args) => run::run(workspace, args),
        Verb::Plan(args) => plan::run(workspace, args),
        Verb::Edit(args) => edit::run(args),
        Verb::Table(args) => table::run(workspace, args),
        Verb::Keys(args) => keys::run(args),
        Verb::New(args) => new::run(args),
        Verb::Ls(args) => ls::run(workspace, args),
        Verb::Spikes(args) => spikes::run(workspace, args),
        Verb::Logs(args) => logs::run(workspace, args),
        Verb::Stop(args) => wish::run(workspace, Wish::Stop, args),
        Verb::Pause(args) => wish::run(workspace, Wish::Pause, args),
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
        Verb::Embed(args) => embed::run(args),
        Verb::Convert(args) => convert::run(args),
        Verb::Worker(args) => worker::run(args),
    }
}

/// What an error means to a script: wrong input is 2, everything else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let wrong_input = error.is::<SpecError>()
        || error.is::<EditError>()
        || error.is::<EditWordsError>()
        || error.is::<DeviceError>()
        || error.is::<FindError>()
        || error.is::<UnknownMetric>()
        || error.is::<WorkspaceError>()
        || error.is::<QueryError>()
        || error.is::<PreferencesError>()
        || error.is::<open::NoFile>()
        || error.is::<check::Unusable>()
        || error.is::<bench::multiply::NotServed>();
    if wrong_input { USAGE } else { FAILED }
}

/// Put data on standard output.
fn print(text: &str) -> io::Result<()> {
    write(io::stdout().lock(), text)
}

/// A reader that has seen enough and left is no failure.
fn write(mut out: impl Write, text: &str) -> io::Result<()> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// What runs are started on.
#[derive(clap::Args, Debug)]
pub struct On {
    /// Devices to train on.
    #[arg(
        long,
        value_name = "DEVICE",
        value_delimiter = ',',
        default_value = "cpu"
    )]
    pub device: Vec<String>,
    /// Runs at a time [default: one a device; on `cpu` alone one a core].
    #[arg(long, value_name = "N")]
    pub jobs: Option<usize>,
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
