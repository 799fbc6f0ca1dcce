//! `siglab completions SHELL`: a completion script on standard output.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, DONE, print};

#[derive(clap::Args, Debug)]
pub struct Args {
    pub shell: Shell,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "siglab", &mut script);
    print(&String::from_utf8(script)?)?;
    Ok(DONE)
}
