//! Keys in, screens out: every screen over recorded runs, at the size of a small terminal and of a large one. The runs
//! in `fixtures/recorded` are real ones, of tiny towers; see its README for the command that made them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use siglab::record::{FileLock, RunDir};
use siglab::store::RunId;
use siglab::tui::key::Key;
use siglab::tui::theme::{Colours, Theme};
use siglab::tui::widget::chart::Glyphs;
use siglab::tui::{Options, Preferences, Session, Wanted, picture};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (160, 48);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/recorded")
}

/// The recorded workspace, copied where it may be changed.
struct Desk {
    tmp: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self {
            tmp: tempfile::tempdir().unwrap(),
        };
        copy(&fixture(), desk.tmp.path());
        desk
    }

    fn file(&self) -> PathBuf {
        self.tmp.path().join("grid.toml")
    }

    fn options(&self) -> Options {
        Options {
            workspace: self.tmp.path().join("runs"),
            file: Some(self.file()),
            sets: Vec::new(),
            view: None,
            runs: Vec::new(),
            devices: vec!["cpu".into()],
            jobs: Some(2),
            theme: Theme {
                colours: Colours::Sixteen,
                glyphs: Glyphs::Braille,
            },
            preferences: Preferences::default(),
            memory: Some(self.tmp.path().join("memory.json")),
        }
    }

    fn open(&self) -> Session<fn()> {
        self.open_with(self.options())
    }

    fn open_with(&self, options: Options) -> Session<fn()> {
        let mut session = Session::open(options, (|| ()) as fn()).unwrap();
        session.read_all().unwrap();
        session
    }

    /// The screen after these keys.
    fn screen(&self, keys: &str, size: (u16, u16)) -> String {
        let mut session = self.open();
        press(&mut session, keys);
        self.told(&mut session, size)
    }

    /// The screen as text; the folder has a name of its own each time.
    fn told(&self, session: &mut Session<fn()>, (width, height): (u16, u16)) -> String {
        let text = picture::text(&session.picture(width, height));
        text.replace(self.tmp.path().to_str().unwrap(), "~")
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn press(session: &mut Session<fn()>, keys: &str) -> Vec<Wanted> {
    session.press(&Key::parse_all(keys).unwrap()).unwrap()
}

/// Name, keys and size of each picture. The pictures are the specification of the screens.
const SCREENS: [(&str, &str, (u16, u16)); 23] = [
    ("design_small", "1", SMALL),
    ("design_large", "1", LARGE),
    ("design_cell", "1<Tab>jl<Enter>", LARGE),
    ("design_toml", "1t", LARGE),
    ("design_pick_a_key", "1abeta", SMALL),
    (
        "design_values_while_typed",
        "1abeta2<Enter>0.9..0.999 3",
        LARGE,
    ),
    ("design_launch", "1L", LARGE),
    ("runs_small", "2", SMALL),
    ("runs_large", "2", LARGE),
    (
        "runs_filtered_and_grouped",
        "2/loss.kind=sigmoid<Enter>bs",
        LARGE,
    ),
    ("runs_diff", "2s<Space>jj<Space>d", LARGE),
    (
        "runs_stop_asks",
        "2/state=interrupted<Enter><Space>x",
        SMALL,
    ),
    ("watch_small", "3", SMALL),
    ("watch_large", "3", LARGE),
    ("watch_cursor_and_smooth", "3slllll", LARGE),
    ("watch_groups", "3b", LARGE),
    ("watch_maximised_on_steps", "3tm", SMALL),
    ("results_small", "4", SMALL),
    ("results_large", "4", LARGE),
    ("results_turned", "4rl", LARGE),
    ("results_effects", "4f", LARGE),
    ("help", "2?", LARGE),
    ("palette", "3:spike", SMALL),
];

#[test]
fn keys_make_these_screens() {
    let desk = Desk::new();
    for (name, keys, size) in SCREENS {
        insta::assert_snapshot!(name, desk.screen(keys, size));
    }
}

#[test]
fn in_ascii_and_without_colour_the_same_is_said() {
    let desk = Desk::new();
    for keys in ["1", "2", "3", "4", "1L", "2?"] {
        let mut options = desk.options();
        options.theme = Theme {
            colours: Colours::None,
            glyphs: Glyphs::Ascii,
        };
        let mut session = desk.open_with(options);
        press(&mut session, keys);
        let screen = session.picture(160, 48);
        let typed = picture::text(&screen);
        let beyond = typed.chars().find(|c| !c.is_ascii());
        assert_eq!(beyond, None, "{keys}:\n{typed}");
        let plain = ratatui::style::Color::Reset;
        assert!(
            screen
                .content
                .iter()
                .all(|cell| cell.fg == plain && cell.bg == plain),
            "{keys}"
        );
    }
}

#[test]
fn no_size_breaks_a_screen() {
    let desk = Desk::new();
    let mut session = desk.open();
    for keys in [
        "1", "t", "<Esc>2", "o", "3", "o", "4", "f", "?", "<Esc>:", "<Esc>1L",
    ] {
        press(&mut session, keys);
        for width in [1, 20, 39, 40, 41, 60, 79, 80, 110, 200] {
            for height in [1, 5, 9, 10, 11, 15, 24, 60] {
                session.picture(width, height);
            }
        }
    }
}

#[test]
fn an_axis_is_added_and_saved_and_comments_stay() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "1aweight_decay<Enter>0, 0.1<Enter>");
    let before = fs::read_to_string(desk.file()).unwrap();
    assert!(
        !before.contains("weight_decay"),
        "nothing is written before it is saved"
    );
    press(&mut session, "w");
    let after = fs::read_to_string(desk.file()).unwrap();
    assert!(
        after.contains("\"optim.weight_decay\" = [0, 0.1]"),
        "{after}"
    );
    for line in before.lines() {
        assert!(after.contains(line), "{line} is gone:\n{after}");
    }
    let screen = desk.told(&mut session, LARGE);
    assert!(screen.contains("optim.weight_decay"), "{screen}");
    press(&mut session, "uw");
    assert_eq!(
        fs::read_to_string(desk.file()).unwrap(),
        before,
        "taken back to the byte"
    );
}

#[test]
fn a_shared_setting_becomes_an_axis_by_leaving_the_shared_ones() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "1abeta2<Enter>0.95, 0.999<Enter>w");
    let after = fs::read_to_string(desk.file()).unwrap();
    assert!(
        !after.contains("optim.beta2 = 0.999") && after.contains("\"optim.beta2\" = [0.95, 0.999]"),
        "{after}"
    );
    assert!(desk.told(&mut session, LARGE).contains("28 runs"));
}

#[test]
fn an_edit_from_outside_is_merged_and_a_contradiction_is_shown() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "1s<C-u>5<Enter>");
    let before = fs::read_to_string(desk.file()).unwrap();
    // Another line, by another hand.
    fs::write(
        desk.file(),
        before.replace("eval.images = 240", "eval.images = 120"),
    )
    .unwrap();
    session.turn().unwrap();
    press(&mut session, "w");
    let merged = fs::read_to_string(desk.file()).unwrap();
    assert!(
        merged.contains("eval.images = 120") && merged.contains("count = 5"),
        "{merged}"
    );
    // The same line, by both.
    press(&mut session, "s<C-u>7<Enter>");
    fs::write(desk.file(), merged.replace("count = 5", "count = 9")).unwrap();
    session.turn().unwrap();
    let screen = desk.told(&mut session, LARGE);
    assert!(screen.contains("which holds?"), "{screen}");
    press(&mut session, "<Enter>w");
    let ours = fs::read_to_string(desk.file()).unwrap();
    assert!(ours.contains("count = 7"), "{ours}");
    press(&mut session, "uw");
    let theirs = fs::read_to_string(desk.file()).unwrap();
    assert!(
        theirs.contains("count = 9"),
        "what did not hold is one step back: {theirs}"
    );
}

#[test]
fn a_cell_is_excluded_by_pointing_at_it_and_taken_back_in() {
    let desk = Desk::new();
    let before = fs::read_to_string(desk.file()).unwrap();
    let mut session = desk.open();
    press(&mut session, "1<Tab>jxw");
    let after = fs::read_to_string(desk.file()).unwrap();
    assert_eq!(
        after.matches("[[exclude]]").count(),
        before.matches("[[exclude]]").count() + 1,
        "{after}"
    );
    press(&mut session, "xw");
    assert_eq!(fs::read_to_string(desk.file()).unwrap(), before);
}

#[test]
fn the_view_is_the_same_when_it_is_opened_again() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "2/loss.kind=sigmoid<Enter>ss");
    let before = desk.told(&mut session, LARGE);
    session.keep();
    drop(session);
    let after = desk.told(&mut desk.open(), LARGE);
    let without_message = |screen: &str| {
        screen
            .lines()
            .take(46)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(without_message(&before), without_message(&after));
}

#[test]
fn a_draft_that_was_not_saved_comes_back() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "1s<C-u>9<Enter>");
    session.keep();
    drop(session);
    let mut again = desk.open();
    let screen = desk.told(&mut again, LARGE);
    assert!(screen.contains("[not saved]"), "{screen}");
    press(&mut again, "w");
    assert!(
        fs::read_to_string(desk.file())
            .unwrap()
            .contains("count = 9")
    );
}

#[test]
fn a_verb_names_its_runs_and_its_command() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "2/state=interrupted<Enter>gx");
    let asked = desk.told(&mut session, LARGE);
    assert!(
        asked.contains("Stop 1 run?") && asked.contains("$ siglab stop "),
        "{asked}"
    );
    press(&mut session, "y");
    let said = desk.told(&mut session, LARGE);
    assert!(
        said.contains("stop: 1 run") && said.contains("$ siglab stop "),
        "{said}"
    );
    assert!(said.contains("stopped on request"), "{said}");
}

#[test]
fn a_report_says_its_moment_and_its_baseline_and_effects_are_a_report() {
    let desk = Desk::new();
    let text = fs::read_to_string(desk.file()).unwrap();
    let (axes, _) = text.split_once("[[report]]").unwrap();
    let reports = r#"
        [[report]]
        rows = "optim.lr"
        columns = "loss.kind"
        metric = "zeroshot/top1"
        at = { examples = 4_000 }
        interval = "bootstrap"
        against = { "optim.lr" = 1e-2 }

        [[report]]
        kind = "effects"
        metric = "zeroshot/top1"
    "#;
    fs::write(desk.file(), format!("{axes}{reports}")).unwrap();
    let first = desk.screen("4", LARGE);
    for part in [
        "each run at its last evaluation within 4,000 examples seen",
        "for the bootstrap takes 5",
        "◆ 0.8 (1/2, 1 failed)",
        "too few seeds to tell",
    ] {
        assert!(first.contains(part), "{part} is not in\n{first}");
    }
    let second = desk.screen("4n", LARGE);
    for part in [
        "Effects on zeroshot/top1 in %",
        "no analysis of variance: the design leaves out 1 of the 8 cells",
        "siglab table",
        "--report 2",
    ] {
        assert!(second.contains(part), "{part} is not in\n{second}");
    }
    // What is shown is what is drawn, by its number in the file.
    let mut session = desk.open();
    let path = desk.tmp.path().join("effects.svg");
    press(&mut session, "4nX<C-u>");
    press(&mut session, &path.to_str().unwrap().replace('<', "<lt>"));
    press(&mut session, "<Enter>");
    let said = desk.told(&mut session, LARGE);
    let (_, command) = said.split_once("$ siglab plot ").expect(&said);
    assert!(command.contains(" --report 2 -o "), "{said}");
    let svg = fs::read_to_string(&path).unwrap();
    assert!(svg.contains("effects"), "{svg:.600}");
}

#[test]
fn what_is_exported_is_what_the_command_prints() {
    let desk = Desk::new();
    let mut session = desk.open();
    let path = desk.tmp.path().join("answer.md");
    press(&mut session, "4xmd<Enter><C-u>");
    press(&mut session, &path.to_str().unwrap().replace('<', "<lt>"));
    press(&mut session, "<Enter>");
    let written = fs::read_to_string(&path).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_siglab"));
    command.arg("--workspace").arg(desk.tmp.path().join("runs"));
    let output = command
        .arg("table")
        .arg(desk.file())
        .args(["--report", "1", "--format", "md"])
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        !written.is_empty() && printed == written,
        "{written}\nis not\n{printed}"
    );
}

#[test]
fn what_is_drawn_is_what_the_command_draws() {
    let desk = Desk::new();
    let mut session = desk.open();
    for (keys, name) in [("4X", "table.svg"), ("f4X", "effects.png")] {
        let path = desk.tmp.path().join(name);
        press(&mut session, &format!("{keys}<C-u>"));
        press(&mut session, &path.to_str().unwrap().replace('<', "<lt>"));
        press(&mut session, "<Enter>");
        let said = desk.told(&mut session, LARGE);
        let (_, command) = said.split_once("$ siglab plot ").expect(&said);
        let flags = command.split_whitespace().skip(1);
        let flags: Vec<&str> = flags.take_while(|word| *word != "-o").collect();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_siglab"))
            .arg("--workspace")
            .arg(desk.tmp.path().join("runs"))
            .arg("plot")
            .arg(desk.file())
            .args(&flags)
            .args(["-o", "-", "--format"])
            .arg(path.extension().unwrap())
            .output()
            .unwrap();
        let drawn = fs::read(&path).unwrap();
        assert!(
            !drawn.is_empty() && drawn == output.stdout,
            "{name}: {flags:?} {said}"
        );
    }
}

#[test]
fn curves_over_seeds_follow_the_rows_that_come() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "3b");
    let ids: Vec<RunId> = session
        .world
        .store()
        .runs()
        .map(|run| run.id().clone())
        .collect();
    assert_eq!(ids.len(), 10);
    for id in ids {
        let before = desk.told(&mut session, LARGE);
        assert_eq!(before, desk.told(&mut session, LARGE), "{id}");
        let log = desk.tmp.path().join(format!("runs/{id}/metrics.jsonl"));
        let rows = fs::read_to_string(&log).unwrap();
        let last: serde_json::Value = serde_json::from_str(rows.lines().last().unwrap()).unwrap();
        let mut more = String::new();
        for n in 1..20 {
            let mut row = last.clone();
            row["step"] = (last["step"].as_u64().unwrap() + n).into();
            row["examples"] = (last["examples"].as_u64().unwrap() + n * 16).into();
            row["loss"] = (5e4 * n as f64).into();
            more += &format!("{row}\n");
        }
        fs::write(&log, rows + &more).unwrap();
        session.read_all().unwrap();
        let after = desk.told(&mut session, LARGE);
        assert_ne!(before, after, "{id}");
        let mut afresh = desk.open();
        press(&mut afresh, "3b");
        assert_eq!(after, desk.told(&mut afresh, LARGE), "{id}");
    }
}

#[test]
fn curves_are_of_the_experiment_as_it_is_now() {
    let desk = Desk::new();
    let mut session = desk.open();
    press(&mut session, "3");
    let both_seeds = desk.told(&mut session, LARGE);
    press(&mut session, "1s<C-u>1<Enter>3");
    let one_seed = desk.told(&mut session, LARGE);
    assert_ne!(both_seeds, one_seed);
    assert_eq!(one_seed, desk.screen("1s<C-u>1<Enter>3", LARGE));
}

#[test]
fn hostile_text_in_a_run_cannot_drive_the_terminal() {
    let desk = Desk::new();
    let runs = desk.tmp.path().join("runs");
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let hostile = "\\u001b]0;owned\\u0007\\u009b31m\\u202eevil";
    let event = format!(
        r#"{{"seq":900,"attempt":9,"at":0,"event":{{"kind":"finished","step":1,"examples":1,"outcome":{{"kind":"failed","reason":"{hostile}"}}}}}}"#
    );
    let log = fs::read_to_string(run.join("events.jsonl")).unwrap() + &event + "\n";
    fs::write(run.join("events.jsonl"), log).unwrap();
    fs::write(run.join("worker.log"), "\x1b[2J\x1b]52;c;aGk=\x07 gone\n").unwrap();
    let mut session = desk.open();
    press(&mut session, "2o");
    for keys in ["", "3", "4", "1"] {
        press(&mut session, keys);
        let screen = session.picture(200, 60);
        let cells = screen.content.iter().flat_map(|cell| cell.symbol().chars());
        let bad: Vec<char> = cells
            .filter(|c| c.is_control() || ('\u{202a}'..='\u{202e}').contains(c))
            .collect();
        assert!(bad.is_empty(), "{bad:?}");
    }
}

#[test]
fn a_full_disk_is_told_on_every_screen_for_as_long_as_it_is_full() {
    let desk = Desk::new();
    let runs = desk.tmp.path().join("runs");
    let run = fs::read_dir(&runs).unwrap().next().unwrap().unwrap().path();
    let dir = RunDir::new(run);
    // Another attempt that is at work.
    let started = r#"{"seq":900,"attempt":9,"at":0,"event":{"kind":"started","siglab":"0","host":"h","pid":1,"devices":["cpu"],"threads":1,"total_steps":9,"total_examples":90}}"#;
    let log = fs::read_to_string(dir.events()).unwrap() + started + "\n";
    fs::write(dir.events(), log).unwrap();
    let lock = |path: PathBuf| FileLock::acquire(&path, Duration::from_secs(2)).unwrap();
    let _lock = lock(dir.lock());
    let mut session = desk.open();
    let full = "the disk is full: ";
    assert!(!desk.told(&mut session, LARGE).contains(full));
    let waiting = lock(dir.waiting());
    session.read_all().unwrap();
    for keys in ["1", "2", "3", "4"] {
        press(&mut session, keys);
        let screen = desk.told(&mut session, LARGE);
        assert!(screen.contains(full), "{screen}");
        assert!(screen.contains("1 run waits"), "{screen}");
        assert!(desk.told(&mut session, SMALL).contains(full));
    }
    drop(waiting);
    session.read_all().unwrap();
    assert!(!desk.told(&mut session, LARGE).contains(full));
}
