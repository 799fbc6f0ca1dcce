//! The layers of the crate stand where crate boundaries would: a module may name only the modules below it, and a
//! third-party crate only at its home. The table is the one in the module map of `lib.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each layer and those that it may import.
const LAYERS: [(&str, &[&str]); 13] = [
    ("util", &[]),
    ("record", &["util"]),
    ("train", &["record", "util"]),
    ("spec", &["train", "record", "util"]),
    ("exec", &["spec", "record", "util"]),
    ("store", &["spec", "record", "util"]),
    ("sched", &["exec", "store", "spec", "record", "util"]),
    ("analysis", &["spec", "store", "util"]),
    ("export", &["analysis", "store", "util"]),
    (
        "workbench",
        &["sched", "exec", "store", "spec", "record", "util"],
    ),
    ("worker", &["train", "spec", "record", "util"]),
    (
        "tui",
        &["workbench", "store", "spec", "analysis", "export", "util"],
    ),
    (
        "cli",
        &[
            "tui",
            "worker",
            "workbench",
            "store",
            "spec",
            "record",
            "analysis",
            "export",
            "util",
        ],
    ),
];

/// Crates that live in one place, so that they can be replaced there.
const HOMES: [(&str, &[&str]); 18] = [
    ("burn", &["src/train/"]),
    ("burn_tch", &["src/train/torch/"]),
    ("tch", &["src/train/torch/", "src/train/ops/"]),
    ("nvml_wrapper", &["src/train/gpu.rs"]),
    ("tokenizers", &["src/train/data/text/"]),
    ("memmap2", &["src/train/cache"]),
    ("fast_image_resize", &["src/train/data/picture/"]),
    ("tar", &["src/train/data/files/", "src/train/tests/"]),
    ("parquet", &["src/train/data/files/", "src/export/"]),
    ("ratatui", &["src/tui/"]),
    ("crossterm", &["src/tui/"]),
    (
        "polars",
        &["src/store/frame", "src/analysis/", "src/export/"],
    ),
    ("plotters", &["src/export/"]),
    ("notify", &["src/store/"]),
    // Settings describe themselves; `spec` alone reads the description.
    ("schemars", &["src/train/", "src/spec/", "src/record/"]),
    ("toml_edit", &["src/spec/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    ("indicatif", &["src/cli/"]),
];

/// Verbs of the command line that are about the engine itself, and may name it.
const ENGINE_VERBS: [&str; 7] = [
    "bench", "check", "convert", "embed", "eval", "library", "worker",
];

/// What `spec` may name of the engine: the settings, which are its subject, and nothing that computes.
const SETTINGS: [&str; 4] = ["TrainConfig", "config", "loss", "model"];

struct Source {
    /// From the root of the crate, with forward slashes.
    path: String,
    /// Without comments and tests: a test may build what its module only receives.
    code: String,
}

impl Source {
    /// The top-level module that the file is of.
    fn layer(&self) -> &str {
        let inside = &self.path["src/".len()..];
        inside.split(['/', '.']).next().unwrap()
    }
}

#[test]
fn modules_import_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for source in sources() {
        let layer = source.layer();
        if ["lib", "main", "bin", "build"].contains(&layer) {
            continue;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
            wrong.push(format!(
                "{}: `{layer}` is not in the table of layers",
                source.path
            ));
            continue;
        };
        let engine_verb = ENGINE_VERBS
            .iter()
            .any(|verb| source.path.starts_with(&format!("src/cli/{verb}")));
        for named in paths_after(&source.code, "crate") {
            let may = named == layer
                || allowed.contains(&named.as_str())
                || engine_verb && named == "train";
            if !may {
                wrong.push(format!(
                    "{}: `{layer}` may not import `{named}`",
                    source.path
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn spec_knows_the_settings_of_training_and_not_the_engine() {
    let sources = sources()
        .into_iter()
        .filter(|source| source.layer() == "spec");
    let names = sources.flat_map(|source| {
        paths_after(&source.code, "crate::train")
            .into_iter()
            .map(move |name| (source.path.clone(), name))
    });
    let wrong: Vec<_> = names
        .filter(|(_, name)| !SETTINGS.contains(&name.as_str()))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn crates_stay_at_home() {
    let mut wrong = Vec::new();
    for source in sources() {
        for (name, homes) in HOMES {
            let at_home = homes.iter().any(|home| source.path.starts_with(home));
            if !at_home && names_crate(&source.code, name) {
                wrong.push(format!(
                    "{}: `{name}` lives in {}",
                    source.path,
                    homes.join(", ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Who may write to the terminal of this process: the two edges, which let nothing pass that drives it, and the worker
/// with what its recorder words.
const EDGES: [&str; 3] = ["src/cli/say.rs", "src/tui/terminal.rs", "src/worker.rs"];

/// Ways to write to it.
const MOUTHS: [&str; 8] = [
    "println!(",
    "print!(",
    "eprint!(",
    "dbg!(",
    "stdout()",
    "stderr()",
    "Term::std",
    "/dev/tty",
];

#[test]
fn text_reaches_a_terminal_through_the_edges_alone() {
    let mut wrong = Vec::new();
    // What builds the programme speaks to cargo and is no part of it.
    let sources = sources().into_iter();
    for source in sources.filter(|source| source.layer() != "build") {
        let at_edge = EDGES.contains(&source.path.as_str());
        // That it is one may be asked by anybody; where it stands is said to it in one way that shows nothing.
        let code = source
            .code
            .replace("stdout().is_terminal()", "")
            .replace("stderr().is_terminal()", "");
        for mouth in MOUTHS
            .iter()
            .filter(|mouth| !at_edge && code.contains(**mouth))
        {
            wrong.push(format!(
                "{}: `{mouth}` belongs to {}",
                source.path,
                EDGES.join(", ")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_reader_of_imports_sees_every_form() {
    let code = strip_comments(
        "use crate::record::RunId; // crate::tui\nuse crate::{store, exec::{Local, sub::x}, spec::path};\nlet x = crate::util::printable(\"crate::cli::x\");",
    );
    assert_eq!(
        paths_after(&code, "crate").into_iter().collect::<Vec<_>>(),
        ["cli", "exec", "record", "spec", "store", "util"]
    );
    assert!(
        names_crate("use burn::tensor::Tensor;", "burn")
            && names_crate("x: burn::Tensor", "burn")
            && names_crate("#[derive(clap::Args)]", "clap")
    );
    assert!(
        !names_crate("use crate::auburn::x; // ", "burn") && !names_crate("self::burn::x", "burn")
    );
}

/// The first segment of each path that goes on from `prefix::`.
fn paths_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for (at, _) in code.match_indices(&format!("{prefix}::")) {
        let part_of_a_word =
            code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$');
        let rest = code[at + prefix.len() + 2..].trim_start();
        if part_of_a_word {
            continue;
        }
        match rest.strip_prefix('{') {
            Some(group) => named.extend(first_segments(group)),
            None => named.extend(word(rest)),
        }
    }
    named
}

/// The words that open each item of a group whose brace was just opened.
fn first_segments(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut found = Vec::new();
    let mut item = String::new();
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => found.extend(word(std::mem::take(&mut item).trim())),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                item.push(c);
            }
        }
    }
    found.extend(word(item.trim()));
    found
}

fn word(text: &str) -> Option<String> {
    let word: String = text
        .chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect();
    (!word.is_empty()).then_some(word)
}

/// Whether `name::` is the start of a path, as opposed to a part of one.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(&format!("{name}::")).any(|(at, _)| {
        let before = &code[..at];
        !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

fn without_tests(code: &str) -> &str {
    code.split_once("#[cfg(test)]\nmod tests {")
        .map_or(code, |(code, _)| code)
}

fn strip_comments(code: &str) -> String {
    code.lines()
        .map(|line| line.split_once("//").map_or(line, |(code, _)| code))
        .collect::<Vec<_>>()
        .join("\n")
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src")];
    let mut found: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path)
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                found.push(path)
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "the sources are where they were");
    let source = |path: PathBuf| Source {
        code: strip_comments(without_tests(&fs::read_to_string(&path).unwrap())),
        path: path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/"),
    };
    found.into_iter().map(source).collect()
}
