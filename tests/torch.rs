//! What libtorch computes beside what siglab does itself, in builds that have it.
#![cfg(feature = "tch")]

use std::fs;
use std::path::Path;
use std::process::Command;

const TINY: &str = include_str!("support/tiny.toml");

/// A directory with a tiny experiment.
fn desk() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    fs::write(tmp.path().join("grid.toml"), TINY).unwrap();
    tmp
}

/// The end of each run of the grid, by id.
fn losses(runs: &Path) -> Vec<(String, f64)> {
    let mut losses = Vec::new();
    for run in fs::read_dir(runs).unwrap() {
        let path = run.unwrap().path();
        let Ok(rows) = fs::read_to_string(path.join("metrics.jsonl")) else {
            continue;
        };
        let row: serde_json::Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
        let id = path.file_name().unwrap().to_string_lossy().into_owned();
        losses.push((id, row["loss"].as_f64().unwrap()));
    }
    losses.sort_by(|a, b| a.0.cmp(&b.0));
    losses
}

#[test]
fn a_grid_on_libtorch_ends_where_it_ends_on_the_processor() {
    let desk = desk();
    let train = |device: &str, runs: &str, more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab-tch"));
        command.current_dir(desk.path()).args(["--workspace", runs]);
        command
            .args(["run", "grid.toml", "--device", device])
            .args(more);
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        losses(&desk.path().join(runs))
    };
    let expected = train("cpu", "own", &[]);
    let found = train("tch:cpu", "torch", &[]);
    assert_eq!(expected.len(), 2);
    for ((id, expected), (other, found)) in expected.iter().zip(&found) {
        assert_eq!(id, other);
        assert!(
            (found / expected - 1.0).abs() < 1e-2,
            "{id}: {found}, on cpu {expected}"
        );
    }
    // Ranks and digits are settings: these runs have other ids.
    let by_size = |runs: &[(String, f64)]| {
        let mut losses: Vec<f64> = runs.iter().map(|(_, loss)| *loss).collect();
        losses.sort_by(f64::total_cmp);
        losses
    };
    let short = [
        "train.tile=0",
        "train.loss_precision=bf16",
        "train.precision=bf16",
        "train.tf32=true",
    ];
    let short = train(
        "tch:cpu",
        "short",
        &short.map(|set| ["--set", set]).concat(),
    );
    for (full, short) in by_size(&found).into_iter().zip(by_size(&short)) {
        assert!(
            full != short && (full / short - 1.0).abs() < 5e-2,
            "{short} in bf16, {full} in f32"
        );
    }
    let two = train("tch:cpu", "two", &["--set", "train.ranks=2"]);
    for (one, two) in by_size(&found).into_iter().zip(by_size(&two)) {
        assert!(
            (one / two - 1.0).abs() < 1e-2,
            "{two} on two ranks, {one} on one"
        );
    }
}

#[test]
fn libtorch_says_what_it_has_and_its_losses_are_what_their_equations_say() {
    let desk = desk();
    let torch = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab-tch"));
        command
            .current_dir(desk.path())
            .args(args)
            .output()
            .unwrap()
    };
    let said = torch(&["library", "libtorch"]);
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(said["devices"][0], "tch:cpu");
    let library = said["library"].as_str().unwrap();
    assert!(Path::new(library).exists(), "{library}");
    let doctor = torch(&["doctor"]);
    assert!(String::from_utf8_lossy(&doctor.stdout).contains("`tch:cpu` (the processor)"));
    let check = torch(&["check", "loss", "--device", "tch:cpu"]);
    assert_eq!(
        check.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
}
