//! Large workspaces and many workers under the screens. `cargo test` goes through the motions with little; the limits
//! are held to by `cargo test --release --test terminal loads -- --ignored --nocapture --test-threads 1` on a machine with
//! nothing else to do: 10,000 runs, 64 workers with 100 rows a second each for ten minutes, an hour of comings and goings.
//! `SIGLAB_LOAD_SECONDS` shortens the last two.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use siglab::record::RunDir;
use siglab::spec::{Experiment, RunSpec};
use siglab::store::{Run, Store};
use siglab::tui::action::View;
use siglab::tui::key::Key;
use siglab::tui::theme::{Colours, Theme};
use siglab::tui::widget::chart::Glyphs;
use siglab::tui::{Options, Preferences, Session};

use super::pty::Pty;

const METRICS: usize = 6;

/// The experiment that all runs are of, and its runs.
fn grid(root: &Path, runs: usize) -> Vec<RunSpec> {
    let text = format!(
        "[axes]\n\"loss.kind\" = [\"sigmoid\", \"softmax\"]\n[seeds]\ncount = {}\n",
        runs.div_ceil(2)
    );
    // Once: the screens may be reading it.
    if !root.join("grid.toml").exists() {
        fs::write(root.join("grid.toml"), &text).unwrap();
    }
    let experiment = Experiment::parse(Path::new("grid.toml"), &text, &[]).unwrap();
    let specs = experiment.expand().unwrap();
    specs.runs().into_iter().take(runs).cloned().collect()
}

/// A run that has begun. What stands there does not wait for the disk.
fn begin(root: &Path, spec: &RunSpec) -> RunDir {
    let dir = RunDir::new(root.join("runs").join(spec.id.as_str()));
    fs::create_dir_all(dir.path()).unwrap();
    fs::write(dir.spec(), serde_json::to_vec(spec).unwrap()).unwrap();
    let events = [
        json!({"kind": "started", "siglab": "0", "host": "host", "pid": 1, "devices": ["cpu"], "threads": 1, "total_steps": 100_000, "total_examples": 6_400_000}),
        json!({"kind": "resumed", "step": 0, "examples": 0}),
    ];
    for (seq, event) in events.into_iter().enumerate() {
        tell(&dir, seq, &event);
    }
    dir
}

fn tell(dir: &RunDir, seq: usize, event: &serde_json::Value) {
    let line = json!({"seq": seq, "attempt": 1, "at": 0, "event": event});
    writeln!(append(&dir.events()), "{line}").unwrap();
}

fn append(path: &Path) -> File {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .unwrap()
}

fn row(step: u64) -> String {
    let mut row = format!(
        "{{\"attempt\":1,\"step\":{step},\"examples\":{},\"seconds\":{}",
        64 * step,
        step as f64 / 10.0
    );
    for n in 0..METRICS {
        let name = if n == 0 {
            "loss".into()
        } else {
            format!("metric_{n}")
        };
        row += &format!(
            ",\"{name}\":{}",
            3.0 / (step as f64).sqrt() + (step as f64 * (n + 1) as f64).sin() * 0.1
        );
    }
    row + "}\n"
}

fn options(root: &Path) -> Options {
    Options {
        workspace: root.join("runs"),
        file: Some(root.join("grid.toml")),
        sets: Vec::new(),
        view: Some(View::Runs),
        runs: Vec::new(),
        devices: vec!["cpu".into()],
        jobs: None,
        theme: Theme {
            colours: Colours::Sixteen,
            glyphs: Glyphs::Braille,
        },
        preferences: Preferences::default(),
        memory: None,
    }
}

fn siglab(root: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command
        .current_dir(root)
        .env("HOME", root)
        .env("XDG_STATE_HOME", root.join("state"))
        .env("XDG_CONFIG_HOME", root.join("config"))
        .arg("grid.toml");
    command
}

/// What a process holds and has used, from `/proc`.
#[derive(Clone, Copy, Debug)]
struct Usage {
    rss: usize,
    cpu: Duration,
    fds: usize,
}

fn usage(pid: u32) -> Usage {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let rss: usize = rss.trim().trim_end_matches(" kB").parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = [11, 12]
        .map(|n| fields[n].parse::<u64>().unwrap())
        .iter()
        .sum();
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    Usage {
        rss: rss << 10,
        cpu: Duration::from_millis(10 * ticks),
        fds,
    }
}

/// Children of a process that have ended and that nobody has asked after.
fn zombies(of: u32) -> usize {
    let stats = fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let is = |stat: &String| {
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with(&format!("Z {of} ")))
    };
    stats.filter(is).count()
}

fn seconds(otherwise: u64) -> Duration {
    let said = std::env::var("SIGLAB_LOAD_SECONDS")
        .ok()
        .and_then(|text| text.parse().ok());
    Duration::from_secs(said.unwrap_or(otherwise))
}

/// What a person waits for, and what of it is this thread's own work: the rest is the machine's other business.
#[derive(Clone, Copy, Debug, Default)]
struct Waited {
    wall: Duration,
    own: Duration,
}

/// Runs until it is taken.
struct Watch {
    began: Instant,
    own: Duration,
}

impl Watch {
    fn start() -> Self {
        Self {
            began: Instant::now(),
            own: own_time(),
        }
    }

    fn take(&self) -> Waited {
        Waited {
            wall: self.began.elapsed(),
            own: own_time() - self.own,
        }
    }
}

/// Processor time of this thread.
fn own_time() -> Duration {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
}

/// What 99 of 100 stay within.
fn p99(waited: &[Waited]) -> Waited {
    let of = |part: fn(&Waited) -> Duration| {
        let mut times: Vec<Duration> = waited.iter().map(part).collect();
        times.sort_unstable();
        times[(times.len() - 1) * 99 / 100]
    };
    Waited {
        wall: of(|waited| waited.wall),
        own: of(|waited| waited.own),
    }
}

#[derive(Debug)]
struct Opened {
    first: Waited,
    listed: Waited,
    /// A key and the picture while the rows are read, and after.
    busy: Waited,
    calm: Waited,
    rss: usize,
}

fn large_workspace(runs: usize) -> Opened {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    let rows: String = (1..=50).map(row).collect();
    for spec in grid(root, runs) {
        let dir = begin(root, &spec);
        fs::write(dir.metrics(), &rows).unwrap();
        let metrics = json!({"zeroshot/top1": 0.5});
        let evaluated =
            json!({"kind": "evaluated", "step": 50, "examples": 3200, "metrics": metrics});
        tell(&dir, 2, &evaluated);
        let outcome = json!({"kind": "completed"});
        let finished =
            json!({"kind": "finished", "step": 50, "examples": 3200, "outcome": outcome});
        tell(&dir, 3, &finished);
    }
    let watch = Watch::start();
    let mut session = Session::open(options(root), || ()).unwrap();
    session.turn().unwrap();
    session.picture(200, 50);
    let first = watch.take();
    while session.world.store().runs().count() < runs {
        session.turn().unwrap();
    }
    session.picture(200, 50);
    let listed = watch.take();
    let down = Key::parse_all("j").unwrap();
    let press = |session: &mut Session<_>| {
        let watch = Watch::start();
        session.press(&down).unwrap();
        session.picture(200, 50);
        watch.take()
    };
    let mut busy = Vec::new();
    loop {
        busy.push(press(&mut session));
        let reading = session.world.store().reading();
        if reading.read == runs && reading.of == runs {
            break;
        }
    }
    session.read_all().unwrap();
    let calm: Vec<Waited> = (0..500).map(|_| press(&mut session)).collect();
    let whole = |run: &Run| run.series.len() == 50 && run.state.is_over();
    assert!(session.world.store().runs().all(whole));
    drop(session);

    let mut pty = Pty::start(siglab(root), 200, 50);
    pty.await_text("1 Design");
    pty.type_("2");
    pty.await_text(&format!("{runs} runs"));
    // Long enough to read all rows.
    pty.read_for(Duration::from_secs(3));
    let rss = usage(pty.child.id()).rss;
    Opened {
        first,
        listed,
        busy: p99(&busy),
        calm: p99(&calm),
        rss,
    }
}

#[test]
fn a_workspace_of_some_hundred_runs_is_listed_and_read() {
    let opened = large_workspace(300);
    assert!(opened.first.wall <= opened.listed.wall);
    assert!(opened.rss <= 200 << 20, "{opened:?}");
}

#[test]
#[ignore = "a quiet machine, a minute"]
fn ten_thousand_runs_open_within_a_second() {
    let opened = large_workspace(10_000);
    println!("10,000 runs: {opened:?}");
    assert!(opened.listed.wall <= Duration::from_secs(1), "{opened:?}");
    for waited in [opened.busy, opened.calm] {
        assert!(waited.wall <= Duration::from_millis(16), "{opened:?}");
    }
    assert!(opened.rss <= 200 << 20, "{opened:?}");
}

/// Not a test of its own: what plays the workers, in a process whose time is not the screens'.
#[test]
#[ignore = "plays the workers of other tests"]
fn guest_that_plays_workers() {
    let Ok(root) = std::env::var("ROOT") else {
        return;
    };
    let said = |name: &str| std::env::var(name).unwrap();
    let runs = said("RUNS").parse::<usize>().unwrap();
    let (a_second, rewinds) = (said("ROWS").parse::<u64>().unwrap(), said("REWINDS") == "1");
    let lasts = Duration::from_secs(said("SECONDS").parse().unwrap());
    let specs = grid(Path::new(&root), runs);
    let dirs: Vec<RunDir> = specs
        .iter()
        .map(|spec| RunDir::new(Path::new(&root).join("runs").join(spec.id.as_str())))
        .collect();
    let mut logs: Vec<File> = dirs.iter().map(|dir| append(&dir.metrics())).collect();
    let (began, mut seq) = (Instant::now(), 2);
    for beat in 0..lasts.as_secs() * a_second {
        let due = Duration::from_secs_f64(beat as f64 / a_second as f64);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let step = if rewinds { beat % 500 } else { beat } + 1;
        if rewinds && step == 1 && beat > 0 {
            // An attempt that begins anew makes void what was there, and one run goes and comes back.
            for dir in &dirs[1..] {
                tell(
                    dir,
                    seq,
                    &json!({"kind": "resumed", "step": 0, "examples": 0}),
                );
            }
            seq += 1;
            fs::remove_dir_all(dirs[0].path()).unwrap();
            begin(Path::new(&root), &specs[0]);
            logs[0] = append(&dirs[0].metrics());
        }
        let line = row(step);
        for log in &mut logs {
            log.write_all(line.as_bytes()).unwrap();
        }
    }
}

fn begin_all(root: &Path, runs: usize) {
    for spec in grid(root, runs) {
        begin(root, &spec);
    }
}

/// Write rows of runs that have begun.
fn play_workers(root: &Path, runs: usize, rows: u64, rewinds: bool, lasts: Duration) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "loads::guest_that_plays_workers", "--ignored"])
        .env("ROOT", root)
        .env("RUNS", runs.to_string())
        .env("ROWS", rows.to_string())
        .env("REWINDS", if rewinds { "1" } else { "0" })
        .env("SECONDS", lasts.as_secs().to_string())
        .stdout(Stdio::null());
    command.spawn().unwrap()
}

/// Rows that were written and stored, the share of a core that the screens took, and how often they were drawn.
#[derive(Debug)]
struct Watched {
    written: u64,
    stored: u64,
    core: f64,
    frames: f64,
}

fn watch_workers(runs: usize, rows: u64, lasts: Duration) -> Watched {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    begin_all(root, runs);
    let mut pty = Pty::start(siglab(root), 200, 50);
    pty.await_text("1 Design");
    pty.type_("3");
    let (began, before, drawn) = (Instant::now(), usage(pty.child.id()), frames(&pty.raw));
    let mut workers = play_workers(root, runs, rows, false, lasts);
    pty.await_text("loss");
    while workers.try_wait().unwrap().is_none() {
        pty.read_for(Duration::from_millis(100));
    }
    let (took, after) = (began.elapsed().as_secs_f64(), usage(pty.child.id()));
    let core = (after.cpu - before.cpu).as_secs_f64() / took;
    let frames = (frames(&pty.raw) - drawn) as f64 / took;
    // What a session sees while they write must be what stands there afterwards.
    let store = Store::open(&root.join("runs")).unwrap();
    let stored = store.runs().map(|run| run.series.len() as u64).sum();
    assert!(store.runs().all(|run| run.damaged == 0));
    Watched {
        written: runs as u64 * rows * lasts.as_secs(),
        stored,
        core,
        frames,
    }
}

/// Pictures begin with the word that holds the terminal's own drawing back.
fn frames(raw: &[u8]) -> usize {
    raw.windows(8)
        .filter(|part| *part == b"\x1b[?2026h")
        .count()
}

#[test]
fn rows_of_many_workers_are_all_stored_while_they_are_watched() {
    let watched = watch_workers(16, 50, Duration::from_secs(2));
    assert_eq!(watched.stored, watched.written, "{watched:?}");
    assert!(watched.frames > 0.0, "{watched:?}");
}

/// The same seen live, by the session that the screens are driven with.
#[test]
fn a_session_that_is_open_takes_in_every_row() {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    begin_all(root, 8);
    let mut workers = play_workers(root, 8, 100, false, Duration::from_secs(1));
    let mut session = Session::open(options(root), || ()).unwrap();
    while workers.try_wait().unwrap().is_none() {
        session.turn().unwrap();
        session.picture(120, 40);
    }
    session.read_all().unwrap();
    let runs: Vec<usize> = session
        .world
        .store()
        .runs()
        .map(|run| run.series.len())
        .collect();
    assert_eq!(runs, [100; 8]);
}

#[test]
#[ignore = "a quiet machine, ten minutes"]
fn sixty_four_workers_with_a_hundred_rows_a_second_are_watched() {
    let watched = watch_workers(64, 100, seconds(600));
    println!("64 workers: {watched:?}");
    assert_eq!(watched.stored, watched.written, "{watched:?}");
    assert!(watched.core <= 0.25, "{watched:?}");
    assert!(watched.frames >= 20.0, "{watched:?}");
}

/// What it holds between two reads of a log, for which it opens files for a moment.
fn at_rest(pty: &mut Pty) -> Usage {
    let looks = (0..20).map(|_| {
        pty.read_for(Duration::from_millis(20));
        usage(pty.child.id())
    });
    looks.min_by_key(|usage| usage.fds).unwrap()
}

/// Workers that begin anew again and again under screens that are gone through: what the process holds must not grow.
fn soak(runs: usize, rows: u64, lasts: Duration) -> (Usage, Usage) {
    let tmp = tempfile::tempdir().unwrap();
    let root = tmp.path();
    begin_all(root, runs);
    let mut pty = Pty::start(siglab(root), 200, 50);
    pty.await_text("1 Design");
    let mut workers = play_workers(root, runs, rows, true, lasts);
    let (began, mut settled) = (Instant::now(), None);
    for key in ["2", "j", "3", "j", "4", "1", "?", "\x1b"]
        .into_iter()
        .cycle()
    {
        pty.type_(key);
        pty.read_for(Duration::from_millis(50));
        pty.raw.clear();
        // By then every series has had its full length, and every screen its first picture.
        if settled.is_none() && began.elapsed() >= lasts / 4 {
            settled = Some(at_rest(&mut pty));
        }
        if workers.try_wait().unwrap().is_some() {
            break;
        }
    }
    let after = at_rest(&mut pty);
    assert_eq!(zombies(pty.child.id()), 0);
    (settled.unwrap(), after)
}

#[test]
fn screens_over_workers_that_begin_anew_leave_nothing_open() {
    let (before, after) = soak(8, 200, Duration::from_secs(6));
    assert!(after.fds <= before.fds, "{before:?} {after:?}");
}

#[test]
#[ignore = "an hour"]
fn an_hour_of_comings_and_goings_leaks_nothing() {
    let (before, after) = soak(32, 20, seconds(3_600));
    println!("soak: {before:?}, then {after:?}");
    assert!(after.fds <= before.fds, "{before:?} {after:?}");
    assert!(
        after.rss as f64 <= 1.05 * before.rss as f64,
        "{before:?} {after:?}"
    );
}
