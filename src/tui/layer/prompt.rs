//! One line to fill in, with what is to be said about it while it is typed.

use crossterm::event::{Event, KeyCode};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use super::{Heard, place};
use crate::tui::key::Key;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;

/// Something about the line: what it means, or why it cannot be.
pub type Note = (String, Role);

#[derive(Debug)]
pub struct Prompt {
    pub title: String,
    /// What can be entered, in a line or two.
    pub hint: String,
    input: Input,
    /// About the line as it stands.
    pub notes: Vec<Note>,
    /// What was asked.
    pub asked: crate::tui::asked::Asked,
}

impl Prompt {
    pub fn new(
        asked: crate::tui::asked::Asked,
        title: impl Into<String>,
        hint: impl Into<String>,
        value: &str,
    ) -> Self {
        Self {
            title: title.into(),
            hint: hint.into(),
            input: Input::new(value.to_owned()),
            notes: Vec::new(),
            asked,
        }
    }

    pub fn value(&self) -> &str {
        self.input.value()
    }

    pub(super) fn insert(&mut self, c: char) {
        self.input.handle(InputRequest::InsertChar(c));
    }

    pub(super) fn hear(&mut self, key: Key, event: &Event) -> Heard {
        match key.code {
            KeyCode::Esc => return Heard::Left,
            KeyCode::Enter => return Heard::Answered,
            _ => {}
        }
        match self.input.handle_event(event) {
            Some(changed) if changed.value => Heard::Edited,
            _ => Heard::Nothing,
        }
    }

    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let width = area.width.saturating_sub(4).min(100);
        let room = usize::from(width.saturating_sub(4));
        let hint = text::wrap(&self.hint, room);
        let notes: Vec<Note> = self
            .notes
            .iter()
            .flat_map(|(note, role)| text::wrap(note, room).into_iter().map(|line| (line, *role)))
            .take(8)
            .collect();
        let height = (hint.len() + notes.len()) as u16 + 5;
        let inner = place(area, width, height, &self.title, buffer, theme);
        let (left, wide) = (inner.x + 1, inner.width.saturating_sub(2));
        let mut y = inner.y;
        line(buffer, Rect::new(left, y, wide, 1), &self.input, theme);
        y += 2;
        for line in &hint {
            if y < inner.bottom() {
                text::put(buffer, left, y, wide, line, theme.style(Role::Dim));
            }
            y += 1;
        }
        for (note, role) in &notes {
            if y < inner.bottom() {
                text::put(buffer, left, y, wide, note, theme.style(*role));
            }
            y += 1;
        }
    }
}

/// The line itself, with its cursor, scrolled so that the cursor is in sight.
pub(super) fn line(buffer: &mut Buffer, place: Rect, input: &Input, theme: Theme) {
    let place = place.intersection(buffer.area);
    if place.width < 2 || place.height == 0 {
        return;
    }
    let scroll = input.visual_scroll(usize::from(place.width) - 1);
    // Columns, not characters: what a wide character hangs over is left out.
    let mut skipped = 0;
    let shown: String = input
        .value()
        .chars()
        .skip_while(|c| {
            let hidden = skipped < scroll;
            skipped += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
            hidden
        })
        .collect();
    text::put(
        buffer,
        place.x,
        place.y,
        place.width,
        &shown,
        theme.style(Role::Plain),
    );
    let cursor =
        place.x + (input.visual_cursor().saturating_sub(scroll) as u16).min(place.width - 1);
    buffer[(cursor, place.y)].set_style(theme.style(Role::Cursor));
}
