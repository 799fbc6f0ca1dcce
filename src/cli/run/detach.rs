//! `siglab run --detach`: the same command in a session of its own, with its words in `scheduler.log`.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::{Args, DONE};
use crate::exec::local::lead_session;
use crate::sched::{SchedulerLock, holder};

/// A scheduler that has not taken the workspace after this long is in trouble.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn start(workspace: &Path, args: &Args) -> anyhow::Result<u8> {
    // Refused here, where somebody reads it; the child takes the lock for itself.
    drop(SchedulerLock::acquire(workspace)?);
    let log_path = workspace.join("scheduler.log");
    let log = OpenOptions::new().create(true).append(true).open(&log_path);
    let log = log.with_context(|| format!("cannot write {}", log_path.display()))?;
    let program = std::env::current_exe().context("cannot find the path of this programme")?;
    let mut command = Command::new(program);
    command
        .arg("--workspace")
        .arg(workspace)
        .arg("run")
        .arg(&args.file);
    for (key, value) in &args.set {
        command.arg("--set").arg(format!("{key}={value}"));
    }
    command.arg("--device").arg(args.device.join(","));
    if let Some(jobs) = args.jobs {
        command.arg("--jobs").arg(jobs.to_string());
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    lead_session(&mut command);
    let mut child = command.spawn().context("cannot start the scheduler")?;
    let me = format!("process {} ", child.id());
    let deadline = Instant::now() + PATIENCE;
    while !holder(workspace)?.is_some_and(|holder| holder.starts_with(&me)) {
        if let Some(status) = child.try_wait()? {
            if status.success() {
                break;
            }
            bail!(
                "the scheduler ended with {status}; its words are in {}",
                log_path.display()
            );
        }
        if Instant::now() > deadline {
            bail!("the scheduler has not begun; see {}", log_path.display());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    eprintln!(
        "process {} schedules in the background; it writes to {}",
        child.id(),
        log_path.display()
    );
    eprintln!(
        "`siglab ls` shows the runs; `kill {}` stops them at a checkpoint",
        child.id()
    );
    Ok(DONE)
}
