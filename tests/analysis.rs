//! The verbs that ask what finished runs mean: `spikes`, `table --effects` and the time that a `plan` will take, by the
//! real binary over logs as workers write them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use siglab::record::RunDir;
use siglab::spec::{Experiment, Grid, RunSpec};

const GRID: &str = r#"
    [axes]
    "loss.kind" = ["sigmoid", "softmax"]
    "train.batch_size" = [64, 128]
    [seeds]
    count = 2
"#;

/// A directory with an experiment and a workspace.
fn desk() -> (tempfile::TempDir, Grid) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("x.toml"), GRID).unwrap();
    let grid = Experiment::parse(Path::new("x.toml"), GRID, &[])
        .unwrap()
        .expand()
        .unwrap();
    (dir, grid)
}

fn siglab(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_siglab"))
        .current_dir(dir)
        .env_remove("SIGLAB_WORKSPACE")
        // No preferences of whoever runs the tests.
        .env("XDG_CONFIG_HOME", dir)
        .args(args)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// The logs of a run with these losses, a row every 10 examples and 0.01 seconds, that ended in this way.
fn log(dir: &Path, spec: &RunSpec, losses: &[f64], top1: f64, outcome: Value) {
    let run = RunDir::new(dir.join("runs").join(spec.id.as_str()));
    spec.write(&run).unwrap();
    let step = losses.len();
    let events = [
        json!({"kind": "started", "siglab": "0", "host": "h", "pid": 1, "devices": ["cpu"],
            "threads": 1, "total_steps": step, "total_examples": 10 * step}),
        json!({"kind": "resumed", "step": 0, "examples": 0}),
        json!({"kind": "evaluated", "step": step, "examples": 10 * step,
            "metrics": {"zeroshot/top1": top1}}),
        json!({"kind": "finished", "step": step, "examples": 10 * step, "outcome": outcome}),
    ];
    let line = |(seq, event)| json!({"seq": seq, "attempt": 1, "at": 0, "event": event});
    let events = (0..).zip(events).map(line);
    let rows = (1..).zip(losses).map(|(step, loss)| {
        json!({"attempt": 1, "step": step, "examples": 10 * step,
            "seconds": 0.01 * f64::from(step), "loss": loss, "grad_norm": loss * loss})
    });
    let lines = |values: &mut dyn Iterator<Item = Value>| -> String {
        values.map(|value| format!("{value}\n")).collect()
    };
    fs::write(run.events(), lines(&mut events.into_iter())).unwrap();
    fs::write(run.metrics(), lines(&mut rows.into_iter())).unwrap();
}

fn completed() -> Value {
    json!({"kind": "completed"})
}

#[test]
fn spikes_are_listed_and_told_by_the_exit_code() {
    let (dir, grid) = desk();
    let mut spiky = vec![2.0; 300];
    (spiky[200], spiky[201]) = (5.0, 3.0);
    let runs = grid.runs();
    log(dir.path(), runs[0], &spiky, 0.5, completed());
    log(dir.path(), runs[1], &[2.0; 300], 0.5, completed());
    let diverged = json!({"kind": "diverged", "reason": "loss is \u{1b}[31mNaN"});
    log(dir.path(), runs[2], &[2.0; 80], 0.0, diverged);
    let (id, healthy) = (runs[0].id.as_str(), runs[1].id.as_str());

    let output = siglab(dir.path(), &["spikes"]);
    let (listed, noted) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    let words: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[..4], [id, "201", "2.01k", "×2.50"], "{listed}");
    assert!(
        listed.ends_with("2 steps  gradient ×6.2 at the onset\n"),
        "{listed}"
    );
    assert!(
        noted.contains("diverged at step 80, which is no spike"),
        "{noted}"
    );
    assert!(!noted.contains('\x1b'));

    let output = siglab(dir.path(), &["spikes", healthy]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        said(&output),
        (String::new(), "no loss spikes in 1 run\n".into())
    );

    let output = siglab(dir.path(), &["spikes", "--file", "x.toml", "--json"]);
    let lines: Vec<Value> = said(&output)
        .0
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    let spike = &lines[0]["spikes"][0];
    assert_eq!(
        (
            &lines[0]["run"],
            &spike["onset"]["step"],
            &spike["steps"],
            &spike["end"]
        ),
        (&json!(id), &json!(201), &json!(2), &json!("recovered"))
    );
    assert_eq!(lines[2]["state"], "diverged");

    let strict = ["spikes", id, "--z", "100", "--z-with-gradient", "100"];
    assert_eq!(siglab(dir.path(), &strict).status.code(), Some(0));
    let unknown = siglab(dir.path(), &["spikes", "zz"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn effects_compare_levels_at_the_same_positions() {
    let (dir, grid) = desk();
    for cell in &grid.cells {
        let [loss, batch] = cell.position[..] else {
            panic!("two axes")
        };
        // Softmax is 10 points better, 30 at the larger batch; the seed adds the same to all.
        let points = 20 + 10 * loss + 20 * loss * batch + cell.seed as usize;
        log(
            dir.path(),
            cell.run().unwrap(),
            &[1.0],
            points as f64 / 100.0,
            completed(),
        );
    }
    let (text, _) = said(&siglab(dir.path(), &["table", "x.toml", "--effects"]));
    let row = |n: usize| -> Vec<&str> { text.lines().nth(n).unwrap().split_whitespace().collect() };
    assert_eq!(
        row(3),
        [
            "loss.kind",
            "softmax",
            "vs",
            "sigmoid",
            "+20.0",
            "±",
            "0",
            "2",
            "4",
            "of",
            "4"
        ],
        "{text}"
    );
    assert_eq!(
        row(4)[..5],
        ["train.batch_size", "128", "vs", "64", "+10.0"]
    );
    assert_eq!(row(5)[6], "+20.0", "{text}");
    let (json, _) = said(&siglab(
        dir.path(),
        &["table", "x.toml", "--effects", "--format", "json"],
    ));
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json[0]["axes"][0]["matched"],
        json!({"used": 4, "dropped": 0})
    );
    let clash = siglab(
        dir.path(),
        &["table", "x.toml", "--effects", "--rows", "loss.kind"],
    );
    assert_eq!(clash.status.code(), Some(2));
}

#[test]
fn a_plan_says_how_long_it_will_take_once_a_run_has_finished() {
    let (dir, grid) = desk();
    let plan = |args: &[&str]| said(&siglab(dir.path(), &[&["plan", "x.toml"], args].concat())).0;
    let line = |text: String| text.lines().nth(2).unwrap().to_owned();
    assert_eq!(
        line(plan(&[])),
        "8 runs to do: unknown how long, since no run of this workspace has finished"
    );
    let runs = grid.runs();
    for spec in &runs[..3] {
        log(dir.path(), spec, &[1.0; 50], 0.5, completed());
    }
    // 0.001 seconds an example, 60,000 of them, five runs; known settings and others without an error yet.
    let time = line(plan(&["--jobs", "2"]));
    assert_eq!(
        time,
        "5 runs to do: 5.0 device-minutes, done in 3m00s, 2 at a time"
    );
    let json: Value = serde_json::from_str(&plan(&["--json", "--jobs", "1"])).unwrap();
    assert_eq!(
        (&json["time"]["runs"], &json["time"]["jobs"]),
        (&json!(5), &json!(1))
    );
    let seconds = json["time"]["total"]["done"]["seconds"].as_f64().unwrap();
    assert!((seconds - 300.0).abs() < 1e-6, "{seconds}");
    for spec in &runs[3..] {
        log(dir.path(), spec, &[1.0; 50], 0.5, completed());
    }
    assert_eq!(line(plan(&[])), "", "nothing is left to do");
}
