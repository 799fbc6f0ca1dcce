//! The store over run directories written line by line.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::*;
use crate::record::{Lease, Process, Want, WorkerLock};
use crate::train::TrainConfig;

struct Fixture {
    tmp: tempfile::TempDir,
    dir: RunDir,
    id: RunId,
}

impl Fixture {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let spec = RunSpec::new(TrainConfig::default());
        let (id, dir) = (
            spec.id.clone(),
            RunDir::new(tmp.path().join(spec.id.as_str())),
        );
        fs::create_dir(dir.path()).unwrap();
        spec.write(&dir).unwrap();
        Self { tmp, dir, id }
    }

    fn append(path: &Path, line: &str) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        writeln!(file, "{line}").unwrap();
    }

    fn event(&self, attempt: u32, event: &str) {
        Self::append(
            &self.dir.events(),
            &format!(r#"{{"seq":0,"attempt":{attempt},"at":0,"event":{event}}}"#),
        );
    }

    fn started(&self, attempt: u32) {
        self.event(
            attempt,
            r#"{"kind":"started","siglab":"0","host":"h","pid":1,"devices":["cpu"],"threads":1,"total_steps":9,"total_examples":90}"#,
        );
    }

    fn rows(&self, attempt: u32, steps: std::ops::RangeInclusive<u64>) {
        for step in steps {
            let line = format!(
                r#"{{"attempt":{attempt},"step":{step},"examples":{},"seconds":{step},"loss":1.5}}"#,
                step * 10
            );
            Self::append(&self.dir.metrics(), &line);
        }
    }

    fn store(&self) -> Store {
        Store::open(self.tmp.path()).unwrap()
    }

    /// (attempt, step) of every row that stands.
    fn standing(&self, store: &Store) -> Vec<(u32, u64)> {
        let series = &store.get(&self.id).unwrap().series;
        let rows = 0..series.len();
        rows.map(|row| (series.attempt(row).unwrap(), series.steps()[row]))
            .collect()
    }
}

#[test]
fn a_missing_workspace_is_empty_and_strangers_are_ignored() {
    let tmp = tempfile::tempdir().unwrap();
    assert_eq!(
        Store::open(&tmp.path().join("none"))
            .unwrap()
            .runs()
            .count(),
        0
    );
    fs::create_dir(tmp.path().join("notes")).unwrap();
    fs::create_dir(tmp.path().join("0123456789")).unwrap();
    let store = Store::open(tmp.path()).unwrap();
    assert_eq!((store.runs().count(), store.unreadable().len()), (0, 0));
}

#[test]
fn a_resume_voids_later_rows_and_evaluations_live_and_on_reading_again() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    fixture.started(1);
    fixture.rows(1, 1..=5);
    fixture.event(
        1,
        r#"{"kind":"evaluated","step":2,"examples":20,"metrics":{"zeroshot/top1":0.2}}"#,
    );
    fixture.event(
        1,
        r#"{"kind":"evaluated","step":4,"examples":40,"metrics":{"zeroshot/top1":0.4}}"#,
    );
    store.refresh().unwrap();
    assert_eq!(fixture.standing(&store).len(), 5);

    fixture.started(2);
    let deltas = store.refresh().unwrap();
    assert!(
        !deltas.iter().any(|delta| delta.change == Change::Rewound),
        "a start alone does not say from where"
    );
    fixture.event(2, r#"{"kind":"resumed","step":3,"examples":30}"#);
    fixture.rows(2, 4..=4);
    let changes: Vec<Change> = store
        .refresh()
        .unwrap()
        .into_iter()
        .map(|delta| delta.change)
        .collect();
    assert_eq!(changes[..2], [Change::Rewound, Change::Rows { from: 3 }]);

    for store in [store, fixture.store()] {
        assert_eq!(fixture.standing(&store), [(1, 1), (1, 2), (1, 3), (2, 4)]);
        let run = store.get(&fixture.id).unwrap();
        assert_eq!(run.evaluations.len(), 1);
        assert_eq!(
            (run.attempt, run.examples, run.evaluated("zeroshot/top1")),
            (2, 40, Some(0.2))
        );
    }
}

#[test]
fn an_attempt_from_nothing_voids_everything() {
    let fixture = Fixture::new();
    fixture.started(1);
    fixture.rows(1, 1..=5);
    fixture.started(2);
    fixture.event(2, r#"{"kind":"resumed","step":0,"examples":0}"#);
    fixture.rows(2, 1..=2);
    assert_eq!(fixture.standing(&fixture.store()), [(2, 1), (2, 2)]);
}

#[test]
fn an_attempt_that_fails_before_it_trains_voids_nothing() {
    let fixture = Fixture::new();
    fixture.started(1);
    fixture.rows(1, 1..=5);
    fixture.started(2);
    fixture.event(2, r#"{"kind":"warned","step":0,"message":"disk"}"#);
    fixture.event(
        2,
        r#"{"kind":"finished","step":0,"examples":0,"outcome":{"kind":"failed","reason":"disk"}}"#,
    );
    let store = fixture.store();
    assert_eq!(fixture.standing(&store).len(), 5);
    assert_eq!(store.get(&fixture.id).unwrap().examples, 50);
}

#[test]
fn many_rows_come_in_bites() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    fixture.started(1);
    let many = 3 * BITE as u64;
    fixture.rows(1, 1..=many);
    store.refresh().unwrap();
    assert!(fixture.standing(&store).len() < many as usize);
    for _ in 0..100 {
        store.refresh_runs([&fixture.id]);
    }
    assert_eq!(fixture.standing(&store).len(), many as usize);
    assert_eq!(fixture.standing(&fixture.store()).len(), many as usize);
}

#[test]
fn the_state_follows_the_log_the_lock_and_the_wish() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    let mut state = |expected: RunState| {
        store.refresh().unwrap();
        assert_eq!(store.get(&fixture.id).unwrap().state, expected);
    };
    state(RunState::New);
    let lock = WorkerLock::acquire(&fixture.dir).unwrap().unwrap();
    state(RunState::Running);
    fixture.started(1);
    drop(lock);
    state(RunState::Interrupted { cause: None });
    let me = Process::with_pid(std::process::id()).unwrap().unwrap();
    let mut lease = Lease {
        executor: "local".into(),
        process: me,
        devices: vec![],
        ended: None,
    };
    lease.write(&fixture.dir).unwrap();
    state(RunState::Running);
    lease.ended = Some("signal 9".into());
    lease.write(&fixture.dir).unwrap();
    state(RunState::Interrupted {
        cause: Some("signal 9".into()),
    });
    fixture.started(2);
    fixture.event(2, r#"{"kind":"stopped","step":3,"examples":30}"#);
    state(RunState::Stopped);
    fixture.started(3);
    fixture.event(
        3,
        r#"{"kind":"finished","step":4,"examples":40,"outcome":{"kind":"failed","reason":"disk"}}"#,
    );
    state(RunState::Failed {
        reason: "disk".into(),
    });
    Want {
        forgive: 3,
        ..Want::default()
    }
    .write(&fixture.dir)
    .unwrap();
    state(RunState::Stopped);
    fixture.started(4);
    fixture.event(
        4,
        r#"{"kind":"finished","step":9,"examples":90,"outcome":{"kind":"completed"}}"#,
    );
    state(RunState::Completed);
}

#[test]
fn damage_is_counted_and_a_newer_format_is_named() {
    let fixture = Fixture::new();
    fixture.started(1);
    Fixture::append(
        &fixture.dir.events(),
        r#"{"seq":1,"attempt":1,"at":0,"event":{"kind":"from_the_future"}}"#,
    );
    Fixture::append(&fixture.dir.metrics(), "{\"attempt\":1,\"st");
    fixture.rows(1, 1..=1);
    let store = fixture.store();
    assert_eq!(store.get(&fixture.id).unwrap().damaged, 2);
    assert_eq!(fixture.standing(&store), [(1, 1)]);

    let text = fs::read_to_string(fixture.dir.spec()).unwrap().replacen(
        "\"format\": 1",
        "\"format\": 99",
        1,
    );
    fs::write(fixture.dir.spec(), text).unwrap();
    let store = fixture.store();
    assert_eq!(store.runs().count(), 0);
    assert!(
        store.unreadable()[&fixture.id].contains("99"),
        "{:?}",
        store.unreadable()
    );
}

#[test]
fn a_directory_that_goes_away_is_forgotten() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    fs::remove_dir_all(fixture.dir.path()).unwrap();
    assert_eq!(
        store.refresh().unwrap(),
        [Delta {
            id: fixture.id.clone(),
            change: Change::Vanished
        }]
    );
}

#[test]
fn speed_is_of_the_last_seconds_of_the_last_attempt() {
    let fixture = Fixture::new();
    fixture.started(1);
    fixture.rows(1, 1..=50);
    let store = fixture.store();
    let run = store.get(&fixture.id).unwrap();
    assert_eq!(
        (run.speed(), run.latest("loss"), run.examples),
        (Some(10.0), Some(1.5), 500)
    );
}
