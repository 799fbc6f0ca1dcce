//! The command line: the verbs, one file each. Data goes to standard output, messages to standard error; 0 done,
//! 1 failed, 2 wrong usage, 130 interrupted. No verb can do what the workbench cannot.

mod check;
mod doctor;
mod worker;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

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
    #[arg(long, global = true, value_name = "DIR", env = "SIGLAB_WORKSPACE", default_value = "runs")]
    pub workspace: PathBuf,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Hold this build's arithmetic against recorded values.
    #[command(subcommand)]
    Check(check::Check),
    /// Show what this build and this machine can do.
    Doctor(doctor::Args),
    /// Train one run in this process; the workbench starts it.
    Worker(worker::Args),
}

/// Do what the command line says; the number is the exit code.
pub fn run(cli: Cli) -> anyhow::Result<u8> {
    match cli.verb {
        Verb::Check(check) => check::run(check),
        Verb::Doctor(args) => doctor::run(&cli.workspace, args),
        Verb::Worker(args) => worker::run(args),
    }
}

/// What an error means to a script: wrong input is 2, everything else 1.
pub fn exit_code(_error: &anyhow::Error) -> u8 {
    FAILED
}
