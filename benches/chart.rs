//! What a frame of charts costs: all of it, after one new row a run, and one line of a million points. The frames are
//! timed one by one before criterion starts, because a budget is about the slow ones and criterion tells the mean.

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use siglab::analysis::band;
use siglab::store::{Along, Position, Series};
use siglab::tui::widget::chart::{
    Chart, ChartCache, Data, Glyphs, Line, Scale, Stroke, Vertical, View, grid,
};

const RUNS: usize = 10;
const METRICS: [&str; 20] = [
    "loss",
    "grad_norm",
    "lr",
    "bias",
    "log_t",
    "speed",
    "m6",
    "m7",
    "m8",
    "m9",
    "m10",
    "m11",
    "m12",
    "m13",
    "m14",
    "m15",
    "m16",
    "m17",
    "m18",
    "m19",
];
const CHARTS: usize = 6;
const POINTS: u64 = 100_000;
const SCREEN: Rect = Rect::new(0, 0, 200, 50);
const FRAMES: usize = 200;

/// Noise without a generator: a hash of the row.
fn noise(seed: u64) -> f64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z >> 11) as f64 / (1u64 << 53) as f64
}

fn value(run: u64, metric: u64, step: u64) -> f64 {
    let decay = (-(step as f64) / 30_000.0).exp();
    let noise = noise(step * 1_000 + run * 20 + metric);
    let spike = if noise > 0.9999 { 20.0 } else { 1.0 };
    match metric {
        0 => (0.5 + 5.0 * decay + 0.05 * run as f64 + 0.3 * noise) * spike,
        1 => (0.1 + noise) * spike,
        2 => 1e-3 * decay,
        3 => -10.0 + (1.0 - decay) * (run as f64 + noise),
        _ => decay + noise + metric as f64,
    }
}

fn push(series: &mut Series, run: u64, step: u64) {
    let at = Position {
        attempt: 1,
        step,
        examples: 256 * step,
        seconds: step as f64 / 50.0,
    };
    let values = METRICS
        .iter()
        .enumerate()
        .map(|(m, name)| (*name, value(run, m as u64, step)));
    series.push(at, values);
}

fn runs() -> Vec<Series> {
    let run = |run| {
        let mut series = Series::default();
        (0..POINTS).for_each(|step| push(&mut series, run, step));
        series
    };
    (0..RUNS as u64).map(run).collect()
}

/// Six panels in a stack over one x-axis, each with a line for each run.
fn draw(runs: &[Series], view: View, caches: &mut [ChartCache], buffer: &mut Buffer) {
    let lines: Vec<Vec<Line>> = METRICS[..CHARTS]
        .iter()
        .map(|name| lines(runs, name))
        .collect();
    let charts: Vec<Chart> = lines
        .iter()
        .enumerate()
        .map(|(i, lines)| Chart {
            title: METRICS[i],
            lines,
            view,
            along: Along::Examples,
            y: Vertical {
                scale: if i < 2 { Scale::Log } else { Scale::Linear },
                range: None,
            },
            latest: runs[0].latest(METRICS[i]),
            markers: &[],
            cursor: Some(view.x.0 + 0.3 * (view.x.1 - view.x.0)),
            glyphs: Glyphs::Braille,
            colour: true,
            x_axis: i + 1 == CHARTS,
        })
        .collect();
    let height = |i: usize| if i + 1 == CHARTS { 10 } else { 8 };
    let gutter = charts
        .iter()
        .zip(caches.iter_mut())
        .enumerate()
        .map(|(i, (chart, cache))| chart.gutter_needed(height(i), cache))
        .max()
        .unwrap();
    for (i, (chart, cache)) in charts.iter().zip(caches).enumerate() {
        let area = Rect::new(0, 8 * i as u16, SCREEN.width, height(i));
        chart.draw(area, gutter, cache, buffer);
    }
}

fn lines<'a>(runs: &'a [Series], name: &str) -> Vec<Line<'a>> {
    let line = |(i, series): (usize, &'a Series)| Line {
        data: Data::Raw {
            series,
            column: series.column(name).unwrap(),
        },
        stroke: Stroke {
            colour: Color::Blue,
            mark: Some((b'a' + i as u8) as char),
            dim: false,
        },
    };
    runs.iter().enumerate().map(line).collect()
}

fn whole(last: u64) -> View {
    View {
        x: (0.0, 256.0 * last as f64),
        scale: Scale::Linear,
    }
}

/// Everything anew: each frame looks at another part of the runs, from a cache of the one before.
fn cold(runs: &[Series], caches: &mut [ChartCache], buffer: &mut Buffer, frame: usize) {
    buffer.reset();
    let last = POINTS - (frame % 50) as u64 * 100;
    draw(runs, whole(last), caches, buffer);
}

/// A row of all metrics comes for each run. The view ends beyond the newest row, as where a run's budget is known.
fn live(runs: &mut [Series], caches: &mut [ChartCache], buffer: &mut Buffer) {
    buffer.reset();
    for (run, series) in runs.iter_mut().enumerate() {
        push(series, run as u64, series.steps().last().unwrap() + 1);
    }
    draw(runs, whole(POINTS * 3 / 2), caches, buffer);
}

fn million() -> Series {
    let mut series = Series::default();
    for step in 0..1_000_000 {
        let at = Position {
            attempt: 1,
            step,
            examples: 256 * step,
            seconds: step as f64 / 50.0,
        };
        series.push(at, [("loss", value(0, 0, step))]);
    }
    series
}

fn one_line(run: &Series, cache: &mut ChartCache, buffer: &mut Buffer) {
    buffer.reset();
    *cache = ChartCache::default();
    let lines = lines(std::slice::from_ref(run), "loss");
    let chart = Chart {
        title: "loss",
        lines: &lines,
        view: whole(1_000_000),
        along: Along::Examples,
        y: Vertical::default(),
        latest: None,
        markers: &[],
        cursor: None,
        glyphs: Glyphs::Braille,
        colour: true,
        x_axis: true,
    };
    let gutter = chart.gutter_needed(SCREEN.height, cache);
    chart.draw(SCREEN, gutter, cache, buffer);
}

/// Time that the scheduler gave to this thread, to a few milliseconds.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

fn report(name: &str, mut frame: impl FnMut(usize)) {
    (0..10).for_each(&mut frame);
    let before = processor_time();
    let mut times = Vec::new();
    for i in 0..FRAMES {
        let began = Instant::now();
        frame(i);
        times.push(began.elapsed());
    }
    let own = processor_time()
        .zip(before)
        .map(|(after, before)| (after - before) / FRAMES as u32);
    times.sort();
    let mean = times.iter().sum::<Duration>() / FRAMES as u32;
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "{name:<50} mean {:7.3}  median {:7.3}  p95 {:7.3}  max {:7.3}  of processor {:7.3} ms",
        ms(mean),
        ms(times[FRAMES / 2]),
        ms(times[FRAMES * 95 / 100]),
        ms(times[FRAMES - 1]),
        own.map_or(f64::NAN, ms),
    );
}

fn charts(criterion: &mut Criterion) {
    // `cargo test` runs this file too, once and without a wish for numbers.
    let measuring = std::env::args().any(|argument| argument == "--bench");
    let mut runs = runs();
    let mut caches = vec![ChartCache::default(); CHARTS];
    let mut buffer = Buffer::empty(SCREEN);
    let million = million();
    let mut cache = ChartCache::default();
    if measuring {
        println!("{FRAMES} frames at {}x{}", SCREEN.width, SCREEN.height);
        report("frame, 6 charts x 10 runs x 100k, new view", |i| {
            cold(&runs, &mut caches, &mut buffer, i)
        });
        report("frame, 6 charts x 10 runs x 100k, nothing new", |_| {
            cold(&runs, &mut caches, &mut buffer, 0)
        });
        report("live, a row of 20 metrics to each run, and redraw", |_| {
            live(&mut runs, &mut caches, &mut buffer)
        });
        let grid = grid(whole(POINTS), Glyphs::Braille, 192);
        report("bands of 6 metrics over 10 runs x 100k", |_| {
            for name in &METRICS[..CHARTS] {
                let runs: Vec<_> = runs
                    .iter()
                    .map(|run| (run, run.column(name).unwrap()))
                    .collect();
                black_box(band(&runs, Along::Examples, &grid));
            }
        });
        report("one line of 1M points, nothing kept", |_| {
            one_line(&million, &mut cache, &mut buffer)
        });
    }
    let mut frame = 0;
    let mut group = criterion.benchmark_group("chart");
    group
        .sample_size(20)
        .measurement_time(Duration::from_secs(2));
    group.bench_function("frame", |bencher| {
        bencher.iter(|| {
            frame += 1;
            cold(&runs, &mut caches, &mut buffer, black_box(frame));
        })
    });
    group.bench_function("live", |bencher| {
        bencher.iter(|| live(&mut runs, &mut caches, &mut buffer))
    });
    group.bench_function("one line of 1M", |bencher| {
        bencher.iter(|| one_line(black_box(&million), &mut cache, &mut buffer))
    });
    group.finish();
}

criterion_group!(benches, charts);
criterion_main!(benches);
