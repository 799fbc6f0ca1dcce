//! A scheduler in the background: `siglab run` in a session of its own, with its words in `scheduler.log`. What it
//! schedules is its command line's affair.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::exec::local::lead_session;
use crate::sched::{SchedulerLock, has_begun, holder};
use crate::util::{as_word, disk, printable};

/// A scheduler that has not taken the workspace after this long is in trouble. It asks libraries for GPUs first, which take their time
/// where there are many GPUs.
const PATIENCE: Duration = Duration::from_secs(60);
/// One that has been through its first round and finds nothing to start ends within this.
const SETTLES: Duration = Duration::from_millis(300);
/// What the first round may take until it is taken for done: on a full disk nobody can let us know.
const ROUND: Duration = Duration::from_secs(3);

/// A scheduler that has begun.
#[derive(Clone, Debug)]
pub struct Background {
    pub pid: u32,
    /// It has ended already: there was nothing left to do.
    pub over: bool,
}

/// Start `siglab run` with these arguments and wait until it is at work, or has found nothing to do.
pub fn start<S: AsRef<OsStr>>(
    workspace: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> anyhow::Result<Background> {
    // Refused here, where somebody reads it; the child takes the lock for itself.
    drop(SchedulerLock::acquire(workspace)?);
    let path = workspace.join("scheduler.log");
    let mut log =
        disk::open_to_append(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let begins = log.seek(SeekFrom::End(0))?;
    let program = std::env::current_exe().context("cannot find the path of this programme")?;
    let mut command = Command::new(program);
    command
        .arg("--workspace")
        .arg(as_word(workspace))
        .arg("run")
        .args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?);
    lead_session(&mut command);
    let mut child = command.spawn().context("cannot start the scheduler")?;
    let me = format!("process {} ", child.id());
    let deadline = Instant::now() + PATIENCE;
    let (mut holds, mut at_work): (Option<Instant>, Option<Instant>) = (None, None);
    let mut over = false;
    while !over && at_work.is_none_or(|since| since.elapsed() < SETTLES) {
        if holds.is_none() && holder(workspace)?.is_some_and(|name| name.starts_with(&me)) {
            holds = Some(Instant::now());
        }
        let is_through = |since: Instant| has_begun(workspace) || since.elapsed() > ROUND;
        if at_work.is_none() && holds.is_some_and(is_through) {
            at_work = Some(Instant::now());
        }
        match child.try_wait()? {
            Some(status) if status.success() => over = true,
            Some(status) => bail!(
                "the scheduler ended with {status}: {}",
                words(&mut log, begins)?
            ),
            None if holds.is_none() && Instant::now() > deadline => {
                bail!(
                    "the scheduler has not begun after {PATIENCE:?}; see {}",
                    path.display()
                )
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    Ok(Background {
        pid: child.id(),
        over,
    })
}

/// What stands in `log` from `begins` on, in one line.
fn words(log: &mut File, begins: u64) -> anyhow::Result<String> {
    log.seek(SeekFrom::Start(begins))?;
    let mut bytes = Vec::new();
    log.read_to_end(&mut bytes)?;
    Ok(printable(String::from_utf8_lossy(&bytes).trim()))
}
