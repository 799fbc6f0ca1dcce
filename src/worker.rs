//! `siglab worker DIR`: one process that trains one run and says so in its directory. It knows training and one
//! run; who asked for it, and what else is running, it never hears.

mod provenance;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail, ensure};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};

use crate::record::checkpoint::{self, Checkpoint};
use crate::record::{
    Event, EventLog, Flood, Outcome, Room, RunDir, RunId, Want, WorkerLock, read_events,
};
use crate::spec::RunSpec;
use crate::train::{Ending, Recorder, TrainConfig, device, train};
use crate::util::{disk, panic_words};

pub use provenance::provenance;

/// Train the run in `dir` on `devices`, one a rank, with `threads` threads in all. Returns at once when the run is
/// finished. SIGTERM and SIGINT make it take a checkpoint and stop. Where the run goes back, or a full disk spoilt an
/// attempt, the next one follows here.
pub fn run(dir: &RunDir, devices: &[String], threads: usize) -> anyhow::Result<Ending> {
    let spec = RunSpec::read(dir)?;
    // A device that this build does not know is the caller's mistake and no failure of the run: nothing is recorded. One
    // that the machine has no more is found out in the attempt.
    for name in devices.iter().filter(|name| !device::is_known(name)) {
        device::open(name)?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        signal_hook::flag::register(signal, Arc::clone(&stop))?;
    }
    // A file that may not grow is then an error of the write, and no death.
    signal_hook::flag::register(SIGXFSZ, Arc::default())?;
    let room = Room::new(dir.clone(), Arc::clone(&stop));
    let lock = room.hold(|| WorkerLock::acquire(dir));
    let (lock, _) = lock.with_context(|| dir.lock().display().to_string())?;
    let Some(_lock) = lock else {
        bail!(
            "{} is being trained by another worker",
            dir.path().display()
        )
    };
    disk::sweep(dir.path(), |name| RunDir::REPLACED.contains(&name));
    if let Some(outcome) = standing_outcome(dir)? {
        return Ok(Ending::Finished(outcome));
    }
    // Threads of the whole process: ranks share them.
    device::set_threads(threads, spec.config.train.ranks)
        .context("the thread pool was started before the worker")?;

    let _flood = Flood::hold_back(dir).context("no thread to look after the log")?;
    loop {
        match attempt(dir, &spec.config, (devices, threads), &stop) {
            Ok(Ending::RolledBack) => {}
            // Nothing is wrong with the run: it goes on from its last checkpoint, here or, if this is to stop, elsewhere.
            Err(error) if lacked_room(&error) => {
                if stop.load(Ordering::Relaxed) {
                    return Err(error.context("stopped while there was no room on the disk"));
                }
                // Where nobody listens, or there is no room for it, it is only lost.
                let _ = writeln!(io::stderr(), "waits for room: {error:#}");
                room.wait();
            }
            ended => return ended,
        }
    }
}

/// One attempt, with its end on record; an error that is not for want of room is a failure of the run.
fn attempt(
    dir: &RunDir,
    config: &TrainConfig,
    (devices, threads): (&[String], usize),
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Ending> {
    let events = EventLog::open(dir)?;
    let mut recorder = Recorder::new(dir.clone(), events, Box::new(io::stdout()))?;
    recorder.heed(Arc::clone(stop));
    let work = AssertUnwindSafe(|| {
        recorder.started(started(config, devices, threads))?;
        work(dir, config, devices, &mut recorder, stop)
    });
    let reason = match catch_unwind(work) {
        Ok(Ok(ending)) => return Ok(ending),
        Ok(Err(error)) if lacked_room(&error) => return Err(error),
        Ok(Err(error)) => format!("{error:#}"),
        Err(panic) => {
            let said = panic_words(&*panic).unwrap_or("no message");
            format!("the worker panicked: {said}")
        }
    };
    let reason = device::without_calls(&reason).to_owned();
    // What the machine did is no failure of the run.
    if let Some(lack) = device::lack(&reason, devices) {
        (recorder.interrupted(lack, reason.clone()))
            .with_context(|| format!("while recording: {reason}"))?;
        bail!("{reason}")
    }
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

/// Whether it was for a full disk that an attempt failed.
fn lacked_room(error: &anyhow::Error) -> bool {
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref());
    causes.any(Room::was_wanted)
}

fn work(
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
        files: config.look_of_files(),
        provenance: Box::new(provenance()),
    }
}
