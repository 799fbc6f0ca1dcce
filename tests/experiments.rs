//! Experiment files as a user meets them: the real programme, its exit codes and what it says of a bad file.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

const GRID: &str = r#"
question = "Which loss?"
[axes]
"loss.kind" = ["sigmoid", "softmax"]
"train.batch_size" = [64, 128]
[seeds]
count = 2
[[report]]
rows = "train.batch_size"
columns = "loss.kind"
metric = "zeroshot/top1"
"#;

struct Desk {
    dir: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn workspace(&self) -> PathBuf {
        self.dir.path().join("runs")
    }

    fn siglab(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_siglab"))
            .current_dir(self.dir.path())
            .env_remove("SIGLAB_WORKSPACE")
            .args(args)
            .output()
            .unwrap()
    }

    /// What `verb x.toml` says on standard error of a file with this content; it must be refused and start nothing.
    fn refusal(&self, verb: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.dir.path().join("x.toml"), content).unwrap();
        let output = self.siglab(&[verb, "x.toml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{verb}: {said}");
        assert_eq!(
            said.lines()
                .filter(|line| line.starts_with("error: "))
                .count(),
            1,
            "an error is shown once: {said}"
        );
        assert!(
            !self.workspace().exists(),
            "{verb} left something in the workspace"
        );
        said
    }
}

fn text(output: &Output) -> String {
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn bad_files_are_refused_by_name_line_and_key_and_nothing_starts() {
    let values = |n: u32| {
        (1..=n)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let axes = ["optim.lr", "optim.eps", "train.tile", "train.batch_size"]
        .map(|key| format!("{key} = [{}]\n", values(1000)));
    let trillion = format!("[axes]\n{}", axes.concat());
    let cases: &[(&str, &[&str])] = &[
        (
            "[base]\noptim.lrr = 1e-3",
            &["x.toml:2:7", "optim.lrr", "`optim.lr`"],
        ),
        (
            "[base]\ntrain.batch_size = \"large\"",
            &["x.toml:2:7", "train.batch_size", "a whole number"],
        ),
        (
            "[axes]\n\"loss.kind\" = [\"softmax\"]\n\"loss.bias.init\" = [0]",
            &["x.toml:3:21", "loss.bias.init", "loss.kind = \"sigmoid\""],
        ),
        (
            "[axes]\n\"loss.kind\" = []",
            &["x.toml:2:15", "loss.kind", "at least one value"],
        ),
        (
            "[base]\nmodel.embed_dim = 8\nmodel.embed_dim = 9",
            &["x.toml:3:7", "`model.embed_dim` is there already"],
        ),
        (
            &trillion,
            &[
                "x.toml",
                "1000000000000 cells",
                "train.tile: 1000",
                "100000",
            ],
        ),
        (
            "[base]\ntrain.ranks = 3",
            &["x.toml", "train.batch_size", "do not divide among 3 ranks"],
        ),
    ];
    let desk = Desk::new();
    for (content, wanted) in cases {
        for verb in ["run", "table"] {
            let said = desk.refusal(verb, content);
            for part in *wanted {
                assert!(
                    said.contains(part),
                    "{verb}: {content}\n  gave: {said}  lacks: {part}"
                );
            }
        }
    }
}

#[test]
fn files_that_are_no_text_are_refused() {
    let desk = Desk::new();
    assert!(
        desk.refusal("run", b"[base]\n\xff\xfe = 1")
            .contains("x.toml: line 2 is not UTF-8")
    );
    assert!(
        desk.refusal("plan", "a = [".repeat(10_000))
            .contains("x.toml:1:")
    );
    let output = desk.siglab(&["run", "missing.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .contains("missing.toml: cannot read the experiment file")
    );
}

#[test]
fn a_byte_order_mark_is_no_mistake() {
    let desk = Desk::new();
    fs::write(desk.dir.path().join("x.toml"), format!("\u{feff}{GRID}")).unwrap();
    assert!(text(&desk.siglab(&["plan", "x.toml"])).contains("8 cells: 8 new"));
}

#[test]
fn what_a_file_says_cannot_drive_the_terminal() {
    let said = Desk::new().refusal("run", "[base]\n\"\\u001b[31mkey\" = \"\\u001b]0;title\"");
    assert!(!said.contains('\x1b'), "{said:?}");
}

#[test]
fn plan_lists_every_cell_and_writes_nothing() {
    let desk = Desk::new();
    fs::write(desk.dir.path().join("x.toml"), GRID).unwrap();
    let shown = text(&desk.siglab(&["plan", "x.toml"]));
    assert!(
        shown.starts_with("x.toml: Which loss?\n8 cells: 8 new\n"),
        "{shown}"
    );
    let plan: serde_json::Value = serde_json::from_str(&text(&desk.siglab(&[
        "plan",
        "x.toml",
        "--json",
        "--set",
        "train.examples=640",
    ])))
    .unwrap();
    let cells = plan["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 8);
    assert_eq!(
        (
            &cells[1]["settings"]["loss.kind"],
            &cells[1]["seed"],
            &cells[1]["state"]
        ),
        (&"sigmoid".into(), &1.into(), &"new".into())
    );
    assert!(
        !shown.contains(cells[0]["id"].as_str().unwrap()),
        "a flag changes the run"
    );
    assert!(!desk.workspace().exists());
}

#[test]
fn plan_shows_the_cells_that_cannot_run_beside_those_that_can() {
    let desk = Desk::new();
    fs::write(
        desk.dir.path().join("x.toml"),
        "[axes]\n\"loss.kind\" = [\"sigmoid\", \"softmax\"]\n\"loss.bias.init\" = [-10, 0]",
    )
    .unwrap();
    let output = desk.siglab(&["plan", "x.toml"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        shown.contains("4 cells: 2 invalid, 2 new") && shown.contains("x.toml:3:21"),
        "{shown}"
    );
}

#[test]
fn plan_says_why_two_runs_differ() {
    let desk = Desk::new();
    fs::write(desk.dir.path().join("x.toml"), GRID).unwrap();
    let plan: serde_json::Value =
        serde_json::from_str(&text(&desk.siglab(&["plan", "x.toml", "--json"]))).unwrap();
    let id = |cell: usize| plan["cells"][cell]["id"].as_str().unwrap().to_owned();
    let why = text(&desk.siglab(&["plan", "x.toml", "--why", &id(0), &id(2)]));
    assert!(
        why.lines().any(|line| line
            .split_whitespace()
            .eq(["train.batch_size", "64", "128"])),
        "{why}"
    );
    assert_eq!(
        desk.siglab(&["plan", "x.toml", "--why", "zz", &id(0)])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn a_table_of_nothing_is_all_missing() {
    let desk = Desk::new();
    fs::write(desk.dir.path().join("x.toml"), GRID).unwrap();
    let markdown = text(&desk.siglab(&["table", "x.toml", "--format", "md"]));
    assert!(
        markdown.contains("| 64 | missing (0/2) | missing (0/2) |"),
        "{markdown}"
    );
    let csv = text(&desk.siglab(&["table", "x.toml", "--format", "csv", "--rows", "loss.kind"]));
    assert_eq!(csv.lines().count(), 5);
    assert!(
        csv.contains("loss.kind,sigmoid,train.batch_size,64"),
        "the axes change places: {csv}"
    );
    let json: serde_json::Value = serde_json::from_str(&text(
        &desk.siglab(&["table", "x.toml", "--format", "json", "--metric", "loss"]),
    ))
    .unwrap();
    assert_eq!(
        (&json[0]["metric"], &json[0]["cells"][0][0]["missing"]),
        (&"loss".into(), &2.into())
    );
    let output = desk.siglab(&["table", "x.toml", "--rows", "optim.lr"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("one of loss.kind, train.batch_size"));
}

#[test]
fn a_run_to_start_from_that_is_nowhere_is_refused_before_anything_is_made() {
    let desk = Desk::new();
    let file = "[base]\nmodel.image.init.from = \"0123456789\"";
    let said = desk.refusal("run", file);
    assert!(said.contains("no run 0123456789 to start from"), "{said}");
    let plan = text(&desk.siglab(&["plan", "x.toml"]));
    assert!(plan.starts_with("x.toml\n1 cell: 1 blocked\n"), "{plan}");
}

#[test]
fn runs_are_compared_without_a_file() {
    let desk = Desk::new();
    let output = desk.siglab(&["plan", "--why", "aa", "bb"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("no run begins with `aa`"), "{said}");
}

#[test]
fn settings_are_found_by_what_is_said_of_them() {
    let desk = Desk::new();
    let found = text(&desk.siglab(&["keys", "second", "moment", "survives"]));
    assert!(found.starts_with("optim.beta2 = 0.95\n"), "{found}");
    let json: serde_json::Value =
        serde_json::from_str(&text(&desk.siglab(&["keys", "bias.init", "--json"]))).unwrap();
    assert_eq!(json[0]["key"], "loss.bias.init");
    assert_eq!(json[0]["only_with"], "loss.kind = \"sigmoid\"");
    assert_eq!(json[0]["defaults"][0]["value"], -10.0);
    let nothing = desk.siglab(&["keys", "no such words"]);
    assert_eq!(nothing.status.code(), Some(1));
}

#[test]
fn a_file_is_edited_in_place_and_keeps_its_comments() {
    let desk = Desk::new();
    let file = desk.dir.path().join("x.toml");
    fs::write(&file, GRID.replace("[seeds]", "# enough\n[seeds]")).unwrap();
    let edit = |words: &[&str]| {
        let output = desk.siglab(&[&["edit", "x.toml"], words].concat());
        text(&output);
        fs::read_to_string(&file).unwrap()
    };
    let edited = edit(&["axis", "add", "optim.lr", "1e-4..1e-2", "log", "3"]);
    assert!(
        edited.contains("\"optim.lr\" = [1e-4, 1e-3, 0.01]\n"),
        "{edited}"
    );
    assert!(edited.contains("# enough\n[seeds]"), "{edited}");
    let edited = edit(&["axis", "set", "loss.kind", "sigmoid"]);
    assert!(
        edited.contains("\"loss.kind\" = [\"sigmoid\"]\n"),
        "{edited}"
    );
    // A value may begin with a hyphen, and a change may come as one word.
    let edited = edit(&["axis", "add", "loss.bias.init", "-10,", "0"]);
    assert!(
        edited.contains("\"loss.bias.init\" = [-10, 0]\n"),
        "{edited}"
    );
    let edited = edit(&["exclude add loss.bias.init=-10 train.batch_size=64"]);
    assert!(
        edited.contains("when = { \"loss.bias.init\" = -10, \"train.batch_size\" = 64 }"),
        "{edited}"
    );
    let edited = edit(&["seeds", "5"]);
    assert!(edited.contains("count = 5"), "{edited}");
    assert!(text(&desk.siglab(&["plan", "x.toml"])).contains("60 cells: 15 excluded, 45 new"));
    let shown = text(&desk.siglab(&["edit", "--dry-run", "x.toml", "seeds", "1"]));
    assert!(shown.contains("count = 1"));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        edited,
        "a dry run writes nothing"
    );
}

#[test]
fn an_edit_that_would_spoil_a_file_is_not_written() {
    let desk = Desk::new();
    let file = desk.dir.path().join("x.toml");
    fs::write(&file, GRID).unwrap();
    for (words, said) in [
        (
            "axis add optim.lrr 1",
            "axes.\"optim.lrr\": is not a setting; expected `optim.lr`?",
        ),
        ("axis set loss.kind hinge", "`hinge`"),
        ("axis remove optim.lr", "no axis `optim.lr`"),
        ("base set loss.kind=sigmoid", "is an axis too"),
        ("axis fly loss.kind", "expected axis add KEY VALUES"),
        ("axis add optim.lr 1 2", "separate values by commas"),
    ] {
        let output = desk.siglab(&["edit", "x.toml", words]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{words}: {stderr}");
        assert!(stderr.contains(said), "{words}: {stderr}");
        assert_eq!(fs::read_to_string(&file).unwrap(), GRID, "{words}");
    }
    // What is broken may be mended step by step.
    fs::write(&file, "[base]\noptim.lrr = 1\ntrain.tiles = 2\n").unwrap();
    text(&desk.siglab(&["edit", "x.toml", "base", "unset", "optim.lrr"]));
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        "[base]\ntrain.tiles = 2\n"
    );
    assert_eq!(desk.siglab(&["edit", "x.toml"]).status.code(), Some(2));
    assert_eq!(
        desk.siglab(&["edit", "y.toml", "seeds", "2"]).status.code(),
        Some(2)
    );
}

#[cfg(unix)]
#[test]
fn an_edit_goes_through_a_link_and_keeps_permissions() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    let (file, link) = (
        desk.dir.path().join("real.toml"),
        desk.dir.path().join("x.toml"),
    );
    fs::write(&file, GRID).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    std::os::unix::fs::symlink("real.toml", &link).unwrap();
    text(&desk.siglab(&["edit", "x.toml", "seeds", "4"]));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(fs::read_to_string(&file).unwrap().contains("count = 4"));
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[test]
fn plan_shows_the_design_and_what_it_cannot_tell_apart() {
    let desk = Desk::new();
    let axes = "[axes]\noptim.lr = [1, 2]\noptim.eps = [1, 2]\noptim.beta1 = [0, 0.5]\n";
    let design = "[design]\nkind = \"fractional\"\nfraction = 2\n";
    fs::write(desk.dir.path().join("x.toml"), format!("{axes}{design}")).unwrap();
    let shown = text(&desk.siglab(&["plan", "x.toml"]));
    assert!(shown.contains("4 cells: 4 new\ndesign: fractional, 4 of 8 cells, resolution III\n"));
    assert!(
        shown.contains("    optim.lr = optim.eps x optim.beta1\n"),
        "{shown}"
    );
    let json: serde_json::Value =
        serde_json::from_str(&text(&desk.siglab(&["plan", "x.toml", "--json"]))).unwrap();
    assert_eq!(json["design"]["aliases"]["defining"][0], "ABC");
    text(&desk.siglab(&["edit", "x.toml", "design", "latin-hypercube", "count=3"]));
    let shown = text(&desk.siglab(&["plan", "x.toml"]));
    assert!(
        shown.contains("design: Latin hypercube, 3 of 8 cells, seed 0\n"),
        "{shown}"
    );
}
