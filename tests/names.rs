//! Forty names that somebody hopes will be run, climbed by or misread: of workspaces, experiments, runs, data and
//! exports. Each is refused or taken for what it is, a name.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const GRID: &str = include_str!("support/tiny.toml");

/// What a shell, or whoever takes a name for a path, would do: make `pwned` somewhere.
fn names() -> Vec<OsString> {
    let long = "n".repeat(255);
    let longer = "n".repeat(256);
    let mut names: Vec<OsString> = [
        "$(touch pwned)",
        "`touch pwned`",
        ";touch pwned;",
        "|touch pwned",
        "&&touch pwned",
        "&touch pwned&",
        ">pwned",
        ">>pwned",
        "<pwned",
        "\ntouch pwned\n",
        "\rtouch pwned",
        "'; touch pwned; '",
        "\"; touch pwned; \"",
        "\\",
        "a\\nb",
        "a\nb",
        "a\tb",
        "a b",
        " ",
        " leading",
        "trailing ",
        "-rf",
        "--help",
        "--workspace=x",
        "-",
        "--",
        "*",
        "?",
        "[a-z]",
        "{a,b}",
        "~",
        "~root",
        "$HOME",
        "${PATH}",
        "%s%n",
        "!!",
        "#comment",
        "..a",
        "...",
        ".hidden",
        "CON",
        "a:b",
        "é",
        "\u{202e}txt",
        "\u{1b}[31mred",
        "NUL\u{1}",
        &long,
        &longer,
    ]
    .map(OsString::from)
    .to_vec();
    names.push(OsString::from_vec(b"\xff\xfe".to_vec()));
    names.push(OsString::from_vec(b"a\x9b31mb".to_vec()));
    assert!(names.len() >= 40);
    names
}

struct Desk {
    tmp: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            tmp: tempfile::tempdir().unwrap(),
        }
    }

    /// The place where commands run; what climbs once gets into the desk still.
    fn here(&self) -> PathBuf {
        let here = self.tmp.path().join("a/b");
        fs::create_dir_all(&here).unwrap();
        here
    }

    fn siglab(&self, words: &[&OsStr]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
        command
            .current_dir(self.here())
            .env("HOME", self.tmp.path())
            .env_remove("SIGLAB_WORKSPACE")
            .args(words)
            .output()
            .unwrap()
    }

    /// Everything on the desk, from its root.
    fn all(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.tmp.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                found.push(path.strip_prefix(self.tmp.path()).unwrap().to_owned());
            }
        }
        found.sort();
        found
    }

    fn untouched(&self, name: &OsStr) {
        for path in self.all() {
            assert_ne!(
                path.file_name(),
                Some(OsStr::new("pwned")),
                "{name:?} was run"
            );
        }
    }
}

fn os(text: &str) -> &OsStr {
    OsStr::new(text)
}

/// No panic, an exit code of ours, and words for what is refused.
fn answered(name: &OsStr, output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        matches!(output.status.code(), Some(0..=2)),
        "{name:?}: {output:?}"
    );
    assert!(!said.contains("panicked"), "{name:?}: {said}");
    assert!(
        output.status.success() || !said.is_empty(),
        "{name:?} is refused without a word"
    );
}

fn prefixed(flag: &str, name: &OsStr) -> OsString {
    let mut word = OsString::from(flag);
    word.push(name);
    word
}

#[test]
fn names_of_runs_are_looked_up_and_no_more() {
    let desk = Desk::new();
    let here = desk.here();
    fs::create_dir_all(here.join("runs")).unwrap();
    fs::write(here.join("secret"), "secret").unwrap();
    let before = desk.all();
    let climbing = [
        "..",
        "../..",
        "../secret",
        "/etc/passwd",
        "./",
        "0123456789/../../secret",
    ]
    .map(OsString::from);
    for name in names().into_iter().chain(climbing) {
        for verb in ["logs", "stop", "retry"] {
            let output = desk.siglab(&[os(verb), os("--"), &name]);
            answered(&name, &output);
            assert!(!output.status.success(), "{name:?} is no run");
            assert!(output.stdout.is_empty(), "{name:?}");
        }
        assert_eq!(desk.all(), before, "{name:?} left something");
    }
}

#[test]
fn a_workspace_by_any_name_is_a_directory_or_refused() {
    for name in names() {
        let desk = Desk::new();
        fs::write(desk.here().join("x.toml"), GRID).unwrap();
        let workspace = prefixed("--workspace=", &name);
        for words in [
            &[&*workspace, os("ls")][..],
            &[&workspace, os("plan"), os("x.toml")],
            &[&workspace, os("run"), os("--dry-run"), os("x.toml")],
        ] {
            answered(&name, &desk.siglab(words));
        }
        desk.untouched(&name);
        assert_eq!(
            fs::read_dir(desk.here()).unwrap().count(),
            1,
            "{name:?}: looking makes nothing"
        );
    }
}

/// Real workers, which are given the directory as a word.
#[test]
fn workers_train_in_a_workspace_by_any_name() {
    for name in ["$(touch pwned); 'a\nb", "-rf --help", "../c d"] {
        let desk = Desk::new();
        fs::write(
            desk.here().join("x.toml"),
            GRID.replace("\"sigmoid\", ", ""),
        )
        .unwrap();
        let workspace = prefixed("--workspace=", os(name));
        let output = desk.siglab(&[&workspace, os("run"), os("x.toml")]);
        assert!(
            output.status.success(),
            "{name:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let runs = fs::read_dir(desk.here().join(name)).unwrap().flatten();
        assert_eq!(
            runs.filter(|run| run.path().join("checkpoints").is_dir())
                .count(),
            1,
            "{name:?}"
        );
        desk.untouched(os(name));
    }
}

#[test]
fn an_experiment_by_any_name_is_a_file_or_refused() {
    for name in names() {
        let desk = Desk::new();
        let mut file = name.clone();
        file.push(".toml");
        let path = desk.here().join(&file);
        let there = !name.as_bytes().contains(&b'/') && fs::write(&path, GRID).is_ok();
        // A name that begins with a hyphen is told from a flag as everywhere.
        let output = desk.siglab(&[os("plan"), os("--"), &file]);
        answered(&name, &output);
        assert_eq!(
            output.status.success(),
            there,
            "{name:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        if there {
            let output = desk.siglab(&[os("edit"), &prefixed("./", &file), os("seeds"), os("2")]);
            answered(&name, &output);
            assert!(
                output.status.success() && fs::read_to_string(&path).unwrap().contains("count = 2"),
                "{name:?}"
            );
        }
        desk.untouched(&name);
    }
}

#[test]
fn data_and_exports_by_any_name_stay_where_they_are_put() {
    for name in names() {
        let desk = Desk::new();
        let text = name.to_string_lossy();
        let escaped: String = text
            .chars()
            .map(|c| format!("\\U{:08x}", u32::from(c)))
            .collect();
        let file = format!("[base]\ndata.kind = \"webdataset\"\ndata.path = \"{escaped}\"\n");
        fs::write(desk.here().join("x.toml"), file).unwrap();
        answered(&name, &desk.siglab(&[os("plan"), os("x.toml")]));
        answered(&name, &desk.siglab(&[os("eval"), os("--"), &name, &name]));
        answered(
            &name,
            &desk.siglab(&[os("embed"), os("--"), &name, &name, &name]),
        );
        answered(
            &name,
            &desk.siglab(&[os("convert"), os("--"), &name, &name]),
        );
        let output = desk.siglab(&[os("new"), os("fig6"), &prefixed("--output=", &name)]);
        answered(&name, &output);
        if output.status.success() {
            assert!(
                desk.here().join(Path::new(&name)).exists(),
                "{name:?} is written where it says"
            );
        }
        desk.untouched(&name);
    }
}
