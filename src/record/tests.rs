//! A worker of this layer that trains nothing, on disks that fail and through deaths of every kind: whatever happens to it,
//! its run ends as that of a worker to which nothing did.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::spec::RunSpec;
use crate::store::{Run, RunState, Store};
use crate::train::TrainConfig;
use crate::util::disk::fault::{Death, Fault, Plan, live};

const STEPS: u64 = 10;
const SAVE_EVERY: u64 = 3;
/// Updates behind which a checkpoint is kept.
const BACK: u64 = 4;

/// A directory in memory, where the system has such: what survives is worked out here, and thousands of lives need not wait
/// for a disk.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

/// A run of [`STEPS`] updates in `root`.
fn make(root: &Path) -> RunDir {
    let mut config = TrainConfig::default();
    config.train.batch_size = 1;
    config.train.examples = STEPS;
    let spec = RunSpec::new(config);
    let dir = RunDir::new(root.join(spec.id.as_str()));
    spec.write(&dir).unwrap();
    dir
}

/// What update `step` makes of the weights: nothing that two updates could be mistaken for.
fn update(weights: &[u8], step: u64) -> Vec<u8> {
    let mut hash = blake3::Hasher::new();
    hash.update(weights);
    hash.update(&step.to_le_bytes());
    hash.finalize().as_bytes().to_vec()
}

/// What the scheduler and one attempt write, to the end of the run. The end is on record before it returns.
fn work(dir: &RunDir) -> io::Result<()> {
    let process = Process {
        boot_id: "none".into(),
        pid: 1,
        start_time: 0,
    };
    Lease::new("test", process, vec!["cpu".into()]).write(dir)?;
    let Some(_lock) = WorkerLock::acquire(dir)? else {
        panic!("another worker has the run")
    };
    let ended = |line: &Line| matches!(line.event, Event::Finished { .. });
    if read_events(dir)?.iter().any(ended) {
        return Ok(());
    }
    let mut events = EventLog::open(dir)?;
    let mut metrics = MetricLog::open(dir)?;
    events.append(Event::Started {
        siglab: "test".into(),
        host: "here".into(),
        pid: 1,
        devices: vec!["cpu".into()],
        threads: 1,
        total_steps: STEPS,
        total_examples: STEPS,
        files: Default::default(),
        provenance: Default::default(),
    })?;
    let (mut step, mut weights) = match checkpoint::latest(dir)?.0 {
        Some(checkpoint) => (checkpoint.manifest.step, checkpoint.read("weights")?),
        None => (0, Vec::new()),
    };
    let examples = step;
    events.append(Event::Resumed { step, examples })?;
    while step < STEPS {
        step += 1;
        weights = update(&weights, step);
        metrics.append(&Row {
            attempt: events.attempt(),
            step,
            examples: step,
            seconds: 0.0,
            values: BTreeMap::from([("loss".into(), f64::from(weights[0]))]),
        })?;
        if step.is_multiple_of(4) {
            events.append(Event::Evaluated {
                step,
                examples: step,
                metrics: BTreeMap::from([("zeroshot/top1".into(), f64::from(weights[1]))]),
            })?;
        }
        if step.is_multiple_of(SAVE_EVERY) || step == STEPS {
            metrics.sync()?;
            let files = [("weights", weights.clone())];
            let name = checkpoint::save(dir, step, step, &files, BACK)?;
            events.append(Event::Saved {
                step,
                examples: step,
                name,
            })?;
        }
    }
    events.append(Event::Finished {
        step,
        examples: step,
        outcome: Outcome::Completed,
    })?;
    Want {
        priority: 1,
        ..Want::default()
    }
    .write(dir)
}

/// What is left of a run when it is through, but for times and attempts.
#[derive(Debug, PartialEq)]
struct Result {
    weights: Vec<u8>,
    losses: Vec<(u64, f64)>,
    evaluations: Vec<(u64, f64)>,
}

fn folded(dir: &RunDir) -> Run {
    let store = Store::open(dir.path().parent().unwrap()).unwrap();
    assert!(store.unreadable().is_empty(), "{:?}", store.unreadable());
    store.runs().next().expect("the run").clone()
}

/// The result of a run that has ended, after whose workers at most `torn` lines were not whole.
fn result(dir: &RunDir, torn: u64) -> Result {
    let run = folded(dir);
    assert_eq!(run.state, RunState::Completed);
    assert!(run.damaged <= torn, "{} damaged lines", run.damaged);
    let (checkpoint, damaged) = checkpoint::latest(dir).unwrap();
    assert!(damaged.is_empty(), "{damaged:?}");
    let losses = run.series.column("loss").expect("a loss");
    let losses = losses.values().iter().copied();
    let left = fs::read_dir(dir.checkpoints()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name());
    assert!(left.count() <= 4, "old checkpoints and unfinished ones go");
    Result {
        weights: checkpoint.expect("one").read("weights").unwrap(),
        losses: run.series.steps().iter().copied().zip(losses).collect(),
        evaluations: run
            .evaluations
            .iter()
            .map(|evaluation| (evaluation.step, evaluation.metrics["zeroshot/top1"]))
            .collect(),
    }
}

/// The result of a worker to which nothing happened, and the operations that it made.
fn undisturbed() -> (Result, Vec<String>) {
    let tmp = scratch();
    let dir = make(tmp.path());
    let plan = Plan::begin(0..0, Fault::Nothing);
    work(&dir).unwrap();
    let seen = plan.seen();
    drop(plan);
    (result(&dir, 0), seen)
}

#[test]
fn there_are_more_than_thirty_places_to_die_at() {
    let (result, seen) = undisturbed();
    assert_eq!(result.losses.len() as u64, STEPS);
    let dir = scratch();
    let id = make(dir.path()).path().file_name().unwrap().to_owned();
    let id = id.to_str().unwrap();
    let names: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert!(names.len() >= 30, "{names:#?}");
    for name in [
        format!("write {id}/events.jsonl"),
        format!("sync {id}/events.jsonl"),
        format!("sync {id}/metrics.jsonl"),
        format!("rename {id}/.lease.json.tmp"),
        "sync step-3.tmp/manifest.json".into(),
        "rename checkpoints/step-3.tmp".into(),
        format!("sync {id}/checkpoints"),
        "remove checkpoints/step-3".into(),
    ] {
        assert!(names.contains(&name), "{name} is not among {names:#?}");
    }
}

fn deaths(by: Death) -> [Fault; 2] {
    [false, true].map(|half_way| Fault::Dies { half_way, by })
}

/// Work in `dir`, to be struck by `fault` at operation `n` of this life. True when it lived to the end.
fn live_once(dir: &RunDir, n: usize, fault: Fault) -> bool {
    let plan = Plan::begin(n..n + 1, fault);
    let done = live(|| work(dir).unwrap());
    drop(plan);
    done.is_some()
}

#[test]
fn after_a_death_at_any_place_the_next_attempt_ends_as_if_there_was_none() {
    let (expected, seen) = undisturbed();
    let [process, power] = [Death::Unwinds, Death::LosesPower].map(deaths);
    for fault in process.into_iter().chain(power) {
        for (n, place) in seen.iter().enumerate() {
            let tmp = scratch();
            let dir = make(tmp.path());
            let lived = live_once(&dir, n, fault);
            let half_way = matches!(fault, Fault::Dies { half_way: true, .. });
            assert_eq!(lived, half_way && !place.starts_with("write"));
            work(&dir).unwrap();
            assert_eq!(result(&dir, 1), expected, "{fault:?} at {n}, {}", seen[n]);
        }
    }
}

/// Die twice: in `first` of the places, and again at every `stride`th place of the life after.
fn two_deaths(first: Range<usize>, stride: usize) -> usize {
    let (expected, seen) = undisturbed();
    let mut pairs = 0;
    for n in first.start..first.end.min(seen.len()) {
        let by = [Death::Unwinds, Death::LosesPower][n / 2 % 2];
        let fault = deaths(by)[n % 2];
        for m in (n % stride..).step_by(stride) {
            let tmp = scratch();
            let dir = make(tmp.path());
            live_once(&dir, n, fault);
            let lived = live_once(&dir, m, deaths(by)[0]);
            work(&dir).unwrap();
            assert_eq!(result(&dir, 2), expected, "{fault:?} at {n}, then at {m}");
            pairs += 1;
            if lived {
                break;
            }
        }
    }
    pairs
}

#[test]
fn two_deaths_are_no_worse_than_one() {
    assert!(two_deaths(20..50, 17) >= 60);
}

#[test]
#[ignore = "thousands of pairs: half a minute"]
fn every_pair_of_deaths_is_no_worse_than_one() {
    let pairs = two_deaths(0..usize::MAX, 1);
    println!("{pairs} pairs");
    assert!(pairs >= 900);
}

/// Not a test of its own: the life of a process that aborts, with the place in the environment.
#[test]
#[ignore = "run as a process by the tests beside it"]
fn life_of_a_process() {
    let Ok(life) = std::env::var("SIGLAB_TEST_LIFE") else {
        return;
    };
    let (place, rest) = life.split_once(' ').unwrap();
    let (half_way, path) = rest.split_once(' ').unwrap();
    let fault = deaths(Death::Aborts)[usize::from(half_way == "true")];
    live_once(&RunDir::new(path), place.parse().unwrap(), fault);
}

/// As [`live_once`], in a process that aborts.
fn live_as_process(dir: &RunDir, n: usize, half_way: bool) -> bool {
    let life = format!("{n} {half_way} {}", dir.path().display());
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "record::tests::life_of_a_process", "--ignored"])
        .env("SIGLAB_TEST_LIFE", life)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    status.success()
}

fn aborts(stride: usize) -> usize {
    let (expected, seen) = undisturbed();
    let mut deaths = 0;
    for half_way in [false, true] {
        for n in (0..seen.len()).step_by(stride) {
            let tmp = scratch();
            let dir = make(tmp.path());
            deaths += usize::from(!live_as_process(&dir, n, half_way));
            assert_ne!(folded(&dir).state, RunState::Running, "its lock is gone");
            work(&dir).unwrap();
            assert_eq!(result(&dir, 1), expected, "abort at {n}, {}", seen[n]);
        }
    }
    deaths
}

#[test]
fn a_process_that_aborts_is_no_worse() {
    assert!(aborts(11) >= 10);
}

#[test]
#[ignore = "a process for each place: some seconds"]
fn a_process_that_aborts_anywhere_is_no_worse() {
    let deaths = aborts(1);
    println!("{deaths} processes aborted");
    assert!(deaths >= 100);
}

#[test]
fn every_operation_may_fail_in_every_way() {
    let (expected, seen) = undisturbed();
    for fault in Fault::ALL {
        let mut failures = 0;
        for (n, place) in seen.iter().enumerate() {
            let tmp = scratch();
            let dir = make(tmp.path());
            let plan = Plan::begin(n..n + 1, fault);
            let done = work(&dir);
            drop(plan);
            failures += usize::from(done.is_err());
            // Whatever it was, the disk is as good as new afterwards, and another attempt goes on. No line is torn: what a
            // write that failed left was taken back.
            let spared = u64::from(place.starts_with("truncate"));
            work(&dir).unwrap();
            assert_eq!(
                result(&dir, spared),
                expected,
                "{fault:?} at {n}, {}",
                place
            );
        }
        let interrupted = Fault::Fails(rustix::io::Errno::INTR);
        let harmless = [interrupted, Fault::Short].contains(&fault);
        assert_eq!(failures == 0, harmless, "{fault:?}: {failures} failures");
    }
}

#[test]
fn a_line_for_which_there_was_no_room_is_whole_when_there_is() {
    let tmp = scratch();
    let dir = make(tmp.path());
    let mut log = EventLog::open(&dir).unwrap();
    let event = |n| Event::Warned {
        step: n,
        message: "x".repeat(100),
    };
    log.append(event(0)).unwrap();
    let full = Fault::Torn(rustix::io::Errno::NOSPC);
    let plan = Plan::begin(0..1, full);
    let error = log.append(event(1)).unwrap_err();
    drop(plan);
    assert!(Room::was_wanted(&error), "{error}");
    assert_eq!(folded(&dir).damaged, 0, "half a line was taken back");
    log.append(event(1)).unwrap();
    let seqs: Vec<u64> = read_events(&dir).unwrap().iter().map(|l| l.seq).collect();
    assert_eq!(seqs, [0, 1]);
}

#[test]
fn a_failed_fsync_is_the_end_of_a_log() {
    let tmp = scratch();
    let dir = make(tmp.path());
    let mut log = EventLog::open(&dir).unwrap();
    let event = || Event::Warned {
        step: 0,
        message: String::new(),
    };
    let plan = Plan::begin(1..2, Fault::Fails(rustix::io::Errno::NOSPC));
    let error = log.append(event()).unwrap_err();
    drop(plan);
    assert!(error.to_string().contains("may be lost"), "{error}");
    assert_ne!(error.kind(), io::ErrorKind::StorageFull, "not to be held");
    assert!(Room::was_wanted(&error), "an attempt may follow");
    let later = log.append(event()).unwrap_err();
    assert!(later.to_string().contains("events.jsonl"), "{later}");
    EventLog::open(&dir).unwrap().append(event()).unwrap();
}

/// Events of a run with damage done to its log by `harm`; how many were told and how many lines were dropped.
fn harmed(text: &[u8], dir: &RunDir, harm: impl FnOnce(&mut Vec<u8>)) -> (Vec<Line>, u64) {
    let mut bytes = text.to_vec();
    harm(&mut bytes);
    fs::write(dir.events(), bytes).unwrap();
    (read_events(dir).unwrap(), folded(dir).damaged)
}

#[test]
fn what_stands_before_damage_comes_back_and_the_damage_is_counted() {
    let tmp = scratch();
    let dir = make(tmp.path());
    let mut log = EventLog::open(&dir).unwrap();
    for step in 0..60 {
        log.append(Event::Warned {
            step,
            message: "a line of some length ".repeat(4),
        })
        .unwrap();
    }
    let text = fs::read(dir.events()).unwrap();
    let whole = read_events(&dir).unwrap();
    let ends: Vec<usize> = (0..text.len()).filter(|at| text[*at] == b'\n').collect();
    assert!(text.len() > 4_096);
    for cut in text.len() - 4_096..text.len() {
        fs::write(dir.events(), &text[..cut]).unwrap();
        let before = ends.iter().filter(|end| **end < cut).count();
        assert_eq!(read_events(&dir).unwrap(), whole[..before], "cut at {cut}");
        // The next attempt closes the line, and then it is one that was dropped.
        let attempt = EventLog::open(&dir).unwrap();
        assert!(attempt.attempt() == 2 || before == 0);
        if cut % 64 == 0 {
            let torn = u64::from(ends[..before].last().is_none_or(|end| end + 1 < cut));
            assert_eq!(folded(&dir).damaged, torn, "cut at {cut}");
        }
    }
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    for _ in 0..1_000 {
        let bit = rng.random_range(0..8 * text.len());
        let (found, dropped) = harmed(&text, &dir, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let before = ends.iter().filter(|end| **end < bit / 8).count();
        assert_eq!(found[..before], whole[..before], "bit {bit}");
        assert!(found.iter().all(|line| whole.contains(line)), "bit {bit}");
        // A newline that went takes two lines along; a bit of the checksum's name takes none.
        let lost = whole.len() - found.len();
        assert!(lost <= 2, "bit {bit}: {lost} lost");
        assert!(dropped >= u64::from(lost > 0), "bit {bit}: none counted");
    }
}

#[test]
fn other_runs_do_not_hear_of_the_damage() {
    let tmp = scratch();
    let dir = make(tmp.path());
    work(&dir).unwrap();
    let other = RunSpec::new(TrainConfig::default());
    let beside = RunDir::new(tmp.path().join(other.id.as_str()));
    other.write(&beside).unwrap();
    fs::write(beside.events(), vec![0xff; 10_000]).unwrap();
    fs::write(beside.metrics(), "{}\n[\n\u{0}\n".repeat(100)).unwrap();
    let store = Store::open(tmp.path()).unwrap();
    let run = |id: &str| store.get(&id.parse().unwrap()).unwrap();
    let name = |dir: &RunDir| dir.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(run(&name(&dir)).state, RunState::Completed);
    assert_eq!(run(&name(&dir)).damaged, 0);
    assert!(run(&name(&beside)).damaged >= 300);
}

/// Not a test of its own: saves one checkpoint after the other until it is killed.
#[test]
#[ignore = "run as a process by the tests beside it"]
fn life_of_a_saver() {
    let Ok(life) = std::env::var("SIGLAB_TEST_SAVER") else {
        return;
    };
    let (bytes, path) = life.split_once(' ').unwrap();
    let (dir, bytes) = (RunDir::new(path), bytes.parse().unwrap());
    let first = checkpoint::latest(&dir).unwrap().0;
    for step in first.map_or(1, |first| first.manifest.step + 1).. {
        let files = [("weights", vec![step as u8; bytes])];
        checkpoint::save(&dir, step, step, &files, 0).unwrap();
    }
}

/// Kill the saver of checkpoints of so many bytes so many times, whenever.
fn kill_savers(bytes: usize, kills: usize) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let began = std::time::Instant::now();
    checkpoint::save(&dir, 1, 1, &[("weights", vec![1; bytes])], 0).unwrap();
    let longest = 2 * began.elapsed().as_micros() as u64;
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "record::tests::life_of_a_saver", "--ignored"])
            .env(
                "SIGLAB_TEST_SAVER",
                format!("{bytes} {}", dir.path().display()),
            )
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let await_that = |holds: &dyn Fn() -> bool| {
        let began = std::time::Instant::now();
        while !holds() && began.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    };
    let newest = || {
        let (found, damaged) = checkpoint::latest(&dir).unwrap();
        assert!(damaged.is_empty(), "{damaged:?}");
        found.expect("what was there is gone")
    };
    let saves = || {
        let names = fs::read_dir(dir.checkpoints()).into_iter().flatten();
        let mut names = names.map(|entry| entry.unwrap().file_name());
        names.any(|name| name.to_str().is_some_and(|name| name.ends_with(".tmp")))
    };
    let mut last = 1;
    for n in 0..kills {
        let mut saver = start();
        await_that(&saves);
        let pause = std::time::Duration::from_micros(rng.random_range(0..longest));
        std::thread::sleep(pause);
        saver.kill().unwrap();
        saver.wait().unwrap();
        let found = newest();
        let step = found.manifest.step;
        assert!(step >= last, "kill {n}: {step} after {last}");
        assert_eq!(
            found.read("weights").unwrap(),
            vec![step as u8; bytes],
            "kill {n}"
        );
        last = step;
    }
    // And whatever they left, the next one saves.
    let mut saver = start();
    let saved = || fs::exists(dir.checkpoints().join(format!("step-{}", last + 1))).unwrap();
    await_that(&saved);
    saver.kill().unwrap();
    saver.wait().unwrap();
    assert!(newest().manifest.step > last);
    println!("{kills} kills, {last} checkpoints of {bytes} bytes");
}

#[test]
fn a_saver_killed_at_any_moment_leaves_a_whole_checkpoint() {
    kill_savers(4 << 20, 6);
}

#[test]
#[ignore = "300 saves of 64 MiB: minutes"]
fn a_saver_of_64_mebibytes_killed_300_times_leaves_a_whole_checkpoint() {
    kill_savers(64 << 20, 300);
}

/// Not a test of its own: says 50 MB a second for so many seconds on its standard output, which is a run's log.
#[test]
#[ignore = "run as a process by the tests beside it"]
fn life_of_a_chatterbox() {
    use std::io::Write;

    let Ok(life) = std::env::var("SIGLAB_TEST_CHATTERBOX") else {
        return;
    };
    let (seconds, path) = life.split_once(' ').unwrap();
    let _flood = Flood::hold_back(&RunDir::new(path)).unwrap().unwrap();
    let began = std::time::Instant::now();
    let line = format!("{}\n", "chatter ".repeat(128));
    let mut said = 0_u64;
    while began.elapsed().as_secs() < seconds.parse().unwrap() {
        io::stdout().write_all(line.as_bytes()).unwrap();
        said += line.len() as u64;
        if said > began.elapsed().as_millis() as u64 * 50_000 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    println!("the last words, after {said} bytes");
}

/// Let a process chatter for so many seconds; what it said, and the most that its logs took.
fn chatter(seconds: u64) {
    let tmp = tempfile::tempdir().unwrap();
    let dir = RunDir::new(tmp.path());
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.log())
        .unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "record::tests::life_of_a_chatterbox"])
        .args(["--ignored", "--nocapture"])
        .env(
            "SIGLAB_TEST_CHATTERBOX",
            format!("{seconds} {}", dir.path().display()),
        )
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let length = |path: std::path::PathBuf| fs::metadata(path).map_or(0, |found| found.len());
    let (mut most, mut memory) = (0, 0);
    while child.try_wait().unwrap().is_none() {
        most = most.max(length(dir.log()) + length(dir.old_log()));
        let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
        let status = status.unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
        memory = memory.max(kilobytes.unwrap_or(0_u64));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let mut end = end_of_log(&dir, 50).unwrap();
    // A new log may have begun right after them; then they end the old one, which stays.
    let old = fs::read(dir.old_log()).unwrap_or_default();
    let old = String::from_utf8_lossy(&old).into_owned();
    end.extend(old.lines().rev().take(50).map(str::to_owned));
    let last = end.iter().find(|line| line.contains("the last words"));
    let said: u64 = last
        .and_then(|line| line.rsplit(' ').nth(1)?.parse().ok())
        .unwrap_or_else(|| panic!("its last words are lost: {end:?}"));
    println!("said {said} bytes; the logs took {most} at most, the process {memory} kB");
    assert!(said > 20 << 20, "{said} bytes are no flood");
    assert!(most < 64 << 20, "the logs took {most} bytes");
    assert!(memory < 100 << 10, "the process took {memory} kB");
    let text = fs::read(dir.log()).unwrap();
    let text = String::from_utf8_lossy(&text);
    let first = text.lines().next().unwrap();
    assert!(first.contains("dropped"), "{first}");
}

#[test]
fn a_flood_of_words_takes_little_room_and_the_last_ones_stay() {
    chatter(2);
}

#[test]
#[ignore = "a minute"]
fn a_flood_of_words_for_a_minute_takes_little_room() {
    chatter(60);
}

/// Read `count` lines that are of a run's logs but for what chance did to them.
fn read_mutated(count: usize) {
    let tmp = scratch();
    let dir = make(tmp.path());
    work(&dir).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for path in [dir.events(), dir.metrics()] {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let mut out = Vec::new();
        for n in 0..count / 2 {
            let mut line = lines[rng.random_range(0..lines.len())].as_bytes().to_vec();
            for _ in 0..rng.random_range(0..4) {
                let at = rng.random_range(0..line.len());
                match rng.random_range(0..5) {
                    0 => line[at] ^= 1 << rng.random_range(0..8),
                    1 => line[at] = rng.random(),
                    2 => line.truncate(at.max(1)),
                    3 => line.insert(at, b"0123456789-e.{}[]\""[rng.random_range(0..18)]),
                    _ => {
                        let other = lines[rng.random_range(0..lines.len())].as_bytes();
                        line.extend(&other[rng.random_range(0..other.len())..]);
                    }
                }
            }
            out.extend(line);
            out.push(b'\n');
            if n % 50_000 == 0 {
                out.extend(vec![b'7'; (1 << 20) + 10]);
                out.push(b'\n');
            }
        }
        fs::write(&path, out).unwrap();
    }
    let run = folded(&dir);
    assert!(run.series.steps().is_sorted_by(|a, b| a < b));
    assert!(run.damaged > count as u64 / 10, "{} damaged", run.damaged);
    let events = read_events(&dir).unwrap();
    assert!(events.is_sorted_by(|a, b| a.seq < b.seq));
    // And a worker can go on from it.
    EventLog::open(&dir).unwrap();
}

#[test]
fn lines_that_chance_has_changed_do_no_harm() {
    read_mutated(20_000);
}

#[test]
#[ignore = "a million lines"]
fn a_million_lines_that_chance_has_changed_do_no_harm() {
    read_mutated(1_000_000);
}
