//! How long a worker has shown nothing, and whether that is too long. A row, an event, a step or another phase is a sign
//! of life. Evaluating, saving and what comes before the second step may take as long as they take, as long as the worker
//! computes, reads or writes: what waits for ever, for a file or another thread, does none of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::record::{Cause, Phase, Process, Pulse, Room, RunDir, Work};

/// How long workers may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To save and end, once asked.
    pub grace: Duration,
    /// For a step, while they train, five times the longest so far being granted too; and without work of any kind,
    /// whatever they are at.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(60),
            stall: Duration::from_secs(600),
        }
    }
}

impl Limits {
    /// How long a signal may keep a worker from running.
    fn suspended(&self) -> Duration {
        self.stall.min(Duration::from_secs(30))
    }
}

/// Steps differ, by what the machine does beside them: this much longer than the longest is still a step.
const PATIENCE: u32 = 5;
/// Part of one core that whoever computes uses at least; a thread that looks up now and then uses less.
const AT_WORK: f64 = 1e-3;
/// Files are not looked at more often.
const LOOK: Duration = Duration::from_secs(1);

/// What a worker shows.
#[derive(Debug, Default, PartialEq)]
struct Sign {
    /// Lengths of its logs.
    events: u64,
    metrics: u64,
    pulse: Option<Pulse>,
}

impl Sign {
    fn of(dir: &RunDir, pid: i32) -> Self {
        let length = |path: &Path| fs::metadata(path).map_or(0, |file| file.len());
        Self {
            events: length(&dir.events()),
            metrics: length(&dir.metrics()),
            pulse: Pulse::read(dir, pid),
        }
    }

    fn is_at(&self, phase: Phase) -> bool {
        self.pulse.is_some_and(|pulse| pulse.phase == phase)
    }
}

/// One worker's silence, in the scheduler's time.
#[derive(Debug)]
pub(super) struct Silence {
    sign: Sign,
    since: Duration,
    /// What it had done by then.
    work: Option<Work>,
    looked: Option<Duration>,
    /// The longest between two signs while it trained, the first step and what came before it being one.
    longest: Duration,
    suspended: Option<Duration>,
}

impl Silence {
    /// From now on.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            sign: Sign::default(),
            since: now,
            work: None,
            looked: None,
            longest: Duration::ZERO,
            suspended: None,
        }
    }

    /// Look at the run's worker; the cause to kill it for, if there is one.
    pub(super) fn look(
        &mut self,
        now: Duration,
        (dir, worker): (&RunDir, &Process),
        suspended: bool,
        limits: &Limits,
    ) -> Option<Cause> {
        if suspended {
            let took = now - *self.suspended.get_or_insert(now);
            return (took > limits.suspended()).then_some(Cause::Suspended {
                seconds: took.as_secs(),
            });
        }
        if self.suspended.take().is_some() {
            // What it could not do meanwhile is not held against it.
            self.since = now;
        }
        if self.looked.is_some_and(|looked| now - looked < LOOK) {
            return None;
        }
        self.looked = Some(now);
        let sign = Sign::of(dir, worker.pid);
        let took = now - self.since;
        let trains = sign.is_at(Phase::Training);
        if sign != self.sign {
            if trains && (self.sign.is_at(Phase::Training) || self.sign.is_at(Phase::Starting)) {
                self.longest = self.longest.max(took);
            }
            self.sign = sign;
            self.since = now;
            self.work = worker.work();
            return None;
        }
        if took <= limits.stall.max(PATIENCE * self.longest) {
            return None;
        }
        // Of a worker that was taken over in the middle of a step nobody knows how long its steps are.
        if !trains || self.longest.is_zero() {
            let work = worker.work();
            let is_idle = |(before, now): (Work, Work)| {
                let used = now.processor.saturating_sub(before.processor);
                used < took.mul_f64(AT_WORK) && now.bytes == before.bytes
            };
            if !self.work.zip(work).is_some_and(is_idle) {
                (self.since, self.work) = (now, work);
                return None;
            }
        }
        if Room::is_awaited(dir).unwrap_or(false) {
            // On a full disk it can do nothing else.
            self.since = now;
            return None;
        }
        Some(Cause::Stalled {
            seconds: took.as_secs(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    fn limits() -> Limits {
        Limits {
            stall: Duration::from_secs(20),
            ..Limits::default()
        }
    }

    /// A process in the place of a worker, and what it shows.
    struct Worker {
        _tmp: tempfile::TempDir,
        dir: RunDir,
        child: Child,
        process: Process,
    }

    impl Worker {
        fn doing(script: &str) -> Self {
            let tmp = tempfile::tempdir().unwrap();
            let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
            Self {
                dir: RunDir::new(tmp.path()),
                process: Process::of_child(&child).unwrap(),
                child,
                _tmp: tmp,
            }
        }

        /// One that sleeps by now: what it takes to begin is work too.
        fn waiting() -> Self {
            let worker = Self::doing("exec sleep 600");
            let comm = format!("/proc/{}/comm", worker.child.id());
            loop {
                let before = worker.process.work();
                std::thread::sleep(Duration::from_millis(50));
                let sleeps = fs::read_to_string(&comm).unwrap() == "sleep\n";
                if sleeps && worker.process.work() == before {
                    return worker;
                }
            }
        }

        fn is_at(&self, phase: Phase) {
            let pid = self.child.id();
            let pulse = Pulse {
                pid,
                phase,
                step: 1,
            };
            fs::write(self.dir.pulse(), serde_json::to_vec(&pulse).unwrap()).unwrap();
        }

        /// The first second, until `end`, at which it is to be killed, and for what.
        fn killed_at(
            &self,
            silence: &mut Silence,
            seconds: std::ops::Range<u64>,
            suspended: bool,
        ) -> Option<(u64, Cause)> {
            let mut look = |at: u64| {
                let now = Duration::from_secs(at);
                silence.look(now, (&self.dir, &self.process), suspended, &limits())
            };
            seconds.into_iter().find_map(|at| Some((at, look(at)?)))
        }
    }

    impl Drop for Worker {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn from_now() -> Silence {
        Silence::new(Duration::ZERO)
    }

    #[test]
    fn whoever_waits_for_ever_is_found_out_whatever_it_is_at() {
        let worker = Worker::waiting();
        let killed = worker.killed_at(&mut from_now(), 0..100, false);
        assert!(
            killed.is_some(),
            "one that has not come so far as to say anything"
        );
        for phase in [
            Phase::Starting,
            Phase::Training,
            Phase::Evaluating,
            Phase::Saving,
        ] {
            worker.is_at(phase);
            let killed = worker.killed_at(&mut from_now(), 0..100, false);
            let stalled = Cause::Stalled { seconds: 21 };
            assert_eq!(killed, Some((21, stalled)), "{phase:?}");
        }
    }

    /// Seconds of which `worker` gets something done in each twenty.
    fn lasts(worker: &Worker, silence: &mut Silence, done: impl Fn(Work, Work) -> bool) -> bool {
        (0..100).step_by(20).all(|from| {
            let before = worker.process.work().unwrap();
            while !done(before, worker.process.work().unwrap()) {
                std::thread::sleep(Duration::from_millis(5));
            }
            worker.killed_at(silence, from..from + 20, false).is_none()
        })
    }

    fn computes(before: Work, now: Work) -> bool {
        now.processor >= before.processor + Duration::from_millis(100)
    }

    #[test]
    fn what_takes_long_may_take_long_while_it_computes_or_reads() {
        let reads = |before: Work, now: Work| now.bytes > before.bytes;
        let busy = Worker::doing("while :; do :; done");
        let reading_slowly =
            Worker::doing("while :; do read -r line </proc/uptime; sleep 0.05; done");
        for phase in [Phase::Starting, Phase::Evaluating, Phase::Saving] {
            busy.is_at(phase);
            assert!(lasts(&busy, &mut from_now(), computes), "{phase:?}");
            reading_slowly.is_at(phase);
            assert!(lasts(&reading_slowly, &mut from_now(), reads), "{phase:?}");
        }
        // A step of a worker that was seen to take shorter ones.
        busy.is_at(Phase::Starting);
        let mut silence = from_now();
        assert_eq!(busy.killed_at(&mut silence, 0..2, false), None);
        busy.is_at(Phase::Training);
        let killed = busy.killed_at(&mut silence, 2..100, false);
        assert_eq!(killed, Some((23, Cause::Stalled { seconds: 21 })));
    }

    #[test]
    fn the_first_step_says_how_long_the_others_may_take_and_so_does_work_where_none_was_seen() {
        let worker = Worker::waiting();
        worker.is_at(Phase::Starting);
        let mut silence = from_now();
        assert_eq!(worker.killed_at(&mut silence, 0..18, false), None);
        worker.is_at(Phase::Training);
        // Seen at 18: five times as much is granted.
        let stalled = Cause::Stalled { seconds: 91 };
        let killed = worker.killed_at(&mut silence, 18..200, false);
        assert_eq!(killed, Some((109, stalled)));
        let busy = Worker::doing("while :; do :; done");
        busy.is_at(Phase::Training);
        assert!(lasts(&busy, &mut from_now(), computes), "taken over");
    }

    #[test]
    fn slow_steps_earn_patience_and_a_row_is_a_sign() {
        let worker = Worker::waiting();
        worker.is_at(Phase::Training);
        let mut silence = from_now();
        assert_eq!(worker.killed_at(&mut silence, 0..15, false), None);
        fs::write(worker.dir.metrics(), "{}\n").unwrap();
        // The row is seen at 15: the longest step took 15 s, and 75 are granted from here on.
        let stalled = Cause::Stalled { seconds: 76 };
        assert_eq!(
            worker.killed_at(&mut silence, 15..200, false),
            Some((91, stalled))
        );
    }

    #[test]
    fn a_suspended_worker_is_given_up_sooner_and_an_awakened_one_begins_anew() {
        let worker = Worker::waiting();
        worker.is_at(Phase::Training);
        let mut silence = from_now();
        assert_eq!(worker.killed_at(&mut silence, 0..10, false), None);
        assert_eq!(worker.killed_at(&mut silence, 10..30, true), None);
        assert_eq!(worker.killed_at(&mut silence, 30..45, false), None);
        let suspended = Cause::Suspended { seconds: 21 };
        assert_eq!(
            worker.killed_at(&mut silence, 45..100, true),
            Some((66, suspended))
        );
    }
}
