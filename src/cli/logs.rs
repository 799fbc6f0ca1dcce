//! `siglab logs RUN`: what its workers wrote to their standard output and error.

use std::io::{self, ErrorKind, Write, stdout};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::{DONE, FAILED};
use crate::record::{Block, Tail};
use crate::store::RunState;
use crate::util::printable;
use crate::workbench::Workbench;

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes that are shown at a time.
const BITE: usize = 64 << 10;

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
    let state = run.state.name();
    if !path.exists() {
        if !args.follow {
            eprintln!("run {id} has no log yet: it is {state}");
            return Ok(FAILED);
        }
        eprintln!("run {id} has no log yet: it is {state}; waiting for it to start");
    }
    let mut tail = Tail::new(&path);
    let mut lines = 0;
    loop {
        // The state first: what a worker wrote before it went is then read below.
        let goes_on = workbench
            .store()
            .get(&id)
            .is_some_and(|run| matches!(run.state, RunState::New | RunState::Running));
        match show(&mut tail) {
            Ok(more) => lines += more,
            // The reader has seen enough.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(DONE),
            Err(e) => return Err(e).with_context(|| format!("cannot show {}", path.display())),
        }
        if !args.follow || !goes_on {
            break;
        }
        workbench.wait(LOOK)?;
    }
    if lines == 0 {
        eprintln!("the log of run {id} is empty");
    }
    Ok(DONE)
}

/// Print what is new; how many lines that was.
fn show(tail: &mut Tail) -> io::Result<usize> {
    let mut out = stdout().lock();
    let (mut block, mut lines) = (Block::default(), 0);
    loop {
        let bite = tail.read(BITE, &mut block)?;
        for line in block.lines().flatten() {
            writeln!(out, "{}", printable(line))?;
            lines += 1;
        }
        if !bite.more {
            out.flush()?;
            return Ok(lines);
        }
    }
}
