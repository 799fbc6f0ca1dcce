//! Real workers to which things happen: killed again and again, on a full disk, on their way back from a divergence. The
//! counts that take minutes are ignored; `cargo test --release -- --ignored` runs them.

#[path = "support/invariants.rs"]
mod invariants;
#[path = "support/runs.rs"]
mod runs;

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use runs::{command, last, make, outcomes, small};
use rustix::process::{Pid, Resource, Rlimit, prlimit, setrlimit};
use siglab::record::{Event, Outcome, Room, RunDir, read_events};
use siglab::store::Store;

const PATIENCE: Duration = Duration::from_secs(120);

fn await_that(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn quiet(mut command: Command) -> Command {
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Let the run in `dir` come to its end undisturbed.
fn finish(dir: &RunDir) {
    let status = quiet(command(dir, &["--threads", "1"])).status().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(outcomes(dir), [Outcome::Completed]);
}

/// Every step of the run in `dir` has one row that stands, and no more than `torn` lines are damaged.
fn require_whole(dir: &RunDir, torn: u64) {
    let store = Store::open(dir.path().parent().unwrap()).unwrap();
    let run = store.runs().find(|run| run.dir == *dir).expect("the run");
    let steps: Vec<u64> = (1..=run.spec.config.steps()).collect();
    assert_eq!(run.series.steps(), steps);
    assert!(run.damaged <= torn, "{} damaged lines", run.damaged);
}

/// Kill the workers of the run in `dir` whenever, `kills` times if it lasts so long, and let it come to its end.
fn kill_and_finish(dir: &RunDir, kills: usize, mut chance: u64) -> usize {
    let mut killed = 0;
    while killed < kills && outcomes(dir).is_empty() {
        let before = read_events(dir).unwrap().len();
        let mut child = quiet(command(dir, &["--threads", "1"])).spawn().unwrap();
        await_that("an event", || {
            read_events(dir).unwrap().len() > before + 2 || child.try_wait().unwrap().is_some()
        });
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        std::thread::sleep(Duration::from_micros(chance >> 48));
        if child.try_wait().unwrap().is_none() {
            killed += 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }
    if outcomes(dir).is_empty() {
        finish(dir);
    }
    killed
}

#[test]
#[ignore = "16 runs and 100 kills: minutes"]
fn killed_a_hundred_times_sixteen_runs_end_with_the_same_bits() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut equal, mut kills) = (0, 0);
    for seed in 0..16 {
        let mut config = small();
        config.seed = seed;
        let (calm, killed) = (make(one.path(), config.clone()), make(two.path(), config));
        finish(&calm);
        let mine = kill_and_finish(&killed, 8, seed + 1);
        require_whole(&killed, mine as u64);
        equal += usize::from(last(&calm).files == last(&killed).files);
        kills += mine;
    }
    invariants::check(two.path());
    assert_eq!(invariants::table(two.path()), invariants::table(one.path()));
    println!("{kills} kills, {equal} of 16 runs bit-equal");
    assert_eq!(equal, 16);
    assert!(kills >= 100, "{kills}");
}

/// A worker whose files may not get longer than `bytes`.
fn limited(dir: &RunDir, bytes: u64) -> Child {
    let mut command = quiet(command(dir, &["--threads", "1"]));
    let limit = move || {
        let maximum = rustix::process::getrlimit(Resource::Fsize).maximum;
        let current = Some(bytes);
        Ok(setrlimit(Resource::Fsize, Rlimit { current, maximum })?)
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; these two are system calls.
    unsafe { command.pre_exec(limit) };
    command.spawn().unwrap()
}

fn lift_limit(child: &Child) {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(Some(Pid::from_child(child)), Resource::Fsize, unlimited).unwrap();
}

/// Let a worker run into a file size of `bytes`, saving every `save_seconds`; what it is held against is `calm`.
fn wait_for_room(root: &Path, calm: &RunDir, bytes: u64, save_seconds: f64) {
    let mut config = small();
    config.train.save_seconds = save_seconds;
    let dir = make(root, config);
    let mut child = limited(&dir, bytes);
    await_that("waiting for room", || Room::is_awaited(&dir).unwrap());
    let mut store = Store::open(root).unwrap();
    let words = store.full().expect("a face can tell").to_string();
    assert!(words.contains("1 run waits"), "{words}");
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    lift_limit(&child);
    assert!(child.wait().unwrap().success());
    assert_eq!(outcomes(&dir), [Outcome::Completed]);
    assert_eq!(last(calm).files, last(&dir).files);
    require_whole(&dir, 0);
    store.read_all().unwrap();
    assert!(store.full().is_none());
    let attempts = read_events(&dir).unwrap().last().unwrap().attempt;
    assert_eq!(attempts, 1, "it went on where it was");
    let waited = read_events(&dir).unwrap().into_iter().any(
        |line| matches!(line.event, Event::Warned { message, .. } if message.contains("room")),
    );
    assert!(waited, "and said so");
    invariants::check(root);
    fs::remove_dir_all(dir.path()).unwrap();
}

#[test]
fn a_worker_without_room_waits_in_sight_of_all_and_goes_on() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let calm = make(one.path(), small());
    finish(&calm);
    // In the midst of a checkpoint, and of a row.
    wait_for_room(two.path(), &calm, 9_000, 0.0);
    wait_for_room(two.path(), &calm, 9_001, 1e9);
}

#[test]
#[ignore = "20 runs that wait for room: a minute or two"]
fn twenty_workers_without_room_lose_nothing() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let calm = make(one.path(), small());
    finish(&calm);
    for n in 0..20 {
        let save_seconds = if n % 2 == 0 { 0.0 } else { 1e9 };
        wait_for_room(two.path(), &calm, 2_000 + 777 * n, save_seconds);
    }
}

#[test]
fn a_worker_that_waits_for_room_can_be_stopped() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = make(tmp.path(), small());
    let mut child = limited(&dir, 9_000);
    await_that("waiting for room", || Room::is_awaited(&dir).unwrap());
    rustix::process::kill_process(Pid::from_child(&child), rustix::process::Signal::TERM).unwrap();
    assert!(!child.wait().unwrap().success());
    assert!(!Room::is_awaited(&dir).unwrap());
    assert!(outcomes(&dir).is_empty(), "nothing is wrong with the run");
    finish(&dir);
    require_whole(&dir, 0);
}

/// A file system of its own of 16 MiB, for as long as it lives. Only root can have one.
struct Small(tempfile::TempDir);

impl Small {
    fn mount() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "tmpfs"]);
        let status = mount.arg(place.path()).status().unwrap();
        assert!(status.success(), "only root can mount a file system");
        Self(place)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leave no room.
    fn fill(&self) {
        let mut file = fs::File::create(self.path().join("filler")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    fn free(&self) {
        fs::remove_file(self.path().join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

#[test]
#[ignore = "needs root, for file systems of its own; a minute or two"]
fn runs_on_a_full_file_system_pause_with_a_banner_and_go_on() {
    let mut slowest = Duration::ZERO;
    for n in 0..20 {
        let disk = Small::mount();
        let runs = disk.path().join("runs");
        let file = disk.path().join("grid.toml");
        let tiny = include_str!("support/tiny.toml");
        fs::write(&file, tiny).unwrap();
        let siglab = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
            command.arg("--workspace").arg(&runs).args(args);
            command
        };
        let log = tempfile::NamedTempFile::new().unwrap();
        let file = file.to_str().unwrap();
        let examples = format!("train.examples={}", 16 * 300);
        let sets = ["--set", &examples, "--set", "train.save_seconds=0"];
        let mut run = siglab(&[&["run", file], &sets[..]].concat());
        let mut run = run
            .stdout(Stdio::null())
            .stderr(log.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut store = Store::open(&runs).unwrap();
        await_that("training", || {
            store.refresh().unwrap();
            store.runs().any(|run| run.examples > 16 * (1 + n))
        });
        disk.fill();
        await_that("a worker that waits", || {
            store.refresh().unwrap();
            store.runs().any(|run| run.waits)
        });
        let waits = Instant::now();
        let banner = || {
            let said = fs::read_to_string(log.path()).unwrap();
            said.contains("the disk is full: ")
        };
        await_that("a banner of run", banner);
        slowest = slowest.max(waits.elapsed());
        let listed = siglab(&["ls"]).output().unwrap();
        let listed = String::from_utf8_lossy(&listed.stderr).into_owned();
        assert!(listed.contains("the disk is full: "), "{listed}");
        assert!(listed.contains(disk.path().to_str().unwrap()), "{listed}");
        disk.free();
        let status = run.wait().unwrap();
        let said = fs::read_to_string(log.path()).unwrap();
        assert!(status.success(), "{said}");
        assert!(said.contains("there is room on the disk again"), "{said}");
        let store = Store::open(&runs).unwrap();
        for run in store.runs() {
            assert_eq!(run.state.name(), "completed");
            require_whole(&run.dir, 0);
        }
        invariants::check(&runs);
    }
    println!("the banner came {slowest:?} after the first worker waited, at the latest of 20");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
#[ignore = "needs root, for a file system that can be made read-only"]
fn a_read_only_workspace_is_shown_and_not_written_to() {
    let disk = Small::mount();
    let dir = make(disk.path(), small());
    let mut remount = Command::new("mount");
    remount.args(["-o", "remount,ro"]).arg(disk.path());
    assert!(remount.status().unwrap().success());
    let siglab = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
        command.arg("--workspace").arg(disk.path()).args(args);
        command.output().unwrap()
    };
    let listed = siglab(&["ls"]);
    assert!(listed.status.success(), "{listed:?}");
    let id = dir.path().file_name().unwrap().to_str().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains(id));
    for output in [siglab(&["stop", id]), command(&dir, &[]).output().unwrap()] {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("Read-only"), "{said}");
    }
}
