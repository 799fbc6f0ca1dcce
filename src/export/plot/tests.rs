//! Figures from fixed data: as SVG, whose text is kept, and as PNG, which must decode and show something.

use std::io::Cursor;

use super::*;
use crate::analysis::{
    Along, Asked, AxisEffect, BandPoint, Cell, Curve, Curves, Effects, Estimate, Interaction,
    Interval, LevelEffect, Matched, Panel, Reported, Sample, Table, Trace,
};

fn cell(values: &[f64], expected: u32, diverged: u32) -> Cell {
    let n = values.len() as u32;
    let mean = (n > 0).then(|| values.iter().sum::<f64>() / f64::from(n));
    let sample = |(seed, value): (u64, &f64)| Sample {
        seed,
        value: *value,
        step: 100,
        run: format!("{seed:010x}"),
    };
    Cell {
        mean,
        // Somebody else's affair: some interval.
        interval: mean
            .filter(|_| n > 1)
            .map(|mean| [mean - 0.03, mean + 0.02]),
        n,
        expected,
        missing: expected - n - diverged,
        diverged,
        samples: (0..).zip(values).map(sample).collect(),
        ..Cell::default()
    }
}

fn table() -> Table {
    let mut table = Table {
        experiment: "experiments/batch.toml".into(),
        title: "Zero-shot top-1".into(),
        metric: "zeroshot/top1".into(),
        asked: Asked::default(),
        interval: Interval::T,
        against: None,
        resolution: None,
        given: Vec::new(),
        row_axis: "train.batch_size".into(),
        column_axis: "loss.kind".into(),
        rows: ["512", "4096", "32768"].map(String::from).to_vec(),
        columns: ["sigmoid", "softmax"].map(String::from).to_vec(),
        cells: vec![
            vec![
                cell(&[0.51, 0.52, 0.53], 3, 0),
                cell(&[0.47, 0.48, 0.49], 3, 0),
            ],
            vec![cell(&[0.65, 0.66, 0.64], 3, 0), cell(&[0.63], 3, 2)],
            vec![cell(&[0.69, 0.7, 0.71], 3, 0), cell(&[], 3, 3)],
        ],
    };
    table.cells[0][1].reported = Some(Reported {
        value: 0.477,
        source: "SigLIP, table 5".into(),
        what: "ImageNet".into(),
    });
    table
}

fn figure(plot: Plot) -> Figure {
    Figure {
        experiment: "experiments/batch.toml".into(),
        title: Some("Is <sigmoid> ahead & by how much?".into()),
        given: vec![("optim.lr".into(), "0.001".into())],
        plot,
        runs: vec!["0000000000".into(), "0000000001".into()],
    }
}

fn line() -> Figure {
    figure(Plot::Line {
        table: table(),
        places: Some(vec![512.0, 4096.0, 32_768.0]),
        log: false,
    })
}

fn bars() -> Figure {
    figure(Plot::Bars(table()))
}

fn curves() -> Figure {
    let point = |step: u32, n: u32, level: f64| BandPoint {
        x: f64::from(step) * 1000.0,
        n,
        mean: Some(level + 3.0 / f64::from(step)),
        half_width: (n > 1).then_some(0.2),
    };
    let mean = |level: f64| Trace::Mean((1..=8).map(|step| point(step, 3, level)).collect());
    let curve = |label: &str, diverged: &[f64]| Curve {
        label: label.into(),
        n: 3,
        expected: 3,
        diverged: diverged.to_vec(),
        ..Curve::default()
    };
    figure(Plot::Curves(Curves {
        along: Along::Examples,
        axis: "loss.kind".into(),
        end: 8_000.0,
        lines: vec![curve("sigmoid", &[]), curve("softmax", &[5_000.0])],
        panels: vec![
            Panel {
                metric: "loss".into(),
                log: true,
                evaluated: false,
                traces: vec![mean(1.0), mean(1.3)],
            },
            Panel {
                metric: "log_t".into(),
                log: false,
                evaluated: false,
                traces: vec![mean(-2.0), mean(-1.5)],
            },
        ],
        spikes: false,
    }))
}

fn spikes() -> Figure {
    let row = |step: u32| (f64::from(step), if step == 30 { 8.0 } else { 1.0 });
    let run: Vec<(f64, f64)> = (0..60).map(row).collect();
    let broken = vec![
        (0.0, 1.0),
        (1.0, f64::NAN),
        (2.0, f64::INFINITY),
        (3.0, 2.0),
    ];
    let curve = |label: &str, spikes: &[f64]| Curve {
        label: label.into(),
        n: 1,
        expected: 2,
        spikes: spikes.to_vec(),
        ..Curve::default()
    };
    figure(Plot::Curves(Curves {
        along: Along::Steps,
        axis: "optim.beta2".into(),
        end: 59.0,
        lines: vec![curve("0.95", &[]), curve("0.999", &[30.0])],
        panels: vec![Panel {
            metric: "loss".into(),
            log: false,
            evaluated: false,
            traces: vec![Trace::Runs(vec![broken]), Trace::Runs(vec![run])],
        }],
        spikes: true,
    }))
}

fn effects() -> Figure {
    let estimate = |mean: f64, half: f64| Estimate {
        mean: Some(mean),
        half_width: Some(half),
        n: 3,
    };
    let level = |level: &str, effect: Estimate| LevelEffect {
        level: level.into(),
        effect,
        comparison: None,
    };
    let matched = |used, dropped| Matched { used, dropped };
    figure(Plot::Effects(Effects {
        experiment: "experiments/example.toml".into(),
        runs: Vec::new(),
        interval: Interval::T,
        baseline: None,
        variance: None,
        metric: "zeroshot/top1".into(),
        asked: Asked::default(),
        axes: vec![
            AxisEffect {
                axis: "loss.kind".into(),
                reference: "sigmoid".into(),
                levels: vec![level("softmax", estimate(-0.032, 0.011))],
                matched: matched(17, 1),
            },
            AxisEffect {
                axis: "optim.lr".into(),
                reference: "0.001".into(),
                levels: vec![
                    level("0.003", estimate(0.02, 0.9)),
                    level("0.01", Estimate::default()),
                ],
                matched: matched(18, 0),
            },
        ],
        interactions: vec![Interaction {
            axes: ["loss.kind".into(), "optim.lr".into()],
            levels: ["softmax".into(), "0.003".into()],
            effect: estimate(-0.012, 0.034),
            matched: matched(9, 0),
        }],
    }))
}

fn every() -> [(&'static str, Figure); 5] {
    [
        ("line", line()),
        ("bars", bars()),
        ("curves", curves()),
        ("spikes", spikes()),
        ("effects", effects()),
    ]
}

fn svg(figure: &Figure, size: Size) -> String {
    String::from_utf8(plot(figure, size, Medium::Svg).unwrap()).unwrap()
}

/// An SVG with the words of its texts in the place of their outlines.
fn legible(svg: &str) -> String {
    let (shapes, texts) = svg.split_once("<defs>").unwrap();
    let (_, texts) = texts.split_once("</defs>\n").unwrap();
    let words = texts.lines().map(|line| match line.split_once("><use") {
        Some((group, _)) => format!("{group}/>\n"),
        None => format!("{line}\n"),
    });
    format!("{shapes}{}", words.collect::<String>())
}

#[test]
fn each_kind_has_its_looks() {
    for (name, figure) in every() {
        let drawn = svg(&figure, Size::One);
        assert_eq!(drawn, svg(&figure, Size::One), "the same bytes each time");
        insta::assert_snapshot!(
            name,
            legible(&drawn).replace(env!("CARGO_PKG_VERSION"), "VERSION")
        );
    }
}

#[test]
fn an_svg_says_what_it_is_of_and_needs_no_font() {
    for (name, figure) in every() {
        let drawn = svg(&figure, Size::Two);
        for said in [
            "<title>Is &lt;sigmoid&gt; ahead &amp; by how much? (optim.lr = 0.001)</title>",
            "Experiment: experiments/batch.toml",
            "Runs: 0000000000 0000000001",
            "width=\"6.9000in\"",
        ] {
            assert!(drawn.contains(said), "{name}: {said}");
        }
        assert!(
            !drawn.contains("<text") && !drawn.contains("font"),
            "{name}"
        );
        assert!(!drawn.contains("NaN") && !drawn.contains("inf "), "{name}");
        for used in drawn.split("xlink:href=\"#").skip(1) {
            let glyph = used.split('"').next().unwrap();
            assert!(
                drawn.contains(&format!("<path id=\"{glyph}\"")),
                "{name}: {glyph}"
            );
        }
    }
}

/// All that is written lies on the page, and no two texts on each other.
#[test]
fn text_stays_on_the_page_and_apart() {
    for (name, figure) in every() {
        for size in [Size::One, Size::Two] {
            let sheet = lay_out(&figure, size);
            let boxes: Vec<(String, [f64; 4])> = sheet.marks.iter().filter_map(text_box).collect();
            for (text, [left, top, right, bottom]) in &boxes {
                let inside = *left >= 0.0 && *right <= sheet.width && *top >= 0.0;
                assert!(inside && *bottom <= sheet.height, "{name}: {text}");
            }
            for (one, (text, a)) in boxes.iter().enumerate() {
                for (other, b) in &boxes[one + 1..] {
                    let apart = a[2] <= b[0] || b[2] <= a[0] || a[3] <= b[1] || b[3] <= a[1];
                    assert!(apart, "{name}: {text} is on {other}");
                }
            }
        }
    }
}

/// A text and the left, upper, right and lower end of its capitals.
fn text_box(mark: &sheet::Mark) -> Option<(String, [f64; 4])> {
    let sheet::Mark::Text {
        at: (x, y),
        text,
        size,
        anchor,
        turned,
        ..
    } = mark
    else {
        return None;
    };
    let (width, rise) = (font::width(text, *size), 0.7 * size);
    let before = match anchor {
        sheet::Anchor::Left => 0.0,
        sheet::Anchor::Middle => width / 2.0,
        sheet::Anchor::Right => width,
    };
    let ends = match turned {
        false => [x - before, y - rise, x - before + width, *y],
        true => [x - rise, y + before - width, *x, y + before],
    };
    Some((text.clone(), ends))
}

#[test]
fn a_png_decodes_shows_something_and_says_where_it_is_from() {
    for (name, figure) in every() {
        let bytes = plot(&figure, Size::One, Medium::Png).unwrap();
        let mut reader = png::Decoder::new(Cursor::new(&bytes)).read_info().unwrap();
        let mut dots = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut dots).unwrap();
        assert_eq!(frame.width, 990, "{name}: 3.3 inches of 300 dots");
        let paper = dots
            .chunks(3)
            .filter(|dot| **dot == [255, 255, 255])
            .count();
        let share = paper as f64 / (dots.len() / 3) as f64;
        assert!((0.6..0.99).contains(&share), "{name}: {share} is paper");
        let first = [palette::ink(0).rgb, palette::fill(0).rgb];
        let of_first = dots
            .chunks(3)
            .filter(|dot| first.contains(&(dot[0], dot[1], dot[2])))
            .count();
        assert!(of_first > 20, "{name}: the first series is there");
        let info = reader.info();
        let said: Vec<(&str, String)> = info
            .utf8_text
            .iter()
            .map(|chunk| (chunk.keyword.as_str(), chunk.get_text().unwrap()))
            .collect();
        let has = |key: &str, value: &str| said.iter().any(|(k, v)| *k == key && v == value);
        assert!(has("Experiment", "experiments/batch.toml"), "{said:?}");
        assert!(has("Runs", "0000000000 0000000001"), "{said:?}");
        assert_eq!(info.pixel_dims.unwrap().xppu, 11_811, "300 dots an inch");
    }
}

#[test]
fn names_of_files_come_from_titles() {
    assert_eq!(
        file_stem(&line()),
        "is-sigmoid-ahead-by-how-much-optim.lr-0.001"
    );
    let untitled = Figure {
        title: None,
        given: Vec::new(),
        ..curves()
    };
    assert_eq!(file_stem(&untitled), "curves-loss-log-t");
    let same = [untitled.clone(), untitled];
    let names = named("x", &same).into_iter().map(|(name, _)| name);
    assert_eq!(
        names.collect::<Vec<_>>(),
        ["x-curves-loss-log-t", "x-curves-loss-log-t-2"]
    );
    assert_eq!(slug("../../etc/passwd\u{1b}[0m"), "etc-passwd-0m");
    assert_eq!(slug("☃"), "figure");
    assert!(slug(&"long ".repeat(100)).len() <= 80);
}

/// Labels of any length and kind, many series, one cell, none.
#[test]
fn nothing_that_is_asked_for_cannot_be_laid_out() {
    let mut wide = table();
    wide.columns = (0..12)
        .map(|n| format!("{n}{}", "\u{1b}[31m<x> ".repeat(30)))
        .collect();
    for row in &mut wide.cells {
        row.resize_with(12, || cell(&[f64::MAX, -f64::MAX], 2, 0));
    }
    let mut strange = table();
    strange.cells[0][0].mean = Some(f64::NAN);
    strange.cells[1][0].interval = Some([f64::NEG_INFINITY, f64::NAN]);
    let mut alone = table();
    alone.rows.truncate(1);
    alone.columns.truncate(1);
    alone.cells = vec![vec![cell(&[0.0], 1, 0)]];
    let mut empty = table();
    (empty.rows, empty.columns, empty.cells) = (Vec::new(), Vec::new(), Vec::new());
    for table in [wide, strange, alone, empty] {
        let places = Some((1..=table.rows.len()).map(|n| n as f64).collect());
        let line = |places, log| Plot::Line {
            table: table.clone(),
            places,
            log,
        };
        for plot in [
            line(places, false),
            line(None, true),
            Plot::Bars(table.clone()),
        ] {
            let figure = figure(plot);
            for size in [Size::One, Size::Two] {
                let drawn = svg(&figure, size);
                assert!(!drawn.contains('\u{1b}') && !drawn.contains("<x>"));
            }
        }
    }
}
