//! `siglab eval`: a tiny SigLIP that transformers wrote, on data sets as CLIP_benchmark keeps them, has the numbers that
//! CLIP_benchmark's own code has of it; `fixtures/eval/make.py` says how they were made.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/eval")
        .join(name)
}

fn eval(data: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command
        .arg("eval")
        .arg(fixture("siglip"))
        .arg(data)
        .args(args);
    command.output().unwrap()
}

fn out(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// One object a line.
fn objects(output: &Output) -> Vec<Value> {
    let text = out(output);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn expected(name: &str) -> Value {
    let text = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let all: Value = serde_json::from_str(&text).unwrap();
    all[name].clone()
}

#[test]
fn what_it_measures_is_what_clip_benchmark_measures() {
    for (name, task) in [
        ("classification", "zeroshot_classification"),
        ("retrieval", "zeroshot_retrieval"),
    ] {
        let found = objects(&eval(&fixture(name), &["--json"]));
        assert_eq!(found.len(), 1, "{found:?}");
        let found = &found[0];
        assert_eq!(
            (&found["task"], &found["dataset"]),
            (&task.into(), &name.into())
        );
        assert_eq!(
            (&found["model"], &found["language"]),
            (&"siglip".into(), &"en".into())
        );
        let (metrics, expected) = (found["metrics"].as_object().unwrap(), expected(name));
        assert_eq!(metrics.len(), expected.as_object().unwrap().len());
        for (key, value) in metrics {
            let (ours, theirs) = (value.as_f64().unwrap(), expected[key].as_f64().unwrap());
            assert!((ours - theirs).abs() < 1e-6, "{key}: {ours}, {theirs}");
        }
        for (key, interval) in found["intervals"].as_object().unwrap() {
            let [low, high] = [0, 1].map(|end| interval[end].as_f64().unwrap());
            let share = metrics[key].as_f64().unwrap();
            assert!(
                low <= share && share <= high && high - low < 0.6,
                "{key}: {interval}"
            );
        }
    }
}

#[test]
fn probes_learn_from_the_train_part() {
    let probes = ["--linear-probe", "--knn"];
    let found = objects(&eval(
        &fixture("classification"),
        &[&probes[..], &["--json"]].concat(),
    ));
    let tasks: Vec<&str> = found
        .iter()
        .map(|task| task["task"].as_str().unwrap())
        .collect();
    assert_eq!(tasks, ["zeroshot_classification", "linear_probe", "knn"]);
    // Colours are in the embeddings of pixels even where the towers have learnt nothing.
    let accuracy = found[1]["metrics"]["lp_acc1"].as_f64().unwrap();
    assert!(accuracy > 0.25, "{found:?}");
    let table = out(&eval(&fixture("classification"), &probes));
    assert!(table.starts_with(&format!(
        "{} on classification, 45 pictures",
        fixture("siglip").display()
    )));
    for words in [
        "zero-shot top-1",
        "linear probe mean per class",
        "nearest neighbour",
        "95 % interval",
    ] {
        assert!(table.contains(words), "{table}");
    }
}

#[test]
fn a_folder_a_class_is_a_data_set_too() {
    let tmp = tempfile::tempdir().unwrap();
    let tar = std::fs::File::open(fixture("classification/test/0.tar")).unwrap();
    for (at, entry) in tar::Archive::new(tar).entries().unwrap().enumerate() {
        let mut entry = entry.unwrap();
        if entry
            .path()
            .unwrap()
            .extension()
            .is_some_and(|e| e == "png")
        {
            let class = tmp.path().join(["red_circle", "blue_square"][at / 2 % 2]);
            std::fs::create_dir_all(&class).unwrap();
            entry.unpack(class.join(format!("{at}.png"))).unwrap();
        }
    }
    let found = objects(&eval(tmp.path(), &["--json", "--templates", "best"]));
    let metrics = found[0]["metrics"].as_object().unwrap();
    assert_eq!(
        metrics.keys().collect::<Vec<_>>(),
        ["acc1", "mean_per_class_recall"]
    );
}

#[test]
fn what_is_missing_is_named() {
    let error = |data: &Path, args: &[&str]| {
        let output = eval(data, args);
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&fixture("nowhere"), &[]).contains("there is no such folder"));
    assert!(error(&fixture("retrieval"), &["--linear-probe"]).contains("no train part"));
    let none = error(&fixture("retrieval"), &["--tokenizer", "nowhere.json"]);
    assert!(
        none.contains("nowhere.json") && none.contains("--tokenizer"),
        "{none}"
    );
    let tmp = tempfile::tempdir().unwrap();
    std::fs::create_dir(tmp.path().join("test")).unwrap();
    std::fs::write(tmp.path().join("test/nshards.txt"), "many").unwrap();
    assert!(error(tmp.path(), &[]).contains("nshards.txt: \"many\" is no number of shards"));
}
