//! `siglab logs RUN`: what its workers wrote to their standard output and error.

use std::fmt::Write;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::{DONE, FAILED, say, tell};
use crate::record::{Block, Tail};
use crate::store::RunState;
use crate::util::printable;
use crate::workbench::Workbench;

/// Between two looks at a log that is followed.
const LOOK: Duration = Duration::from_millis(200);
/// Bytes that are shown at a time.
const BITE: usize = 64 << 10;
/// In place of a line that is none to show.
const NO_LINE: &str = "(a line that is longer than 1 MiB or is not UTF-8)";

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
    let (id, path, old) = (run.id().clone(), run.dir.log(), run.dir.old_log());
    let state = run.state.name();
    if !path.exists() {
        if !args.follow {
            tell(format_args!("run {id} has no log yet: it is {state}"));
            return Ok(FAILED);
        }
        tell(format_args!(
            "run {id} has no log yet: it is {state}; waiting for it to start"
        ));
    }
    // What was put aside when the log got too long comes first.
    let mut before = Some(Tail::new(&old));
    let mut tail = Tail::new(&path);
    let mut lines = 0;
    loop {
        // The state first: what a worker wrote before it went is then read below.
        let goes_on = workbench
            .store()
            .get(&id)
            .is_some_and(|run| matches!(run.state, RunState::New | RunState::Running));
        for tail in before.take().iter_mut().chain([&mut tail]) {
            match show(tail) {
                Ok(more) => lines += more,
                // The reader has seen enough.
                Err(e) if e.kind() == ErrorKind::BrokenPipe => return Ok(DONE),
                Err(e) => {
                    let path = tail.path().display().to_string();
                    return Err(e).with_context(|| format!("cannot show {path}"));
                }
            }
        }
        if !args.follow || !goes_on {
            break;
        }
        workbench.wait(LOOK)?;
    }
    if lines == 0 {
        tell(format_args!("the log of run {id} is empty"));
    }
    Ok(DONE)
}

/// Print what is new; how many lines that was.
fn show(tail: &mut Tail) -> io::Result<usize> {
    let (mut block, mut lines) = (Block::default(), 0);
    loop {
        let bite = tail.read(BITE, &mut block)?;
        let mut text = String::new();
        let unfit = (0..bite.damaged).map(|_| None);
        for line in unfit.chain(block.lines()) {
            let line = line.map_or_else(|| NO_LINE.into(), printable);
            writeln!(text, "{line}").map_err(io::Error::other)?;
            lines += 1;
        }
        say::show(&text)?;
        if !bite.more {
            return Ok(lines);
        }
    }
}
