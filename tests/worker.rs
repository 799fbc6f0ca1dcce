//! `siglab worker DIR` as the workbench starts it: killed at any moment it ends with the bits of an undisturbed run,
//! a finished run is left alone, and what it cannot do it says. `siglab check loss` on recorded values.

#[path = "support/runs.rs"]
mod runs;

use std::fs;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use runs::{command, last, make, outcomes, small};
use siglab::record::checkpoint;
use siglab::record::{Outcome, RunDir, RunId, read_events};
use siglab::train::model::TowerInit;

fn work(dir: &RunDir, args: &[&str]) -> Output {
    command(dir, args).output().unwrap()
}

fn spawn(dir: &RunDir, threads: usize) -> Child {
    command(dir, &["--threads", &threads.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_at_any_moment_it_ends_with_the_same_bits() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (calm, killed) = (make(one.path(), small()), make(two.path(), small()));
    assert!(work(&calm, &["--threads", "1"]).status.success());

    // Attempts have one thread and two in turn, and each is killed some steps further on than the last got, in the middle of whatever it is doing.
    let mut kills = 0;
    while outcomes(&killed).is_empty() {
        let before = checkpoint::latest(&killed)
            .unwrap()
            .0
            .map_or(0, |c| c.manifest.step);
        let mut child = spawn(&killed, 1 + kills % 2);
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let step = checkpoint::latest(&killed)
                .ok()
                .and_then(|c| c.0)
                .map_or(0, |c| c.manifest.step);
            if step > before + 7 || child.try_wait().unwrap().is_some() {
                break;
            }
            assert!(Instant::now() < deadline, "no progress after step {before}");
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
        kills += 1;
    }
    assert!(kills >= 3, "{kills} attempts are no test");
    assert_eq!(
        last(&calm).files,
        last(&killed).files,
        "hashes of model and optimiser after {kills} attempts"
    );
    assert_eq!(outcomes(&killed), [Outcome::Completed]);
}

#[test]
fn a_finished_run_is_left_alone() {
    let tmp = tempfile::tempdir().unwrap();
    let mut config = small();
    config.train.examples = 32;
    let dir = make(tmp.path(), config);
    assert!(work(&dir, &[]).status.success());
    let events = fs::read(dir.events()).unwrap();
    assert!(work(&dir, &[]).status.success());
    assert_eq!(fs::read(dir.events()).unwrap(), events);
}

/// The most memory that a process held so far, in bytes, as long as it lives.
fn high_water_mark(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(1024 * kilobytes)
}

#[test]
fn a_batch_takes_the_memory_of_a_micro_batch() {
    let peak = |batch: usize, micro_batch: usize| {
        let tmp = tempfile::tempdir().unwrap();
        let mut config = small();
        (config.train.batch_size, config.train.examples) = (batch, batch as u64);
        config.train.micro_batch = micro_batch;
        config.eval.every = 0;
        let dir = make(tmp.path(), config);
        let mut child = spawn(&dir, 2);
        let mut peak = 0;
        while child.try_wait().unwrap().is_none() {
            peak = peak.max(high_water_mark(child.id()).unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(outcomes(&dir), [Outcome::Completed]);
        peak
    };
    let (small, parts, whole) = (peak(64, 64), peak(4096, 64), peak(4096, 0));
    // What a batch needs beyond one micro-batch are its embeddings and the room for the loss.
    let words = format!("{small}, in parts {parts}, as a whole {whole} bytes");
    assert!(
        parts.saturating_sub(small) < whole.saturating_sub(small) / 2,
        "{words}"
    );
}

#[test]
fn two_workers_never_share_a_run() {
    let tmp = tempfile::tempdir().unwrap();
    let mut config = small();
    config.train.examples = 1_000_000_000_000;
    let dir = make(tmp.path(), config);
    let mut first = spawn(&dir, 1);
    while read_events(&dir).unwrap().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = work(&dir, &[]);
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("another worker"));
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn a_device_that_is_not_there_is_no_failure_of_the_run() {
    let tmp = tempfile::tempdir().unwrap();
    let dir = make(tmp.path(), small());
    let output = work(&dir, &["--device", "gpu:0"]);
    assert!(!output.status.success());
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(
        message.contains("gpu:0") && message.contains("`cpu`"),
        "{message}"
    );
    assert!(read_events(&dir).unwrap().is_empty(), "nothing is recorded");
}

#[test]
fn what_it_cannot_do_is_an_outcome_with_a_reason() {
    let tmp = tempfile::tempdir().unwrap();
    let mut config = small();
    let missing: RunId = "0123456789".parse().unwrap();
    config.model.image.init = TowerInit::From(missing);
    let dir = make(tmp.path(), config);
    let output = work(&dir, &[]);
    assert_eq!(output.status.code(), Some(1));
    let [Outcome::Failed { reason }] = &outcomes(&dir)[..] else {
        panic!("expected one failure")
    };
    assert!(reason.contains("0123456789"), "{reason}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(reason.as_str()));
}

#[test]
fn check_loss_passes_on_recorded_values_and_fails_on_wrong_ones() {
    let fixture = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/loss/loss_sigmoid_b33_d16.safetensors"
    );
    let tmp = tempfile::tempdir().unwrap();
    let out = tmp.path().join("out.safetensors");
    let check = |path: &str, extra: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
        command
            .args([
                "check",
                "loss",
                "--ranks",
                "2",
                "--tile",
                "7",
                "--fixture",
                path,
            ])
            .args(extra);
        command.output().unwrap()
    };
    let output = check(fixture, &["--output", out.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    // What it wrote is a fixture's results, so the two files agree.
    let (theirs, ours) = (fs::read(fixture).unwrap(), fs::read(&out).unwrap());
    let (theirs, ours) = (
        safetensors::SafeTensors::deserialize(&theirs).unwrap(),
        safetensors::SafeTensors::deserialize(&ours).unwrap(),
    );
    for name in ["loss", "d_image", "d_text", "d_log_t", "d_bias"] {
        assert_eq!(
            theirs.tensor(name).unwrap().shape(),
            ours.tensor(name).unwrap().shape(),
            "{name}"
        );
    }
    // The same numbers under the other loss are wrong.
    assert_eq!(
        check(fixture, &["--kind", "softmax"]).status.code(),
        Some(1)
    );
    let no_fixture = tmp.path().join("loss_sigmoid.safetensors");
    fs::write(&no_fixture, "words").unwrap();
    let no_fixture = no_fixture.to_str().unwrap();
    let wrong: [(&str, &[&str], &str); 4] = [
        ("/no/such/file", &[], "/no/such/file"),
        (no_fixture, &[], "safetensors"),
        (fixture, &["--kind", "cosine"], "softmax"),
        (fixture, &["--device", "tpu"], "`tpu`"),
    ];
    for (path, extra, named) in wrong {
        let output = check(path, extra);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert!(error.contains(named), "{error}");
    }
    let unwritten = check(fixture, &["--output", "/no/such/place/out"]);
    assert_eq!(unwritten.status.code(), Some(1));
    assert!(unwritten.stdout.is_empty(), "{unwritten:?}");
}
