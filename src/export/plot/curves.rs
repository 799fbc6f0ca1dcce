//! The course of training: a panel for each metric above one x-axis, and through each a line for every position of an
//! axis, with its band.

use super::axis::{Axis, Below, Panel as Frame, Reach, left_margin};
use super::caption;
use super::page::{EDGE, Entry, Key, Page, spike};
use super::palette;
use super::sheet::{Ink, Point, Sheet, dashed};
use super::{Size, range_of, terms};
use crate::analysis::{Along, BandPoint, Curves, Figure, Panel, Trace};

/// Between stacked panels.
const APART: f64 = 9.0;

pub fn lay_out(figure: &Figure, curves: &Curves, size: Size) -> Sheet {
    let mut page = Page::new(size.points());
    page.head(figure);
    page.legend(&terms::axis(&curves.axis), &entries(curves));
    page.y += 4.0;
    let top = if curves.spikes { 5.0 } else { 0.0 };
    page.y += top;
    let height = match (curves.panels.len(), size) {
        (1, Size::One) => 120.0,
        (1, Size::Two) => 160.0,
        (_, Size::One) => 72.0,
        (_, Size::Two) => 84.0,
    };
    let drawn: Vec<(&Panel, f64, Axis, bool)> = curves.panels.iter().map(axis_of).collect();
    let gutter = drawn
        .iter()
        .map(|(_, _, axis, _)| axis.gutter())
        .fold(0.0, f64::max);
    let most = match size {
        Size::One => 5,
        Size::Two => 8,
    };
    let x = Axis::along(curves.end, curves.along, most);
    let mut cut = false;
    let last = drawn.len().saturating_sub(1);
    for (place, (panel, factor, y, beyond)) in drawn.into_iter().enumerate() {
        cut |= beyond;
        let frame = Frame {
            left: EDGE + left_margin(gutter),
            top: page.y,
            right: page.sheet.width - EDGE - 8.0,
            bottom: page.y + height,
            x: x.clone(),
            y,
            gutter,
        };
        let below = match place == last {
            true => Below::Numbers(along(curves.along)),
            false => Below::Nothing,
        };
        page.y = frame.draw(&mut page.sheet, &terms::metric(&panel.metric), below) + APART;
        let sheet = &mut page.sheet;
        onsets(sheet, curves, &frame, place == 0);
        // Many bands that lie over each other darken; they are the paler then.
        let shade = if panel.traces.len() > 4 { 0.09 } else { 0.18 };
        for (series, trace) in panel.traces.iter().enumerate() {
            if let Trace::Mean(points) = trace {
                band(
                    sheet,
                    &frame,
                    palette::ink(series).thin(shade),
                    points,
                    factor,
                );
            }
        }
        for (series, trace) in panel.traces.iter().enumerate() {
            line(sheet, &frame, series, trace, factor, panel.evaluated);
        }
        for (series, line) in curves.lines.iter().enumerate() {
            for x in &line.diverged {
                let at = (frame.x(*x), frame.bottom - 2.6);
                palette::cross(sheet, at, palette::ink(series));
            }
        }
    }
    page.y -= APART;
    let mut sentences = caption::sentences(figure, cut);
    let placeless = |panel: &Panel| panel.log && values(panel).any(|y| y <= 0.0);
    if curves.panels.iter().any(placeless) {
        sentences.push("Values at or below 0 have no place on a logarithmic axis.".into());
    }
    page.foot(&sentences)
}

fn entries(curves: &Curves) -> Vec<Entry> {
    let entry = |(series, line): (usize, &crate::analysis::Curve)| Entry {
        key: match curves.are_raw() {
            true => Key::SolidAndMarker,
            false => Key::Line,
        },
        series,
        label: match line.n {
            0 => format!("{} (no run yet)", line.label),
            _ => line.label.clone(),
        },
    };
    let mut entries: Vec<Entry> = match curves.axis.is_empty() {
        true => Vec::new(),
        false => curves.lines.iter().enumerate().map(entry).collect(),
    };
    if curves.lines.iter().any(|line| !line.spikes.is_empty()) {
        entries.push(Entry {
            key: Key::Spike,
            series: 0,
            label: "loss spike".into(),
        });
    }
    entries
}

fn along(along: Along) -> &'static str {
    match along {
        Along::Examples => "Examples seen",
        Along::Steps => "Steps",
        Along::Seconds => "Time of training",
    }
}

/// A panel with the factor of its values, its axis, and whether bands go beyond.
fn axis_of(panel: &Panel) -> (&Panel, f64, Axis, bool) {
    let (factor, limits) = range_of(&panel.metric, values(panel));
    let mut reach = Reach::new(panel.log);
    values(panel).for_each(|y| reach.need(factor * y));
    for point in panel.traces.iter().flat_map(|trace| match trace {
        Trace::Mean(points) => &points[..],
        Trace::Runs(_) => &[],
    }) {
        if let (Some(mean), Some(half)) = (point.mean, point.half_width) {
            reach.wish(factor * (mean - half));
            reach.wish(factor * (mean + half));
        }
    }
    let (low, high, cut) = reach.ends(limits, 0.35);
    (
        panel,
        factor,
        Axis::of_values(low, high, panel.log, limits, 5),
        cut,
    )
}

/// Every value of a panel's lines.
fn values(panel: &Panel) -> impl Iterator<Item = f64> {
    panel.traces.iter().flat_map(|trace| -> Vec<f64> {
        match trace {
            Trace::Mean(points) => points.iter().filter_map(|point| point.mean).collect(),
            Trace::Runs(runs) => runs.iter().flatten().map(|(_, y)| *y).collect(),
        }
    })
}

/// Hairs where spikes began, so that the panels can be compared there, with a mark above the first.
fn onsets(sheet: &mut Sheet, curves: &Curves, frame: &Frame, marked: bool) {
    for (series, line) in curves.lines.iter().enumerate() {
        for x in &line.spikes {
            let x = frame.x(*x);
            let ink = palette::ink(series);
            sheet.line((x, frame.top), (x, frame.bottom), 0.5, ink.thin(0.45));
            if marked {
                spike(sheet, (x, frame.top - 4.2), ink);
            }
        }
    }
}

/// The interval, where there is one; at the edge of the panel where it leaves it.
fn band(sheet: &mut Sheet, frame: &Frame, ink: Ink, points: &[BandPoint], factor: f64) {
    let ends = |point: &BandPoint| {
        let (mean, half) = (point.mean?, point.half_width?);
        let low = frame.at(point.x, factor * (mean - half));
        Some((low, frame.at(point.x, factor * (mean + half))))
    };
    let ends: Vec<Option<(Point, Point)>> = points.iter().map(ends).collect();
    for stretch in ends.split(Option::is_none) {
        let stretch: Vec<(Point, Point)> = stretch.iter().flatten().copied().collect();
        let lower = stretch.iter().map(|(low, _)| *low);
        let upper = stretch.iter().rev().map(|(_, high)| *high);
        sheet.area(lower.chain(upper).collect(), ink);
    }
}

fn line(
    sheet: &mut Sheet,
    frame: &Frame,
    series: usize,
    trace: &Trace,
    factor: f64,
    evaluated: bool,
) {
    let has_place = |y: f64| y.is_finite() && (!frame_is_log(frame) || y > 0.0);
    let ink = palette::ink(series);
    let place = |(x, y): Point| has_place(y).then(|| frame.at(x, factor * y));
    match trace {
        Trace::Mean(points) => {
            let places: Vec<Option<Point>> = points
                .iter()
                .map(|point| place((point.x, point.mean?)))
                .collect();
            for stretch in places.split(Option::is_none) {
                let stretch: Vec<Point> = stretch.iter().flatten().copied().collect();
                for piece in dashed(&stretch, palette::dashes(series)) {
                    sheet.path(piece, 1.0, ink);
                }
            }
            if evaluated {
                let places = places.into_iter().flatten();
                places.for_each(|at| palette::marker(sheet, series, at, 1.5));
            }
        }
        Trace::Runs(runs) => {
            let runs = runs
                .iter()
                .map(|run| run.iter().copied().filter_map(place).collect());
            let runs: Vec<Vec<Point>> = runs.collect();
            // Thin, so that one line hides little of another.
            for places in &runs {
                sheet.path(places.clone(), 0.6, ink);
            }
            let marked = match evaluated {
                true => runs.concat(),
                false => {
                    let longest = runs.iter().max_by_key(|run| run.len());
                    longest.map_or(Vec::new(), |run| sparse(run, frame, series))
                }
            };
            let marked = marked.into_iter();
            marked.for_each(|at| palette::marker(sheet, series, at, 1.5));
        }
    }
}

/// A few points of a raw line, which dashes would tear: those nearest to places that are other ones for each series.
fn sparse(line: &[Point], frame: &Frame, series: usize) -> Vec<Point> {
    const MARKS: usize = 5;
    let apart = (frame.right - frame.left) / MARKS as f64;
    let shift = (0.5 + 0.29 * series as f64).fract();
    let near = |mark: usize| {
        let x = frame.left + apart * (mark as f64 + shift);
        let next = line.partition_point(|(at, _)| *at < x);
        line.get(next).copied()
    };
    (0..MARKS).filter_map(near).collect()
}

fn frame_is_log(frame: &Frame) -> bool {
    frame.y.scale == super::super::ticks::Scale::Log
}
