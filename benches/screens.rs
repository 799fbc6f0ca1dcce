//! How long a person waits: for the first picture of a large workspace, for a key on a full list, for a keystroke in a
//! grid. `cargo bench --bench screens`; the workspaces are made here, in a temporary directory.

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use siglab::record::{Event, EventLog, MetricLog, Outcome, Row, RunDir};
use siglab::spec::{Experiment, RunSpec};
use siglab::tui::key::Key;
use siglab::tui::theme::{Colours, Theme};
use siglab::tui::widget::chart::Glyphs;
use siglab::tui::{Options, Preferences, Session};

/// Runs that are over, each with `rows` rows of sixteen metrics.
fn workspace(root: &Path, runs: u64, rows: u64) {
    let names: Vec<String> = (0..16)
        .map(|n| {
            if n == 0 {
                "loss".into()
            } else {
                format!("metric_{n}")
            }
        })
        .collect();
    let text = format!(
        "[axes]\n\"loss.kind\" = [\"sigmoid\", \"softmax\"]\n[seeds]\ncount = {}\n",
        runs.div_ceil(2)
    );
    let experiment = Experiment::parse(Path::new("grid.toml"), &text, &[]).unwrap();
    let specs: Vec<RunSpec> = experiment
        .expand()
        .unwrap()
        .runs()
        .into_iter()
        .take(runs as usize)
        .cloned()
        .collect();
    for spec in &specs {
        let dir = RunDir::new(root.join("runs").join(spec.id.as_str()));
        spec.write(&dir).unwrap();
        let mut events = EventLog::open(&dir).unwrap();
        let examples = spec.config.train.examples;
        let told = [
            Event::Started {
                siglab: "0".into(),
                host: "host".into(),
                pid: 1,
                devices: vec!["cpu".into()],
                threads: 1,
                total_steps: rows,
                total_examples: examples,
                files: Default::default(),
                provenance: Default::default(),
            },
            Event::Resumed {
                step: 0,
                examples: 0,
            },
            Event::Evaluated {
                step: rows,
                examples,
                metrics: [("zeroshot/top1".to_owned(), 0.5)].into(),
            },
            Event::Finished {
                step: rows,
                examples,
                outcome: Outcome::Completed,
            },
        ];
        told.into_iter()
            .for_each(|event| events.append(event).unwrap());
        let mut metrics = MetricLog::open(&dir).unwrap();
        for step in 1..=rows {
            let value =
                |n: usize| 3.0 / (step as f64).sqrt() + (step as f64 * (n + 1) as f64).sin() * 0.1;
            let values = names
                .iter()
                .enumerate()
                .map(|(n, name)| (name.clone(), value(n)))
                .collect();
            let row = Row {
                attempt: 1,
                step,
                examples: examples * step / rows,
                seconds: step as f64 * 0.1,
                values,
            };
            metrics.append(&row).unwrap();
        }
    }
    fs::write(root.join("grid.toml"), text).unwrap();
}

fn open(root: &Path) -> Session<fn()> {
    let options = Options {
        workspace: root.join("runs"),
        file: Some(root.join("grid.toml")),
        sets: Vec::new(),
        view: Some(siglab::tui::action::View::Runs),
        runs: Vec::new(),
        devices: vec!["cpu".into()],
        jobs: None,
        theme: Theme {
            colours: Colours::Sixteen,
            glyphs: Glyphs::Braille,
        },
        preferences: Preferences::default(),
        memory: None,
    };
    Session::open(options, (|| ()) as fn()).unwrap()
}

fn percentile(times: &mut [Duration], part: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * part) as usize]
}

fn screens(criterion: &mut Criterion) {
    let tmp = tempfile::tempdir().unwrap();
    workspace(tmp.path(), 1_500, 500);

    // The first picture, and the first that lists every run: from nothing, as a person waits for it.
    let (mut first, mut listed) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let began = Instant::now();
        let mut session = open(tmp.path());
        session.turn().unwrap();
        black_box(session.picture(200, 50));
        first.push(began.elapsed());
        while session.world.store().runs().count() < 1_500 {
            session.turn().unwrap();
        }
        black_box(session.picture(200, 50));
        listed.push(began.elapsed());
    }
    println!(
        "first picture, 1,500 runs: median {:?}, max {:?}",
        percentile(&mut first, 0.5),
        percentile(&mut first, 1.0)
    );
    println!(
        "all 1,500 runs listed: median {:?}, max {:?}",
        percentile(&mut listed, 0.5),
        percentile(&mut listed, 1.0)
    );

    let mut session = open(tmp.path());
    session.read_all().unwrap();
    let keys = |text: &str| Key::parse_all(text).unwrap();
    let (down, sort) = (keys("j"), keys("s"));
    criterion.bench_function("runs: a key and the picture, 1,500 runs", |b| {
        b.iter(|| {
            session.press(&down).unwrap();
            black_box(session.picture(200, 50));
        });
    });
    criterion.bench_function("runs: another order and the picture, 1,500 runs", |b| {
        b.iter(|| {
            session.press(&sort).unwrap();
            black_box(session.picture(200, 50));
        });
    });
    session.press(&keys("1abeta2<Enter>")).unwrap();
    let digits = keys("1<Backspace>");
    criterion.bench_function("design: two keystrokes of a value, 1,500 runs", |b| {
        b.iter(|| {
            session.press(&digits).unwrap();
            black_box(session.picture(200, 50));
        });
    });
}

criterion_group!(benches, screens);
criterion_main!(benches);
