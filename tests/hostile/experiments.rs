//! Experiment files, the words of `siglab edit`, of `--where` and of `--keys`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use siglab::spec::edit::apply;
use siglab::spec::{Edit, Experiment, preset, values};
use siglab::store::Query;
use siglab::tui::key::Key;

use super::bounds::alone;
use super::fuzz::{Parser, SECOND};

const GRID: &str = r#"question = "Which loss?"
[base]
optim.lr = 1e-3
model.image.init = { from = "first" }
[runs.first]
loss.kind = "softmax"
[axes]
"train.batch_size" = [64, 128]
"loss.kind" = ["sigmoid", "softmax"]
[[zip]]
"optim.beta1" = [0.9, 0.95]
"optim.beta2" = [0.99, 0.999]
[[exclude]]
when = { "loss.kind" = "softmax", "train.batch_size" = 64 }
[seeds]
count = 2
[[report]]
title = "Accuracy"
rows = "train.batch_size"
columns = "loss.kind"
metric = "zeroshot/top1"
"#;

/// What stands in the way of some changes.
const EXCLUDE: &str =
    "[[exclude]]\nwhen = { \"loss.kind\" = \"softmax\", \"train.batch_size\" = 64 }\n";

/// All that an experiment file may take, however it is written.
const MOST_BYTES: usize = 256 << 20;

fn expand(_: &Path, file: &Path) -> Result<String, String> {
    let words = |e: siglab::spec::SpecError| e.to_string();
    let experiment = Experiment::load(file, &[]).map_err(words)?;
    let grid = experiment.expand().map_err(words)?;
    grid.require_valid(&experiment).map_err(words)?;
    Ok(format!("{} cells", grid.cells.len()))
}

pub fn file() -> Parser {
    let presets = preset::ALL
        .iter()
        .map(|preset| preset.text.as_bytes().to_vec());
    Parser {
        name: "experiment",
        file: "x.toml",
        beside: Vec::new(),
        seeds: [GRID.as_bytes().to_vec()]
            .into_iter()
            .chain(presets)
            .collect(),
        cpu: SECOND,
        room: |_| MOST_BYTES,
        take: expand,
    }
}

/// One change a line, each made on the same file.
pub fn edit() -> Parser {
    let changes = "axis add optim.lr 1e-4..1e-2 log 5\naxis set train.batch_size 16..256 x2\naxis add loss.bias.init -10, 0\n\
        exclude add loss.kind=sigmoid train.batch_size=64\nseeds 5\nseeds [1, 2]\nzip train.batch_size loss.kind\n\
        design random count=3 seed=1\nquestion What?\nreport add loss rows=loss.kind\nbase set optim.eps=1e-3\n\
        axis rename loss.kind loss.bias.mode\naxis remove loss.kind\naxis add optim.eps 0..1 5";
    Parser {
        name: "edit",
        file: "changes.txt",
        beside: Vec::new(),
        seeds: changes
            .lines()
            .map(|line| line.trim().as_bytes().to_vec())
            .chain(
                ["10..0 step 2", "[1, \"a\"], {a = 1}", "1e-4..1e-2 log 5"]
                    .map(|v| v.as_bytes().to_vec()),
            )
            .collect(),
        cpu: SECOND,
        room: |_| MOST_BYTES,
        take: |_, file| {
            let text =
                String::from_utf8_lossy(&fs::read(file).map_err(|e| e.to_string())?).into_owned();
            let read = values::parse(&text).map(|values| format!("{} values", values.len()));
            let edit: Edit = match text.parse() {
                Ok(edit) => edit,
                Err(e) => return read.map_err(|other| format!("{e}; {other}")),
            };
            let after = apply(&GRID.replace(EXCLUDE, ""), &edit).map_err(|e| e.to_string())?;
            // What was written is read again, and said again.
            let _ = (
                Experiment::parse(file, &after, &[]).map(|e| e.expand().is_ok()),
                edit.command(file),
            );
            Ok("a change".into())
        },
    }
}

pub fn words() -> Parser {
    Parser {
        name: "words",
        file: "words.txt",
        beside: Vec::new(),
        seeds: [
            "state=running top1<0.3 loss.kind=sigmoid -seed=0 words",
            "jj<Enter><C-r>a<Esc>/x",
            "\"two words\" loss>=1e-3 -diverged",
        ]
        .map(|s| s.as_bytes().to_vec())
        .to_vec(),
        cpu: SECOND,
        room: |_| 16 << 20,
        take: |_, file| {
            let text =
                String::from_utf8_lossy(&fs::read(file).map_err(|e| e.to_string())?).into_owned();
            let keys = Key::parse_all(&text).map(|keys| format!("{} keys", keys.len().min(9)));
            match text.parse::<Query>() {
                Ok(_) => Ok(format!("a query, and {keys:?}")),
                Err(e) => Err(format!("{e} {keys:?}")),
            }
        },
    }
}

fn list(n: usize) -> String {
    (1..=n)
        .map(|i| i.to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Files that were made to do harm, and what is said of each: where, and of what.
#[test]
fn files_made_to_do_harm_are_refused_in_no_time() {
    let alone = alone();
    let thousands = |keys: &[&str]| {
        let axes: String = keys
            .iter()
            .map(|key| format!("{key} = [{}]\n", list(1000)))
            .collect();
        format!("[axes]\n{axes}")
    };
    let keys = ["optim.lr", "optim.eps", "train.tile", "train.batch_size"];
    let zips = |n: usize| -> String {
        (0..n)
            .map(|_| "[[zip]]\n\"optim.lr\" = [1, 2]\n".to_owned())
            .collect()
    };
    let excludes: String = (0..10_000)
        .map(|n| format!("[[exclude]]\nwhen = {{ optim.lr = {n} }}\n"))
        .collect();
    let from = "model.image.init = { from = \"a\" }";
    let itself = format!("[runs.a]\n{from}\n[base]\n{from}");
    let cases: Vec<(&str, String, &[&str])> = vec![
        (
            "lists 100,000 deep",
            format!("a = {}", "[".repeat(100_000)),
            &["x.toml:1:"],
        ),
        (
            "tables 100,000 deep",
            format!("a = {}", "{a=".repeat(100_000)),
            &["x.toml:1:"],
        ),
        (
            "a key of 100,000 parts",
            format!("{}x = 1", "a.".repeat(100_000)),
            &["x.toml"],
        ),
        (
            "a heading of 100,000 parts",
            format!("[{}x]", "a.".repeat(100_000)),
            &["x.toml"],
        ),
        (
            "a string of 10 MB",
            format!("question = \"{}\"", "x".repeat(10 << 20)),
            &["x.toml", "too large"],
        ),
        (
            "a string of 2 MB",
            format!("[base]\nloss.kind = \"{}\"", "x".repeat((2 << 20) - 40)),
            &["x.toml:2:6", "loss.kind"],
        ),
        (
            "a key of 2 MB",
            format!("[base]\n\"{}\" = 1", "k".repeat((2 << 20) - 40)),
            &["x.toml:2:1", "not a setting"],
        ),
        (
            "10^6 cells",
            thousands(&keys[..2]),
            &["x.toml:2:7", "optim.lr", "1000000 cells", "100000"],
        ),
        (
            "10^12 cells",
            thousands(&keys),
            &["x.toml:2:7", "1000000000000 cells"],
        ),
        (
            "10^12 seeds",
            "[seeds]\ncount = 1000000000000".into(),
            &["x.toml:2:9", "seeds.count"],
        ),
        (
            "2^63 - 1 seeds",
            "[seeds]\ncount = 9223372036854775807".into(),
            &["x.toml:2:9", "seeds.count"],
        ),
        (
            "seeds below 0",
            "[seeds]\ncount = -1".into(),
            &["x.toml:2:9", "seeds.count"],
        ),
        (
            "100,001 seeds in a list",
            format!("[seeds]\nvalues = [{}]", list(100_001)),
            &["x.toml"],
        ),
        (
            "10^9 random cells",
            format!(
                "{}[design]\nkind = \"random\"\ncount = 1000000000",
                thousands(&keys)
            ),
            &["x.toml", "design.count"],
        ),
        (
            "a fraction of 10^12",
            format!(
                "{}[design]\nkind = \"fractional\"\nfraction = 1000000000000",
                thousands(&keys[..2])
            ),
            &["x.toml", "design"],
        ),
        (
            "a key twice",
            "[base]\noptim.lr = 1\noptim.lr = 2".into(),
            &["x.toml:3:7", "`optim.lr` is there already"],
        ),
        (
            "a table twice",
            "[base]\n[base]".into(),
            &["x.toml:2:", "already"],
        ),
        (
            "an axis that is zipped too",
            "[axes]\n\"optim.lr\" = [1]\n[[zip]]\n\"optim.lr\" = [2]".into(),
            &["x.toml:4:", "optim.lr"],
        ),
        (
            "an axis zipped 5,000 times",
            zips(5_000),
            &["x.toml:2001:1", "5000 times"],
        ),
        (
            "NaN",
            "[base]\noptim.lr = nan".into(),
            &["x.toml:2:12", "optim.lr", "finite"],
        ),
        (
            "minus infinity",
            "[axes]\n\"optim.lr\" = [1, -inf]".into(),
            &["x.toml:2:18", "optim.lr"],
        ),
        (
            "1e999",
            "[base]\noptim.lr = 1e999".into(),
            &["x.toml:2:12", "optim.lr"],
        ),
        (
            "an integer of 128 bits",
            format!("[base]\nseed = {}", i128::MAX),
            &["x.toml:2:8", "too large"],
        ),
        (
            "an integer of 1,000 digits",
            format!("[base]\nseed = 1{}", "0".repeat(999)),
            &["x.toml:2:8"],
        ),
        (
            "a size of 2^63 - 1",
            "[base]\ntrain.batch_size = 9223372036854775807".into(),
            &["x.toml", "train.batch_size"],
        ),
        (
            "a tower of 2^40",
            "[base]\nmodel.image.width = 1099511627776".into(),
            &["x.toml", "model.image.width"],
        ),
        (
            "a date",
            "[base]\nseed = 2026-01-01T00:00:00Z".into(),
            &["x.toml:2:8", "date"],
        ),
        (
            "a byte order mark inside",
            "[base]\n\u{feff}seed = 1".into(),
            &["x.toml:2:1"],
        ),
        (
            "a control character in a key",
            "[base]\n\"\\u001b]0;x\\u0007\" = 1".into(),
            &["x.toml:2:1", "not a setting"],
        ),
        ("a zero byte", "[base]\nseed = 1\0".into(), &["x.toml:2:8"]),
        (
            "a quote that stays open",
            format!("question = \"\"\"{}", "x\n".repeat(100_000)),
            &["x.toml:"],
        ),
        (
            "10,000 excludes",
            format!("[axes]\noptim.lr = [{}]\n{excludes}", list(10_000)),
            &["x.toml:2003:", "exclude", "10000 times"],
        ),
        (
            "an axis of 250,000 values",
            format!("[axes]\noptim.lr = [{}]", list(250_000)),
            &["x.toml:2:12", "optim.lr", "250000 values"],
        ),
        (
            "40,000 unknown keys",
            (0..40_000).map(|n| format!("k{n} = 1\n")).collect(),
            &["x.toml:1:1", "k0"],
        ),
        (
            "a run that starts from itself",
            itself,
            &["x.toml:1:7", "runs.a"],
        ),
        (
            "a metric of 1 MB",
            format!(
                "[[report]]\nmetric = \"{}\"\nrows = \"no.axis\"",
                "m".repeat(1 << 20)
            ),
            &["x.toml:", "no.axis"],
        ),
    ];
    assert!(cases.len() >= 30);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    for (name, text, said) in cases {
        fs::write(&path, text).unwrap();
        let (answer, spent) = alone.measure(|| expand(folder.path(), &path));
        let answer = answer.unwrap_or_else(|| panic!("{name}: it panics"));
        let error = answer.expect_err(name);
        for part in said {
            assert!(error.contains(part), "{name}: lacks {part}: {:.400}", error);
        }
        assert!(
            error.len() < 4_000,
            "{name}: {} bytes are said",
            error.len()
        );
        assert!(
            error.lines().all(|line| !line.contains(char::is_control)),
            "{name}: {error:?}"
        );
        assert!(
            spent.bytes <= MOST_BYTES && spent.cpu <= Duration::from_secs(1),
            "{name}: {spent:?}"
        );
    }
}

/// The largest grid that may be is no hostile one, and must still fit.
#[test]
fn the_largest_grid_fits() {
    let text = format!(
        "[axes]\noptim.lr = [{0}]\noptim.eps = [{0}]\n[seeds]\ncount = 10",
        list(100)
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.toml");
    fs::write(&path, text).unwrap();
    let alone = alone();
    let (answer, spent) = alone.measure(|| expand(folder.path(), &path));
    assert_eq!(answer.unwrap().unwrap(), "100000 cells");
    println!("100,000 cells: {spent:?}");
    assert!(spent.bytes <= 1 << 30, "{spent:?}");
}

/// 10,000 files with changes: the count of the plan, a minute or two.
#[test]
#[ignore = "a minute or two"]
fn ten_thousand_changed_files_do_no_harm() {
    file().try_so_many(10_000);
}
