//! The end of a worker's log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{frame, text};
use crate::store::RunId;
use crate::tui::theme::{Role, Theme};
use crate::tui::world::World;

/// Draw as much of the end of the log of `run` as there is room for.
pub fn draw(area: Rect, buffer: &mut Buffer, run: Option<&RunId>, world: &World, theme: Theme) {
    let title = run.map_or("Log".to_owned(), |run| format!("Log of {run}"));
    let inner = frame::rule(buffer, area, &title, false, theme);
    let lines: &[String] = match (&world.log, run) {
        (Some((id, lines)), Some(run)) if id == run => lines,
        _ => &[],
    };
    if lines.is_empty() {
        text::put(
            buffer,
            inner.x + 1,
            inner.y,
            inner.width,
            "nothing was logged yet",
            theme.style(Role::Dim),
        );
    }
    let shown = &lines[lines.len().saturating_sub(inner.height.into())..];
    for (y, line) in (inner.top()..inner.bottom()).zip(shown) {
        text::put(
            buffer,
            inner.x + 1,
            y,
            inner.width.saturating_sub(1),
            line,
            theme.style(Role::Plain),
        );
    }
}
