//! `siglab worker DIR`: one process that trains one run and says so in its directory. It knows training and one
//! run; who asked for it, and what else is running, it never hears.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context, bail, ensure};
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::record::checkpoint::{self, Checkpoint};
use crate::record::{Event, EventLog, Outcome, RunDir, RunId, Want, WorkerLock, read_events};
use crate::spec::RunSpec;
use crate::train::{Ending, Recorder, TrainConfig, device, train};

/// Train the run in `dir` on `devices`, one a rank, with `threads` threads in all. Returns at once when the run is
/// finished. SIGTERM and SIGINT make it take a checkpoint and stop.
pub fn run(dir: &RunDir, devices: &[String], threads: usize) -> anyhow::Result<Ending> {
    let spec = RunSpec::read(dir)?;
    // A device that this build lacks is the caller's mistake and no failure of the run: nothing is recorded.
    for name in devices {
        device::open(name)?;
    }
    let lock = WorkerLock::acquire(dir).with_context(|| dir.lock().display().to_string())?;
    let Some(_lock) = lock else {
        bail!(
            "{} is being trained by another worker",
            dir.path().display()
        )
    };
    if let Some(outcome) = standing_outcome(dir)? {
        return Ok(Ending::Finished(outcome));
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    // Threads of the whole process: ranks share them.
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .context("the thread pool was started before the worker")?;

    let events = EventLog::open(dir)?;
    let mut recorder = Recorder::new(dir.clone(), events, Box::new(std::io::stdout()))?;
    recorder.started(started(&spec.config, devices, threads))?;
    let attempt = catch_unwind(AssertUnwindSafe(|| {
        attempt(dir, &spec.config, devices, &mut recorder, &stop)
    }));
    let reason = match attempt {
        Ok(Ok(ending)) => return Ok(ending),
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            format!("the worker panicked: {}", text.unwrap_or("no message"))
        }
    };
    recorder
        .finished(
            0,
            0,
            Outcome::Failed {
                reason: reason.clone(),
            },
        )
        .with_context(|| format!("while recording: {reason}"))?;
    bail!("{reason}")
}

fn attempt(
    dir: &RunDir,
    config: &TrainConfig,
    names: &[String],
    recorder: &mut Recorder,
    stop: &AtomicBool,
) -> anyhow::Result<Ending> {
    config.validate()?;
    ensure!(
        names.len() == config.train.ranks,
        "the run has {} ranks and was given {} devices",
        config.train.ranks,
        names.len()
    );
    let devices = names
        .iter()
        .map(|name| device::open(name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut starts: BTreeMap<RunId, Checkpoint> = BTreeMap::new();
    for id in config.model.prerequisites() {
        let other = dir.sibling(id);
        ensure!(
            standing_outcome(&other)? == Some(Outcome::Completed),
            "this run starts from run {id}, which is not complete"
        );
        let (checkpoint, _) = checkpoint::latest(&other)?;
        starts.insert(
            id.clone(),
            checkpoint.with_context(|| format!("run {id} has no whole checkpoint"))?,
        );
    }
    train(config, &devices, &starts, recorder, stop)
}

/// How the run ended, unless that was a failure or divergence which `want.json` asks to try again.
fn standing_outcome(dir: &RunDir) -> anyhow::Result<Option<Outcome>> {
    let forgiven = Want::read(dir)?.forgive;
    Ok(read_events(dir)?
        .into_iter()
        .rev()
        .find_map(|line| match line.event {
            Event::Finished {
                outcome: Outcome::Completed,
                ..
            } => Some(Outcome::Completed),
            Event::Finished { outcome, .. } if line.attempt > forgiven => Some(outcome),
            _ => None,
        }))
}

fn started(config: &TrainConfig, devices: &[String], threads: usize) -> Event {
    let steps = config.steps();
    Event::Started {
        siglab: env!("CARGO_PKG_VERSION").to_owned(),
        host: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        pid: std::process::id(),
        devices: devices.to_vec(),
        threads,
        total_steps: steps,
        total_examples: steps * config.train.batch_size as u64,
    }
}
