//! The parts that tests play in processes of their own. A test binary that has a test `plays_its_part` runs itself again
//! for each: as a worker that writes a real run directory in steps of a fixed length, as a scheduler, or as one who takes
//! the scheduler's lock and keeps it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use siglab::exec::{Local, Slot};
use siglab::record::checkpoint;
use siglab::record::{
    Event, EventLog, Heart, Lack, MetricLog, Outcome, Phase, Row, RunDir, WorkerLock, read_events,
};
use siglab::sched::{Limits, Scheduler, SchedulerLock};
use siglab::spec::RunSpec;
use siglab::store::RunId;
use siglab::workbench::{Notice, Workbench};

/// The part, and what it is given.
const PART: &str = "SIGLAB_TEST_PART";
const GIVEN: &str = "SIGLAB_TEST_GIVEN";

/// Another one than ours has the lock.
pub const REFUSED: i32 = 7;

/// Play the part that the environment names, if it names one; never to return then.
pub fn play() {
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    let given = std::env::var(GIVEN).unwrap();
    let given: Vec<&str> = given.split('\n').collect();
    // What the part says is to begin on a line of its own, after the words of the test's harness.
    println!();
    match part.as_str() {
        "worker" => work(&RunDir::new(given[0]), given[1]),
        "scheduler" => schedule(Path::new(given[0]), given[1].parse().unwrap()),
        "holder" => hold(Path::new(given[0])),
        other => panic!("no part {other}"),
    }
}

fn again(part: &str, given: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "plays_its_part",
            "--exact",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(PART, part)
        .env(GIVEN, given)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit());
    command
}

/// A programme that plays the worker of the run directory that it is given, as `siglab worker` is called. Where there is
/// a file `fatal`, the first thing it does is to kill who started it.
pub fn worker_program(place: &Path) -> PathBuf {
    let path = place.join("worker");
    if !path.exists() {
        let me = std::env::current_exe().unwrap();
        let script = format!(
            "#!/bin/sh\n[ -e \"$2/fatal\" ] && rm \"$2/fatal\" && kill -9 $PPID\n\
             {PART}=worker {GIVEN}=\"$2\n$4\" exec '{}' plays_its_part --exact --nocapture --test-threads=1\n",
            me.display()
        );
        let temporary = place.join(format!("worker.{}", std::process::id()));
        fs::write(&temporary, script).unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&temporary, &path).unwrap();
    }
    path
}

/// A process that plays a part, and the lines that it says.
pub struct Played {
    pub child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Played {
    pub fn scheduler(root: &Path, slots: usize) -> Self {
        Self::of(again("scheduler", &format!("{}\n{slots}", root.display())))
    }

    pub fn holder(root: &Path) -> Self {
        Self::of(again("holder", &root.display().to_string()))
    }

    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line that begins with `word`, without it; none when the process has ended.
    pub fn hear(&mut self, word: &str) -> Option<String> {
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.strip_prefix(word)?.trim().to_owned()))
    }

    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The settings of a part stand in the run's directory as JSON: `{"steps": 10, "ms": 50}`.
fn setting(dir: &RunDir, key: &str) -> u64 {
    let text = fs::read(dir.path().join("part")).unwrap_or_default();
    let part: Value = serde_json::from_slice(&text).unwrap_or_default();
    part[key].as_u64().unwrap_or_default()
}

/// What the machine does not give the worker: `{"breaks": ["gpu:1"]}` is a device that fails whoever is on it, and
/// `{"memory": 1}` a run that no memory is enough for.
fn lack(dir: &RunDir, device: &str) -> Option<Lack> {
    let text = fs::read(dir.path().join("part")).unwrap_or_default();
    let part: Value = serde_json::from_slice(&text).unwrap_or_default();
    if part["memory"].as_u64() > Some(0) {
        return Some(Lack::Memory);
    }
    let broken = part["breaks"].as_array()?;
    let name = device.to_owned();
    broken
        .iter()
        .any(|broken| broken == device)
        .then_some(Lack::Device { name })
}

/// What a step is bound to yield, whoever computes it.
fn loss(seed: u64, step: u64) -> f64 {
    1.0 + seed as f64 / 1e3 + 1.0 / (step as f64 + 1.0)
}

fn work(dir: &RunDir, device: &str) -> ! {
    let Some(_lock) = WorkerLock::acquire(dir).unwrap() else {
        fs::write(dir.path().join("refused"), "").unwrap();
        exit(3)
    };
    let finished = |line: &siglab::record::Line| matches!(line.event, Event::Finished { .. });
    if read_events(dir).unwrap().iter().any(finished) {
        exit(0)
    }
    let stop = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, Arc::clone(&stop)).unwrap();
    let deaf = setting(dir, "deaf") > 0;
    if setting(dir, "forks") > 0 {
        // In a process group of its own, as a shell's job; nothing but that signal ends it.
        let script = "trap '' TERM; echo $$ >child; while :; do sleep 0.05; done";
        let mut child = Command::new("sh");
        child.args(["-c", script]).current_dir(dir.path());
        std::os::unix::process::CommandExt::process_group(&mut child, 0);
        #[expect(clippy::zombie_processes, reason = "it is there to be left behind")]
        let _left = child.spawn().unwrap();
    }
    let seed = RunSpec::read(dir).unwrap().config.seed;
    let (steps, pause) = (setting(dir, "steps"), setting(dir, "ms"));
    let mut events = EventLog::open(dir).unwrap();
    let mut metrics = MetricLog::open(dir).unwrap();
    let mut heart = Heart::new(dir).unwrap();
    events
        .append(Event::Started {
            siglab: "test".into(),
            host: "here".into(),
            pid: std::process::id(),
            devices: vec!["cpu".into()],
            threads: 1,
            total_steps: steps,
            total_examples: steps,
            files: Default::default(),
            provenance: Default::default(),
        })
        .unwrap();
    let (from, _) = checkpoint::latest(dir).unwrap();
    let mut step = from.map_or(0, |checkpoint| checkpoint.manifest.step);
    let resumed = Event::Resumed {
        step,
        examples: step,
    };
    events.append(resumed).unwrap();
    if let Some(lack) = lack(dir, device) {
        let reason = "as the test has it".into();
        events.append(Event::Interrupted { lack, reason }).unwrap();
        exit(1)
    }
    let mut saved = step;
    while step < steps {
        std::thread::sleep(Duration::from_millis(pause));
        let stops = stop.load(Ordering::Relaxed) && !deaf;
        if step > saved && (stops || step.is_multiple_of(5)) {
            metrics.sync().unwrap();
            let state = step.to_le_bytes().to_vec();
            let name = checkpoint::save(dir, step, step, &[("state", state)], 0).unwrap();
            saved = step;
            let examples = step;
            events
                .append(Event::Saved {
                    step,
                    examples,
                    name,
                })
                .unwrap();
        }
        if stops {
            let examples = step;
            events.append(Event::Stopped { step, examples }).unwrap();
            exit(0)
        }
        step += 1;
        heart.beat(Phase::Training, step);
        let row = Row {
            attempt: events.attempt(),
            step,
            examples: step,
            seconds: step as f64,
            values: BTreeMap::from([("loss".to_owned(), loss(seed, step))]),
        };
        metrics.append(&row).unwrap();
        if setting(dir, "stalls") == step {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
    }
    metrics.sync().unwrap();
    let metrics = BTreeMap::from([("zeroshot/top1".to_owned(), loss(seed, 0))]);
    let examples = step;
    for event in [
        Event::Evaluated {
            step,
            examples,
            metrics,
        },
        Event::Finished {
            step,
            examples,
            outcome: Outcome::Completed,
        },
    ] {
        events.append(event).unwrap();
    }
    exit(0)
}

/// A scheduler of every run of the workspace, on slots of this machine.
pub fn scheduler(root: &Path, slots: usize, limits: Limits) -> (Workbench, Scheduler<Local>) {
    scheduler_on(root, &vec!["cpu"; slots], limits)
}

/// The same, on these devices.
pub fn scheduler_on(
    root: &Path,
    devices: &[&str],
    limits: Limits,
) -> (Workbench, Scheduler<Local>) {
    let lock = SchedulerLock::acquire(root).unwrap_or_else(|_| exit(REFUSED));
    let workbench = Workbench::open(root).unwrap();
    let scope: Vec<RunId> = workbench
        .store()
        .runs()
        .map(|run| run.id().clone())
        .collect();
    let slot = |device: &&str| Slot {
        device: (*device).into(),
        threads: 1,
    };
    let slots = devices.iter().map(slot).collect();
    let executor = Local::new(worker_program(root), slots);
    (
        workbench,
        Scheduler::new(lock, executor, scope).with_limits(limits),
    )
}

fn schedule(root: &Path, slots: usize) -> ! {
    let (mut workbench, mut scheduler) = scheduler(root, slots, Limits::default());
    let mut patience = Duration::ZERO;
    loop {
        let turn = workbench.turn(&mut scheduler, patience).unwrap();
        patience = Duration::from_millis(20);
        for notice in turn.notices {
            match notice {
                Notice::Started { id, .. } => println!("started {id}"),
                Notice::Adopted { id } => println!("adopted {id}"),
                Notice::GivenUp { id, reason } => println!("given up {id}: {reason}"),
                _ => {}
            }
        }
        if scheduler.is_idle(workbench.store()) {
            println!("idle");
            exit(0)
        }
    }
}

fn hold(root: &Path) -> ! {
    match SchedulerLock::acquire(root) {
        Ok(lock) => {
            println!("holds {}", lock.epoch());
            std::io::stdout().flush().unwrap();
            loop {
                std::thread::sleep(Duration::from_secs(60));
            }
        }
        Err(_) => exit(REFUSED),
    }
}
