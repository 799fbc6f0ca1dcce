//! The stacked panels: what each line is drawn from, and the charts over one x-axis.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use super::lines::letter;
use super::{TIE, WEIGHTS, Watch, side};
use crate::analysis::{BandPoint, band};
use crate::store::{Along, Column, Run, RunId, RunState, Series};
use crate::tui::theme::{Colours, Role, Theme};
use crate::tui::widget::chart::{
    self, Chart, ChartCache, Data, Line, Marker, Scale, Sign, Smooth, Stroke, Vertical, View,
};
use crate::tui::widget::text;
use crate::tui::world::World;

/// More intervals than this hide each other.
pub(super) const MOST_BANDS: usize = 3;

/// What a line is drawn from, made for one picture.
enum Made {
    Points(Vec<(f64, f64)>),
    Band(Vec<BandPoint>),
}

/// What a panel keeps from picture to picture.
#[derive(Debug, Default)]
pub(super) struct Kept {
    chart: ChartCache,
    bands: BTreeMap<(usize, usize), (BandOf, Vec<BandPoint>)>,
}

/// What a band was worked out from. A rewind is told by forgetting all that is kept.
#[derive(Debug, PartialEq)]
struct BandOf {
    along: Along,
    edges: Vec<f64>,
    /// Each run, its rows and its evaluations.
    runs: Vec<(RunId, usize, usize)>,
}

impl BandOf {
    fn new(along: Along, edges: &[f64], runs: &[&Run]) -> Self {
        let run = |run: &&Run| (run.id().clone(), run.series.len(), run.evaluations.len());
        Self {
            along,
            edges: edges.to_vec(),
            runs: runs.iter().map(run).collect(),
        }
    }
}

/// The evaluated values of a metric over the x-axis.
fn points(run: &Run, name: &str, along: Along) -> Vec<(f64, f64)> {
    let x = |step: u64, examples: u64| match along {
        Along::Examples => examples as f64,
        Along::Steps => step as f64,
        Along::Seconds => {
            let row = run.series.first_at(Along::Steps, step as f64);
            let row = row.min(run.series.len().saturating_sub(1));
            if run.series.is_empty() {
                0.0
            } else {
                run.series.seconds()[row]
            }
        }
    };
    let value = |evaluation: &crate::store::Evaluation| {
        let value = evaluation.metrics.get(name)?;
        Some((x(evaluation.step, evaluation.examples), *value))
    };
    run.evaluations.iter().filter_map(value).collect()
}

/// Evaluations of several runs as a series, so that they have a mean and an interval like any metric.
fn sparse(run: &Run, name: &str) -> (Series, Column) {
    let mut series = Series::default();
    for evaluation in &run.evaluations {
        if let Some(value) = evaluation.metrics.get(name) {
            let row = run
                .series
                .first_at(Along::Steps, evaluation.step as f64)
                .min(run.series.len().saturating_sub(1));
            let at = crate::store::Position {
                attempt: 1,
                step: evaluation.step,
                examples: evaluation.examples,
                seconds: run.series.seconds().get(row).copied().unwrap_or(0.0),
            };
            series.push(at, [("value", *value)]);
        }
    }
    let column = series.column("value").cloned().unwrap_or_default();
    (series, column)
}

/// How many panels `height` has room for: the three that explain a spike, or as many as are tall enough to read.
fn fit(height: u16) -> usize {
    usize::from((height / 9).max((height / 6).min(3))).max(1)
}

pub(super) fn draw(
    watch: &mut Watch,
    area: Rect,
    buffer: &mut Buffer,
    world: &World,
    theme: Theme,
) {
    watch.follow_accuracy(world);
    let view = watch.view(world);
    let below = 2.min(area.height / 6);
    let charts = Rect {
        height: area.height - below,
        ..area
    };
    let count = watch.panels.len();
    watch.panel = watch.panel.min(count.saturating_sub(1));
    let shown = if watch.maximised {
        1
    } else {
        fit(charts.height).min(count)
    };
    watch.first_panel = if watch.maximised {
        watch.panel
    } else {
        watch
            .first_panel
            .min(watch.panel)
            .max((watch.panel + 1).saturating_sub(shown))
            .min(count.saturating_sub(shown))
    };
    let names: Vec<String> = watch
        .panels
        .iter()
        .skip(watch.first_panel)
        .take(shown)
        .cloned()
        .collect();
    extend_smoothing(watch, world, &names);
    let mut caches = std::mem::take(&mut watch.caches);
    watch.plots = draw_charts(
        watch,
        charts,
        buffer,
        world,
        theme,
        (view, &names),
        &mut caches,
    );
    // Panels that are not shown keep nothing.
    caches.retain(|name, _| names.contains(name));
    watch.caches = caches;
    let lower = Rect {
        y: charts.bottom(),
        height: below,
        ..area
    };
    side::below(watch, lower, buffer, world, theme, shown < count);
}

/// The panels `names`, one under another. Returns where their plots are.
fn draw_charts(
    watch: &Watch,
    charts: Rect,
    buffer: &mut Buffer,
    world: &World,
    theme: Theme,
    (view, names): (View, &[String]),
    caches: &mut BTreeMap<String, Kept>,
) -> Vec<(Rect, usize)> {
    let shown = names.len();
    let edges = chart::grid(view, theme.glyphs, charts.width.saturating_sub(8));
    let made: Vec<BTreeMap<(usize, usize), Made>> = names
        .iter()
        .map(|name| {
            let kept = caches.entry(name.clone()).or_default();
            make(watch, name, world, &edges, kept)
        })
        .collect();
    let spikes = watch.spikes(world);
    let labels: Vec<String> = spikes
        .iter()
        .map(|(line, _, spike)| format!("{} x{:.1}", letter(*line), spike.height))
        .collect();
    let ended = diverged(watch, world);
    let mut markers: Vec<Marker> = spikes
        .iter()
        .zip(&labels)
        .map(|((_, run, spike), label)| Marker {
            x: watch.onset(run, spike),
            sign: Sign::Spike,
            label,
        })
        .collect();
    markers.extend(ended.iter().map(|(x, label)| Marker {
        x: *x,
        sign: Sign::Diverged,
        label,
    }));
    // Labels once, on top; below, the signs alone lead the eye down the stack.
    let bare: Vec<Marker> = markers
        .iter()
        .map(|marker| Marker {
            label: "",
            ..*marker
        })
        .collect();

    let heights = share(charts.height, shown);
    let all_lines: Vec<Vec<Line>> = names
        .iter()
        .zip(&made)
        .map(|(name, made)| lines_of(watch, name, made, world, theme))
        .collect();
    let build = |n: usize| {
        let name = &names[n];
        let focused = shown > 1
            && watch.first_panel + n == watch.panel
            && watch.focus == super::Focus::Panels;
        let (title, latest) = title(watch, name, world);
        let title = if focused {
            format!("{} {title}", theme.sign("▸", ">"))
        } else {
            format!("  {title}")
        };
        let scale = if watch.logarithmic.contains(name) {
            Scale::Log
        } else {
            Scale::Linear
        };
        (
            title,
            latest,
            scale,
            n + 1 == shown,
            if n == 0 { &markers } else { &bare },
        )
    };
    let parts: Vec<_> = (0..shown).map(build).collect();
    let charts_of: Vec<Chart> = parts
        .iter()
        .zip(&all_lines)
        .zip(&heights)
        .map(
            |(((title, latest, scale, last, markers), lines), height)| Chart {
                title,
                lines,
                view,
                along: watch.along,
                y: Vertical {
                    scale: *scale,
                    range: None,
                },
                latest: *latest,
                markers: if *height >= 6 { markers } else { &[] },
                cursor: watch.cursor,
                glyphs: theme.glyphs,
                colour: theme.colours != Colours::None,
                x_axis: *last,
            },
        )
        .collect();
    let mut gutter = 0;
    for ((chart, height), name) in charts_of.iter().zip(&heights).zip(names) {
        let cache = &mut caches.entry(name.clone()).or_default().chart;
        gutter = gutter.max(chart.gutter_needed(*height, cache));
    }
    let mut plots = Vec::new();
    let mut y = charts.y;
    for (n, (chart, height)) in charts_of.iter().zip(&heights).enumerate() {
        let place = Rect {
            y,
            height: *height,
            ..charts
        };
        chart.draw(
            place,
            gutter,
            &mut caches.entry(names[n].clone()).or_default().chart,
            buffer,
        );
        let panel = chart.panel(place, gutter);
        plots.push((panel.plot, watch.first_panel + n));
        if all_lines[n].is_empty() {
            let words = "no run that is drawn logs this yet";
            text::put(
                buffer,
                panel.plot.x + 2,
                panel.plot.y,
                panel.plot.width.saturating_sub(2),
                words,
                theme.style(Role::Dim),
            );
        }
        y += height;
    }
    plots
}

/// Heights of `n` panels; the last has the x-axis and two rows more.
fn share(height: u16, n: usize) -> Vec<u16> {
    let n = n.max(1) as u16;
    let axis = if height > 4 * n { 2 } else { 0 };
    let each = (height - axis) / n;
    let spare = height - axis - each * n;
    (0..n)
        .map(|i| each + u16::from(i < spare) + if i + 1 == n { axis } else { 0 })
        .collect()
}

/// Title of a panel, and its newest value where one line has the panel to itself.
fn title(watch: &Watch, name: &str, world: &World) -> (String, Option<f64>) {
    let title = match name.split_once(TIE) {
        Some((first, second)) => format!("{first} (a)  {second} (A)"),
        None => name.to_owned(),
    };
    let drawn: Vec<_> = watch.drawn().collect();
    let latest = match drawn[..] {
        [(_, line)] if line.runs.len() == 1 => world
            .run(&line.runs[0])
            .and_then(|run| run.evaluated(name).or_else(|| run.latest(name))),
        _ => None,
    };
    (title, latest)
}

/// Keep the moving averages of the shown panels up with their rows.
fn extend_smoothing(watch: &mut Watch, world: &World, names: &[String]) {
    let weight = WEIGHTS[watch.smoothing];
    if weight == 0.0 || watch.grouping != super::Grouping::Runs {
        return;
    }
    let ids: Vec<_> = watch
        .drawn()
        .flat_map(|(_, line)| line.runs.clone())
        .collect();
    for id in ids {
        let Some(run) = world.run(&id) else { continue };
        for name in names.iter().flat_map(|name| name.split(TIE)) {
            if let Some(column) = run.series.column(name) {
                let smooth = watch
                    .smooth
                    .entry((id.clone(), name.to_owned()))
                    .or_insert_with(|| Smooth::new(weight));
                smooth.extend(column);
            }
        }
    }
}

/// What is worked out for the lines of a panel: sparse points, means and intervals.
fn make(
    watch: &Watch,
    name: &str,
    world: &World,
    edges: &[f64],
    kept: &mut Kept,
) -> BTreeMap<(usize, usize), Made> {
    let mut made = BTreeMap::new();
    for (n, line) in watch.drawn() {
        let runs: Vec<&Run> = line.runs.iter().filter_map(|id| world.run(id)).collect();
        for (m, metric) in name.split(TIE).enumerate() {
            let logged = runs.iter().any(|run| run.series.column(metric).is_some());
            let value = match (watch.grouping == super::Grouping::Runs, logged) {
                (true, true) => continue,
                (true, false) => Made::Points(
                    runs.first()
                        .map_or_else(Vec::new, |run| points(run, metric, watch.along)),
                ),
                (false, _) => {
                    let of = BandOf::new(watch.along, edges, &runs);
                    let same = kept.bands.get(&(n, m)).filter(|(old, _)| *old == of);
                    let points = match same {
                        Some((_, points)) => points.clone(),
                        None => {
                            let points = over_runs(&runs, metric, watch.along, edges);
                            kept.bands.insert((n, m), (of, points.clone()));
                            points
                        }
                    };
                    Made::Band(only_means(watch, n, points))
                }
            };
            made.insert((n, m), value);
        }
    }
    made
}

/// Mean and interval of a metric over several runs: of its rows, or where no run logs it of its evaluations.
fn over_runs(runs: &[&Run], metric: &str, along: Along, edges: &[f64]) -> Vec<BandPoint> {
    let logged: Vec<(&Series, &Column)> = runs
        .iter()
        .filter_map(|run| Some((&run.series, run.series.column(metric)?)))
        .collect();
    if !logged.is_empty() {
        return band(&logged, along, edges);
    }
    let sparse: Vec<(Series, Column)> = runs
        .iter()
        .map(|run| sparse(run, metric))
        .filter(|(series, _)| !series.is_empty())
        .collect();
    let evaluated: Vec<(&Series, &Column)> = sparse
        .iter()
        .map(|(series, column)| (series, column))
        .collect();
    band(&evaluated, along, edges)
}

/// Intervals of many lines hide each other: then only the line under the legend's cursor has one.
fn only_means(watch: &Watch, n: usize, points: Vec<BandPoint>) -> Vec<BandPoint> {
    if n == watch.line || watch.drawn().count() <= MOST_BANDS {
        return points;
    }
    let mean = |point: BandPoint| BandPoint {
        half_width: None,
        ..point
    };
    points.into_iter().map(mean).collect()
}

/// The lines of a panel: raw ones first where they are smoothed, so that the average lies over them.
fn lines_of<'a>(
    watch: &'a Watch,
    name: &str,
    made: &'a BTreeMap<(usize, usize), Made>,
    world: &'a World,
    theme: Theme,
) -> Vec<Line<'a>> {
    let mut under = Vec::new();
    let mut over = Vec::new();
    for (n, line) in watch.drawn() {
        for (m, metric) in name.split(TIE).enumerate() {
            let mark = if m == 0 {
                letter(n)
            } else {
                letter(n).to_ascii_uppercase()
            };
            let stroke = Stroke {
                colour: theme.curve(n).fg.unwrap_or(Color::Reset),
                mark: Some(mark),
                dim: false,
            };
            match made.get(&(n, m)) {
                Some(Made::Points(points)) if points.is_empty() => {}
                Some(Made::Points(points)) => over.push(Line {
                    data: Data::Points(points),
                    stroke,
                }),
                Some(Made::Band(points)) if points.iter().all(|point| point.mean.is_none()) => {}
                Some(Made::Band(points)) => over.push(Line {
                    data: Data::Band(points),
                    stroke,
                }),
                None => {
                    let Some(run) = line.runs.first().and_then(|id| world.run(id)) else {
                        continue;
                    };
                    let Some(column) = run.series.column(metric) else {
                        continue;
                    };
                    let series = &run.series;
                    match watch.smooth.get(&(run.id().clone(), metric.to_owned())) {
                        Some(smooth) => {
                            under.push(Line {
                                data: Data::Raw { series, column },
                                stroke: Stroke {
                                    dim: true,
                                    mark: None,
                                    ..stroke
                                },
                            });
                            over.push(Line {
                                data: Data::Raw {
                                    series,
                                    column: smooth.column(),
                                },
                                stroke,
                            });
                        }
                        None => over.push(Line {
                            data: Data::Raw { series, column },
                            stroke,
                        }),
                    }
                }
            }
        }
    }
    under.extend(over);
    under
}

/// Where runs stopped being finite.
fn diverged(watch: &Watch, world: &World) -> Vec<(f64, String)> {
    let runs = watch
        .drawn()
        .flat_map(|(n, line)| line.runs.iter().map(move |id| (n, id)));
    let place = |(n, id)| {
        let run: &Run = world.run(id)?;
        let RunState::Diverged { step, .. } = &run.state else {
            return None;
        };
        let row = run
            .series
            .first_at(Along::Steps, *step as f64)
            .min(run.series.len().checked_sub(1)?);
        Some((run.series.x(watch.along, row), format!("{} NaN", letter(n))))
    };
    runs.filter_map(place).collect()
}
