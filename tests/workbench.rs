//! The workbench over real processes: workers played by a script, schedulers that come and go, and the verbs of the
//! real binary over what they leave.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use siglab::exec::{Local, Slot};
use siglab::record::{Lease, Process, RunDir, RunId, WorkerLock, end_of_log};
use siglab::sched::{Notice, Scheduler, SchedulerLock};
use siglab::spec::RunSpec;
use siglab::store::{Change, Delta, Run, RunState};
use siglab::train::TrainConfig;
use siglab::workbench::{Verb, Workbench};

const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    root: PathBuf,
    ids: Vec<RunId>,
    workbench: Workbench,
    scheduler: Scheduler<Local>,
    notices: Vec<Notice>,
}

/// A workspace with a run for each part that a worker is to play.
fn workspace(parts: &[&str]) -> (tempfile::TempDir, Vec<RunId>) {
    let tmp = tempfile::tempdir().unwrap();
    let spec = |seed| {
        RunSpec::new(TrainConfig {
            seed,
            ..TrainConfig::default()
        })
    };
    let specs: Vec<RunSpec> = (0..parts.len() as u64).map(spec).collect();
    let mut workbench = Workbench::open(tmp.path()).unwrap();
    assert_eq!(workbench.submit(&specs).unwrap().len(), parts.len());
    assert!(
        workbench.submit(&specs).unwrap().is_empty(),
        "the same runs again are no new ones"
    );
    let ids: Vec<RunId> = specs.into_iter().map(|spec| spec.id).collect();
    for (id, part) in ids.iter().zip(parts) {
        fs::write(tmp.path().join(id.as_str()).join("part"), part).unwrap();
    }
    (tmp, ids)
}

impl Bench {
    fn new(root: &Path, ids: &[RunId], slots: usize) -> Self {
        let worker = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/worker.sh");
        let slots = vec![
            Slot {
                device: "cpu".into(),
                threads: 1
            };
            slots
        ];
        let lock = SchedulerLock::acquire(root).unwrap();
        Self {
            root: root.to_owned(),
            ids: ids.to_vec(),
            workbench: Workbench::open(root).unwrap(),
            scheduler: Scheduler::new(lock, Local::new(worker, slots), ids.to_vec()),
            notices: Vec::new(),
        }
    }

    fn turn_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            assert!(
                Instant::now() < deadline,
                "not in time: {what}; {:?}",
                self.notices
            );
            let turn = self
                .workbench
                .turn(&mut self.scheduler, Duration::from_millis(20))
                .unwrap();
            self.notices.extend(turn.notices);
        }
    }

    fn turn_until_idle(&mut self) {
        self.turn_until("idle", |bench| {
            !bench.notices.is_empty() && bench.scheduler.is_idle(bench.workbench.store())
        });
    }

    fn run(&self, n: usize) -> &Run {
        self.workbench.store().get(&self.ids[n]).unwrap()
    }

    fn starts(&self) -> usize {
        self.notices
            .iter()
            .filter(|notice| matches!(notice, Notice::Started { .. }))
            .count()
    }

    fn ticket(&self, n: usize) -> Process {
        Lease::read(&self.run(n).dir)
            .unwrap()
            .expect("a lease")
            .process
    }

    fn await_rows(&mut self, n: usize) {
        self.turn_until("rows", |bench| {
            bench.run(n).state == RunState::Running && bench.run(n).series.len() == 3
        });
    }
}

fn siglab(root: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command
        .arg("--workspace")
        .arg(root)
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_failing_worker_stops_no_other_and_leaves_its_last_words() {
    let (tmp, ids) = workspace(&["complete", "fail", "exit", "complete"]);
    let mut bench = Bench::new(tmp.path(), &ids, 2);
    bench.turn_until_idle();
    assert_eq!(bench.run(0).state, RunState::Completed);
    assert_eq!(
        bench.run(1).state,
        RunState::Failed {
            reason: "the disk is full".into()
        }
    );
    assert_eq!(
        bench.run(2).state,
        RunState::Interrupted {
            cause: Some("exit status 7".into())
        }
    );
    assert_eq!(bench.run(3).state, RunState::Completed);
    assert_eq!(
        end_of_log(&bench.run(1).dir, 1).unwrap(),
        ["panicked: the disk is full"]
    );
    assert_eq!(bench.starts(), 4, "none is started twice");
    drop(bench);

    let ls = siglab(tmp.path(), &["ls", "--json"]);
    let states: Vec<String> = text(&ls.stdout)
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["state"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(
        states.iter().filter(|state| *state == "completed").count(),
        2
    );
    let logs = siglab(tmp.path(), &["logs", &ids[1].as_str()[..9]]);
    assert!(text(&logs.stdout).ends_with("panicked: the disk is full\n"));

    let failed = ids[1].as_str();
    let completed = ids[0].as_str();
    assert_eq!(
        siglab(tmp.path(), &["retry", completed]).status.code(),
        Some(1),
        "nothing to retry"
    );
    assert_eq!(
        siglab(tmp.path(), &["retry", "ffffffffff"]).status.code(),
        Some(2),
        "no such run"
    );
    assert_eq!(
        siglab(tmp.path(), &["retry", failed]).status.code(),
        Some(0)
    );
    fs::write(tmp.path().join(failed).join("part"), "complete").unwrap();
    let mut again = Bench::new(tmp.path(), &ids, 2);
    again.turn_until_idle();
    assert_eq!(
        (again.run(1).state.clone(), again.run(1).attempt),
        (RunState::Completed, 2)
    );
}

#[test]
fn a_face_that_begins_with_nothing_read_is_woken_for_what_comes() {
    let (tmp, ids) = workspace(&["", ""]);
    let mut workbench = Workbench::begin(tmp.path()).unwrap();
    let (bell, rings) = channel();
    workbench.wake(move || {
        // Nobody listens any more when the test is over.
        let _ = bell.send(());
    });
    workbench.refresh_within(Duration::ZERO).unwrap();
    assert_eq!(workbench.store().runs().count(), ids.len());
    let dir = RunDir::new(tmp.path().join(ids[1].as_str()));
    let row = r#"{"attempt":1,"step":1,"examples":64,"seconds":0.5,"loss":2.5}"#;
    fs::write(dir.metrics(), format!("{row}\n")).unwrap();
    while workbench.store().get(&ids[1]).unwrap().latest("loss") != Some(2.5) {
        rings.recv_timeout(PATIENCE).expect("woken");
        workbench.refresh_within(Duration::from_millis(5)).unwrap();
    }
}

#[test]
fn runs_that_are_submitted_are_told_of_with_the_next_look() {
    let tmp = tempfile::tempdir().unwrap();
    let mut workbench = Workbench::open(tmp.path()).unwrap();
    let specs = [RunSpec::new(TrainConfig::default())];
    let new = workbench.submit(&specs).unwrap();
    let appeared = Delta {
        id: new[0].clone(),
        change: Change::Appeared,
    };
    assert_eq!(workbench.look_at(&[]), [appeared]);
    assert_eq!(workbench.look_at(&[]), []);
}

/// Learning rates from a logarithmic range have 17 digits, and not all of these come back from JSON to the last bit.
#[test]
fn a_run_is_known_again_whatever_the_digits_of_its_settings() {
    let tmp = tempfile::tempdir().unwrap();
    let spec = |step: i32| {
        let mut config = TrainConfig::default();
        config.optim.lr = 1e-4 * 10_f64.powf(f64::from(step) / 100.0);
        RunSpec::new(config)
    };
    let specs: Vec<RunSpec> = (0..200).map(spec).collect();
    let mut workbench = Workbench::open(tmp.path()).unwrap();
    assert_eq!(workbench.submit(&specs).unwrap().len(), 200);
    assert!(workbench.submit(&specs).unwrap().is_empty());
    let mut again = Workbench::open(tmp.path()).unwrap();
    assert!(again.submit(&specs).unwrap().is_empty());
}

#[test]
fn a_worker_that_is_killed_goes_on_by_itself() {
    let (tmp, ids) = workspace(&["crash-once"]);
    let mut bench = Bench::new(tmp.path(), &ids, 1);
    bench.turn_until_idle();
    assert_eq!(
        (bench.run(0).state.clone(), bench.run(0).attempt),
        (RunState::Completed, 2)
    );
    assert!(
        bench
            .notices
            .iter()
            .any(|notice| matches!(notice, Notice::Restarts { how, .. } if how == "signal 9"))
    );
}

#[test]
fn a_scheduler_takes_over_the_workers_of_one_that_died() {
    let (tmp, ids) = workspace(&["hang", "complete"]);
    let mut first = Bench::new(tmp.path(), &ids, 1);
    first.await_rows(0);
    let worker = first.ticket(0);
    let refusal = SchedulerLock::acquire(tmp.path()).unwrap_err().to_string();
    assert!(
        refusal.contains(&format!("process {}", std::process::id())),
        "{refusal}"
    );
    // What is left of a scheduler that was killed: its workers.
    drop(first);
    assert!(worker.is_alive());

    let mut second = Bench::new(tmp.path(), &ids, 1);
    second.turn_until("adoption", |bench| !bench.notices.is_empty());
    assert_eq!(
        second.notices,
        [Notice::Adopted { id: ids[0].clone() }],
        "its slot is taken: nothing else starts"
    );
    assert_eq!(second.ticket(0), worker);

    assert_eq!(
        siglab(&second.root, &["stop", ids[0].as_str()])
            .status
            .code(),
        Some(0)
    );
    second.turn_until_idle();
    assert_eq!(
        (second.run(0).state.clone(), second.run(0).attempt),
        (RunState::Stopped, 1)
    );
    assert_eq!(second.run(1).state, RunState::Completed);
    assert_eq!(second.starts(), 1);
}

#[test]
fn stopping_reaches_a_worker_that_has_no_scheduler() {
    let (tmp, ids) = workspace(&["hang"]);
    let mut bench = Bench::new(tmp.path(), &ids, 1);
    bench.await_rows(0);
    let worker = bench.ticket(0);
    drop(bench);
    assert_eq!(
        siglab(tmp.path(), &["stop", ids[0].as_str()]).status.code(),
        Some(0)
    );
    assert!(!worker.is_alive(), "it is waited for");
    let workbench = Workbench::open(tmp.path()).unwrap();
    assert_eq!(
        workbench.store().get(&ids[0]).unwrap().state,
        RunState::Stopped
    );
    assert_eq!(
        siglab(tmp.path(), &["stop", ids[0].as_str()]).status.code(),
        Some(1),
        "stopped already"
    );
}

#[test]
fn a_worker_that_does_not_hear_is_killed_where_no_scheduler_does_it() {
    let (tmp, ids) = workspace(&["deaf"]);
    let mut bench = Bench::new(tmp.path(), &ids, 1);
    bench.await_rows(0);
    let worker = bench.ticket(0);
    drop(bench);
    let asked = Instant::now();
    let stopped = siglab(tmp.path(), &["stop", "--grace", "1", ids[0].as_str()]);
    assert!(asked.elapsed() >= Duration::from_secs(1) && !worker.is_alive());
    let said = String::from_utf8_lossy(&stopped.stderr).into_owned();
    assert!(
        said.contains("was killed: it did not stop within 1 s"),
        "{said}"
    );
    assert_eq!(stopped.status.code(), Some(0));
    let workbench = Workbench::open(tmp.path()).unwrap();
    let run = workbench.store().get(&ids[0]).unwrap();
    assert!(!matches!(run.state, RunState::Running), "{:?}", run.state);
}

#[test]
fn halting_lets_the_workers_save_and_stop() {
    let (tmp, ids) = workspace(&["hang", "hang", "hang"]);
    let mut bench = Bench::new(tmp.path(), &ids, 2);
    bench.await_rows(0);
    bench.await_rows(1);
    bench.scheduler.halt();
    bench.turn_until_idle();
    assert_eq!(bench.run(0).state, RunState::Stopped);
    assert_eq!(bench.run(1).state, RunState::Stopped);
    assert_eq!(bench.run(2).state, RunState::New);
}

#[test]
fn a_recycled_pid_gets_no_signal() {
    let (tmp, ids) = workspace(&["complete"]);
    let dir = RunDir::new(tmp.path().join(ids[0].as_str()));
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let process = Process::of_child(&stranger).unwrap();
    let recycled = Process {
        start_time: process.start_time + 1,
        ..process
    };
    Lease::new("local", recycled, vec!["cpu".into()])
        .write(&dir)
        .unwrap();
    // Some worker is at it, but not the one of the lease.
    let _lock = WorkerLock::acquire(&dir).unwrap().unwrap();
    let workbench = Workbench::open(tmp.path()).unwrap();
    let run = workbench.store().get(&ids[0]).unwrap();
    assert_eq!(run.state, RunState::Running);
    assert!(workbench.wish(Verb::Stop, run).unwrap());
    std::thread::sleep(Duration::from_millis(50));
    assert!(stranger.try_wait().unwrap().is_none(), "the stranger lives");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn wrong_input_is_named_and_nothing_is_made() {
    let tmp = tempfile::tempdir().unwrap();
    let file = tmp.path().join("grid.toml");
    let root = tmp.path().join("runs");
    fs::write(
        &file,
        "question = \"q\"\n[axes]\n\"train.batch_size\" = [32, 64]\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &str); 4] = [
        (&["run", file, "--device", "gpu:0"], "`cpu`"),
        (&["run", file, "--jobs", "0"], "--jobs"),
        (&["run", file, "--set", "optim.lrr=1"], "optim.lr"),
        (&["run", "nowhere.toml"], "nowhere.toml"),
    ];
    for (args, named) in cases {
        let output = siglab(&root, args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(error.contains(named), "{args:?}: {error}");
        assert!(!root.exists(), "{args:?}");
    }
    let dry = siglab(&root, &["run", file, "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0));
    assert_eq!(
        text(&dry.stdout).matches("new          starts").count(),
        2,
        "{}",
        text(&dry.stdout)
    );
    assert!(!root.exists(), "a dry run leaves no trace");
}

#[test]
fn completions_know_the_verbs() {
    let output = siglab(Path::new("."), &["completions", "bash"]);
    assert!(text(&output.stdout).contains("dry-run"));
}

#[test]
fn a_workspace_that_cannot_be_one_is_wrong_input_and_a_problem_for_doctor() {
    let tmp = tempfile::tempdir().unwrap();
    let occupied = tmp.path().join("occupied");
    fs::write(&occupied, "a file").unwrap();
    let grid = tmp.path().join("grid.toml");
    fs::write(&grid, "question = \"q\"\n").unwrap();
    let place = occupied.to_str().unwrap();
    for (root, args) in [
        (occupied.as_path(), ["ls"].as_slice()),
        (&occupied, &["plan", grid.to_str().unwrap()]),
        (
            Path::new("/proc/siglab"),
            &["run", grid.to_str().unwrap(), "--jobs", "1"],
        ),
    ] {
        let output = siglab(root, args);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        let named = error.matches(root.to_str().unwrap()).count();
        assert_eq!(named, 1, "{args:?}: {error}");
    }
    for root in [place, "/proc/siglab"] {
        let output = siglab(Path::new(root), &["doctor"]);
        assert_eq!(output.status.code(), Some(1), "{root}");
        assert!(text(&output.stdout).contains("PROBLEM"), "{root}");
    }
    let fine = siglab(&tmp.path().join("new/runs"), &["doctor"]);
    assert_eq!(fine.status.code(), Some(0), "{}", text(&fine.stdout));
    assert_eq!(
        fs::read_dir(tmp.path()).unwrap().count(),
        2,
        "doctor leaves nothing behind"
    );
}

#[test]
fn a_log_is_awaited_and_an_empty_one_is_said_to_be_empty() {
    let (tmp, ids) = workspace(&["complete", "fail"]);
    let mut follower = Command::new(env!("CARGO_BIN_EXE_siglab"))
        .arg("--workspace")
        .arg(tmp.path())
        .args(["logs", "--follow", ids[1].as_str()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        follower.try_wait().unwrap(),
        None,
        "it waits for a run that has not started"
    );
    let mut bench = Bench::new(tmp.path(), &ids, 1);
    bench.turn_until_idle();
    let output = follower.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).ends_with("panicked: the disk is full\n"));

    let silent = siglab(tmp.path(), &["logs", ids[0].as_str()]);
    assert_eq!(silent.status.code(), Some(0));
    assert!(
        text(&silent.stderr).contains("is empty"),
        "{}",
        text(&silent.stderr)
    );
}

#[test]
fn retry_names_the_scheduler_that_is_at_work() {
    let (tmp, ids) = workspace(&["complete"]);
    let id = ids[0].as_str();
    let stop_and_retry = || {
        let stop = siglab(tmp.path(), &["stop", id]);
        assert_eq!(stop.status.code(), Some(0), "{}", text(&stop.stderr));
        text(&siglab(tmp.path(), &["retry", id]).stderr).to_owned()
    };
    assert!(stop_and_retry().contains("`siglab run`"));
    let _lock = SchedulerLock::acquire(tmp.path()).unwrap();
    let me = format!("process {} ", std::process::id());
    let words = stop_and_retry();
    assert!(
        words.contains(&me) && !words.contains("`siglab run`"),
        "{words}"
    );
}
