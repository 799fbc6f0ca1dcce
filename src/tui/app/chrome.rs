//! What frames every screen: the line on top (screens, experiment, what the workspace is doing) and the two below (the
//! keys that hold here; what was said last).

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::App;
use crate::store::RunState;
use crate::tui::action::{self, View};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;

/// Below this there is no room for anything.
pub(super) const SMALLEST: (u16, u16) = (40, 10);

pub(super) fn too_small(buffer: &mut Buffer, theme: Theme) {
    let area = buffer.area;
    let words = format!(
        "{}x{} is too small; {}x{} is the least",
        area.width, area.height, SMALLEST.0, SMALLEST.1
    );
    text::put_wrapped(buffer, area, &words, theme.style(Role::Warn));
}

/// What words bring along that is not ASCII.
pub(super) fn to_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        match cell.symbol() {
            "…" => cell.set_symbol("~"),
            "×" => cell.set_symbol("x"),
            "·" => cell.set_symbol("."),
            "±" => cell.set_symbol("+"),
            _ => continue,
        };
    }
}

/// Draw the frame; returns the room for the screen and where the names of the screens are.
pub(super) fn draw(app: &App, buffer: &mut Buffer, world: &World) -> (Rect, Vec<(Rect, View)>) {
    let area = buffer.area;
    let theme = app.theme;
    let mut tabs = Vec::new();
    let mut x = area.x + 1;
    for (n, view) in (1..).zip(View::ALL) {
        let role = if view == app.view {
            Role::Cursor
        } else {
            Role::Plain
        };
        let words = format!(" {n} {} ", view.name());
        let after = text::put(
            buffer,
            x,
            area.y,
            text::width(&words),
            &words,
            theme.style(role),
        );
        tabs.push((Rect::new(x, area.y, after - x, 1), view));
        x = after + 1;
    }
    let doing = doing(world);
    let width = text::width(&doing).min(area.width / 2);
    let right = area.right().saturating_sub(width + 1);
    text::put(
        buffer,
        right,
        area.y,
        width,
        &doing,
        theme.style(Role::Plain),
    );
    let room = right.saturating_sub(x + 2);
    // Where the path has no room, the file's name alone is worth more than the path's beginning.
    let path = app.desk.title(&app.desk.path().display().to_string());
    let name = if text::width(&path) > room {
        app.desk.title(&app.desk.name())
    } else {
        path
    };
    text::put(buffer, x + 1, area.y, room, &name, theme.style(Role::Title));

    let body = Rect {
        y: area.y + 1,
        height: area.height - 3,
        ..area
    };
    footer(
        app,
        buffer,
        Rect::new(area.x, area.bottom() - 2, area.width, 1),
    );
    said(
        app,
        buffer,
        Rect::new(area.x, area.bottom() - 1, area.width, 1),
        world,
    );
    (body, tabs)
}

/// How the workspace stands, in a few words.
fn doing(world: &World) -> String {
    let mut counts = [0; 3];
    for run in world.store().runs() {
        match &run.state {
            RunState::Running => counts[0] += 1,
            RunState::Completed => counts[1] += 1,
            RunState::Failed { .. } | RunState::Diverged { .. } => counts[2] += 1,
            RunState::New | RunState::Stopped | RunState::Interrupted { .. } => {}
        }
    }
    let words = ["running", "done", "without result"];
    let counted = counts.iter().zip(words).filter(|(n, _)| **n > 0);
    let mut words: Vec<String> = counted.map(|(n, word)| format!("{n} {word}")).collect();
    if world.unread() > 0 {
        words.insert(0, format!("reading, {} to go", world.unread()));
    }
    if world.scheduler.is_some() {
        words.push("scheduler at work".into());
    }
    words.join(", ")
}

/// The keys that hold here, as many as fit.
fn footer(app: &App, buffer: &mut Buffer, place: Rect) {
    let theme = app.theme;
    let mut x = place.x + 1;
    // Help and leaving are always in sight: they tell the rest.
    let rows: Vec<_> = action::on(app.view)
        .filter(|row| !row.brief.is_empty())
        .collect();
    let (own, general): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| !row.views.is_empty());
    let width = |row: &&action::Binding| text::width(row.keys[0]) + text::width(row.brief) + 3;
    let kept: u16 = general.iter().map(width).sum();
    let end = place.right().saturating_sub(kept);
    let fits = own.into_iter().filter(|row| {
        let fits = x + width(row) <= end;
        x += if fits { width(row) } else { 0 };
        fits
    });
    let rows: Vec<_> = fits.collect();
    x = place.x + 1;
    for row in rows.into_iter().chain(general) {
        x = text::put(
            buffer,
            x,
            place.y,
            place.right().saturating_sub(x),
            row.keys[0],
            theme.style(Role::Key),
        );
        let words = format!(" {}  ", row.brief);
        x = text::put(
            buffer,
            x,
            place.y,
            place.right().saturating_sub(x),
            &words,
            theme.style(Role::Dim),
        );
    }
}

/// That the disk is full, if it is; then what was said last, with the command line that does the same; else what is wrong with the world.
fn said(app: &App, buffer: &mut Buffer, place: Rect, world: &World) {
    let theme = app.theme;
    let place = Rect {
        x: place.x + 1,
        width: place.width.saturating_sub(2),
        ..place
    };
    let place = match &world.full {
        Some(full) => {
            let room = place.width;
            let after = text::put(buffer, place.x, place.y, room, full, theme.style(Role::Bad));
            let used = (after + 3 - place.x).min(place.width);
            Rect {
                x: place.x + used,
                width: place.width - used,
                ..place
            }
        }
        None => place,
    };
    match &app.said {
        Some(said) => {
            let command = said.command.as_ref().map(|command| format!("$ {command}"));
            let gap = if said.text.is_empty() || command.is_none() {
                ""
            } else {
                "   "
            };
            let pieces = [
                (said.text.as_str(), theme.style(said.role)),
                (gap, theme.style(Role::Plain)),
                (command.as_deref().unwrap_or(""), theme.style(Role::Dim)),
            ];
            text::put_all(buffer, place, pieces);
        }
        None => {
            let unreadable = world.store().unreadable().iter().next();
            let (words, role) = match (unreadable, world.bench.watch_notice()) {
                (Some((id, why)), _) => (format!("run {id} cannot be read: {why}"), Role::Warn),
                (None, Some(notice)) => (notice.to_owned(), Role::Warn),
                (None, None) => match app.about(world) {
                    Some(words) => (words, Role::Dim),
                    None => return,
                },
            };
            text::put(
                buffer,
                place.x,
                place.y,
                place.width,
                &words,
                theme.style(role),
            );
        }
    }
}
