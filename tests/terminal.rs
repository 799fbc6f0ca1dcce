//! The screens on a real terminal: what is taken over is given back, whatever ends it, and nothing is written while
//! nothing happens. Below it, what drives no terminal and what holds under load.

#[path = "terminal/escapes.rs"]
mod escapes;
#[path = "terminal/hostile.rs"]
mod hostile;
#[path = "terminal/loads.rs"]
mod loads;
#[path = "support/pty.rs"]
mod pty;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pty::{PATIENCE, Pty};
use rustix::process::{Pid, Signal, kill_process};
use siglab::record::{Lease, Process, RunDir};

const GRID: &str = include_str!("support/tiny.toml");

/// siglab over an empty workspace in `dir`, with a home of its own.
fn siglab(dir: &Path, arguments: &[&str]) -> Command {
    let file = dir.join("grid.toml");
    if !file.exists() {
        fs::write(&file, GRID).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("XDG_STATE_HOME", dir.join("state"))
        .env("XDG_CONFIG_HOME", dir.join("config"))
        .arg("grid.toml")
        .args(arguments);
    command
}

fn open(dir: &Path, arguments: &[&str]) -> Pty {
    let mut pty = Pty::start(siglab(dir, arguments), 100, 30);
    pty.await_text("1 Design");
    pty.await_text("quit");
    pty
}

fn signal(pty: &Pty, signal: Signal) {
    kill_process(Pid::from_child(&pty.child), signal).unwrap();
}

/// The letter of a process's state in `/proc`.
fn state(pty: &Pty) -> char {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pty.child.id())).unwrap();
    stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
}

fn given_back(pty: &mut Pty) {
    let is_back = |pty: &Pty| {
        let screen = pty.screen.screen();
        let mouse = screen.mouse_protocol_mode() != vt100::MouseProtocolMode::None;
        pty.is_cooked() && !screen.alternate_screen() && !screen.hide_cursor() && !mouse
    };
    // The last that it wrote may be on its way.
    let deadline = Instant::now() + PATIENCE;
    while !is_back(pty) && Instant::now() < deadline {
        pty.read_for(Duration::from_millis(20));
    }
    assert!(pty.is_cooked(), "the terminal edits lines again");
    let screen = pty.screen.screen();
    assert!(!screen.alternate_screen() && !screen.hide_cursor());
    assert_eq!(screen.mouse_protocol_mode(), vt100::MouseProtocolMode::None);
}

#[test]
fn leaving_gives_the_terminal_back() {
    let tmp = tempfile::tempdir().unwrap();
    let mut pty = open(tmp.path(), &[]);
    assert!(!pty.is_cooked() && pty.screen.screen().alternate_screen());
    pty.type_("q");
    assert_eq!(pty.wait(), Some(0));
    given_back(&mut pty);
}

#[test]
fn a_signal_to_end_gives_the_terminal_back() {
    for end in [Signal::TERM, Signal::INT] {
        let tmp = tempfile::tempdir().unwrap();
        let mut pty = open(tmp.path(), &[]);
        signal(&pty, end);
        assert_eq!(pty.wait(), Some(143));
        given_back(&mut pty);
    }
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let tmp = tempfile::tempdir().unwrap();
    let mut pty = open(tmp.path(), &[]);
    pty.type_("2");
    pty.await_text("No runs yet");
    pty.hang_up();
    pty.wait();
    let kept = fs::read_dir(tmp.path().join("state/siglab"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    assert!(
        fs::read_to_string(kept)
            .unwrap()
            .contains("\"view\": \"runs\""),
        "the view is kept"
    );
}

#[test]
fn ctrl_z_goes_to_the_shell_and_comes_back() {
    let tmp = tempfile::tempdir().unwrap();
    let mut pty = open(tmp.path(), &[]);
    pty.type_("\x1a");
    let deadline = Instant::now() + PATIENCE;
    while state(&pty) != 'T' {
        assert!(Instant::now() < deadline, "it does not stop");
        pty.read_for(Duration::from_millis(20));
    }
    given_back(&mut pty);
    signal(&pty, Signal::CONT);
    pty.await_screen("the screen is back", |screen| screen.contains("1 Design"));
    assert!(!pty.is_cooked() && pty.screen.screen().alternate_screen());
    pty.type_("q");
    assert_eq!(pty.wait(), Some(0));
    given_back(&mut pty);
}

#[test]
fn a_closed_terminal_stops_no_run() {
    let tmp = tempfile::tempdir().unwrap();
    // Enough to be at it while the terminal goes away.
    fs::write(
        tmp.path().join("grid.toml"),
        GRID.replace("train.examples = 64", "train.examples = 40_000"),
    )
    .unwrap();
    let mut pty = open(tmp.path(), &[]);
    pty.type_("L");
    pty.await_text("Launch 2 runs?");
    pty.type_("y");
    pty.await_text("schedules in the background");
    pty.hang_up();
    pty.wait();
    let deadline = Instant::now() + 15 * PATIENCE;
    loop {
        let mut ls = Command::new(env!("CARGO_BIN_EXE_siglab"));
        let output = ls
            .current_dir(tmp.path())
            .args(["ls", "--where", "state=completed", "--json"])
            .output()
            .unwrap();
        if String::from_utf8(output.stdout).unwrap().lines().count() == 2 {
            return;
        }
        assert!(Instant::now() < deadline, "the runs do not complete");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn another_size_is_another_picture_and_a_tiny_one_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    let mut pty = open(tmp.path(), &[]);
    pty.resize(20, 5);
    pty.await_text("too small");
    pty.resize(120, 40);
    pty.await_screen("as wide as the terminal", |screen| {
        screen.contains("1 Design") && screen.lines().count() == 40
    });
}

#[test]
fn nothing_is_written_while_nothing_happens() {
    let tmp = tempfile::tempdir().unwrap();
    let mut pty = open(tmp.path(), &[]);
    pty.read_for(Duration::from_millis(500));
    assert_eq!(pty.read_for(Duration::from_millis(2_500)), 0);
}

#[test]
fn no_color_is_obeyed() {
    let tmp = tempfile::tempdir().unwrap();
    let mut command = siglab(tmp.path(), &[]);
    command.env("NO_COLOR", "1");
    let mut pty = Pty::start(command, 100, 30);
    pty.await_text("1 Design");
    pty.read_for(Duration::from_millis(300));
    let screen = pty.screen.screen();
    let coloured = (0..30)
        .flat_map(|row| (0..100).map(move |column| (row, column)))
        .find(|&(row, column)| {
            let cell = screen.cell(row, column).unwrap();
            cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
        });
    assert_eq!(coloured, None);
}

/// Not a test of its own: what [`a_panic_gives_the_terminal_back`] runs on a terminal.
#[test]
#[ignore = "panics by design, on the terminal of another test"]
fn guest_that_panics() {
    let Ok(place) = std::env::var("PANICS") else {
        return;
    };
    let (wake, _waker) = siglab::tui::terminal::wake_pipe().unwrap();
    let mut terminal = siglab::tui::terminal::Terminal::take(true, wake).unwrap();
    terminal
        .draw(|buffer| buffer.set_string(0, 0, "at work", ratatui::style::Style::new()))
        .unwrap();
    if place == "thread" {
        let _ = std::thread::spawn(|| panic!("a thread broke")).join();
        let woken = terminal
            .wait(Instant::now(), Instant::now() + PATIENCE)
            .unwrap();
        assert!(woken.is_none(), "the loop learns of it");
        std::process::exit(7);
    }
    panic!("the loop broke");
}

#[test]
fn a_panic_gives_the_terminal_back() {
    for in_thread in [false, true] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            "--exact",
            "guest_that_panics",
            "--ignored",
            "--nocapture",
            "--test-threads",
            "1",
        ]);
        command.env("PANICS", if in_thread { "thread" } else { "loop" });
        let mut pty = Pty::start(command, 100, 30);
        let code = pty.wait();
        assert_eq!(code, Some(if in_thread { 7 } else { 101 }));
        given_back(&mut pty);
        let words = if in_thread {
            "a thread broke"
        } else {
            "the loop broke"
        };
        // And the message is readable.
        pty.await_text(words);
    }
}

/// How the screens come to an end without anybody's wish.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Signal(Signal),
    /// The window is closed.
    Closed,
    /// The user's own wish, for comparison.
    Quit,
}

/// Two runs at work while the screens over them are opened and ended `times` times, at a moment that differs each time.
fn end_again_and_again(times: u32) {
    let blows = [
        Blow::Signal(Signal::INT),
        Blow::Signal(Signal::TERM),
        Blow::Signal(Signal::HUP),
        Blow::Closed,
        Blow::Quit,
    ];
    let tmp = tempfile::tempdir().unwrap();
    let endless = GRID.replace("train.examples = 64", "train.examples = 100_000_000");
    fs::write(tmp.path().join("grid.toml"), endless).unwrap();
    let mut pty = open(tmp.path(), &[]);
    pty.type_("L");
    pty.await_text("Launch 2 runs?");
    pty.type_("y");
    pty.await_text("schedules in the background");
    drop(pty);
    let workers = await_workers(tmp.path(), 2);
    for round in 0..times {
        let blow = blows[round as usize % blows.len()];
        let mut pty = open(tmp.path(), &["--view", "watch"]);
        // Keys that look and change nothing, one after another until the blow falls among them.
        for key in 0..round % 23 {
            pty.type_(["1", "2", "j", "3", "?", "\x1b", "4", "k"][key as usize % 8]);
            pty.read_for(Duration::from_millis(u64::from(round * 7 % 13)));
        }
        match blow {
            Blow::Signal(end) => signal(&pty, end),
            Blow::Closed => pty.hang_up(),
            // Away from whatever is open, first.
            Blow::Quit => {
                for key in ["\x1b", "\x1b", "q"] {
                    pty.type_(key);
                    pty.read_for(Duration::from_millis(100));
                }
            }
        }
        let code = pty.wait();
        match blow {
            // The terminal may be missed before the signal comes: an error, and no panic.
            Blow::Closed => assert!(matches!(code, Some(1 | 143)), "round {round}: {code:?}"),
            Blow::Quit => assert_eq!(code, Some(0), "round {round}"),
            Blow::Signal(_) => assert_eq!(code, Some(143), "round {round}: {blow:?}"),
        }
        if !matches!(blow, Blow::Closed) {
            given_back(&mut pty);
        }
        let still = await_workers(tmp.path(), 2);
        assert_eq!(still, workers, "round {round}: {blow:?} changed who works");
    }
    // What was asked for is done, though nobody looks.
    let stop = |verb: &str, runs: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
        let output = command
            .current_dir(tmp.path())
            .arg(verb)
            .args(runs)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let runs: Vec<String> = workers.iter().map(|(run, _)| run.clone()).collect();
    stop("stop", &runs);
    await_workers(tmp.path(), 0);
}

/// The runs that are worked on, with the process that does, once there are `count`.
fn await_workers(dir: &Path, count: usize) -> Vec<(String, Process)> {
    let deadline = Instant::now() + 3 * PATIENCE;
    loop {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir.join("runs"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let run = RunDir::new(entry.path());
            let lease = Lease::read(&run).ok().flatten();
            let now = lease.and_then(|lease| {
                Process::with_pid(lease.process.pid as u32)
                    .ok()?
                    .filter(|now| *now == lease.process)
            });
            let trains = fs::metadata(run.metrics()).is_ok_and(|metadata| metadata.len() > 0);
            if let Some(process) = now.filter(|_| trains) {
                found.push((entry.file_name().to_string_lossy().into_owned(), process));
            }
        }
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        if found.len() == count {
            return found;
        }
        assert!(
            Instant::now() < deadline,
            "{} at work, expected {count}",
            found.len()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn whatever_ends_the_screens_runs_go_on_and_the_terminal_is_given_back() {
    end_again_and_again(5);
}

#[test]
#[ignore = "half a minute"]
fn fifty_ends_of_the_screens_stop_no_run() {
    end_again_and_again(50);
}

#[test]
#[ignore = "half a minute"]
fn fifty_panics_give_the_terminal_back() {
    for _ in 0..25 {
        a_panic_gives_the_terminal_back();
    }
}

#[test]
fn without_a_terminal_there_is_a_table_and_an_end() {
    let tmp = tempfile::tempdir().unwrap();
    let output = siglab(tmp.path(), &[]).output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("missing (0/1)") && !text.contains('\x1b'),
        "{text}"
    );
}
