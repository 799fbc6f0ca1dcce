//! Where the time of an update goes: spans with names, one inside another. The thread that asks for a profile has the
//! spans that others lie in; what other threads do meanwhile counts as theirs by the share of one thread. Nothing is
//! measured unless somebody asks, and one profile is taken at a time in a process: a tape calls back without a word of
//! who is asking, so it is process-wide.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

static IS_ON: AtomicBool = AtomicBool::new(false);
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);

struct Running {
    asker: ThreadId,
    /// Where the asker is.
    path: Vec<&'static str>,
    spans: Vec<Span>,
}

/// All time under one name in one place.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Names from the outermost span to this.
    pub path: Vec<&'static str>,
    pub time: Duration,
    pub count: u64,
    /// Whether the time is the sum over the threads that share the work of the span around it.
    pub is_shared: bool,
}

/// What `work` gives, and all spans in it, in the order in which they first ended, outer ones before what lies in them.
///
/// # Panics
/// While another profile is taken.
pub fn profile<R>(work: impl FnOnce() -> R) -> (R, Vec<Span>) {
    let asker = std::thread::current().id();
    let before = lock().replace(Running {
        asker,
        path: Vec::new(),
        spans: Vec::new(),
    });
    assert!(before.is_none(), "one profile at a time");
    IS_ON.store(true, Ordering::Relaxed);
    let result = work();
    IS_ON.store(false, Ordering::Relaxed);
    let spans = lock().take().map_or_else(Vec::new, |running| running.spans);
    (result, spans)
}

/// Do `work` under a name.
pub fn span<R>(name: &'static str, work: impl FnOnce() -> R) -> R {
    if !IS_ON.load(Ordering::Relaxed) {
        return work();
    }
    let id = std::thread::current().id();
    if let Some(running) = &mut *lock()
        && running.asker == id
    {
        running.path.push(name);
        running.place(&[], false);
    }
    let start = Instant::now();
    let result = work();
    let time = start.elapsed();
    if let Some(running) = &mut *lock() {
        let is_shared = running.asker != id;
        let within: &[&'static str] = if is_shared { &[name] } else { &[] };
        let span = running.place(within, is_shared);
        span.time += time;
        span.count += 1;
        if !is_shared {
            running.path.pop();
        }
    }
    result
}

fn lock() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// The span at the asker's path and `within`.
    fn place(&mut self, within: &[&'static str], is_shared: bool) -> &mut Span {
        let path = [&self.path, within].concat();
        let known = self.spans.iter().position(|s| s.path == path);
        let place = known.unwrap_or_else(|| {
            self.spans.push(Span {
                path,
                time: Duration::ZERO,
                count: 0,
                is_shared,
            });
            self.spans.len() - 1
        });
        &mut self.spans[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_lie_in_each_other_and_threads_share() {
        let sleep = || std::thread::sleep(Duration::from_millis(2));
        span("nobody asks", sleep);
        let ((), spans) = profile(|| {
            span("outer", || {
                for _ in 0..3 {
                    span("inner", sleep);
                }
                std::thread::scope(|scope| {
                    scope.spawn(|| span("other", sleep));
                });
            });
        });
        // Other tests run meanwhile, and their spans are seen as another thread's.
        let names = ["outer", "inner", "other"];
        let ours = |span: &&Span| span.path.iter().all(|name| names.contains(name));
        let spans: Vec<&Span> = spans.iter().filter(ours).collect();
        let seen: Vec<_> = spans
            .iter()
            .map(|s| (s.path.join("/"), s.count, s.is_shared))
            .collect();
        let expected = [
            ("outer", 1, false),
            ("outer/inner", 3, false),
            ("outer/other", 1, true),
        ];
        assert_eq!(seen, expected.map(|(path, n, s)| (path.to_owned(), n, s)));
        let [outer, inner, other] = [0, 1, 2].map(|i| spans[i].time);
        assert!(inner >= Duration::from_millis(6) && outer >= inner + other);
    }
}
