//! What a live screen asks of the store: a long run read in, a workspace of 1,500 runs listed, and the same workspace
//! looked at again when nothing happens. It makes its own workspaces in a temporary directory.
//!
//! `cargo bench --bench ingest`

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use siglab::record::{Lease, Process, RunDir};
use siglab::spec::RunSpec;
use siglab::store::{RunState, Store};
use siglab::train::TrainConfig;

/// Runs of the workspace, and rows and metrics of each.
const RUNS: u64 = 1_500;
const SHAPE: (u64, usize) = (500, 16);

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = long_run, workspace
}
criterion_main!(benches);

/// Rows of 20 metrics read by one core, up to a million points.
fn long_run(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("read");
    for rows in [5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 400_000] {
        let tmp = tempfile::tempdir().unwrap();
        let dir = make_run(tmp.path(), 0);
        write_rows(&dir, rows, 20);
        let points = 20 * rows;
        let store = Store::open(tmp.path()).unwrap();
        let series = &store.runs().next().unwrap().series;
        assert_eq!(series.len() as u64, rows);
        eprintln!(
            "{rows} rows, {points} points: {:.1} MB on disk, {:.1} bytes a point in memory",
            fs::metadata(dir.metrics()).unwrap().len() as f64 / 1e6,
            series.bytes() as f64 / points as f64,
        );
        group.throughput(Throughput::Elements(points));
        group.bench_function(BenchmarkId::new("points", points), |bencher| {
            bencher.iter_with_large_drop(|| Store::open(tmp.path()).unwrap());
        });
    }
    group.finish();
}

/// 1,500 runs that are complete.
fn workspace(criterion: &mut Criterion) {
    let tmp = tempfile::tempdir().unwrap();
    let rows = make_run(tmp.path(), RUNS);
    write_rows(&rows, SHAPE.0, SHAPE.1);
    for seed in 0..RUNS {
        let dir = make_run(tmp.path(), seed);
        fs::hard_link(rows.metrics(), dir.metrics()).unwrap();
    }
    fs::remove_dir_all(rows.path()).unwrap();

    let mut group = criterion.benchmark_group("workspace of 1500 runs");
    group.bench_function("first frame: every run and its state", |bencher| {
        bencher.iter_with_large_drop(|| {
            let mut store = Store::begin(tmp.path()).unwrap();
            while store.runs().count() < RUNS as usize {
                store.refresh_within(Duration::ZERO).unwrap();
            }
            store
        });
    });
    let store = Store::open(tmp.path()).unwrap();
    assert!(store.runs().all(|run| run.state == RunState::Completed));
    group.bench_function("everything", |bencher| {
        bencher.iter_with_large_drop(|| Store::open(tmp.path()).unwrap());
    });
    let mut store = store;
    // The listing is trusted once the clock of the file system has surely moved on.
    let settled = Instant::now() + Duration::from_secs(3);
    while Instant::now() < settled {
        std::thread::sleep(Duration::from_millis(500));
        store.refresh().unwrap();
    }
    group.bench_function("one refresh when all is over", |bencher| {
        bencher.iter(|| assert!(black_box(store.refresh().unwrap()).is_empty()));
    });
    for run in fs::read_dir(tmp.path()).unwrap() {
        let dir = RunDir::new(run.unwrap().path());
        for file in [dir.events(), dir.metrics(), dir.lease()] {
            fs::remove_file(file).unwrap();
        }
    }
    let mut store = Store::open(tmp.path()).unwrap();
    group.bench_function("one refresh when all is new", |bencher| {
        bencher.iter_batched(
            || (),
            |()| store.refresh().unwrap(),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// A run that is complete, without its rows.
fn make_run(root: &Path, seed: u64) -> RunDir {
    let spec = RunSpec::new(TrainConfig {
        seed,
        ..TrainConfig::default()
    });
    let dir = RunDir::new(root.join(spec.id.as_str()));
    // Not `RunSpec::write`, which waits for the disk.
    fs::create_dir(dir.path()).unwrap();
    fs::write(dir.spec(), serde_json::to_vec_pretty(&spec).unwrap()).unwrap();
    let me = Process::with_pid(std::process::id()).unwrap().unwrap();
    let lease = Lease {
        ended: Some("exit status 0".into()),
        ..Lease::new("local", me, vec!["cpu".into()])
    };
    fs::write(dir.lease(), serde_json::to_vec_pretty(&lease).unwrap()).unwrap();
    let mut events = vec![
        r#"{"kind":"started","siglab":"0.1.0","host":"node","pid":4711,"devices":["cpu"],"threads":1,"total_steps":500,"total_examples":32000}"#.to_owned(),
        r#"{"kind":"resumed","step":0,"examples":0}"#.to_owned(),
    ];
    for step in [100, 200, 300, 400, 500] {
        events.push(format!(
            r#"{{"kind":"evaluated","step":{step},"examples":{},"metrics":{{"zeroshot/loss":2.718281828459045,"zeroshot/top1":0.31415926535,"zeroshot/top5":0.7182818284}}}}"#,
            64 * step
        ));
    }
    events.push(
        r#"{"kind":"finished","step":500,"examples":32000,"outcome":{"kind":"completed"}}"#.into(),
    );
    let lines = events.iter().enumerate().map(|(seq, event)| {
        let at = 1_790_000_000_000 + 60_000 * seq;
        format!("{{\"seq\":{seq},\"attempt\":1,\"at\":{at},\"event\":{event}}}\n")
    });
    fs::write(dir.events(), lines.collect::<String>()).unwrap();
    dir
}

/// Numbers with the digits that training gives them.
fn write_rows(dir: &RunDir, rows: u64, metrics: usize) {
    let mut file = BufWriter::new(fs::File::create(dir.metrics()).unwrap());
    let mut line = String::new();
    for step in 1..=rows {
        line.clear();
        let seconds = step as f64 * 0.0123456789;
        write!(
            line,
            r#"{{"attempt":1,"step":{step},"examples":{},"seconds":{seconds}"#,
            64 * step
        )
        .unwrap();
        for metric in 0..metrics {
            let value = (step as f64 * 0.37 + metric as f64).sin() / (1.0 + metric as f64);
            write!(line, r#","group_{metric:02}/mean":{value}"#).unwrap();
        }
        line.push_str("}\n");
        file.write_all(line.as_bytes()).unwrap();
    }
    file.flush().unwrap();
}
