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

/// Four seeds; softmax is a point better, and at the end two worse.
#[test]
fn reports_are_asked_when_and_against_what_they_say() {
    let (dir, _) = desk();
    let text = format!(
        "{}{}",
        GRID.replace("count = 2", "count = 4"),
        r#"
        [[report]]
        title = "Against softmax"
        rows = "train.batch_size"
        columns = "loss.kind"
        metric = "zeroshot/top1"
        against = { "loss.kind" = "softmax" }
        [[report]]
        kind = "effects"
        metric = "zeroshot/top1"
        [[report]]
        title = "Best"
        rows = "loss.kind"
        metric = "loss"
        at = "best"
        "#
    );
    fs::write(dir.path().join("x.toml"), &text).unwrap();
    let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
    for cell in &experiment.expand().unwrap().cells {
        let noise = [0.0, 0.004, 0.001, 0.007][cell.seed as usize];
        let softmax = cell.position[0] as f64;
        let top1 = 0.3 + 0.05 * softmax + noise * (1.0 - softmax);
        let spec = cell.run().unwrap();
        log(
            dir.path(),
            spec,
            &[2.0, 1.0 + noise, 1.5],
            top1,
            completed(),
        );
    }
    let (text, _) = said(&siglab(dir.path(), &["table", "x.toml"]));
    for part in [
        "Against softmax: difference to loss.kind = softmax\n",
        "-4.70 [-5.20, -4.20] worse",
        "Effects on zeroshot/top1 in %\n",
        "Analysis of variance of zeroshot/top1\n",
        "best logged step",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let sentences = |line: &&str| !line.contains("  ") && line.chars().count() > 80;
    assert_eq!(text.lines().find(sentences), None);

    let resolve = ["table", "x.toml", "--report", "1", "--resolve", "0.2"];
    let (text, told) = said(&siglab(dir.path(), &resolve));
    // statsmodels 0.15.0: `TTestPower().solve_power(effect_size=0.2 / 0.31623, alpha=.05, power=.8)` is 21.62.
    assert!(
        text.contains("64 / sigmoid   0.316              4          22"),
        "{text}"
    );
    assert!(
        text.contains("too few for these numbers to mean much"),
        "{text}"
    );
    assert!(
        told.contains("siglab edit x.toml seeds 22 && siglab run x.toml"),
        "{told}"
    );
    let csv = ["table", "x.toml", "--format", "csv"];
    let refused = siglab(dir.path(), &csv);
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).1.contains("--report N"));
    let unknown = siglab(dir.path(), &["table", "x.toml", "--report", "4"]);
    assert_eq!(unknown.status.code(), Some(2));
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

#[test]
fn figures_are_files_with_names_of_their_own() {
    let (dir, grid) = desk();
    for spec in grid.runs() {
        let losses = [3.0, 2.0, 1.0].map(|loss| loss + spec.config.seed as f64);
        log(dir.path(), spec, &losses, 0.5, json!({"kind": "completed"}));
    }
    let plot = |args: &[&str]| {
        let output = siglab(dir.path(), &[&["plot", "x.toml"], args].concat());
        (output.status.code(), output)
    };
    // The file asks for nothing: its table is drawn, bars over the words of the first axis.
    let (code, output) = plot(&["-o", "-"]);
    let (svg, _) = said(&output);
    assert_eq!(code, Some(0));
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(svg.contains("bars of zeroshot/top1"), "{}", &svg[..1_000]);
    let again = plot(&["-o", "-"]).1.stdout;
    assert!(again == output.stdout, "the same runs give the same bytes");

    let curves = [
        "--kind",
        "curves",
        "--metric",
        "loss",
        "--columns",
        "loss.kind",
    ];
    let (code, output) = plot(&[&curves[..], &["-o", "figures", "--format", "png"]].concat());
    let (_, told) = said(&output);
    assert_eq!(code, Some(0), "{told}");
    for size in [64, 128] {
        let name = format!("figures/x-curves-loss-train.batch-size-{size}.png");
        assert!(told.contains(&format!("wrote {name}")), "{told}");
        let bytes = fs::read(dir.path().join(name)).unwrap();
        assert!(bytes.starts_with(b"\x89PNG"));
    }
    for (args, problem) in [
        (
            &[&curves[..], &["-o", "one.svg"]].concat()[..],
            "2 figures do not go into one file",
        ),
        (&["-o", "x.pdf"], "x.pdf ends in neither .svg nor .png"),
        (&["--report", "1"], "the file has no [[report]]"),
        (
            &["--kind", "line", "--metric", "loss"],
            "--kind line takes --rows AXIS",
        ),
        (
            &["--kind", "bars", "--metric", "los", "--rows", "loss.kind"],
            "the metric `los`",
        ),
        (
            &["--kind", "pie", "--metric", "loss"],
            "expected one of effects, curves, line, bars",
        ),
        (
            &["--kind", "effects", "--metric", "loss", "--spikes"],
            "--spikes is no flag of --kind effects",
        ),
    ] {
        let (code, output) = plot(args);
        let (_, told) = said(&output);
        assert!(
            code == Some(2) && told.contains(problem),
            "{args:?}: {told}"
        );
    }
}

/// `report` over files of which one is sound and one asks for what nobody measures: the page has the first, and the exit
/// code tells of the second.
#[test]
fn a_page_of_answers_has_verdicts_tables_and_figures() {
    let (dir, grid) = desk();
    let claims = r#"
        [[claim]]
        says = "Softmax is ahead."
        metric = "zeroshot/top1"
        higher = { loss.kind = "softmax" }
        than = { loss.kind = "sigmoid" }
        [[claim]]
        says = "Sigmoid spikes less."
        metric = "spikes"
        lower = { loss.kind = "sigmoid" }
        than = { loss.kind = "softmax" }
        [[report]]
        rows = "train.batch_size"
        columns = "loss.kind"
        metric = "zeroshot/top1"
        [[report]]
        kind = "line"
        rows = "train.batch_size"
        columns = "loss.kind"
        metric = "zeroshot/top1"
    "#;
    let head = "question = \"Which?\"\nprediction = \"This one.\"\n";
    fs::write(dir.path().join("x.toml"), format!("{head}{GRID}{claims}")).unwrap();
    let bogus = "[[report]]\nmetric = \"bogus\"\n";
    fs::write(dir.path().join("y.toml"), format!("{GRID}{bogus}")).unwrap();
    for cell in &grid.cells {
        let spec = cell.run().unwrap();
        let ahead = 0.25 * cell.position[0] as f64 + 0.01 * cell.seed as f64;
        log(dir.path(), spec, &[2.0; 100], 0.5 + ahead, completed());
    }
    let output = siglab(dir.path(), &["report", "x.toml", "y.toml"]);
    let (_, stderr) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("y.toml") && stderr.contains("bogus"),
        "{stderr}"
    );
    let page = fs::read_to_string(dir.path().join("README.md")).unwrap();
    for part in [
        "| [x](#x) | Softmax is ahead. | shown | +25 [25, 25] |",
        "| [x](#x) | Sigmoid spikes less. | not seen at this scale | ",
        "**Expected** before it was run. This one.",
        "| train.batch\\_size / loss.kind | sigmoid | softmax |",
        "](figures/x-",
        "**Cost.** 8 of 8 runs completed; 8.00k examples seen",
    ] {
        let part = part.replace("\\_", "_");
        assert!(page.contains(&part), "{part}\n{page}");
    }
    let figure = page
        .split("](")
        .find_map(|rest| rest.strip_prefix("figures/"));
    let name = figure.unwrap().split(')').next().unwrap();
    let svg = fs::read_to_string(dir.path().join("figures").join(name)).unwrap();
    assert!(
        svg.starts_with("<svg") || svg.starts_with("<?xml"),
        "{svg:.80}"
    );

    // Another experiment comes onto the page, and nobody's own file is written over.
    fs::write(dir.path().join("z.toml"), format!("{head}{GRID}")).unwrap();
    let output = siglab(dir.path(), &["report", "--no-run", "z.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output).1);
    let longer = fs::read_to_string(dir.path().join("README.md")).unwrap();
    let own = page.split("\n## ").nth(1).unwrap();
    assert!(
        longer.contains(own) && longer.contains("\n## z\n"),
        "{longer}"
    );
    fs::write(dir.path().join("README.md"), "# My notes\n").unwrap();
    let output = siglab(dir.path(), &["report", "--no-run", "z.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output)
            .1
            .contains("was not written by `siglab report`")
    );
    let notes = fs::read_to_string(dir.path().join("README.md")).unwrap();
    assert_eq!(notes, "# My notes\n");
}
