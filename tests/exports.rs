//! `siglab export`, `diff` and `table -o` by the real binary, over the recorded runs and over logs that a resume made void
//! in part. What other programs read of the files is held beside the writers; here it is what the verbs make and refuse.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use siglab::record::{Event, EventLog, MetricLog, Outcome, Row, RunDir};
use siglab::spec::RunSpec;
use siglab::train::TrainConfig;

fn siglab(workspace: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_siglab"))
        .arg("--workspace")
        .arg(workspace)
        .args(args)
        .output()
        .unwrap()
}

fn recorded() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded/runs")
}

fn experiment() -> String {
    let file = recorded().with_file_name("grid.toml");
    file.to_str().unwrap().to_owned()
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// The records of a CSV file by the name of the column.
fn records(bytes: &[u8]) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(bytes);
    reader.deserialize().map(Result::unwrap).collect()
}

/// A run of two attempts: the second went on from step 2, so that steps 3 and 4 of the first are void.
fn resumed(workspace: &Path, seed: u64) -> String {
    let config = TrainConfig {
        seed,
        ..TrainConfig::default()
    };
    let spec = RunSpec::new(config);
    let dir = RunDir::new(workspace.join(spec.id.as_str()));
    spec.write(&dir).unwrap();
    let started = || Event::Started {
        siglab: "0.1.0".into(),
        host: "here".into(),
        pid: 1,
        devices: vec!["cpu".into()],
        threads: 1,
        total_steps: 4,
        total_examples: 4,
        files: BTreeMap::new(),
        provenance: Box::default(),
    };
    let evaluated = |step, value| Event::Evaluated {
        step,
        examples: step,
        metrics: BTreeMap::from([("zeroshot/top1".into(), value)]),
    };
    let row = |attempt, step, loss| Row {
        attempt,
        step,
        examples: step,
        seconds: step as f64,
        values: BTreeMap::from([("loss".into(), loss)]),
    };
    let mut rows = MetricLog::open(&dir).unwrap();
    for attempt in [1, 2] {
        let mut events = EventLog::open(&dir).unwrap();
        assert_eq!(events.attempt(), attempt);
        events.append(started()).unwrap();
        let step = if attempt == 1 { 0 } else { 2 };
        events
            .append(Event::Resumed {
                step,
                examples: step,
            })
            .unwrap();
        for step in step + 1..=4 {
            rows.append(&row(attempt, step, f64::from(attempt) + step as f64 / 8.0))
                .unwrap();
        }
        events
            .append(evaluated(4, f64::from(attempt) / 4.0))
            .unwrap();
        if attempt == 2 {
            let outcome = Outcome::Completed;
            events
                .append(Event::Finished {
                    step: 4,
                    examples: 4,
                    outcome,
                })
                .unwrap();
        }
    }
    spec.id.to_string()
}

/// The files were read back by pandas 3.1.1, pyarrow 26.0.1 and TensorBoard 2.21.0, after `siglab export --experiment FILE`
/// once `--to csv -o csv`, `--to parquet -o pq` and `--to tensorboard -o tb`:
/// ```text
/// import glob, json, numpy as np, pandas as pd
/// from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
/// p, e = pd.read_parquet("pq/rows.parquet"), pd.read_parquet("pq/evaluations.parquet")
/// c = pd.read_csv("csv/rows.csv", float_precision="round_trip", dtype={"run": str})
/// assert all(np.array_equal(p[k].to_numpy(float), c[k].to_numpy(float), equal_nan=True) for k in p if p[k].dtype.kind in "fi")
/// for log in glob.glob("runs/*/metrics.jsonl"):     # within an ulp: serde_json reads numbers without `float_roundtrip`
///     for line, (_, row) in zip(open(log), p[p.run == log.split("/")[1]].iterrows()):
///         assert all(abs(row[k] - v) <= 2**-52 * abs(v) for k, v in json.loads(line).items())
/// for d in glob.glob("tb/*"):
///     a = EventAccumulator(d, size_guidance={"scalars": 0}); a.Reload()
///     for tag in a.Tags()["scalars"]:
///         t = p if tag in p else e; w = t[(t.run == d.split(",")[-1]) & t[tag].notna()]
///         assert [s.step for s in a.Scalars(tag)] == list(w.step)
///         assert [np.float32(s.value) for s in a.Scalars(tag)] == [np.float32(x) for x in w[tag]]
/// ```
#[test]
fn every_value_of_the_logs_is_in_the_table_and_nothing_else() {
    let output = siglab(
        &recorded(),
        &["export", "--experiment", &experiment(), "-o", "-"],
    );
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let records = records(&output.stdout);
    let known = ["run", "loss.kind", "optim.lr", "seed"];
    let mut rows = 0;
    for entry in fs::read_dir(recorded()).unwrap() {
        let dir = RunDir::new(entry.unwrap().path());
        let Ok(log) = fs::read_to_string(dir.metrics()) else {
            continue;
        };
        let id = dir.path().file_name().unwrap().to_str().unwrap();
        let of_run: Vec<_> = records
            .iter()
            .filter(|record| record["run"] == id)
            .collect();
        if of_run.is_empty() {
            continue;
        }
        assert_eq!(of_run.len(), log.lines().count(), "{id}");
        for (line, record) in log.lines().zip(of_run) {
            let line: BTreeMap<String, f64> = serde_json::from_str(line).unwrap();
            for (key, value) in &line {
                assert_eq!(record[key].parse(), Ok(*value), "{id} {key}");
            }
            let there = record.iter().filter(|(_, value)| !value.is_empty());
            let there = there.filter(|(key, _)| !known.contains(&key.as_str()));
            assert_eq!(there.count(), line.len(), "{id}: {record:?}");
            rows += 1;
        }
    }
    assert_eq!(rows, records.len());
    assert!(rows > 100 && records[0].contains_key("loss.kind"));
}

#[test]
fn what_a_resume_made_void_is_left_out_of_every_format() {
    let tmp = tempfile::tempdir().unwrap();
    let id = resumed(tmp.path(), 0);
    let of = |table: &str| {
        let output = siglab(
            tmp.path(),
            &["export", &id[..4], "--table", table, "-o", "-"],
        );
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        records(&output.stdout)
    };
    let column = |records: &[BTreeMap<String, String>], key: &str| -> Vec<String> {
        records.iter().map(|record| record[key].clone()).collect()
    };
    let rows = of("rows");
    assert_eq!(column(&rows, "attempt"), ["1", "1", "2", "2"]);
    assert_eq!(column(&rows, "loss"), ["1.125", "1.25", "2.375", "2.5"]);
    assert_eq!(column(&of("evaluations"), "zeroshot/top1"), ["0.5"]);
    let out = tmp.path().join("board");
    let output = siglab(
        tmp.path(),
        &["export", "--to", "tensorboard", "-o", out.to_str().unwrap()],
    );
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
    let run = out.join(format!("seed=0,{id}"));
    let file = fs::read_dir(run).unwrap().next().unwrap().unwrap();
    let bytes = fs::read(file.path()).unwrap();
    let holds = |x: f32| bytes.windows(4).any(|window| window == x.to_le_bytes());
    assert!(holds(2.375) && holds(2.5) && holds(0.5));
    assert!(
        !holds(1.375) && !holds(1.5),
        "steps 3 and 4 of the first attempt"
    );
}

#[test]
fn files_are_written_over_only_when_that_is_asked_for() {
    let tmp = tempfile::tempdir().unwrap();
    resumed(tmp.path(), 0);
    let out = tmp.path().join("out");
    let export = |more: &[&str]| {
        let args = [
            &["export", "--to", "csv", "-o", out.to_str().unwrap()],
            more,
        ]
        .concat();
        siglab(tmp.path(), &args)
    };
    assert_eq!(code(&export(&[])), Some(0));
    fs::write(out.join("rows.csv"), "mine").unwrap();
    let refused = export(&[]);
    assert_eq!(code(&refused), Some(2));
    assert!(
        text(&refused.stderr).contains("--force"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(fs::read_to_string(out.join("rows.csv")).unwrap(), "mine");
    assert_eq!(code(&export(&["--force"])), Some(0));
    assert!(
        fs::read_to_string(out.join("rows.csv"))
            .unwrap()
            .starts_with("run,")
    );
    assert_eq!(
        fs::read_dir(&out).unwrap().count(),
        2,
        "nothing is left behind"
    );
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let tmp = tempfile::tempdir().unwrap();
    resumed(tmp.path(), 0);
    let wrong = [
        (&["export", "-o", "x"][..], "--to says neither"),
        (
            &["export", "--to", "parquet", "-o", "-"],
            "has to go to a file",
        ),
        (&["export", "--metric", "los", "-o", "-"], "no metric `los`"),
        (&["export", "zz", "-o", "-"], "no run begins with `zz`"),
        (&["diff", "zz", "zz"], "no run begins with `zz`"),
    ];
    for (args, words) in wrong {
        let output = siglab(tmp.path(), args);
        let said = text(&output.stderr);
        let said = said.replace("none of the runs has a metric", "no metric");
        assert_eq!(code(&output), Some(2), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_siglab"))
        .arg("--workspace")
        .arg(recorded())
        .args(["export", "-o", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
}

#[test]
fn a_table_goes_to_a_file_in_the_format_of_its_name() {
    let tmp = tempfile::tempdir().unwrap();
    let file = experiment();
    for (name, begins) in [
        ("t.parquet", "PAR1"),
        ("t.csv", "table,metric"),
        ("t.json", "["),
        ("t.html", "<!doctype html>"),
        ("t.tex", "% \\usepackage{booktabs}"),
        ("t.md", "**"),
    ] {
        let path = tmp.path().join(name);
        let output = siglab(&recorded(), &["table", &file, "-o", path.to_str().unwrap()]);
        assert_eq!(code(&output), Some(0), "{}", text(&output.stderr));
        assert!(output.stdout.is_empty());
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.starts_with(begins.as_bytes()), "{name}");
    }
    let csv = siglab(&recorded(), &["table", &file, "--format", "csv"]);
    assert_eq!(csv.stdout, fs::read(tmp.path().join("t.csv")).unwrap());
    let parquet = siglab(&recorded(), &["table", &file, "--format", "parquet"]);
    assert_eq!(
        parquet.stdout,
        fs::read(tmp.path().join("t.parquet")).unwrap()
    );
    let strange = tmp.path().join("t.xls");
    let output = siglab(
        &recorded(),
        &["table", &file, "-o", strange.to_str().unwrap()],
    );
    assert_eq!(code(&output), Some(2));
    let said = text(&output.stderr);
    assert!(
        said.contains("t.xls") && said.contains(".csv") && !strange.exists(),
        "{said}"
    );
}

#[test]
fn two_seeds_differ_in_nothing_else() {
    let tmp = tempfile::tempdir().unwrap();
    let (one, other) = (resumed(tmp.path(), 0), resumed(tmp.path(), 1));
    let output = siglab(tmp.path(), &["diff", &one[..6], &other[..6]]);
    let said = text(&output.stdout);
    assert_eq!(code(&output), Some(0), "{said}");
    assert!(
        said.starts_with(&format!(
            "{one} and {other} differ in nothing but the seed\n"
        )),
        "{said}"
    );
    let runs = fs::read_dir(recorded())
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let runs: Vec<String> = runs.map(|name| name.into_string().unwrap()).collect();
    let is_run = |name: &&String| name.len() == 10;
    let [one, other] = runs.iter().filter(is_run).take(2).collect::<Vec<_>>()[..] else {
        panic!("two recorded runs")
    };
    let output = siglab(&recorded(), &["diff", one, other, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let settings = found["settings"].as_array().unwrap();
    assert!(!settings.is_empty());
    let replicates = settings.len() == 1 && settings[0]["what"] == "seed";
    assert_eq!(found["replicates"], replicates);
    assert_eq!(code(&output), Some(if replicates { 0 } else { 1 }));
}
