//! The tick over a scripted executor and run directories in which the test plays the worker.

use std::fs;

use super::*;
use crate::exec::fake::Fake;
use crate::record::{Event, EventLog, Outcome, RunDir, Wish, WorkerLock};
use crate::spec::RunSpec;
use crate::train::TrainConfig;

struct Fixture {
    tmp: tempfile::TempDir,
    dirs: Vec<RunDir>,
    ids: Vec<RunId>,
    store: Store,
    scheduler: Scheduler<Fake>,
}

impl Fixture {
    fn new(runs: u64, slots: usize) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let (mut ids, mut dirs) = (Vec::new(), Vec::new());
        for seed in 0..runs {
            let spec = RunSpec::new(TrainConfig {
                seed,
                ..TrainConfig::default()
            });
            let dir = RunDir::new(tmp.path().join(spec.id.as_str()));
            fs::create_dir(dir.path()).unwrap();
            spec.write(&dir).unwrap();
            ids.push(spec.id);
            dirs.push(dir);
        }
        let store = Store::open(tmp.path()).unwrap();
        let lock = SchedulerLock::acquire(tmp.path()).unwrap();
        let scheduler = Scheduler::new(lock, Fake::new(slots), ids.clone());
        Self {
            tmp,
            dirs,
            ids,
            store,
            scheduler,
        }
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
    assert_eq!(
        Lease::read(&f.dirs[0]).unwrap().unwrap().ended.as_deref(),
        Some("exit status 1")
    );
    f.started(1);
    f.finished(1, Outcome::Completed);
    assert!(!f.is_idle());
    f.scheduler.executor.end(1, JobState::Exited(0));
    f.tick();
    assert!(f.is_idle());
    assert_eq!(f.submitted().len(), 2);
}

#[test]
fn a_killed_worker_goes_on_once_and_then_waits_for_a_person() {
    let mut f = Fixture::new(1, 1);
    f.tick();
    f.started(0);
    f.scheduler.executor.end(0, JobState::Killed(9));
    let notices = f.tick();
    assert!(
        matches!(
            &notices[1..],
            [Notice::Restarts { .. }, Notice::Started { .. }]
        ),
        "{notices:?}"
    );
    f.scheduler.executor.end(1, JobState::Killed(9));
    let notices = f.tick();
    assert!(
        matches!(&notices[1..], [Notice::GivenUp { reason, .. }] if reason.contains("signal 9, again")),
        "{notices:?}"
    );
    assert!(f.is_idle());

    Want {
        forgive: 1,
        ..Want::default()
    }
    .write(&f.dirs[0])
    .unwrap();
    f.store.refresh().unwrap();
    assert!(
        matches!(&f.tick()[..], [Notice::Started { .. }]),
        "a retry wipes the crashes out"
    );
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

#[test]
fn a_second_scheduler_is_refused() {
    let f = Fixture::new(1, 1);
    assert!(SchedulerLock::acquire(f.tmp.path()).is_err());
}
