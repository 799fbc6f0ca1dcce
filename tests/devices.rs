//! Devices on the command line: which there are, what is said of those that are not, and that libtorch's are left to
//! `siglab-tch`. In builds with libtorch there is nothing to leave to it.
#![cfg(not(feature = "tch"))]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
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

#[test]
fn a_device_that_is_not_there_is_wrong_usage_and_starts_nothing() {
    let desk = Desk::new();
    for name in ["gpu:0", "tch:cuda", "cpu:9999", "tch:cpu:0"] {
        let output = desk.siglab(&["run", "grid.toml", "--device", name]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let said = words(&output);
        assert!(said.contains(&format!("no device `{name}` here")), "{said}");
    }
    assert!(!desk.path("runs").join("scheduler.lock").exists());
}

#[test]
fn what_libtorch_lacks_is_told_in_one_sentence_before_anything_starts() {
    let desk = Desk::new();
    let run = |desk: &Desk| desk.siglab(&["run", "grid.toml", "--device", "tch:cuda:0-1"]);
    let missing = words(&run(&desk));
    assert_eq!(missing.matches("--features tch").count(), 1, "{missing}");
    desk.torch_is(
        "echo 'siglab-tch: error while loading shared libraries: libtorch_cpu.so' >&2; exit 127",
    );
    let broken = run(&desk);
    assert_eq!(broken.status.code(), Some(2));
    assert!(
        words(&broken).contains("libtorch_cpu.so"),
        "{}",
        words(&broken)
    );
    desk.torch_is(r#"echo '{"library":null,"devices":["tch:cpu","tch:cuda:0"],"about":["",""]}'"#);
    let one = words(&run(&desk));
    assert!(
        one.contains("no device `tch:cuda:1` here: libtorch has tch:cpu, tch:cuda:0"),
        "{one}"
    );
    for output in [&missing, &words(&broken), &one] {
        assert_eq!(output.trim_end().lines().count(), 1, "{output}");
    }

    // siglab itself does all that it did, and says what is wrong where it is asked.
    desk.torch_is("exit 127");
    let doctor = desk.siglab(&["doctor"]);
    assert_eq!(doctor.status.code(), Some(1));
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        said.contains("libtorch") && said.contains("PROBLEM"),
        "{said}"
    );
    let fine = desk.siglab(&["run", "grid.toml", "--device", "cpu", "--dry-run"]);
    assert_eq!(fine.status.code(), Some(0), "{}", words(&fine));
}

/// Runs on libtorch's devices are trained by `siglab-tch`, and so is all else that computes there.
#[test]
fn what_computes_by_libtorch_is_started_as_siglab_tch() {
    let desk = Desk::new();
    desk.torch_is(&format!(
        r#"case "$1" in
        library) echo '{{"library":null,"devices":["tch:cpu"],"about":[""]}}' ;;
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
    assert!(
        workers.len() == 2
            && workers
                .iter()
                .all(|asked| asked.contains("--device tch:cpu"))
    );
    assert!(bench.contains("bench step"), "{bench}");
}
