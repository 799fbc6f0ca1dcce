//! What updates read: the parts of every batch in the order in which updates ask for them, drawn when they ask, or ahead
//! of them by a thread of its own while the towers compute. Which of the two changes no number.

mod parts;

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::Device;
use rayon::ThreadPool;

use super::data::DataError;
use super::profile::span;
pub use parts::{Ask, Part, Parts, Pass};

/// Where the updates of one rank take their parts from.
pub struct Feed<'scope> {
    /// Parts of a batch.
    count: usize,
    /// Examples of the rank's slice of a batch.
    share: usize,
    drawn: Drawn<'scope>,
    waited: Duration,
}

enum Drawn<'scope> {
    WhenAsked(Box<Parts<'scope>>),
    Ahead(Queue<'scope>),
}

/// What a loader thread has drawn.
struct Queue<'scope> {
    parts: Receiver<Result<Part, DataError>>,
    loader: Option<ScopedJoinHandle<'scope, ()>>,
    /// Tells the loader to give up.
    stop: Arc<AtomicBool>,
}

/// Threads to draw on beside those that the towers compute on, as many: the system shares the cores out among them, where
/// one pool for both would let towers wait behind whole parts.
///
/// # Errors
/// When the system gives no threads.
pub fn pool() -> anyhow::Result<ThreadPool> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads());
    let named = threads.thread_name(|i| format!("loader {i}"));
    named.build().context("no threads to draw examples on")
}

impl<'scope> Feed<'scope> {
    /// Draws each part when it is asked for.
    pub fn when_asked(parts: Parts<'scope>) -> Self {
        Self {
            count: parts.count(),
            share: parts.share(),
            drawn: Drawn::WhenAsked(Box::new(parts)),
            waited: Duration::ZERO,
        }
    }

    /// Lets a thread of `scope` draw the parts of the updates `steps` on the threads of `pool`, up to `most` ahead of the
    /// updates, and take them to `device` if that is a GPU; of 0 ahead, each is drawn when it is asked for. The thread ends
    /// soon after the feed does.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn ahead(
        most: usize,
        mut parts: Parts<'scope>,
        steps: RangeInclusive<u64>,
        device: &Device,
        pool: &'scope ThreadPool,
        scope: &'scope Scope<'scope, '_>,
    ) -> std::io::Result<Self> {
        if most == 0 {
            return Ok(Self::when_asked(parts));
        }
        let (count, share) = (parts.count(), parts.share());
        // The loader holds one part when the queue is full.
        let (sender, receiver) = sync_channel(most - 1);
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let device = device.clone();
        let draw = move || {
            for step in steps {
                for ask in parts.asks(step) {
                    let part = pool.install(|| parts.draw(ask, &told)).transpose();
                    let Some(mut part) = part else { return };
                    if let Ok(part) = &mut part {
                        let readings = part.sides.iter_mut().flatten();
                        readings.for_each(|reading| reading.send(&device));
                    }
                    let is_last = part.is_err();
                    if sender.send(part).is_err() || is_last {
                        return;
                    }
                }
            }
        };
        let loader = Builder::new().name("loader".into());
        let loader = loader.spawn_scoped(scope, draw)?;
        Ok(Self {
            count,
            share,
            drawn: Drawn::Ahead(Queue {
                parts: receiver,
                loader: Some(loader),
                stop,
            }),
            waited: Duration::ZERO,
        })
    }

    /// Parts that the rank's slice of a batch comes in.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Examples of the rank's slice of a batch.
    pub fn share(&self) -> usize {
        self.share
    }

    /// How long updates have waited for what they asked.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// The part that an update asks for; updates ask for what [`Parts::asks`] lists, in that order.
    ///
    /// # Errors
    /// When the part cannot be read.
    ///
    /// # Panics
    /// When drawing it panicked.
    pub fn take(&mut self, ask: Ask) -> Result<Part, DataError> {
        let asked = Instant::now();
        let part = span("data", || match &mut self.drawn {
            Drawn::WhenAsked(parts) => {
                let part = parts.draw(ask, &AtomicBool::new(false));
                part.map(|part| part.expect("nobody stops it"))
            }
            Drawn::Ahead(queue) => queue.take(),
        });
        self.waited += asked.elapsed();
        if let Ok(part) = &part {
            assert_eq!(part.ask, ask, "updates ask in the order of the plan");
        }
        part
    }
}

impl Queue<'_> {
    fn take(&mut self) -> Result<Part, DataError> {
        match self.parts.recv() {
            Ok(part) => part,
            Err(_) => match self.loader.take().map(ScopedJoinHandle::join) {
                Some(Err(panic)) => std::panic::resume_unwind(panic),
                _ => panic!("no part is left of those that the loader was to draw"),
            },
        }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
