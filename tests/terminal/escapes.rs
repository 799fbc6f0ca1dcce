//! Three hundred strings that were made to drive a terminal, as logs, names, settings, files and words of the command
//! line, on a real one: what siglab shows of them drives nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use siglab::record::RunDir;
use siglab::spec::{Experiment, RunSpec};

use super::hostile::{drives, strings};
use super::pty::Pty;

/// A string as TOML has it, whatever is in it.
fn toml(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        ' '..='~' if !"\"\\".contains(c) => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// An experiment that says the strings wherever one can be said, one cell each.
fn experiment(all: &[Vec<u8>]) -> String {
    let texts: Vec<String> = all
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    let paths: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| toml(&format!("{n}:{text}")))
        .collect();
    let every = toml(&texts.concat().chars().take(20_000).collect::<String>());
    format!(
        "question = {every}\n[base]\ndata.kind = \"webdataset\"\n[axes]\n\"data.path\" = [{}]\n[[report]]\ntitle = {every}\nrows = \"data.path\"\nmetric = \"loss\"\n",
        paths.join(", ")
    )
}

/// A run of each cell, in each of the states that say something, with a string in all that is told of it.
fn workspace(root: &Path) {
    let all = strings();
    let text = experiment(&all);
    fs::write(root.join("x.toml"), &text).unwrap();
    let grid = Experiment::parse(Path::new("x.toml"), &text, &[])
        .unwrap()
        .expand()
        .unwrap();
    let specs: Vec<&RunSpec> = grid.runs();
    assert!(specs.len() >= 300, "{} runs", specs.len());
    for (n, (spec, bytes)) in specs.iter().zip(&all).enumerate() {
        let text = String::from_utf8_lossy(bytes);
        let dir = RunDir::new(root.join("runs").join(spec.id.as_str()));
        fs::create_dir_all(dir.path()).unwrap();
        fs::write(dir.spec(), serde_json::to_vec(spec).unwrap()).unwrap();
        let end = match n % 4 {
            0 => {
                json!({"kind": "finished", "step": 9, "examples": 90, "outcome": {"kind": "failed", "reason": text}})
            }
            1 => {
                json!({"kind": "finished", "step": 9, "examples": 90, "outcome": {"kind": "diverged", "reason": text}})
            }
            2 => json!({"kind": "stopped", "step": 9, "examples": 90}),
            _ => {
                json!({"kind": "finished", "step": 9, "examples": 90, "outcome": {"kind": "completed"}})
            }
        };
        let events = [
            json!({"kind": "started", "siglab": text, "host": text, "pid": 1, "devices": [text], "threads": 1, "total_steps": 9, "total_examples": 90}),
            json!({"kind": "resumed", "step": 0, "examples": 0}),
            json!({"kind": "evaluated", "step": 5, "examples": 50, "metrics": {(text.as_ref()): 0.5, "zeroshot/top1": 0.5}}),
            json!({"kind": "warned", "step": 5, "message": text}),
            end,
        ];
        let lines = events.iter().enumerate().map(|(seq, event)| {
            json!({"seq": seq, "attempt": 1, "at": 0, "event": event}).to_string() + "\n"
        });
        fs::write(dir.events(), lines.collect::<String>()).unwrap();
        let rows = (1..=9).map(|step| {
            let mut row = json!({"attempt": 1, "step": step, "examples": 10 * step, "seconds": step, "loss": 1.0 / f64::from(step)});
            row[text.as_ref()] = json!(step);
            row.to_string() + "\n"
        });
        fs::write(dir.metrics(), rows.collect::<String>()).unwrap();
        let lease = json!({"executor": "local", "process": {"boot_id": text, "pid": 1, "start_time": 1}, "devices": [text], "ended": text});
        fs::write(dir.lease(), lease.to_string()).unwrap();
        fs::write(
            dir.log(),
            [b"log: ", bytes.as_slice(), b"\nnext\n"].concat(),
        )
        .unwrap();
    }
    // A line of 10 MB, and all strings in one log.
    let first = RunDir::new(root.join("runs").join(specs[0].id.as_str()));
    let mut log = all.join(&b'\n');
    log.push(b'\n');
    log.extend(b"\x1b[6789m".repeat(1_500_000));
    log.extend(b"\nthe end\n");
    fs::write(first.log(), log).unwrap();
    // Directories that are no runs, and one that cannot be read.
    for (n, bytes) in all.iter().enumerate().take(40) {
        if !bytes.iter().any(|byte| [0, b'/'].contains(byte)) {
            fs::create_dir_all(
                root.join("runs")
                    .join(OsStr::from_bytes(bytes))
                    .join(format!("{n}")),
            )
            .unwrap();
        }
    }
    let unreadable = root.join("runs/00000000aa");
    fs::create_dir_all(&unreadable).unwrap();
    fs::write(
        unreadable.join("spec.json"),
        "{\"format\": 99, \"siglab\": \"\\u001b[6789m\u{9b}\u{202e}\"}",
    )
    .unwrap();
}

fn siglab(root: &Path, words: &[&OsStr]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command
        .current_dir(root)
        .env("HOME", root)
        .env("XDG_STATE_HOME", root.join("state"))
        .env("XDG_CONFIG_HOME", root.join("config"))
        .args(words);
    command
}

/// All that a command writes to a terminal.
fn shown(root: &Path, words: &[&OsStr]) -> Vec<u8> {
    Pty::start(siglab(root, words), 200, 50).finish()
}

fn words(text: &str) -> Vec<&OsStr> {
    text.split(' ').map(OsStr::new).collect()
}

#[test]
fn what_verbs_show_drives_no_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    workspace(root);
    let ids: Vec<String> = {
        let output = siglab(root, &words("ls --json")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let id = |line: &str| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["run"]
                .as_str()
                .unwrap()
                .to_owned()
        };
        text.lines().map(id).collect()
    };
    assert!(ids.len() >= 300);
    let mut commands: Vec<String> = [
        "ls",
        "ls --json",
        "ls x.toml",
        "plan x.toml",
        "plan x.toml --json",
        "table x.toml",
        "table x.toml --format csv",
        "table x.toml --format md",
        "table x.toml --format json",
        "spikes",
        "spikes --json",
        "run --dry-run x.toml",
        "run --dry-run --json x.toml",
        "edit --dry-run x.toml seeds 2",
        "--print --view runs x.toml",
    ]
    .map(str::to_owned)
    .to_vec();
    commands.push(format!("plan --why {} {}", ids[0], ids[1]));
    commands.extend(ids.iter().step_by(17).map(|id| format!("logs {id}")));
    let long = fs::read_dir(root.join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path().join("worker.log"));
    let long = long
        .filter(|path| path.exists())
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    let long = long
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    commands.push(format!("logs {long}"));
    for command in &commands {
        let raw = shown(root, &words(command));
        assert!(!raw.is_empty(), "{command}");
        if let Some(found) = drives(&raw, true) {
            panic!("siglab {command}: {found}");
        }
    }
    let raw = shown(root, &words(&format!("logs {long}")));
    let text = String::from_utf8(raw).unwrap();
    assert!(
        text.contains("longer than 1 MiB") && text.contains("the end"),
        "what is not shown is told"
    );
}

#[test]
fn what_is_wrong_with_words_and_files_is_said_without_driving_the_terminal() {
    // Each costs a process: a part of the strings, each in one place.
    say_wrong_things((0..strings().len()).step_by(11).map(|n| (n, n / 11)));
}

#[test]
#[ignore = "some minutes"]
fn every_string_is_said_in_every_place_without_driving_the_terminal() {
    say_wrong_things((0..strings().len()).flat_map(|n| (0..PLACES).map(move |place| (n, place))));
}

/// Where a word of the command line, or a file that it names, can hold a string.
const PLACES: usize = 8;

/// Strings by number, each with the number of a place.
fn say_wrong_things(which: impl Iterator<Item = (usize, usize)>) {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    let all = strings();
    for (n, place) in which {
        let bytes = &all[n];
        if bytes.contains(&0) {
            continue;
        }
        let word = OsStr::from_bytes(bytes);
        let file = root.join("b.toml");
        let commands: [&[&OsStr]; PLACES] = [
            &[OsStr::new("logs"), OsStr::new("--"), word],
            &[OsStr::new("ls"), OsStr::new("--where"), word],
            &[OsStr::new("plan"), OsStr::new("--"), word],
            &[word],
            &[OsStr::new("keys"), OsStr::new("--"), word],
            &[OsStr::new("--workspace"), word, OsStr::new("ls")],
            &[
                OsStr::new("run"),
                OsStr::new("b.toml"),
                OsStr::new("--device"),
                word,
            ],
            &[OsStr::new("plan"), OsStr::new("b.toml")],
        ];
        let mut text = b"[base]\nseed = \"".to_vec();
        text.extend(bytes);
        text.extend(b"\"\n\"");
        text.extend(bytes);
        text.extend(b"\" = 1\n");
        fs::write(file, text).unwrap();
        let command = commands[place % PLACES];
        let raw = shown(root, command);
        // Clap's own colours stay where its words are harmless.
        if let Some(found) = drives(&raw, false) {
            panic!("siglab {command:?}: {found}");
        }
    }
}

/// Bars, and what workers said of the data that they did not find.
#[test]
fn the_progress_of_runs_drives_no_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    let some: Vec<Vec<u8>> = strings().into_iter().step_by(40).collect();
    let shard = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/data/pairs-000000.tar");
    let base = format!("[base]\ndata.path = {shard:?}\n");
    let text = experiment(&some).replace("data.path", "data.caption");
    fs::write(root.join("x.toml"), text.replacen("[base]\n", &base, 1)).unwrap();
    let raw = shown(root, &words("run x.toml"));
    let text = String::from_utf8_lossy(&raw);
    assert!(text.contains("failed"), "{text}");
    if let Some(found) = drives(&raw, false) {
        panic!("{found}");
    }
}

#[test]
fn what_screens_show_drives_no_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    workspace(root);
    let mut pty = Pty::start(siglab(root, &words("x.toml")), 300, 60);
    pty.await_text("1 Design");
    pty.read_for(Duration::from_millis(500));
    for screen in ["1", "2", "3", "4"] {
        pty.type_(screen);
        pty.read_for(Duration::from_millis(200));
        for keys in ["jjjj", "\r", "?", "\x1b", "\x1b", "G", "g"] {
            pty.type_(keys);
            pty.read_for(Duration::from_millis(60));
        }
    }
    // Each run in turn, with its log and what is said of it.
    pty.type_("2g");
    for _ in 0..strings().len() {
        pty.type_("j");
        pty.read_for(Duration::from_millis(4));
    }
    pty.read_for(Duration::from_millis(500));
    assert!(pty.text().contains("2 Runs"), "{}", pty.text());
    pty.type_("q");
    pty.wait();
    assert!(
        pty.raw.len() > 100_000,
        "{} bytes were drawn",
        pty.raw.len()
    );
    if let Some(found) = drives(&pty.raw, false) {
        panic!("{found}");
    }
}
