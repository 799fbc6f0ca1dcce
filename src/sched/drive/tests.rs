//! The tick over a scripted executor and run directories in which the test plays the worker.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::exec::JobState;
use crate::exec::fake::Fake;
use crate::record::{Event, EventLog, Lack, Outcome, RunDir, Wish, WorkerLock};
use crate::sched::waits;
use crate::spec::RunSpec;
use crate::train::TrainConfig;
use crate::util::disk::fault;

mod machine;

struct Fixture {
    tmp: tempfile::TempDir,
    dirs: Vec<RunDir>,
    ids: Vec<RunId>,
    store: Store,
    scheduler: Scheduler<Fake>,
    /// What the scheduler takes for the time, in milliseconds.
    clock: Arc<AtomicU64>,
}

impl Fixture {
    fn new(runs: u64, slots: usize) -> Self {
        Self::on(runs, Fake::new(slots))
    }

    fn on(runs: u64, fake: Fake) -> Self {
        Self::with_ranks(&vec![1; runs as usize], fake)
    }

    /// A run for each number of ranks.
    fn with_ranks(ranks: &[usize], fake: Fake) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let (mut ids, mut dirs) = (Vec::new(), Vec::new());
        for (seed, ranks) in (0..).zip(ranks) {
            let mut config = TrainConfig {
                seed,
                ..TrainConfig::default()
            };
            config.train.ranks = *ranks;
            let spec = RunSpec::new(config);
            let dir = RunDir::new(tmp.path().join(spec.id.as_str()));
            fs::create_dir(dir.path()).unwrap();
            spec.write(&dir).unwrap();
            ids.push(spec.id);
            dirs.push(dir);
        }
        let store = Store::open(tmp.path()).unwrap();
        let lock = SchedulerLock::acquire(tmp.path()).unwrap();
        let clock = Arc::new(AtomicU64::new(0));
        let scheduler = Scheduler::new(lock, fake, ids.clone());
        Self {
            tmp,
            dirs,
            ids,
            store,
            scheduler: by_clock(scheduler, &clock),
            clock,
        }
    }

    /// The scheduler is killed, and another one comes, on as many slots; the workers are as they were.
    fn replace_scheduler(&mut self) {
        let workers = self.scheduler.executor.clone();
        self.scheduler.lock.let_go();
        let lock = SchedulerLock::acquire(self.tmp.path()).unwrap();
        let scheduler = Scheduler::new(lock, workers, self.ids.clone());
        self.scheduler = by_clock(scheduler, &self.clock);
    }

    /// Tick once a second for so long.
    fn ticks(&mut self, seconds: u64) -> Vec<Notice> {
        let tick = |_| {
            self.clock.fetch_add(1_000, Ordering::Relaxed);
            self.tick()
        };
        (0..seconds).flat_map(tick).collect()
    }

    fn tick(&mut self) -> Vec<Notice> {
        self.scheduler.tick(&mut self.store).1
    }

    fn event(&self, n: usize, event: Event) {
        EventLog::open(&self.dirs[n])
            .unwrap()
            .append(event)
            .unwrap();
    }

    /// An event of the attempt that `started` began, which a log opened anew would count to the next.
    fn event_of_attempt(&self, n: usize, attempt: u32, event: Event) {
        let lines = crate::record::read_events(&self.dirs[n]).unwrap();
        let line = crate::record::Line {
            seq: lines.last().map_or(0, |line| line.seq + 1),
            attempt,
            at: 0,
            event,
        };
        let line = serde_json::to_string(&line).unwrap() + "\n";
        let mut log = fs::OpenOptions::new()
            .append(true)
            .open(self.dirs[n].events())
            .unwrap();
        std::io::Write::write_all(&mut log, line.as_bytes()).unwrap();
    }

    fn started(&self, n: usize) {
        self.event(
            n,
            Event::Started {
                siglab: "0".into(),
                host: "h".into(),
                pid: 1,
                devices: vec!["cpu".into()],
                threads: 1,
                total_steps: 9,
                total_examples: 90,
                files: Default::default(),
                provenance: Default::default(),
            },
        );
    }

    fn finished(&self, n: usize, outcome: Outcome) {
        self.event(
            n,
            Event::Finished {
                step: 9,
                examples: 90,
                outcome,
            },
        );
    }

    /// The worker that was started as number `worker`, from 0, ends.
    fn end(&mut self, worker: usize, state: JobState) -> Vec<Notice> {
        self.scheduler.executor.end(worker, state);
        self.tick()
    }

    fn lease(&self, n: usize) -> Lease {
        Lease::read(&self.dirs[n]).unwrap().expect("a lease")
    }

    fn submitted(&self) -> Vec<RunDir> {
        self.scheduler
            .executor
            .submitted
            .iter()
            .map(|job| job.dir.clone())
            .collect()
    }

    fn is_idle(&self) -> bool {
        self.scheduler.is_idle(&self.store)
    }
}

fn by_clock(scheduler: Scheduler<Fake>, clock: &Arc<AtomicU64>) -> Scheduler<Fake> {
    let clock = Arc::clone(clock);
    scheduler.with_clock(move || Duration::from_millis(clock.load(Ordering::Relaxed)))
}

/// The notices as words: `start`, `adopt`, `end HOW`, `again HOW: THEN`, `kill WHY`, `aside DEVICE`, `give up WHY`.
fn words(notices: &[Notice]) -> Vec<String> {
    let word = |notice: &Notice| match notice {
        Notice::Started { devices, .. } => format!("start on {}", devices.join(" ")),
        Notice::Adopted { .. } => "adopt".into(),
        Notice::Ended { how, .. } => format!("end {how}"),
        Notice::Restarts { how, then, .. } => format!("again {how}: {then}"),
        Notice::Kills { reason, .. } => format!("kill {reason}"),
        Notice::SetAside { device, .. } => format!("aside {device}"),
        Notice::GivenUp { reason, .. } => format!("give up {reason}"),
        Notice::Trouble { problem, .. } => format!("trouble {problem}"),
        Notice::Superseded { problem } => format!("superseded {problem}"),
    };
    notices.iter().map(word).collect()
}

#[test]
fn runs_follow_each_other_through_a_slot_and_a_failure_stops_no_other() {
    let mut f = Fixture::new(2, 1);
    assert_eq!(
        f.tick(),
        [Notice::Started {
            id: f.ids[0].clone(),
            devices: vec!["cpu:0".into()]
        }]
    );
    assert_eq!(f.tick(), []);
    f.started(0);
    f.finished(
        0,
        Outcome::Failed {
            reason: "disk".into(),
        },
    );
    assert_eq!(f.tick(), [], "its process still lives and holds the slot");
    f.scheduler.executor.end(0, JobState::Exited(1));
    let notices = f.tick();
    assert!(
        matches!(&notices[..], [Notice::Ended { .. }, Notice::Started { .. }]),
        "{notices:?}"
    );
    assert_eq!(f.lease(0).ended.as_deref(), Some("exit status 1"));
    f.started(1);
    f.finished(1, Outcome::Completed);
    assert!(!f.is_idle());
    f.scheduler.executor.end(1, JobState::Exited(0));
    f.tick();
    assert!(f.is_idle());
    assert_eq!(f.submitted().len(), 2);
}

#[test]
fn a_killed_worker_goes_on_until_it_was_killed_three_times_without_a_checkpoint() {
    let mut f = Fixture::new(1, 1);
    f.tick();
    let goes_on = [
        "end signal 9",
        "again signal 9: goes on from its last checkpoint",
        "start on cpu:0",
    ];
    for worker in 0..2 {
        f.started(0);
        assert_eq!(words(&f.end(worker, JobState::Killed(9))), goes_on);
    }
    f.started(0);
    let saved = Event::Saved {
        step: 1,
        examples: 10,
        name: "step-1".into(),
    };
    f.event_of_attempt(0, 3, saved);
    assert_eq!(
        words(&f.end(2, JobState::Killed(9))),
        goes_on,
        "it got further"
    );
    f.started(0);
    assert_eq!(words(&f.end(3, JobState::Killed(9))), goes_on);
    // The count outlives the scheduler.
    f.replace_scheduler();
    assert_eq!(words(&f.tick()), ["start on cpu:0"]);
    f.started(0);
    let notices = words(&f.end(5, JobState::Killed(11)));
    assert!(
        notices
            .last()
            .unwrap()
            .contains("signal 11, 3 times without a new checkpoint"),
        "{notices:?}"
    );
    assert!(f.is_idle());
    f.replace_scheduler();
    assert_eq!(f.tick(), [], "the next scheduler does not begin anew");
    assert!(f.is_idle());

    Want {
        retries: 1,
        ..Want::default()
    }
    .write(&f.dirs[0])
    .unwrap();
    f.store.refresh().unwrap();
    assert!(
        matches!(&f.tick()[..], [Notice::Started { .. }]),
        "a retry wipes the crashes out"
    );
    assert!(f.lease(0).setbacks.is_empty());
}

#[test]
fn a_worker_that_died_unseen_counts_once() {
    let mut f = Fixture::new(1, 1);
    f.tick();
    f.started(0);
    let lease = f.lease(0);
    // Of this boot, and no process of now.
    let process = crate::record::Process {
        pid: i32::MAX,
        ..crate::record::Process::with_pid(std::process::id())
            .unwrap()
            .unwrap()
    };
    Lease { process, ..lease }.write(&f.dirs[0]).unwrap();
    f.store.refresh().unwrap();
    f.replace_scheduler();
    let notices = words(&f.tick());
    assert_eq!(notices[0], "end its process is gone");
    assert_eq!(notices.len(), 3, "{notices:?}");
    assert_eq!(f.lease(0).setbacks.len(), 1, "and goes with the next lease");
    f.replace_scheduler();
    f.tick();
    assert_eq!(f.lease(0).setbacks.len(), 1);
}

#[test]
fn memory_that_ran_out_is_tried_once_more_alone_and_never_unchanged() {
    let mut f = Fixture::new(3, 3);
    f.scheduler.executor.peaks = [(0, 5 << 30), (3, 7 << 30)].into();
    assert_eq!(f.tick().len(), 3);
    (0..3).for_each(|n| f.started(n));
    let notices = words(&f.end(0, JobState::OutOfMemory));
    assert_eq!(
        notices,
        [
            "end out of memory at 5.0 GiB, beside other runs",
            "again out of memory at 5.0 GiB, beside other runs: goes on alone on the machine"
        ]
    );
    for n in [1, 2] {
        assert_eq!(f.submitted().len(), 3, "it waits for the others");
        assert_eq!(f.ticks(2), []);
        let waits = waits(f.tmp.path()).remove(&f.ids[0]);
        assert!(waits.is_some_and(|wait| wait.to_string().contains("alone")));
        f.finished(n, Outcome::Completed);
        f.end(n, JobState::Exited(0));
    }
    assert_eq!(f.submitted().len(), 4);
    f.started(0);
    let notices = words(&f.end(3, JobState::OutOfMemory));
    let reason = notices.last().unwrap();
    assert!(
        reason.contains("at 7.0 GiB, alone on the machine") && reason.contains("micro_batch"),
        "{reason}"
    );
    assert!(f.is_idle());
    assert_eq!(
        (f.lease(0).peak, f.lease(0).setbacks.len()),
        (Some(7 << 30), 2)
    );
}

#[test]
fn a_worker_that_aborts_for_want_of_memory_is_known_by_its_last_word() {
    let last = |log: &str| {
        let mut f = Fixture::new(1, 1);
        f.tick();
        f.started(0);
        fs::write(f.dirs[0].log(), log).unwrap();
        words(&f.end(0, JobState::Killed(6))).remove(0)
    };
    assert_eq!(
        last("memory allocation of 8589934592 bytes failed\n"),
        "end out of memory"
    );
    assert_eq!(last("assertion failed\n"), "end signal 6");
    let mut f = Fixture::new(1, 1);
    f.tick();
    f.started(0);
    let lack = Event::Interrupted {
        lack: Lack::Memory,
        reason: "CUDA error: out of memory".into(),
    };
    f.event_of_attempt(0, 1, lack);
    assert_eq!(
        words(&f.end(0, JobState::Exited(1)))[0],
        "end out of memory"
    );
}

#[test]
fn a_lost_device_is_set_aside_and_its_run_moves() {
    let mut f = Fixture::on(2, Fake::on(&["cuda:0", "cuda:1"]));
    assert_eq!(words(&f.tick()), ["start on cuda:0", "start on cuda:1"]);
    let lost = |f: &mut Fixture, worker: usize, attempt, name: &str| {
        f.started(0);
        let lack = Lack::Device { name: name.into() };
        let reason = "device lost".to_owned();
        f.event_of_attempt(0, attempt, Event::Interrupted { lack, reason });
        words(&f.end(worker, JobState::Exited(1)))
    };
    assert_eq!(
        lost(&mut f, 0, 1, "cuda:0"),
        [
            "end device cuda:0 was lost",
            "aside cuda:0",
            "again device cuda:0 was lost: moves to another device"
        ]
    );
    f.started(1);
    f.finished(1, Outcome::Completed);
    let notices = words(&f.end(1, JobState::Exited(0)));
    assert_eq!(notices, ["end exit status 0", "start on cuda:1"]);
    assert!(!f.is_idle());
    lost(&mut f, 2, 2, "cuda:1");
    assert!(f.is_idle(), "nothing is left to run on");
    let view = f.scheduler.view(&f.store);
    let wait = view.waits[&f.ids[0]].to_string();
    assert_eq!(
        wait,
        "waits for a device: cuda:0, cuda:1 was lost and is set aside"
    );
    assert_eq!(standing(&view, &f.ids[0]), Some(Standing::Ready));
}

#[test]
fn a_worker_that_does_not_stop_is_killed_when_its_grace_is_over() {
    let mut f = Fixture::new(2, 2);
    f.tick();
    f.scheduler.halt();
    f.tick();
    assert_eq!(f.scheduler.executor.stopped.len(), 2);
    f.started(1);
    let stopped = Event::Stopped {
        step: 1,
        examples: 10,
    };
    f.event_of_attempt(1, 1, stopped);
    f.end(1, JobState::Exited(0));
    assert_eq!(f.ticks(59), []);
    assert!(f.scheduler.executor.killed.is_empty());
    f.started(0);
    let notices = words(&f.ticks(2));
    assert_eq!(
        notices,
        [
            "kill it did not stop within 60 s",
            "end killed: it did not stop within 61 s"
        ]
    );
    assert!(f.is_idle());
    let lease = f.lease(0);
    assert!(lease.setbacks.is_empty(), "who asked has its end");
    assert!(lease.ended.unwrap().contains("did not stop"));
}

#[test]
fn a_suspended_worker_is_killed_and_goes_on() {
    let mut f = Fixture::new(1, 1);
    f.tick();
    f.started(0);
    f.scheduler.executor.end(0, JobState::Suspended);
    let notices = words(&f.ticks(33));
    assert_eq!(
        notices,
        [
            "kill suspended for 31 s",
            "end suspended for 31 s",
            "again suspended for 31 s: goes on from its last checkpoint",
            "start on cpu:0"
        ]
    );
}

#[test]
fn what_runs_held_before_says_which_start_together() {
    let mut f = Fixture::new(3, 3);
    f.scheduler.executor.memory = Some(10 << 30);
    f.scheduler.executor.peaks = [(0, 6 << 30)].into();
    Want {
        priority: 1,
        ..Want::default()
    }
    .write(&f.dirs[0])
    .unwrap();
    for n in [1, 2] {
        Want {
            wish: Wish::Pause,
            ..Want::default()
        }
        .write(&f.dirs[n])
        .unwrap();
    }
    f.store.refresh().unwrap();
    f.tick();
    f.started(0);
    f.finished(0, Outcome::Completed);
    f.end(0, JobState::Exited(0));
    for n in [1, 2] {
        Want::default().write(&f.dirs[n]).unwrap();
    }
    f.store.refresh().unwrap();
    assert_eq!(words(&f.tick()), ["start on cpu:0"]);
    let view = f.scheduler.view(&f.store);
    assert_eq!(
        view.waits[&f.ids[2]].to_string(),
        "waits for memory: needs 6.0 GiB, 4.0 GiB are left"
    );
}

#[test]
fn a_scheduler_that_lost_the_workspace_touches_nothing_any_more() {
    let mut f = Fixture::new(2, 1);
    f.tick();
    let before = fs::read(f.dirs[0].lease()).unwrap();
    fs::remove_file(f.tmp.path().join("scheduler.lock")).unwrap();
    let _other = SchedulerLock::acquire(f.tmp.path()).unwrap();
    requests::ask(f.tmp.path(), &f.ids).unwrap();
    f.scheduler.halt();
    let notices = words(&f.end(0, JobState::Exited(0)));
    assert!(
        notices.len() == 1 && notices[0].starts_with("superseded"),
        "{notices:?}"
    );
    assert_eq!(f.tick(), []);
    assert!(f.is_idle() && f.scheduler.is_superseded());
    assert_eq!(fs::read(f.dirs[0].lease()).unwrap(), before);
    assert_eq!(
        fs::read_dir(f.tmp.path().join("requests")).unwrap().count(),
        1
    );
    assert!(f.scheduler.executor.stopped.is_empty());
}

#[test]
fn a_worker_that_exits_without_a_word_is_not_restarted() {
    let mut f = Fixture::new(1, 1);
    f.tick();
    f.scheduler.executor.end(0, JobState::Exited(2));
    let notices = f.tick();
    assert!(
        matches!(&notices[1..], [Notice::GivenUp { reason, .. }] if reason.contains("exit status 2")),
        "{notices:?}"
    );
    assert!(f.is_idle());
}

/// Such as one whose libraries are gone: the run is as it was, and would be started again ten times a second.
#[test]
fn a_worker_that_exits_before_it_goes_on_with_a_stopped_run_is_not_restarted() {
    let mut f = Fixture::new(1, 1);
    f.started(0);
    let (step, examples) = (3, 30);
    f.event_of_attempt(0, 1, Event::Stopped { step, examples });
    let ids = f.ids.clone();
    f.store.refresh_runs(&ids);
    for (n, code) in [127, 0].into_iter().enumerate() {
        assert!(matches!(&f.tick()[..], [Notice::Started { .. }]));
        f.scheduler.executor.end(n, JobState::Exited(code));
        let notices = f.tick();
        let said = format!("exit status {code}");
        assert!(
            matches!(&notices[1..], [Notice::GivenUp { reason, .. }] if reason.contains(&said)),
            "{notices:?}"
        );
        assert!(f.ticks(3).is_empty() && f.is_idle());
        // Somebody asks for another try.
        let want = Want {
            retries: n as u32 + 1,
            ..Want::default()
        };
        want.write(&f.dirs[0]).unwrap();
        f.store.refresh_runs(&ids);
    }
    // One that went on, and stopped when somebody else told it to, has done nothing wrong.
    f.tick();
    f.started(0);
    f.event_of_attempt(0, 2, Event::Stopped { step, examples });
    f.scheduler.executor.end(2, JobState::Exited(0));
    let notices = f.tick();
    assert!(
        matches!(&notices[..], [Notice::Ended { .. }, Notice::Started { .. }]),
        "{notices:?}"
    );
}

#[test]
fn a_submission_that_is_refused_is_reported_once() {
    let mut f = Fixture::new(1, 1);
    f.scheduler.executor.refuse = true;
    assert!(
        matches!(&f.tick()[..], [Notice::GivenUp { reason, .. }] if reason.contains("refused"))
    );
    assert_eq!(f.tick(), []);
    assert!(f.is_idle());
}

#[test]
fn a_worker_of_an_earlier_scheduler_holds_its_slot_and_is_not_started_again() {
    let mut f = Fixture::new(2, 1);
    let lock = WorkerLock::acquire(&f.dirs[1]).unwrap().unwrap();
    f.store.refresh().unwrap();
    assert_eq!(
        f.tick(),
        [Notice::Adopted {
            id: f.ids[1].clone()
        }]
    );
    assert_eq!(f.tick(), []);
    assert!(f.submitted().is_empty());
    f.started(1);
    f.finished(1, Outcome::Completed);
    drop(lock);
    f.tick();
    f.tick();
    assert_eq!(f.submitted(), [f.dirs[0].clone()]);
}

#[test]
fn a_wish_to_stop_reaches_the_worker_and_halting_reaches_all() {
    let mut f = Fixture::new(2, 2);
    f.tick();
    Want {
        wish: Wish::Stop,
        ..Want::default()
    }
    .write(&f.dirs[0])
    .unwrap();
    f.tick();
    f.tick();
    assert_eq!(f.scheduler.executor.stopped.len(), 1, "asked once");
    f.scheduler.halt();
    f.tick();
    assert_eq!(f.scheduler.executor.stopped.len(), 2);
    for n in 0..2 {
        f.started(n);
        f.event(
            n,
            Event::Stopped {
                step: 1,
                examples: 10,
            },
        );
        f.scheduler.executor.end(n, JobState::Exited(0));
    }
    f.tick();
    assert!(f.is_idle());
    assert_eq!(f.submitted().len(), 2, "nothing starts while halting");
}

/// A scheduler's tick in which it dies at operation `n`. True when there were so many operations.
fn dies_at(f: &mut Fixture, n: usize, half_way: bool) -> bool {
    let by = fault::Death::Unwinds;
    let plan = fault::Plan::begin(n..n + 1, fault::Fault::Dies { half_way, by });
    let lived = fault::live(|| f.tick()).is_some();
    let met = plan.met();
    drop(plan);
    assert!(met || lived);
    met
}

#[test]
fn a_scheduler_that_dies_at_any_operation_of_a_start_leaves_one_worker() {
    let mut deaths = 0;
    for half_way in [false, true] {
        for n in 0.. {
            let mut f = Fixture::new(1, 1);
            let met = dies_at(&mut f, n, half_way);
            // What a worker does as soon as it lives.
            let spawned = f.submitted().len();
            let lock = (spawned > 0).then(|| WorkerLock::acquire(&f.dirs[0]).unwrap().unwrap());
            f.replace_scheduler();
            f.store.refresh().unwrap();
            f.tick();
            f.tick();
            assert_eq!(f.submitted().len(), 1, "at operation {n}, {spawned} before");
            f.started(0);
            f.finished(0, Outcome::Completed);
            drop(lock);
            f.end(0, JobState::Exited(0));
            f.tick();
            assert_eq!(f.store.get(&f.ids[0]).unwrap().state, RunState::Completed);
            assert!(f.is_idle() && f.submitted().len() == 1);
            if !met {
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths >= 10, "{deaths}");
}

#[test]
fn a_scheduler_that_dies_at_any_operation_of_an_end_has_it_counted_once() {
    let mut deaths = 0;
    for half_way in [false, true] {
        for n in 0.. {
            let mut f = Fixture::new(1, 1);
            f.tick();
            f.started(0);
            f.scheduler.executor.end(0, JobState::Killed(9));
            let met = dies_at(&mut f, n, half_way);
            let again = f.submitted().len() > 1;
            let _second = again.then(|| WorkerLock::acquire(&f.dirs[0]).unwrap().unwrap());
            f.replace_scheduler();
            f.store.refresh().unwrap();
            f.tick();
            f.tick();
            let lease = f.lease(0);
            assert!(lease.setbacks.len() <= 1, "at operation {n}: {lease:?}");
            assert_eq!(f.submitted().len(), 2, "at operation {n}");
            if !met {
                assert_eq!(lease.setbacks.len(), 1, "{lease:?}");
                break;
            }
            deaths += 1;
        }
    }
    assert!(deaths >= 10, "{deaths}");
}

#[test]
fn a_second_scheduler_is_refused() {
    let f = Fixture::new(1, 1);
    assert!(SchedulerLock::acquire(f.tmp.path()).is_err());
}

#[test]
fn clocks_that_jump_make_no_worker_late_and_no_request_early() {
    const HOUR: i64 = 3_600_000;
    let mut f = Fixture::new(1, 1);
    f.clock.store(40 * 24 * HOUR as u64, Ordering::Relaxed);
    f.tick();
    f.started(0);
    let jumps = [HOUR, -HOUR, 24 * HOUR, -24 * HOUR, -1, 100, 900];
    let mut chance = 1u64;
    let mut notices = Vec::new();
    for step in 1..=1_000u64 {
        // Knuth's generator: any order of jumps will do.
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let jump = jumps[(chance >> 33) as usize % jumps.len()];
        let now = f.clock.load(Ordering::Relaxed) as i64;
        f.clock.store((now + jump).max(0) as u64, Ordering::Relaxed);
        // A step every ten looks, of a worker that trains.
        let pid = f.scheduler.held[&f.ids[0]].ticket.as_ref().unwrap().pid;
        let step = step / 10;
        let pulse = format!(r#"{{"pid":{pid},"phase":"training","step":{step}}}"#);
        fs::write(f.dirs[0].pulse(), pulse).unwrap();
        notices.extend(f.tick());
    }
    assert_eq!(notices, [], "no false time-out");
    assert!(f.scheduler.executor.killed.is_empty());
    // The same worker without a step is found out, in as much time as was really spent.
    let stalled = words(&f.ticks(700));
    assert!(
        stalled[0].starts_with("kill no sign of life for 601 s"),
        "{stalled:?}"
    );
}
