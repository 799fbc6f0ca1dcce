//! The store over run directories written line by line.

use std::fs::{self, OpenOptions};
use std::io::Write;

use std::sync::Arc;
use std::sync::mpsc::channel;

use super::*;
use crate::record::{Cause, FileLock, Lease, Process, RunDir, Setback, Want, Wish, WorkerLock};
use crate::spec::RunSpec;
use crate::train::TrainConfig;

struct Fixture {
    tmp: Arc<tempfile::TempDir>,
    dir: RunDir,
    id: RunId,
}

const STARTED: &str = r#"{"kind":"started","siglab":"0","host":"h","pid":1,"devices":["cpu"],"threads":1,"total_steps":9,"total_examples":90}"#;
const COMPLETED: &str =
    r#"{"kind":"finished","step":9,"examples":90,"outcome":{"kind":"completed"}}"#;

/// As many runs of one workspace that are complete, with 50 rows each.
fn completed_runs(count: u64) -> Vec<Fixture> {
    let tmp = Arc::new(tempfile::tempdir().unwrap());
    let runs = (0..count).map(|seed| {
        let run = Fixture::in_workspace(&tmp, seed);
        run.started(1);
        run.rows(1, 1..=50);
        run.event(1, COMPLETED);
        run
    });
    runs.collect()
}

impl Fixture {
    fn new() -> Self {
        Self::in_workspace(&Arc::new(tempfile::tempdir().unwrap()), 0)
    }

    /// A run that nobody has started.
    fn in_workspace(tmp: &Arc<tempfile::TempDir>, seed: u64) -> Self {
        let spec = RunSpec::new(TrainConfig {
            seed,
            ..TrainConfig::default()
        });
        let dir = RunDir::new(tmp.path().join(spec.id.as_str()));
        fs::create_dir(dir.path()).unwrap();
        // Not `RunSpec::write`, which waits for the disk.
        fs::write(dir.spec(), serde_json::to_vec_pretty(&spec).unwrap()).unwrap();
        Self {
            tmp: tmp.clone(),
            dir,
            id: spec.id,
        }
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
        self.event_at(0, attempt, event);
    }

    fn event_at(&self, at: u64, attempt: u32, event: &str) {
        let seq = fs::read_to_string(self.dir.events()).map_or(0, |text| text.lines().count());
        Self::append(
            &self.dir.events(),
            &format!(r#"{{"seq":{seq},"attempt":{attempt},"at":{at},"event":{event}}}"#),
        );
    }

    fn started(&self, attempt: u32) {
        self.event(attempt, STARTED);
    }

    fn rows(&self, attempt: u32, steps: std::ops::RangeInclusive<u64>) {
        let lines: Vec<String> = steps
            .map(|step| {
                format!(
                    r#"{{"attempt":{attempt},"step":{step},"examples":{},"seconds":{step},"loss":1.5}}"#,
                    step * 10
                )
            })
            .collect();
        Self::append(&self.dir.metrics(), &lines.join("\n"));
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
    assert_eq!(
        changes,
        [
            Change::Rewound,
            Change::Evaluated { from: 0 },
            Change::Rows { from: 3 }
        ]
    );

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
    let many = 20_000;
    fixture.rows(1, 1..=many);
    assert!(fs::metadata(fixture.dir.metrics()).unwrap().len() > 3 * BITE as u64);
    store.refresh_runs([&fixture.id]);
    assert!((1..many as usize).contains(&fixture.standing(&store).len()));
    assert_eq!(store.reading(), Reading { read: 0, of: 1 });
    let mut rows = fixture.standing(&store).len();
    while store.reading().read < 1 {
        let deltas = store.refresh_within(Duration::ZERO).unwrap();
        assert_eq!(deltas[0].change, Change::Rows { from: rows });
        rows = fixture.standing(&store).len();
    }
    assert_eq!(fixture.standing(&store).len(), many as usize);
    assert_eq!(fixture.standing(&fixture.store()).len(), many as usize);
}

#[test]
fn every_run_is_known_before_any_row_is_read() {
    let runs = completed_runs(100);
    let mut store = Store::begin(runs[0].tmp.path()).unwrap();
    assert_eq!(
        (store.runs().count(), store.reading()),
        (0, Reading { read: 0, of: 100 })
    );
    let mut deltas = Vec::new();
    while store.runs().count() < runs.len() {
        assert!(store.runs().all(|run| run.series.is_empty()));
        deltas.extend(store.refresh_within(Duration::ZERO).unwrap());
    }
    assert!(store.runs().all(|run| run.state == RunState::Completed));
    let appeared = |delta: &&Delta| delta.change == Change::Appeared;
    assert_eq!(deltas.iter().filter(appeared).count(), runs.len());
    while store.reading().read < runs.len() {
        store.go_on(Duration::ZERO);
    }
    assert!(store.runs().all(|run| run.series.len() == 50));
    assert_eq!(store.go_on(Duration::ZERO), []);
}

#[test]
fn a_run_that_comes_back_is_seen_at_once_when_named_and_soon_when_not() {
    let runs = completed_runs(200);
    let mut store = runs[0].store();
    let attempt = |store: &Store, run: &Fixture| store.get(&run.id).unwrap().attempt;
    runs[7].started(2);
    store.refresh_runs([&runs[7].id]);
    assert_eq!(attempt(&store, &runs[7]), 2);
    for run in &runs[8..] {
        run.started(2);
    }
    store.refresh().unwrap();
    let seen = runs[8..]
        .iter()
        .filter(|run| attempt(&store, run) == 2)
        .count();
    assert!(
        (1..=FEW).contains(&seen),
        "{seen} at once are no part of them"
    );
    for _ in 1..SWEEP {
        store.refresh().unwrap();
    }
    assert!(runs[8..].iter().all(|run| attempt(&store, run) == 2));
}

#[test]
fn all_is_read_at_once_when_that_is_asked_for() {
    let runs = completed_runs(200);
    let mut store = runs[0].store();
    for run in &runs {
        run.started(2);
        run.rows(2, 51..=60);
    }
    let new = Fixture::in_workspace(&runs[0].tmp, 200);
    let deltas = store.read_all().unwrap();
    assert!(runs.iter().all(|run| {
        let run = store.get(&run.id).unwrap();
        (run.attempt, run.series.len()) == (2, 60)
    }));
    let appeared = |delta: &&Delta| delta.change == Change::Appeared;
    let appeared: Vec<&RunId> = deltas
        .iter()
        .filter(appeared)
        .map(|delta| &delta.id)
        .collect();
    assert_eq!(appeared, [&new.id]);
    assert_eq!(store.read_all().unwrap(), []);
}

/// The store stops asking a run at rest for its files: whatever is done to it then still has to show.
#[test]
fn a_run_that_nobody_touched_is_seen_to_be_touched() {
    type Touch = fn(&Fixture);
    type Shows = fn(&Run) -> bool;
    let touch: [(Touch, Shows); 4] = [
        (|fixture| fixture.started(1), |run| run.attempt == 1),
        (
            |fixture| {
                let wish = Wish::Pause;
                Want {
                    wish,
                    ..Want::default()
                }
                .write(&fixture.dir)
                .unwrap();
            },
            |run| run.want.wish == Wish::Pause,
        ),
        (
            |fixture| std::mem::forget(WorkerLock::acquire(&fixture.dir).unwrap().unwrap()),
            |run| run.state == RunState::Running,
        ),
        (
            |fixture| fixture.rows(1, 1..=1),
            |run| !run.series.is_empty(),
        ),
    ];
    let tmp = Arc::new(tempfile::tempdir().unwrap());
    let runs: Vec<Fixture> = (0..4)
        .map(|seed| Fixture::in_workspace(&tmp, seed))
        .collect();
    let mut store = runs[0].store();
    // Longer than two changes may bear one time.
    for _ in 0..5 {
        store.refresh().unwrap();
        std::thread::sleep(Duration::from_millis(600));
    }
    for (run, (touch, _)) in runs.iter().zip(touch) {
        touch(run);
    }
    store.refresh().unwrap();
    for (n, (run, (_, shows))) in runs.iter().zip(touch).enumerate() {
        assert!(shows(store.get(&run.id).unwrap()), "{n}");
    }
}

#[test]
fn what_is_written_is_seen_within_300_ms() {
    let fixture = Fixture::new();
    fixture.started(1);
    let (bell, rings) = channel();
    let mut watch = Watch::with_waker(fixture.tmp.path(), move || bell.send(()).unwrap());
    let mut store = fixture.store();
    while !watch.take().all {
        rings.recv_timeout(Duration::from_secs(10)).unwrap();
    }
    let mut step = 0;
    let mut latency = || {
        step += 1;
        let written = Instant::now();
        fixture.rows(1, step..=step);
        while fixture.standing(&store).len() < step as usize {
            rings.recv_timeout(Duration::from_secs(10)).unwrap();
            let hint = watch.take();
            store.refresh_runs(&hint.runs);
            if hint.all {
                store.refresh().unwrap();
            }
        }
        written.elapsed()
    };
    // Of several, so that a machine that is busy for a moment fails nothing.
    let best = (0..5).map(|_| latency()).min().unwrap();
    assert!(best < Duration::from_millis(300), "{best:?}");
}

#[test]
fn time_counts_while_an_attempt_is_under_way() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    let mut times = || {
        store.refresh().unwrap();
        let run = store.get(&fixture.id).unwrap();
        (run.busy.as_millis(), run.last_at, run.finished_at)
    };
    assert_eq!(times(), (0, None, None));
    fixture.event_at(1_000, 1, STARTED);
    fixture.event_at(1_500, 1, r#"{"kind":"resumed","step":0,"examples":0}"#);
    fixture.event_at(
        4_000,
        1,
        r#"{"kind":"saved","step":1,"examples":10,"name":"step-1"}"#,
    );
    assert_eq!(times(), (3_000, Some(4_000), None));
    // Killed; the pause is not work. Then the clock is set back in the middle of an attempt.
    fixture.event_at(60_000, 2, STARTED);
    fixture.event_at(61_000, 2, r#"{"kind":"warned","step":1,"message":"m"}"#);
    fixture.event_at(50_000, 2, r#"{"kind":"warned","step":1,"message":"m"}"#);
    fixture.event_at(50_200, 2, COMPLETED);
    assert_eq!(times(), (4_200, Some(50_200), Some(50_200)));
    let store = fixture.store();
    let run = store.get(&fixture.id).unwrap();
    assert_eq!(
        (run.busy.as_millis(), &run.devices[..], run.total_steps),
        (4_200, &["cpu".to_owned()][..], Some(9))
    );
}

#[test]
fn what_bears_on_whether_a_run_starts_is_told_once() {
    let fixture = Fixture::new();
    let mut store = fixture.store();
    let mut told = || {
        let deltas = store.refresh().unwrap();
        deltas
            .iter()
            .filter(|d| d.change == Change::Prospects)
            .count()
    };
    assert_eq!(told(), 0, "nothing is wanted and nothing befell it");
    let want = Want {
        wish: Wish::Stop,
        ..Want::default()
    };
    want.write(&fixture.dir).unwrap();
    assert_eq!((told(), told()), (1, 0));
    let me = Process::with_pid(std::process::id()).unwrap().unwrap();
    let mut lease = Lease::new("local", me, vec![]);
    lease.write(&fixture.dir).unwrap();
    assert_eq!(told(), 0, "the state tells of a worker");
    lease.setbacks = vec![Setback {
        cause: Cause::Silent { code: 2 },
        retries: 0,
    }];
    lease.write(&fixture.dir).unwrap();
    assert_eq!((told(), told()), (1, 0));
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
    let mut lease = Lease::new("local", me, vec![]);
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
    fixture.event(4, COMPLETED);
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
fn events_that_come_twice_or_late_are_dropped_and_counted() {
    let fixture = Fixture::new();
    fixture.started(1);
    fixture.event(1, r#"{"kind":"warned","step":1,"message":"once"}"#);
    let text = fs::read_to_string(fixture.dir.events()).unwrap();
    fs::write(fixture.dir.events(), text.repeat(2)).unwrap();
    fixture.event(1, COMPLETED);
    let store = fixture.store();
    let run = store.get(&fixture.id).unwrap();
    assert_eq!((run.warnings.len(), run.damaged), (1, 2));
    assert_eq!(run.state, RunState::Completed);
}

#[test]
fn a_way_back_is_told_and_its_rows_do_not_stand() {
    let fixture = Fixture::new();
    fixture.started(1);
    fixture.event(1, r#"{"kind":"resumed","step":0,"examples":0}"#);
    fixture.rows(1, 1..=8);
    fixture.event(1, r#"{"kind":"rolled_back","step":8,"examples":80,"to":5,"left_out":[[6,9]],"reason":"the loss was NaN"}"#);
    fixture.started(2);
    fixture.event(2, r#"{"kind":"resumed","step":4,"examples":40}"#);
    fixture.rows(2, 5..=9);
    let store = fixture.store();
    let old = (1..=4).map(|step| (1, step));
    let expected: Vec<_> = old.chain((5..=9).map(|step| (2, step))).collect();
    assert_eq!(fixture.standing(&store), expected);
    let run = store.get(&fixture.id).unwrap();
    assert_eq!(
        run.warnings,
        ["goes back from step 8 to 5: the loss was NaN; leaves out batches 6 to 9"]
    );
}

#[test]
fn a_run_that_waits_for_room_is_seen_and_so_is_its_end() {
    let fixture = Fixture::new();
    fixture.started(1);
    let mut store = fixture.store();
    assert!(store.full().is_none());
    let lock = WorkerLock::acquire(&fixture.dir).unwrap();
    let waiting = FileLock::acquire(&fixture.dir.waiting(), Duration::ZERO).unwrap();
    let waits = Delta {
        id: fixture.id.clone(),
        change: Change::Waits,
    };
    assert!(store.refresh().unwrap().contains(&waits));
    assert!(store.get(&fixture.id).unwrap().waits);
    assert_eq!(store.full().unwrap().waiting, 1);
    drop(waiting);
    assert!(store.refresh().unwrap().contains(&waits));
    assert!(store.full().is_none());
    drop(lock);
}

/// Everything below `root`, links not followed, with the content of files.
fn everything(root: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap();
            let content = kind.is_file().then(|| fs::read(&path).unwrap());
            found.push((path.clone(), content));
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_others_put_into_a_workspace_is_left_alone() {
    let runs = completed_runs(2);
    let root = runs[0].tmp.path();
    // Names of runs that are files, links to nowhere, to themselves, to the workspace, and to a run of another name.
    fs::write(root.join("aaaaaaaaaa"), "a file").unwrap();
    for (name, to) in [
        ("bbbbbbbbbb", "nowhere"),
        ("cccccccccc", "cccccccccc"),
        ("dddddddddd", "."),
        ("eeeeeeeeee", runs[0].id.as_str()),
        ("loop", ".."),
    ] {
        std::os::unix::fs::symlink(to, root.join(name)).unwrap();
    }
    fs::create_dir(root.join("ffffffffff")).unwrap();
    fs::write(root.join("ffffffffff/spec.json"), "[".repeat(100_000)).unwrap();
    fs::create_dir(root.join("0000000000")).unwrap();
    fs::create_dir(root.join("0000000000/spec.json")).unwrap();
    // Directories in the place of logs.
    fs::remove_file(runs[1].dir.events()).unwrap();
    fs::create_dir(runs[1].dir.events()).unwrap();
    let before = everything(root);
    let mut store = runs[0].store();
    store.read_all().unwrap();
    let states: Vec<&RunState> = store.runs().map(|run| &run.state).collect();
    assert_eq!(states.len(), 2, "{states:?}");
    let run = store.get(&runs[0].id).unwrap();
    assert_eq!((&run.state, run.series.len()), (&RunState::Completed, 50));
    let unreadable: Vec<&str> = store.unreadable().keys().map(RunId::as_str).collect();
    for id in ["eeeeeeeeee", "ffffffffff", "0000000000"] {
        assert!(unreadable.contains(&id), "{id}: {unreadable:?}");
    }
    assert!(unreadable.contains(&runs[1].id.as_str()), "{unreadable:?}");
    assert_eq!(everything(root), before);
}

/// A workspace with so many entries that are no runs, and one that is.
fn crowded(count: usize) -> Duration {
    let runs = completed_runs(1);
    for n in 0..count {
        fs::write(runs[0].tmp.path().join(format!("notes-{n}")), "").unwrap();
    }
    let began = Instant::now();
    let store = runs[0].store();
    assert_eq!(store.runs().count(), 1);
    began.elapsed()
}

#[test]
fn a_crowd_of_foreign_files_hides_no_run() {
    crowded(5_000);
}

#[test]
#[ignore = "100,000 files"]
fn a_hundred_thousand_foreign_files_hide_no_run() {
    let took = crowded(100_000);
    println!("opened in {took:?}");
    assert!(took < Duration::from_secs(2), "{took:?}");
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
