//! A page to read: help, the whole of a cell, a conflict. It scrolls and goes.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::prompt::Note;
use super::{Heard, place};
use crate::tui::key::Key;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;

#[derive(Debug, Default)]
pub struct Page {
    pub title: String,
    /// Lines with a column of their own for the left part, such as keys; empty for none.
    pub lines: Vec<(String, Note)>,
    top: usize,
    /// What fitted when it was drawn last.
    fits: usize,
}

impl Page {
    pub fn new(title: impl Into<String>, lines: Vec<(String, Note)>) -> Self {
        Self {
            title: title.into(),
            lines,
            top: 0,
            fits: 0,
        }
    }

    /// Paragraphs without a left column.
    pub fn of_notes(title: impl Into<String>, notes: Vec<Note>) -> Self {
        Self::new(
            title,
            notes
                .into_iter()
                .map(|note| (String::new(), note))
                .collect(),
        )
    }

    pub(super) fn hear(&mut self, key: Key) -> Heard {
        let step = self.fits.max(1) as isize;
        let by = match (key.code, key.control) {
            (KeyCode::Char('j'), false) | (KeyCode::Down, _) => 1,
            (KeyCode::Char('k'), false) | (KeyCode::Up, _) => -1,
            (KeyCode::PageDown, _) | (KeyCode::Char('d'), true) | (KeyCode::Char(' '), _) => step,
            (KeyCode::PageUp, _) | (KeyCode::Char('u'), true) => -step,
            (KeyCode::Char('g') | KeyCode::Home, _) => isize::MIN / 2,
            (KeyCode::Char('G') | KeyCode::End, _) => isize::MAX / 2,
            _ => return Heard::Left,
        };
        self.top = self.top.saturating_add_signed(by);
        Heard::Nothing
    }

    pub(super) fn draw(&mut self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let width = area.width.saturating_sub(4).min(110);
        let left_column = self
            .lines
            .iter()
            .map(|(left, _)| text::width(left))
            .max()
            .unwrap_or(0);
        let indent = if left_column == 0 {
            0
        } else {
            (left_column + 2).min(width / 2)
        };
        let room = usize::from(width.saturating_sub(4 + indent));
        let lines: Vec<(&str, String, Role)> =
            self.lines
                .iter()
                .flat_map(|(left, (right, role))| {
                    let wrapped = text::wrap(right, room);
                    let wrapped = if wrapped.is_empty() {
                        vec![String::new()]
                    } else {
                        wrapped
                    };
                    wrapped.into_iter().enumerate().map(move |(i, line)| {
                        (if i == 0 { left.as_str() } else { "" }, line, *role)
                    })
                })
                .collect();
        let height = (lines.len() as u16).saturating_add(2);
        let inner = place(area, width, height, &self.title, buffer, theme);
        let x = inner.x + 1;
        self.fits = inner.height.into();
        self.top = self.top.min(lines.len().saturating_sub(self.fits));
        let more = lines.len() > self.top + self.fits;
        for (y, (left, right, role)) in
            (inner.top()..inner.bottom()).zip(lines.iter().skip(self.top))
        {
            text::put(
                buffer,
                x,
                y,
                indent.saturating_sub(1),
                left,
                theme.style(Role::Key),
            );
            text::put(
                buffer,
                x + indent,
                y,
                inner.right().saturating_sub(x + indent),
                right,
                theme.style(*role),
            );
        }
        if more && inner.width > 8 {
            text::put_right(
                buffer,
                inner.x,
                inner.bottom(),
                inner.width.saturating_sub(1),
                " more: j ",
                theme.style(Role::Dim),
            );
        }
    }
}
