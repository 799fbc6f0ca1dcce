//! `siglab logs RUN`: what its workers wrote to their standard output and error.

use std::fs::File;
use std::io::{ErrorKind, Write, stdout};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::{DONE, FAILED};
use crate::record::Tail;
use crate::store::RunState;
use crate::util::printable;
use crate::workbench::Workbench;

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(200);
const BITE: usize = 1_000;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The run's id, or enough of its beginning.
    pub run: String,
    /// Go on while the run goes on.
    #[arg(short, long)]
    pub follow: bool,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let mut workbench = Workbench::open(workspace)?;
    let run = workbench.find(&args.run)?;
    let (id, path) = (run.id().clone(), run.dir.log());
    if let Err(e) = File::open(&path) {
        if e.kind() == ErrorKind::NotFound && !args.follow {
            eprintln!("run {id} has no log yet: it is {}", run.state.name());
            return Ok(FAILED);
        }
        if e.kind() != ErrorKind::NotFound {
            return Err(e).with_context(|| format!("cannot read {}", path.display()));
        }
    }
    let mut tail = Tail::new(&path);
    loop {
        // The state first: what a worker wrote before it went is then read below.
        let running = workbench
            .store()
            .get(&id)
            .is_some_and(|run| run.state == RunState::Running);
        show(&mut tail).with_context(|| format!("cannot show {}", path.display()))?;
        if !args.follow || !running {
            return Ok(DONE);
        }
        workbench.wait(LOOK)?;
    }
}

fn show(tail: &mut Tail) -> anyhow::Result<()> {
    let mut out = stdout().lock();
    loop {
        let bite = tail.read(BITE)?;
        for line in &bite.lines {
            writeln!(out, "{}", printable(line))?;
        }
        if !bite.more {
            return Ok(out.flush()?);
        }
    }
}
