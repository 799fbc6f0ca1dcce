//! `siglab run` with real workers on grids that take seconds: what it starts, what it leaves alone, and what
//! survives when somebody pulls the plug.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use siglab::record::{Lease, RunDir};
use siglab::sched::{Limits, holder};
use siglab::spec::Experiment;

const PATIENCE: Duration = Duration::from_secs(120);

const TINY: &str = include_str!("support/tiny.toml");

/// So many examples that a test ends the run long before.
const ENDLESS: &str = "train.examples=100000000";

struct Desk {
    _tmp: tempfile::TempDir,
    file: PathBuf,
    runs: PathBuf,
}

/// A test that fails must leave no worker that others have to run beside.
impl Drop for Desk {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let scheduler = holder(&self.runs).ok().flatten();
        let pid = scheduler.and_then(|name| name.split_whitespace().nth(1)?.parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let runs = fs::read_dir(&self.runs).into_iter().flatten().flatten();
        for run in runs {
            if let Ok(Some(lease)) = Lease::read(&RunDir::new(run.path())) {
                let _ = lease.process.signal_session(Signal::KILL);
            }
        }
    }
}

impl Desk {
    fn new(experiment: &str) -> Self {
        let tmp = tempfile::tempdir().unwrap();
        let (file, runs) = (tmp.path().join("grid.toml"), tmp.path().join("runs"));
        fs::write(&file, experiment).unwrap();
        Self {
            _tmp: tmp,
            file,
            runs,
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
        command.arg("--workspace").arg(&self.runs).args(args);
        command
    }

    fn siglab(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn run(&self, args: &[&str]) -> Output {
        self.siglab(&[&["run", self.file.to_str().unwrap()], args].concat())
    }

    fn spawn_run(&self, args: &[&str]) -> Child {
        let mut command = self.command(&[&["run", self.file.to_str().unwrap()], args].concat());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// The runs as `siglab ls` tells them.
    fn ls(&self) -> Vec<Value> {
        let output = self.siglab(&["ls", "--json"]);
        text(&output.stdout)
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn await_runs(&self, what: &str, done: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let runs = self.ls();
            if done(&runs) {
                return runs;
            }
            assert!(Instant::now() < deadline, "not in time: {what}: {runs:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Workers that have trained for a step or more.
    fn await_training(&self, count: usize) -> Vec<Value> {
        let training =
            |run: &Value| run["state"] == "running" && run["examples"].as_u64() > Some(0);
        self.await_runs("training", |runs| {
            runs.iter().filter(|run| training(run)).count() == count
        })
    }

    fn attempts(&self) -> Vec<u64> {
        self.ls()
            .iter()
            .map(|run| run["attempt"].as_u64().unwrap())
            .collect()
    }

    fn dir(&self, run: &Value) -> RunDir {
        RunDir::new(self.runs.join(run["run"].as_str().unwrap()))
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn finish(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn states(runs: &[Value]) -> Vec<&str> {
    runs.iter()
        .map(|run| run["state"].as_str().unwrap())
        .collect()
}

#[test]
fn a_grid_is_trained_once_and_an_edit_trains_what_is_new() {
    let desk = Desk::new(TINY);
    let first = desk.run(&[]);
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert!(text(&first.stderr).contains("2/2 done"));
    assert!(
        text(&first.stdout).contains("softmax"),
        "it ends with the table: {}",
        text(&first.stdout)
    );
    assert_eq!(desk.attempts(), [1, 1]);

    let second = desk.run(&[]);
    assert_eq!(second.status.code(), Some(0));
    assert!(
        text(&second.stderr).contains("all 2 runs are done; nothing to do"),
        "{}",
        text(&second.stderr)
    );
    assert_eq!(second.stdout, first.stdout, "and with the same table");

    fs::write(
        &desk.file,
        TINY.replace("train.batch_size = 16\n", "") + "\"train.batch_size\" = [16, 32]\n",
    )
    .unwrap();
    let third = desk.run(&["--json"]);
    let events: Vec<Value> = text(&third.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let named = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!(
        (named("started"), named("ended"), named("evaluated")),
        (2, 2, 2)
    );
    assert_eq!(desk.attempts(), [1; 4]);
}

#[test]
fn a_run_that_others_start_from_is_trained_first_and_once() {
    let pretrained = TINY.replace(
        "[axes]",
        "\"model.image.init\" = { from = \"pretrained\" }\n[axes]",
    ) + "[runs.pretrained]\ndata.image_size = 16\ntrain.examples = 64\ntrain.batch_size = 16\neval.images = 16\n\
           loss.kind = \"classify\"\n\
           model = { embed_dim = 8, image = { width = 8, depth = 1, heads = 1 }, text = { width = 8, depth = 1, heads = 1 } }\n";
    let desk = Desk::new(&pretrained);
    let output = desk.run(&[]);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}");
    let order: Vec<&str> = words
        .lines()
        .filter(|line| line.starts_with("started") || line.starts_with("completed"))
        .collect();
    assert!(
        order[0].contains("pretrained") && order[1].contains("pretrained"),
        "{words}"
    );
    assert_eq!((order.len(), desk.attempts()), (6, vec![1; 3]));
}

#[test]
fn an_interrupt_stops_at_a_checkpoint_and_the_same_command_goes_on() {
    let desk = Desk::new(TINY);
    let scheduler = desk.spawn_run(&["--set", ENDLESS, "--jobs", "2"]);
    desk.await_training(2);
    let began = Instant::now();
    signal(&scheduler, Signal::INT);
    let (code, words) = finish(scheduler);
    assert!(
        began.elapsed() < Limits::default().grace,
        "nobody was killed"
    );
    assert_eq!(code, Some(130), "{words}");
    let stopped = desk.ls();
    assert_eq!(states(&stopped), ["stopped", "stopped"], "{words}");

    let scheduler = desk.spawn_run(&["--set", ENDLESS, "--jobs", "2"]);
    let further = |runs: &[Value]| {
        runs.iter()
            .zip(&stopped)
            .all(|(now, then)| now["examples"].as_u64() > then["examples"].as_u64())
    };
    desk.await_runs("going on", |runs| further(runs));
    signal(&scheduler, Signal::TERM);
    assert_eq!(finish(scheduler).0, Some(130));
    assert_eq!(desk.attempts(), [2, 2]);
}

#[test]
fn workers_outlive_a_scheduler_that_is_killed_and_the_next_one_takes_them_over() {
    let desk = Desk::new(TINY);
    let scheduler = desk.spawn_run(&["--set", ENDLESS, "--jobs", "2"]);
    let training = desk.await_training(2);
    signal(&scheduler, Signal::KILL);
    finish(scheduler);
    desk.await_runs("training without a scheduler", |runs| {
        runs.iter()
            .zip(&training)
            .all(|(now, then)| now["examples"].as_u64() > then["examples"].as_u64())
    });

    let scheduler = desk.spawn_run(&["--set", ENDLESS, "--jobs", "2"]);
    let name = format!("process {} ", scheduler.id());
    let deadline = Instant::now() + PATIENCE;
    while !holder(&desk.runs)
        .unwrap()
        .is_some_and(|holder| holder.starts_with(&name))
    {
        assert!(Instant::now() < deadline, "the workspace is not taken");
        std::thread::sleep(Duration::from_millis(20));
    }
    let refused = desk.run(&["--set", ENDLESS]);
    assert_eq!(refused.status.code(), Some(1));
    let handed = desk.run(&["--set", ENDLESS, "--detach"]);
    assert_eq!(handed.status.code(), Some(0));
    assert!(text(&handed.stderr).contains("takes the runs on"));
    for output in [refused, handed] {
        assert!(
            text(&output.stderr).contains(&name),
            "{}",
            text(&output.stderr)
        );
    }
    let dry = desk.run(&["--set", ENDLESS, "--dry-run"]);
    assert!(!text(&dry.stdout).contains("starts"), "all are running");

    // One worker is killed: it goes on from its checkpoint, the other is not disturbed.
    let victim = Lease::read(&desk.dir(&training[0]))
        .unwrap()
        .unwrap()
        .process;
    victim.signal_session(Signal::KILL).unwrap();
    desk.await_runs("a second attempt", |runs| {
        runs[0]["attempt"] == 2 && runs[0]["state"] == "running"
    });
    signal(&scheduler, Signal::INT);
    let (code, words) = finish(scheduler);
    assert_eq!(
        (code, words.matches("started earlier").count()),
        (Some(130), 2),
        "{words}"
    );
    assert_eq!(desk.attempts(), [2, 1]);
}

#[test]
fn a_detached_scheduler_works_in_the_background() {
    let desk = Desk::new(TINY);
    let output = desk.run(&["--detach"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    desk.await_runs("the end", |runs| states(runs) == ["completed", "completed"]);
    let log = desk.runs.join("scheduler.log");
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(&log).unwrap().contains("2/2 done") {
        assert!(
            Instant::now() < deadline,
            "{}",
            fs::read_to_string(&log).unwrap()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_run_that_fails_is_shown_with_its_log_and_stops_no_other() {
    let desk = Desk::new(TINY);
    let grid = Experiment::load(&desk.file, &[]).unwrap().expand().unwrap();
    let spec = grid.runs()[0];
    let dir = RunDir::new(desk.runs.join(spec.id.as_str()));
    spec.write(&dir).unwrap();
    // A run that cannot save a checkpoint cannot do its work.
    fs::write(dir.checkpoints(), "in the way").unwrap();
    let output = desk.run(&[]);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(
        words.contains("    | ") && words.contains("siglab retry"),
        "{words}"
    );
    assert!(words.contains("1/2 done, 1 failed"), "{words}");

    let again = desk.run(&[]);
    assert_eq!(again.status.code(), Some(1));
    assert!(
        text(&again.stderr).contains("nothing to start"),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn a_hasty_second_interrupt_still_asks_the_workers_to_stop() {
    let desk = Desk::new(TINY);
    let scheduler = desk.spawn_run(&["--set", ENDLESS, "--jobs", "2"]);
    desk.await_training(2);
    signal(&scheduler, Signal::INT);
    signal(&scheduler, Signal::TERM);
    let (code, words) = finish(scheduler);
    assert_eq!(code, Some(130), "{words}");
    assert!(words.contains("stopping 2 runs"), "{words}");
    assert!(words.contains("goes on where the runs stopped"), "{words}");
    desk.await_runs("the workers' own end", |runs| {
        states(runs) == ["stopped", "stopped"]
    });
}

#[test]
fn a_reader_that_leaves_does_not_end_the_scheduler() {
    let desk = Desk::new(TINY);
    for args in [&["--json"] as &[&str], &["--set", "train.examples=48"]] {
        let mut scheduler = desk.spawn_run(args);
        drop(scheduler.stdout.take());
        if !args.contains(&"--json") {
            drop(scheduler.stderr.take());
        }
        let (code, words) = finish(scheduler);
        assert_eq!(code, Some(0), "{words}");
    }
    assert_eq!(states(&desk.ls()), ["completed"; 4]);
}

#[test]
fn a_detached_scheduler_with_nothing_to_start_is_not_said_to_work() {
    let desk = Desk::new(TINY);
    let grid = Experiment::load(&desk.file, &[]).unwrap().expand().unwrap();
    let file = desk.file.to_str().unwrap();
    let none = desk.siglab(&["ls", file]);
    assert!(
        text(&none.stderr).contains("none of the runs of"),
        "{}",
        text(&none.stderr)
    );
    for spec in grid.runs() {
        spec.write(&RunDir::new(desk.runs.join(spec.id.as_str())))
            .unwrap();
        desk.siglab(&["stop", spec.id.as_str()]);
    }
    let output = desk.run(&["--detach"]);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("stopped on request"), "{words}");
    assert!(!words.contains("in the background"), "{words}");
}

#[test]
fn a_run_whose_prerequisite_failed_says_so() {
    let pretrained = TINY.replace(
        "[axes]",
        "\"model.image.init\" = { from = \"pretrained\" }\n[axes]",
    ) + "[runs.pretrained]\ndata.image_size = 16\ntrain.examples = 64\ntrain.batch_size = 16\neval.images = 16\n\
           loss.kind = \"classify\"\n\
           model = { embed_dim = 8, image = { width = 8, depth = 1, heads = 1 }, text = { width = 8, depth = 1, heads = 1 } }\n";
    let desk = Desk::new(&pretrained);
    let grid = Experiment::load(&desk.file, &[]).unwrap().expand().unwrap();
    let (_, spec) = &grid.prerequisites[0];
    let dir = RunDir::new(desk.runs.join(spec.id.as_str()));
    spec.write(&dir).unwrap();
    fs::write(dir.checkpoints(), "in the way").unwrap();
    let output = desk.run(&[]);
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    let reason = format!("prerequisite {0} failed; `siglab retry {0}`", spec.id);
    assert_eq!(words.matches(&reason).count(), 2, "{words}");
}
