//! Devices on the command line: which there are, and what is said of those that are not. What libtorch's compute is held
//! against the processor in the second half, in builds that have it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TINY: &str = include_str!("support/tiny.toml");

struct Desk {
    tmp: tempfile::TempDir,
    /// What stands for `siglab-tch`.
    torch: PathBuf,
}

impl Desk {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        fs::write(tmp.path().join("grid.toml"), TINY).unwrap();
        let torch = tmp.path().join("siglab-tch");
        Self { tmp, torch }
    }

    fn torch_is(&self, script: &str) {
        fs::write(&self.torch, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&self.torch, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tmp.path().join(name)
    }

    fn siglab(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
        let runs = self.path("runs");
        command.current_dir(self.tmp.path()).arg("--workspace");
        command.arg(runs).args(args).env("SIGLAB_TCH", &self.torch);
        command.output().unwrap()
    }
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The end of each run of the grid, by id.
#[cfg(feature = "tch")]
fn losses(runs: &Path) -> Vec<(String, f64)> {
    let mut losses = Vec::new();
    for run in fs::read_dir(runs).unwrap() {
        let path = run.unwrap().path();
        let Ok(rows) = fs::read_to_string(path.join("metrics.jsonl")) else {
            continue;
        };
        let row: serde_json::Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
        let id = path.file_name().unwrap().to_string_lossy().into_owned();
        losses.push((id, row["values"]["loss"].as_f64().unwrap()));
    }
    losses.sort_by(|a, b| a.0.cmp(&b.0));
    losses
}

#[test]
fn a_device_that_is_not_there_is_wrong_usage_and_starts_nothing() {
    let desk = Desk::new();
    for name in ["cuda:0", "tch:cuda", "cpu:9999", "tch:cpu:0"] {
        let output = desk.siglab(&["run", "grid.toml", "--device", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = words(&output);
        assert!(said.contains(&format!("no device `{name}` here")), "{said}");
    }
    assert!(!desk.path("runs").join("scheduler.lock").exists());
}

#[test]
#[cfg(not(feature = "tch"))]
fn what_libtorch_lacks_is_told_in_one_sentence_before_anything_starts() {
    let desk = Desk::new();
    let run = |desk: &Desk| desk.siglab(&["run", "grid.toml", "--device", "tch:cuda:0-1"]);
    let missing = words(&run(&desk));
    assert!(missing.contains("--features tch"), "{missing}");
    desk.torch_is("echo 'siglab-tch: error while loading shared libraries: libtorch_cpu.so' >&2; exit 127");
    let broken = run(&desk);
    assert_eq!(broken.status.code(), Some(2));
    assert!(words(&broken).contains("libtorch_cpu.so"), "{}", words(&broken));
    desk.torch_is(r#"echo '{"library":null,"devices":["tch:cpu","tch:cuda:0"],"about":["",""]}'"#);
    let one = words(&run(&desk));
    assert!(one.contains("no device `tch:cuda:1` here: libtorch has tch:cpu, tch:cuda:0"), "{one}");
    for output in [&missing, &words(&broken), &one] {
        assert_eq!(output.trim_end().lines().count(), 1, "{output}");
    }

    // siglab itself does all that it did, and says what is wrong where it is asked.
    desk.torch_is("exit 127");
    let doctor = desk.siglab(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("libtorch") && said.contains("PROBLEM"), "{said}");
    let fine = desk.siglab(&["run", "grid.toml", "--device", "cpu", "--dry-run"]);
    assert_eq!(fine.status.code(), Some(0), "{}", words(&fine));
}

/// Runs on libtorch's devices are trained by `siglab-tch`, and so is all else that computes there.
#[test]
#[cfg(not(feature = "tch"))]
fn what_computes_by_libtorch_is_started_as_siglab_tch() {
    let desk = Desk::new();
    desk.torch_is(&format!(
        r#"case "$1" in
        torch) echo '{{"library":null,"devices":["tch:cpu"],"about":[""]}}' ;;
        worker) echo "$@" >> {log}; shift; exec {siglab} worker "$1" --threads 1 ;;
        *) echo "$@" >> {log} ;;
        esac"#,
        log = desk.path("asked").display(),
        siglab = env!("CARGO_BIN_EXE_siglab"),
    ));
    let output = desk.siglab(&["run", "grid.toml", "--device", "tch:cpu"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    desk.siglab(&["bench", "step", "--device", "tch:cpu"]);
    let asked = fs::read_to_string(desk.path("asked")).unwrap();
    let asked: Vec<&str> = asked.lines().collect();
    let [workers @ .., bench] = &asked[..] else {
        panic!("nothing was asked of it")
    };
    assert!(workers.len() == 2 && workers.iter().all(|asked| asked.contains("--device tch:cpu")));
    assert!(bench.contains("bench step"), "{bench}");
}

#[test]
#[cfg(feature = "tch")]
fn a_grid_on_libtorch_ends_where_it_ends_on_the_processor() {
    let desk = Desk::new();
    let train = |device: &str, runs: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab-tch"));
        command.current_dir(desk.tmp.path()).args(["--workspace", runs]);
        command.args(["run", "grid.toml", "--device", device]).args(more);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        losses(&desk.path(runs))
    };
    let expected = train("cpu", "own", &[]);
    let found = train("tch:cpu", "torch", &[]);
    assert_eq!(expected.len(), 2);
    for ((id, expected), (other, found)) in expected.iter().zip(&found) {
        assert_eq!(id, other);
        assert!((found / expected - 1.0).abs() < 1e-2, "{id}: {found}, on cpu {expected}");
    }
    let two = train("tch:cpu", "two", &["--set", "train.ranks=2"]);
    for ((_, one), (_, two)) in found.iter().zip(&two) {
        assert!((one / two - 1.0).abs() < 1e-2, "{two} on two ranks, {one} on one");
    }
}

#[test]
#[cfg(feature = "tch")]
fn libtorch_says_what_it_has_and_its_losses_are_what_their_equations_say() {
    let desk = Desk::new();
    let torch = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab-tch"));
        command.current_dir(desk.tmp.path()).args(args).output().unwrap()
    };
    let said = torch(&["torch"]);
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["devices"][0], "tch:cpu");
    let library = said["library"].as_str().unwrap();
    assert!(Path::new(library).exists(), "{library}");
    let doctor = torch(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("`tch:cpu` (the processor)"));
    let check = torch(&["check", "loss", "--device", "tch:cpu"]);
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));
}
