//! A question that is answered by yes or no. What destroys says no unless told otherwise.

use crossterm::event::KeyCode;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Heard, place};
use crate::tui::effect::Effect;
use crate::tui::key::Key;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;

#[derive(Debug)]
pub struct Confirm {
    pub title: String,
    pub lines: Vec<String>,
    /// What yes does, in a word or two.
    pub yes: String,
    /// What happens on yes.
    pub effects: Vec<Effect>,
    /// The command line that does the same.
    pub command: Option<String>,
    /// The answer of a bare Enter.
    pub default: bool,
}

impl Confirm {
    pub(super) fn hear(&mut self, key: Key) -> Heard {
        match key.code {
            KeyCode::Char('y' | 'Y') => Heard::Answered,
            KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => Heard::Left,
            KeyCode::Tab
            | KeyCode::BackTab
            | KeyCode::Left
            | KeyCode::Right
            | KeyCode::Char('h' | 'l') => {
                self.default = !self.default;
                Heard::Nothing
            }
            KeyCode::Enter if self.default => Heard::Answered,
            KeyCode::Enter => Heard::Left,
            _ => Heard::Nothing,
        }
    }

    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let room = usize::from(area.width.saturating_sub(8)).min(90);
        let command = self.command.iter().map(|command| format!("$ {command}"));
        let body: Vec<(String, Role)> = self
            .lines
            .iter()
            .flat_map(|line| text::wrap(line, room))
            .map(|line| (line, Role::Plain))
            .chain(std::iter::once((String::new(), Role::Plain)))
            .chain(
                command
                    .flat_map(|line| text::wrap(&line, room))
                    .map(|line| (line, Role::Dim)),
            )
            .collect();
        let widest = body
            .iter()
            .map(|(line, _)| text::width(line))
            .max()
            .unwrap_or(0);
        let width = widest.max(text::width(&self.title) + 4).max(30) + 4;
        let inner = place(
            area,
            width,
            body.len() as u16 + 4,
            &self.title,
            buffer,
            theme,
        );
        let left = inner.x + 1;
        let room = inner.width.saturating_sub(2);
        // The answers stay in sight on the smallest terminal.
        let shown = body
            .iter()
            .take(usize::from(inner.height.saturating_sub(1)));
        for (y, (line, role)) in (inner.y..).zip(shown) {
            text::put(buffer, left, y, room, line, theme.style(*role));
        }
        let y = inner.bottom().saturating_sub(1);
        let answer = |chosen: bool| if chosen { Role::Cursor } else { Role::Plain };
        let (yes, no) = (format!(" y {} ", self.yes), " n no ".to_owned());
        let pieces = [
            (yes.as_str(), theme.style(answer(self.default))),
            ("  ", theme.style(Role::Plain)),
            (no.as_str(), theme.style(answer(!self.default))),
        ];
        text::put_all(buffer, Rect::new(left, y, room, 1), pieces);
    }
}
