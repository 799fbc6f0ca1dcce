//! The engine: one run from its settings to its outcome. [`train`] reads from top to bottom as the programme. It
//! knows one run and its devices; it never hears of grids, queues or screens.

mod cache;
pub mod config;
#[cfg_attr(not(feature = "cuda"), path = "no_cuda.rs")]
mod cuda;
pub mod data;
pub mod device;
pub mod eval;
pub mod feed;
mod gpu;
mod inputs;
pub mod loss;
pub mod mesh;
pub mod model;
mod npy;
pub mod ops;
pub mod optim;
pub mod profile;
pub mod reads;
mod recorder;
pub mod rollback;
pub mod side;
mod simd;
mod snapshot;
mod splitmix;
mod start;
pub mod step;
mod tensors;
#[cfg_attr(not(feature = "tch"), path = "no_torch.rs")]
#[cfg_attr(
    feature = "tch",
    allow(deprecated, reason = "burn deprecates its backend for libtorch")
)]
mod torch;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
mod words;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use burn::module::Module;
use burn::tensor::Device;

pub use config::TrainConfig;
pub use recorder::Recorder;

use crate::record::checkpoint::Checkpoint;
use crate::record::{Outcome, Phase, RunId, library};
use crate::util::panic_words;
use data::Source;
use eval::Evaluation;
use feed::{Feed, Parts};
use loss::LossError;
use mesh::{Mesh, RankLost};
use rollback::Detours;
use step::State;

/// How an attempt ended without an error.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// On request, with a checkpoint to go on from.
    Stopped,
    /// To go on from an earlier step in another attempt, which [`train`] makes when it is called again.
    RolledBack,
    Finished(Outcome),
}

/// Train one run, from its last checkpoint if it has one, on one device a rank.
///
/// `starts` holds the last checkpoint of every run that a tower starts from. `stop` asks for a checkpoint and an end
/// after the update under way.
///
/// # Errors
/// What keeps the worker from its work: files, damaged checkpoints, towers that do not fit. A loss that is not finite
/// is no error but an outcome.
pub fn train(
    config: &TrainConfig,
    devices: &[Device],
    starts: &BTreeMap<RunId, Checkpoint>,
    recorder: &mut Recorder,
    stop: &AtomicBool,
) -> anyhow::Result<Ending> {
    let (resume, detours) = recorder.resume()?;
    let mut config = start::resolved(config, starts, resume.as_ref())?;
    torch::allow_tf32(config.train.tf32);
    if config.train.tile == 0 {
        let first = recorder.devices().first().map(String::as_str);
        config.train.tile =
            on_its_device(first, || Ok(step::compare::side(&config, &devices[0])?))?;
        // What was tried is none of the run's.
        torch::forget_peaks();
        let side = config.train.tile;
        recorder.say(format_args!(
            "the loss in tiles of {side}, where train.tile leaves it open"
        ));
    }
    let config = &config;
    let source = Source::open(&config.data, config.model.text.context, config.seed)?;
    source.suits(config)?;
    if config.has_text_tower() {
        let ids = source.vocabulary();
        let rows = config.model.text.rows(ids)?;
        if rows > ids && config.model.text.init.file().is_some() {
            recorder.warn(
                0,
                format!(
                    "the text tower's file has {rows} tokens and the tokenizer {ids}: is it the one that the tower was trained with?"
                ),
            )?;
        }
    }
    let pool = feed::pool()?;
    let names = recorder.devices().to_vec();
    let endings = thread::scope(|scope| {
        let rank = |mesh: &Mesh, mut recorder: Option<&mut Recorder>| {
            let device = &devices[mesh.rank()];
            let from = (starts, resume.as_ref());
            let (state, done) =
                begin(config, mesh, device, &source, from, recorder.as_deref_mut())?;
            let parts = Parts::new(config, mesh, &source, state.sides().clone())
                .without(detours.left_out.clone());
            let steps = done + 1..=config.steps();
            let mut feed = Feed::ahead(config.train.ahead, parts, steps, device, &pool, scope)?;
            run_rank(
                config,
                mesh,
                &mut feed,
                &source,
                (state, done),
                recorder,
                (&detours, stop),
            )
        };
        let rank = |mesh: &Mesh, recorder: Option<&mut Recorder>| {
            let name = names.get(mesh.rank()).map(String::as_str);
            on_its_device(name, || rank(mesh, recorder))
        };
        Mesh::run(
            config.train.ranks,
            |mesh| rank(&mesh, Some(recorder)),
            |mesh| rank(&mesh, None),
        )
    });
    // When a rank fails, the others only know that it is gone: its own error is the one to tell.
    let (lost, told): (Vec<_>, Vec<_>) = endings
        .into_iter()
        .partition(|e| e.as_ref().is_err_and(is_rank_lost));
    told.into_iter()
        .chain(lost)
        .reduce(|first, other| if first.is_ok() { other } else { first })
        .expect("a run has a rank")
}

/// What a rank does, and where it failed if its device is one of several that may fail: a driver does not say which.
fn on_its_device<R>(
    name: Option<&str>,
    work: impl FnOnce() -> anyhow::Result<R>,
) -> anyhow::Result<R> {
    let Some(name) = name.filter(|name| library(name).is_some()) else {
        return work();
    };
    let ended = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        bail!(
            "{}",
            panic_words(&*panic).unwrap_or("a panic without a message")
        )
    });
    ended.with_context(|| format!("on {name}"))
}

/// Whether an error only says that another rank is gone.
fn is_rank_lost(error: &anyhow::Error) -> bool {
    error.is::<RankLost>() || matches!(error.downcast_ref(), Some(LossError::RankLost(_)))
}

/// What rank 0 decides for all before an update.
#[derive(Clone, Copy)]
struct Orders {
    stop: bool,
    save: bool,
}

/// Where a rank begins or goes on, and the updates that were made before; rank 0 has the recorder.
fn begin(
    config: &TrainConfig,
    mesh: &Mesh,
    device: &Device,
    source: &Source,
    (starts, resume): (&BTreeMap<RunId, Checkpoint>, Option<&Checkpoint>),
    mut recorder: Option<&mut Recorder>,
) -> anyhow::Result<(State, u64)> {
    let mut state = State::new(config, source, device);
    let mut done = 0;
    if let Some(checkpoint) = resume {
        snapshot::restore(&mut state, checkpoint)?;
        done = checkpoint.manifest.step;
    } else if config.model.asks_another() {
        // One rank reads the files for all.
        let mut filled = None;
        if let Some(recorder) = &mut recorder {
            for message in start::fill(config, starts, &mut state)? {
                recorder.warn(0, message)?;
            }
            filled = Some(state.flat.clone());
        }
        let filled = mesh.broadcast(filled)?.expect("rank 0 has a recorder");
        if mesh.rank() > 0 {
            state.set(filled.to_device(device));
        }
    }

    state.unlock(config, done * config.train.batch_size as u64);
    let caches = match &recorder {
        Some(recorder) => state.open_caches(config, source, recorder.dir())?,
        None => Default::default(),
    };
    state.set_caches(mesh.broadcast(caches)?);
    Ok((state, done))
}

/// One rank's part of [`train`] from its beginning on; rank 0 has the recorder.
fn run_rank(
    config: &TrainConfig,
    mesh: &Mesh,
    feed: &mut Feed,
    source: &Source,
    (mut state, mut done): (State, u64),
    mut recorder: Option<&mut Recorder>,
    (detours, stop): (&Detours, &AtomicBool),
) -> anyhow::Result<Ending> {
    if let Some(recorder) = &mut recorder {
        recorder.skips(done, source, true)?;
    }
    let evaluation = match recorder {
        Some(_) => Some(Evaluation::open(config, source)?),
        None => None,
    };

    let (steps, batch) = (config.steps(), config.train.batch_size as u64);
    let rollback = &config.train.rollback;
    let mut saved = done;
    let first = done;
    while done < steps {
        // The first update compiles what the others use: it is no measure of their time.
        if let Some(recorder) = recorder.as_mut().filter(|_| done > first) {
            recorder.at(Phase::Training, done);
        }
        let save = recorder
            .as_ref()
            .is_some_and(|r| r.save_is_due(config.train.save_seconds));
        let orders = mesh.broadcast(Orders {
            stop: stop.load(Ordering::Relaxed),
            save,
        })?;
        if (orders.save || orders.stop) && done > saved {
            saved = done;
            if let Some(recorder) = &mut recorder {
                recorder.save(done, done * batch, &state, rollback)?;
                recorder.at(Phase::Training, done);
            }
        }
        if orders.stop {
            if let Some(recorder) = &mut recorder {
                recorder.stopped(done, done * batch)?;
            }
            return Ok(Ending::Stopped);
        }

        let step = done + 1;
        let (before, examples) = (done * batch, step * batch);
        let logged = step.is_multiple_of(config.train.log_every) || step == steps;
        let update = state.update(config, mesh, feed, step, logged)?;
        let diverged = !update.is_finite();
        let goes_back = detours.times < rollback.times;
        let watch = state.watch.as_mut();
        // Told of every update, so that it is the same for a run that takes the same way without going back.
        let spikes = watch.is_some_and(|watch| watch.sees_spike(update.loss)) && goes_back;
        if let Some(recorder) = &mut recorder
            && (logged || diverged || spikes)
        {
            recorder.skips(step, source, step == steps)?;
            recorder.row(config, step, examples, &update)?;
        }
        if diverged || spikes {
            let reason = match &update.problem {
                Some(problem) => problem.to_string(),
                None if spikes => format!("the loss spiked, to {}", update.loss),
                None => format!(
                    "the loss was {}, the gradient norm {} and the update norm {}",
                    update.loss, update.norms.gradient, update.norms.update
                ),
            };
            let outcome = Outcome::Diverged {
                reason: reason.clone(),
            };
            if let Some(recorder) = &mut recorder {
                recorder.skips(step, source, true)?;
                match goes_back {
                    true => recorder.rolled_back(step, examples, reason, rollback, detours)?,
                    false => recorder.finished(step, examples, outcome.clone())?,
                }
            }
            return Ok(match goes_back {
                true => Ending::RolledBack,
                false => Ending::Finished(outcome),
            });
        }
        done = step;
        if let (Some(recorder), Some(evaluation)) = (&mut recorder, &evaluation)
            && (config.eval.is_due(before, examples) || done == steps)
        {
            recorder.at(Phase::Evaluating, done);
            let asked = Instant::now();
            let metrics = evaluation.run(&state.model.valid(), &state.device)?;
            recorder.evaluated(done, examples, metrics, asked.elapsed())?;
        }
    }
    if let Some(recorder) = &mut recorder {
        if done > saved {
            recorder.save(done, done * batch, &state, rollback)?;
        }
        state.discard_caches(recorder.dir())?;
        recorder.skips(done, source, true)?;
        recorder.finished(done, done * batch, Outcome::Completed)?;
    }
    Ok(Ending::Finished(Outcome::Completed))
}

#[cfg(test)]
mod tests;
