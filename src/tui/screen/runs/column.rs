//! The columns of the list, and which of them a width has room for.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::Words;
use crate::store::{Along, Run, RunState};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::chart::spark;
use crate::tui::widget::text;
use crate::tui::world::World;
use crate::util::{human_count, human_duration};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    State,
    Id,
    Settings,
    Progress,
    Rate,
    Left,
    Curve,
    Loss,
    Top1,
    Spikes,
    Device,
    Why,
}

/// In the order of the screen: the column, its width, and its rank when there is not room for all (0 stays longest).
const COLUMNS: [(Column, u16, u8); 12] = [
    (Column::State, 14, 0),
    (Column::Id, 10, 4),
    (Column::Settings, 16, 0),
    (Column::Progress, 11, 1),
    (Column::Rate, 6, 6),
    (Column::Left, 7, 2),
    (Column::Curve, 12, 5),
    (Column::Loss, 7, 1),
    (Column::Top1, 6, 1),
    (Column::Spikes, 3, 3),
    (Column::Device, 8, 7),
    (Column::Why, 20, 3),
];

/// The columns that `width` has room for; what is left over goes to the settings and the reason.
pub(super) fn layout(width: u16) -> Vec<(Column, u16)> {
    let taken = |rank: u8| -> u16 {
        COLUMNS
            .iter()
            .filter(|(_, _, r)| *r <= rank)
            .map(|(_, w, _)| w + 1)
            .sum()
    };
    let rank = (0..=7)
        .rev()
        .find(|rank| taken(*rank) <= width)
        .unwrap_or(0);
    let spare = width.saturating_sub(taken(rank));
    let fits = COLUMNS.iter().filter(|(_, _, r)| *r <= rank);
    let has_why = rank >= 3;
    fits.map(|(column, width, _)| {
        let more = match column {
            Column::Settings if has_why => spare * 3 / 5,
            Column::Settings => spare,
            Column::Why => spare - spare * 3 / 5,
            _ => 0,
        };
        (*column, width + more)
    })
    .collect()
}

impl Column {
    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::State => "  STATE",
            Self::Id => "RUN",
            Self::Settings => "SETTINGS",
            Self::Progress => "PROGRESS",
            Self::Rate => "EX/S",
            Self::Left => "LEFT",
            Self::Curve => "LOSS CURVE",
            Self::Loss => "LOSS",
            Self::Top1 => "TOP-1",
            Self::Spikes => "SPK",
            Self::Device => "DEVICE",
            Self::Why => "WHY",
        }
    }

    fn is_number(self) -> bool {
        matches!(
            self,
            Self::Rate | Self::Left | Self::Loss | Self::Top1 | Self::Spikes
        )
    }

    /// Words in the column's place, numbers to the right.
    pub(super) fn put(self, buffer: &mut Buffer, place: Rect, words: &str, style: Style) {
        if self.is_number() {
            text::put_right(buffer, place.x, place.y, place.width, words, style);
        } else {
            text::put(buffer, place.x, place.y, place.width, words, style);
        }
    }
}

/// One run in its columns.
pub(super) fn draw_run(
    line: Rect,
    buffer: &mut Buffer,
    columns: &[(Column, u16)],
    (run, words): (&Run, &Words),
    world: &World,
    theme: Theme,
) {
    let mut x = line.x;
    for (column, width) in columns {
        let place = Rect::new(x, line.y, *width, 1).intersection(line);
        let (shown, role) = cell(*column, (run, words), world, theme, *width);
        column.put(buffer, place, &shown, theme.style(role));
        x += width + 1;
    }
}

fn cell(
    column: Column,
    (run, words): (&Run, &Words),
    world: &World,
    theme: Theme,
    width: u16,
) -> (String, Role) {
    let number = |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(String::new, show);
    let plain = |words: String| (words, Role::Plain);
    match column {
        Column::State => {
            let (sign, _) = theme.state(&run.state);
            let role = match run.state {
                RunState::Running => Role::Accent,
                RunState::Completed => Role::Good,
                RunState::Failed { .. } | RunState::Diverged { .. } => Role::Bad,
                RunState::Stopped | RunState::Interrupted { .. } => Role::Warn,
                RunState::New => Role::Plain,
            };
            (format!(" {sign} {}", run.state.name()), role)
        }
        Column::Id => (run.id().to_string(), Role::Dim),
        Column::Settings if words.label.is_empty() => plain(world.label(run.id())),
        Column::Settings if text::width(&words.label) > width => plain(words.brief.clone()),
        Column::Settings => plain(words.label.clone()),
        Column::Progress => plain(progress(run.progress(), width, theme)),
        Column::Rate => {
            let rate = run.speed().filter(|_| run.state == RunState::Running);
            plain(number(rate, human_count))
        }
        Column::Left => match left(run, world) {
            Some((left, true)) => plain(human_duration(left)),
            Some((left, false)) => (format!("~{}", human_duration(left)), Role::Dim),
            None => plain(String::new()),
        },
        Column::Curve => {
            let curve = run.series.column("loss");
            plain(curve.map_or_else(String::new, |column| {
                spark(&run.series, column, Along::Examples, width, theme.glyphs)
            }))
        }
        Column::Loss => plain(number(run.latest("loss"), seven)),
        Column::Top1 => plain(number(run.top1(), |top1| format!("{:.1}%", 100.0 * top1))),
        Column::Spikes => match world.spikes(run.id()).len() {
            0 => plain(String::new()),
            n => (n.to_string(), Role::Warn),
        },
        Column::Device => (run.devices.join(","), Role::Dim),
        Column::Why => (why(run, world), Role::Dim),
    }
}

/// A number in seven columns.
fn seven(x: f64) -> String {
    match x.abs() {
        1000.0.. => format!("{x:.1e}"),
        100.0.. => format!("{x:.2}"),
        10.0.. => format!("{x:.3}"),
        _ => format!("{x:.4}"),
    }
}

/// Why it is where it is, else what there is to say about a run at work.
pub(super) fn why(run: &Run, world: &World) -> String {
    let waits = || {
        let waiting = !run.state.is_over() && run.state != RunState::Running;
        let scheduled = if world.scheduler.is_some() {
            "waits for its turn"
        } else {
            "no scheduler; L launches"
        };
        waiting.then(|| scheduled.to_owned())
    };
    let priority = (run.want.priority != 0 && !run.state.is_over())
        .then(|| format!("priority {}", run.want.priority));
    let damaged = (run.damaged > 0).then(|| format!("{} damaged lines", run.damaged));
    let why = world.why(run).or_else(waits);
    let words: Vec<String> = why.into_iter().chain(priority).chain(damaged).collect();
    words.join(", ")
}

/// How long until the run is done, and whether that is measured on itself or foretold from others.
fn left(run: &Run, world: &World) -> Option<(Duration, bool)> {
    if run.state.is_over() {
        return None;
    }
    let examples = run.spec.config.examples().saturating_sub(run.examples);
    if run.state == RunState::Running
        && let Some(speed) = run.speed()
    {
        let left = Duration::try_from_secs_f64(examples as f64 / speed).ok()?;
        return Some((left, true));
    }
    let whole = world.forecast.run(&run.spec)?.span.seconds;
    let part = examples as f64 / run.spec.config.examples().max(1) as f64;
    Some((Duration::try_from_secs_f64(whole * part).ok()?, false))
}

/// `▰▰▰▱▱▱ 45%` in `width` columns.
fn progress(part: f64, width: u16, theme: Theme) -> String {
    let room = usize::from(width.saturating_sub(5));
    let full = (part * room as f64).floor() as usize;
    let (done, open) = (theme.sign("━", "="), theme.sign("╌", "."));
    format!(
        "{}{} {:>3}%",
        done.repeat(full),
        open.repeat(room - full),
        (100.0 * part).floor()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_fill_the_width_and_no_more() {
        for width in 40..300 {
            let columns = layout(width);
            let taken: u16 = columns.iter().map(|(_, width)| width + 1).sum();
            assert!(taken <= width || width < 60, "{width}: {taken}");
            assert!(
                columns
                    .iter()
                    .any(|(column, _)| *column == Column::Settings)
            );
        }
        let names = |width| {
            layout(width)
                .into_iter()
                .map(|(column, _)| column)
                .collect::<Vec<_>>()
        };
        assert!(!names(80).contains(&Column::Curve) && names(160).contains(&Column::Curve));
        assert_eq!(names(160).len(), COLUMNS.len());
    }
}
