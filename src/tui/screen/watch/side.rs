//! What stands beside the curves: the lines with their values, the spikes with what came before them, and the readout.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::lines::{Line, letter};
use super::{ALONG, Focus, TIE, WEIGHTS, Watch};
use crate::analysis::Estimate;
use crate::analysis::spikes::{End, Spike};
use crate::store::{Along, Run, RunState, gauge, gpu};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::{chart, frame, text};
use crate::tui::world::World;
use crate::util::{human_count, human_duration};

/// A spike in a sentence: how high, how long, and what came before.
pub(super) fn sentence(line: usize, spike: &Spike) -> String {
    let steps = match spike.steps() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    let end = match spike.end {
        End::Recovered => format!("back after {steps}"),
        End::Open => format!("not back after {steps}"),
        End::NewLevel => format!("a new level after {steps}"),
    };
    let words = format!(
        "{} step {}: loss x{:.2}, {end}",
        letter(line),
        spike.onset.step,
        spike.height
    );
    let before = spike.preceding.to_string();
    if before.is_empty() {
        words
    } else {
        format!("{words}; {before}")
    }
}

/// The raw value of `metric` at the row nearest to `x`, or the newest one.
fn value(run: &Run, metric: &str, along: Along, x: Option<f64>) -> Option<f64> {
    if let Some(column) = run.series.column(metric) {
        let Some(x) = x else {
            return run.latest(metric);
        };
        let last = run.series.len().checked_sub(1)?;
        let after = run.series.first_at(along, x).min(last);
        let before = after.saturating_sub(1);
        let nearer =
            if (run.series.x(along, after) - x).abs() < (x - run.series.x(along, before)).abs() {
                after
            } else {
                before
            };
        // Rows that lack the metric are passed over, towards the start.
        return (0..=nearer)
            .rev()
            .take(1000)
            .find_map(|row| column.get(row));
    }
    let evaluations = run.evaluations.iter().rev();
    let place = |evaluation: &&crate::store::Evaluation| match (along, x) {
        (_, None) | (Along::Seconds, _) => true,
        (Along::Examples, Some(x)) => evaluation.examples as f64 <= x,
        (Along::Steps, Some(x)) => evaluation.step as f64 <= x,
    };
    evaluations
        .filter(place)
        .find_map(|evaluation| evaluation.metrics.get(metric).copied())
}

/// What a line is at `x`, in full, or at its newest, in four digits: the raw value of a run, or mean and interval over
/// several.
fn reading(
    line: &Line,
    metric: &str,
    along: Along,
    x: Option<f64>,
    world: &World,
) -> Option<String> {
    let values: Vec<f64> = line
        .runs
        .iter()
        .filter_map(|id| value(world.run(id)?, metric, along, x))
        .collect();
    match values[..] {
        [] => None,
        [value] if line.runs.len() == 1 => Some(match x {
            Some(_) => value.to_string(),
            None => chart::short(value),
        }),
        _ => {
            let found = Estimate::of(&values);
            let half = found
                .half_width
                .map_or_else(String::new, |half| format!(" ± {half:.2}"));
            Some(format!("{:.4}{half}", found.mean?))
        }
    }
}

/// The lines and the spikes.
pub(super) fn draw(watch: &Watch, area: Rect, buffer: &mut Buffer, world: &World, theme: Theme) {
    let spikes = watch.spikes(world);
    let below = if spikes.is_empty() {
        3
    } else {
        (area.height / 2).max(4)
    }
    .min(area.height);
    let upper = Rect {
        height: (area.height - below)
            .min(watch.lines.len() as u16 * 2 + 2)
            .max(area.height - below),
        ..area
    };
    let lower = Rect {
        y: upper.bottom(),
        height: area.bottom().saturating_sub(upper.bottom()),
        ..area
    };
    draw_lines(watch, upper, buffer, world, theme);
    let plural = if spikes.len() == 1 { "spike" } else { "spikes" };
    let inner = frame::rule(
        buffer,
        lower,
        &format!("{} {plural}", spikes.len()),
        watch.focus == Focus::Spikes,
        theme,
    );
    if spikes.is_empty() {
        text::put(
            buffer,
            inner.x + 1,
            inner.y,
            inner.width,
            "none in what is drawn",
            theme.style(Role::Dim),
        );
        return;
    }
    let first = watch.spike.saturating_sub(usize::from(inner.height) / 4);
    let mut y = inner.y;
    for (n, (line, _, spike)) in spikes.iter().enumerate().skip(first) {
        let words = text::wrap(
            &sentence(*line, spike),
            inner.width.saturating_sub(2).max(1).into(),
        );
        for (i, words) in words.iter().enumerate() {
            if y >= inner.bottom() {
                return;
            }
            let role = if i == 0 { Role::Plain } else { Role::Dim };
            text::put(
                buffer,
                inner.x + 1 + u16::from(i > 0),
                y,
                inner.width.saturating_sub(1),
                words,
                theme.style(role),
            );
            if n == watch.spike && watch.focus == Focus::Spikes {
                frame::cursor(buffer, inner, y, theme);
            }
            y += 1;
        }
    }
}

fn draw_lines(watch: &Watch, area: Rect, buffer: &mut Buffer, world: &World, theme: Theme) {
    let metric = watch
        .panels
        .get(watch.panel)
        .map_or("", |name| name.split(TIE).next().unwrap_or(name));
    let when = if watch.cursor.is_some() {
        "at the cursor"
    } else {
        "newest"
    };
    let title = format!("{metric} {when}");
    let inner = frame::rule(buffer, area, &title, watch.focus == Focus::Lines, theme);
    let fits = usize::from(inner.height);
    let first = (watch.line + 1).saturating_sub(fits);
    for (y, (n, line)) in
        (inner.top()..inner.bottom()).zip(watch.lines.iter().enumerate().skip(first))
    {
        let run = line.runs.first().and_then(|id| world.run(id));
        let sign = run.map_or(" ", |run| theme.state(&run.state).0);
        let head = format!("{} {sign} ", letter(n));
        let style = if line.hidden {
            theme.style(Role::Dim)
        } else {
            theme.curve(n)
        };
        let x = text::put(buffer, inner.x + 1, y, inner.width, &head, style);
        let value = reading(line, metric, watch.along, watch.cursor, world).unwrap_or_default();
        let width = text::width(&value).min(inner.width / 2);
        text::put_right(
            buffer,
            inner.right().saturating_sub(width),
            y,
            width,
            &value,
            theme.style(Role::Plain),
        );
        let room = inner.right().saturating_sub(x + width + 1);
        let role = if line.hidden { Role::Dim } else { Role::Plain };
        text::put(buffer, x, y, room, &line.label, theme.style(role));
        if n == watch.line && watch.focus == Focus::Lines {
            frame::cursor(buffer, inner, y, theme);
        }
    }
}

/// An x in its unit.
fn place(along: Along, x: f64) -> String {
    match along {
        Along::Examples => format!("{} examples", human_count(x)),
        Along::Steps => format!("step {x:.0}"),
        Along::Seconds => {
            human_duration(std::time::Duration::try_from_secs_f64(x.max(0.0)).unwrap_or_default())
        }
    }
}

/// What the GPUs of the runs that are drawn did when these told of it last: `GPU 0: 93 % busy, 41.3 GiB, the
/// run's peak 38.0 GiB, 64 °C, 310 W`.
fn gpus(watch: &Watch, world: &World) -> Vec<String> {
    let lines = watch.drawn().flat_map(|(_, line)| &line.runs);
    let runs = lines.filter_map(|id| world.run(id));
    let mut gpus = BTreeMap::new();
    let gib = |bytes: f64| bytes / (1u64 << 30) as f64;
    for run in runs.filter(|run| run.state == RunState::Running) {
        for name in &run.devices {
            let Some(k) = gpu(name) else { continue };
            let gauge = |name: &str| run.latest(&gauge(k, name));
            let parts = [
                gauge("busy").map(|share| format!("{:.0} % busy", 100.0 * share)),
                gauge("memory").map(|bytes| format!("{:.1} GiB", gib(bytes))),
                gauge("peak").map(|bytes| format!("the run's peak {:.1} GiB", gib(bytes))),
                gauge("celsius").map(|degrees| format!("{degrees:.0} °C")),
                gauge("watts").map(|watts| format!("{watts:.0} W")),
            ];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            if !parts.is_empty() {
                gpus.insert(k, format!("GPU {k}: {}", parts.join(", ")));
            }
        }
    }
    gpus.into_values().collect()
}

/// Below the curves: where the cursor is and what the lines are there; else the lines and how they are drawn.
pub(super) fn below(
    watch: &Watch,
    area: Rect,
    buffer: &mut Buffer,
    world: &World,
    theme: Theme,
    more: bool,
) {
    if area.height == 0 {
        return;
    }
    let metric = watch.panels.get(watch.panel).map_or("", String::as_str);
    let first = metric.split(TIE).next().unwrap_or(metric);
    let mut pieces: Vec<(String, ratatui::style::Style)> = Vec::new();
    if let Some(x) = watch.cursor {
        pieces.push((
            format!(" {} {first}: ", place(watch.along, x)),
            theme.style(Role::Title),
        ));
    } else {
        pieces.push((" ".into(), theme.style(Role::Plain)));
    }
    for (n, line) in watch.drawn() {
        let value = watch
            .cursor
            .and_then(|x| reading(line, first, watch.along, Some(x), world));
        let words = match (value, watch.cursor) {
            (Some(value), _) => value,
            (None, Some(_)) => "-".into(),
            (None, None) => line.label.clone(),
        };
        pieces.push((format!("{} ", letter(n)), theme.curve(n)));
        pieces.push((format!("{words}  "), theme.style(Role::Plain)));
    }
    text::put_all(
        buffer,
        Rect { height: 1, ..area },
        pieces.iter().map(|(words, style)| (words.as_str(), *style)),
    );
    if area.height < 2 {
        return;
    }
    let along = ALONG
        .iter()
        .find(|(along, _)| *along == watch.along)
        .map_or("", |(_, name)| name);
    let mut words = format!(" over {along}; {}", watch.grouping.name());
    if watch.grouping != super::Grouping::Runs && watch.drawn().count() > super::panels::MOST_BANDS
    {
        words += &format!(
            ", the interval of {} (Tab, j and k choose)",
            letter(watch.line)
        );
    }
    if WEIGHTS[watch.smoothing] > 0.0 {
        words += &format!("; moving average {}", WEIGHTS[watch.smoothing]);
    }
    if !watch.query.is_empty() {
        words += &format!("; / {}", watch.query);
    }
    if watch.view.is_some() {
        words += "; zoomed, 0 shows all";
    }
    if more {
        words += "; j and k show more panels";
    }
    for gpu in gpus(watch, world) {
        words += &format!("; {gpu}");
    }
    text::put(
        buffer,
        area.x,
        area.y + 1,
        area.width,
        &words,
        theme.style(Role::Dim),
    );
}
