//! What must hold of a workspace whatever happened to it, asked in one place by all tests of faults.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use siglab::record::{Event, Line, RunId, WorkerLock};
use siglab::store::{Run, RunState, Store};
use siglab::workbench::{Workbench, why};

/// A run's numbers: the loss of every step, and its last evaluation.
pub type Numbers = (Vec<(u64, f64)>, Option<f64>);

/// The results of a workspace, without times.
pub fn table(root: &Path) -> BTreeMap<RunId, Numbers> {
    let mut store = Store::open(root).unwrap();
    store.read_all().unwrap();
    let numbers = |run: &Run| {
        let loss = run.series.column("loss");
        let rows = run.series.steps().iter().enumerate();
        let losses = rows.map(|(row, step)| (*step, loss.and_then(|loss| loss.get(row)).unwrap()));
        (losses.collect(), run.top1())
    };
    store
        .runs()
        .map(|run| (run.id().clone(), numbers(run)))
        .collect()
}

/// Every run has one result or a stated reason; it never had two workers at a time; every line of its logs is read or
/// counted; and nobody is at it any more.
pub fn check(root: &Path) {
    let workbench = Workbench::open(root).unwrap();
    let view = workbench.view();
    assert!(workbench.store().unreadable().is_empty());
    for run in workbench.store().runs() {
        let id = run.id();
        assert!(!WorkerLock::is_held(&run.dir).unwrap(), "{id} has a worker");
        assert!(
            !run.dir.path().join("refused").exists(),
            "a second worker came to {id} while the first was at it"
        );
        let results = check_events(run);
        match &run.state {
            RunState::Completed => assert_eq!(results, 1, "{id} has so many results"),
            // On request, in the words of its own log.
            RunState::Stopped => assert_eq!(results, 0, "{id} has so many results"),
            state => assert!(
                why(workbench.store(), run, &view).is_some(),
                "{id} is {} and nothing says why",
                state.name()
            ),
        }
        check_rows(run);
    }
}

/// Lines of a log: those that are whole and sound, and how many are not.
fn lines<T: serde::de::DeserializeOwned>(path: &Path) -> (Vec<T>, u64) {
    let bytes = fs::read(path).unwrap_or_default();
    let whole = bytes.split_inclusive(|byte| *byte == b'\n');
    let whole = whole.filter(|line| line.ends_with(b"\n") && line.len() > 1);
    let (mut sound, mut damaged) = (Vec::new(), 0);
    for line in whole {
        match serde_json::from_slice(line) {
            Ok(value) => sound.push(value),
            Err(_) => damaged += 1,
        }
    }
    (sound, damaged)
}

/// How many results are on record.
fn check_events(run: &Run) -> usize {
    let id = run.id();
    let (events, damaged): (Vec<Line>, u64) = lines(&run.dir.events());
    let (_, torn): (Vec<serde_json::Value>, u64) = lines(&run.dir.metrics());
    assert_eq!(run.damaged, damaged + torn, "damaged lines of {id}");
    let mut attempts = Vec::new();
    for (n, line) in events.iter().enumerate() {
        if damaged == 0 {
            assert_eq!(line.seq, n as u64, "{id}: two writers, or a line is lost");
        }
        if matches!(line.event, Event::Started { .. }) {
            attempts.push(line.attempt);
        }
        assert_eq!(
            attempts.last(),
            Some(&line.attempt),
            "{id}: attempts overlap"
        );
    }
    assert!(
        attempts.iter().zip(1..).all(|(attempt, n)| *attempt == n),
        "{id}: {attempts:?}"
    );
    let finished = |line: &&Line| matches!(line.event, Event::Finished { .. });
    events.iter().filter(finished).count()
}

/// Rows of one attempt follow each other.
fn check_rows(run: &Run) {
    let (rows, _): (Vec<serde_json::Value>, u64) = lines(&run.dir.metrics());
    let number = |row: &serde_json::Value, key: &str| row[key].as_u64().unwrap();
    let mut last = (0, 0);
    for row in &rows {
        let now = (number(row, "attempt"), number(row, "step"));
        assert!(now > last, "{}: {now:?} after {last:?}", run.id());
        last = now;
    }
}
