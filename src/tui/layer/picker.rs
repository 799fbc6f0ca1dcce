//! A list to pick from, narrowed by words: an item stays while all of them occur in it. One item is picked, or, where
//! several are wanted, those that are ticked.

use crossterm::event::{Event, KeyCode};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::backend::crossterm::EventHandler;
use tui_input::{Input, InputRequest};

use super::prompt::line;
use super::{Heard, place};
use crate::tui::asked::Asked;
use crate::tui::key::Key;
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::{frame, text};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    pub label: String,
    /// Beside the label: a type, a default, a key.
    pub detail: String,
    /// Below the list while the cursor is on it, and searched.
    pub doc: String,
    /// For a list of which several are wanted.
    pub ticked: Option<bool>,
}

#[derive(Debug)]
pub struct Picker {
    pub title: String,
    pub items: Vec<Item>,
    query: Input,
    /// Positions in `items` that fit the query.
    shown: Vec<usize>,
    /// Position in `shown`.
    cursor: usize,
    pub asked: Asked,
}

impl Picker {
    pub fn new(asked: Asked, title: impl Into<String>, items: Vec<Item>) -> Self {
        let mut picker = Self {
            title: title.into(),
            items,
            query: Input::default(),
            shown: Vec::new(),
            cursor: 0,
            asked,
        };
        picker.narrow();
        picker
    }

    /// With the cursor on this item, if it is there.
    pub fn at(mut self, label: &str) -> Self {
        let found = self
            .shown
            .iter()
            .position(|&i| self.items[i].label == label);
        self.cursor = found.unwrap_or(0);
        self
    }

    /// The item under the cursor, as a position in `items`.
    pub fn chosen(&self) -> Option<usize> {
        self.shown.get(self.cursor).copied()
    }

    /// What was typed: a list may take what is not in it.
    pub fn query(&self) -> &str {
        self.query.value()
    }

    pub(super) fn insert(&mut self, c: char) {
        self.query.handle(InputRequest::InsertChar(c));
        self.narrow();
    }

    fn narrow(&mut self) {
        let query = self.query.value().to_lowercase();
        let words: Vec<&str> = query.split_whitespace().collect();
        let rank = |item: &Item| {
            let label = item.label.to_lowercase();
            let all = format!(
                "{label} {} {}",
                item.detail.to_lowercase(),
                item.doc.to_lowercase()
            );
            let missing = words.iter().any(|word| !all.contains(word));
            // Names before what is only said about them, beginnings before middles.
            let end = label.rsplit('.').next().unwrap_or(&label);
            let rank = words.iter().map(|word| match () {
                () if end == *word => 0,
                () if end.starts_with(word) => 1,
                () if label.contains(word) => 2,
                () => 3,
            });
            (!missing).then(|| rank.sum::<u32>())
        };
        let mut found: Vec<(u32, usize)> = self
            .items
            .iter()
            .enumerate()
            .filter_map(|(i, item)| Some((rank(item)?, i)))
            .collect();
        found.sort_unstable();
        self.shown = found.into_iter().map(|(_, i)| i).collect();
        self.cursor = self.cursor.min(self.shown.len().saturating_sub(1));
    }

    fn go(&mut self, by: isize) {
        let last = self.shown.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    pub(super) fn hear(&mut self, key: Key, event: &Event) -> Heard {
        let several = self.items.iter().any(|item| item.ticked.is_some());
        match (key.code, key.control) {
            (KeyCode::Esc, _) => return Heard::Left,
            (KeyCode::Enter, _) if several || self.chosen().is_some() => return Heard::Answered,
            (KeyCode::Enter, _) => {}
            (KeyCode::Down, _) | (KeyCode::Char('n' | 'j'), true) => self.go(1),
            (KeyCode::Up, _) | (KeyCode::Char('p' | 'k'), true) => self.go(-1),
            (KeyCode::PageDown, _) => self.go(10),
            (KeyCode::PageUp, _) => self.go(-10),
            (KeyCode::Char(' '), false) if several => {
                if let Some(i) = self.chosen() {
                    let ticked = &mut self.items[i].ticked;
                    *ticked = Some(*ticked != Some(true));
                }
            }
            _ => {
                if self
                    .query
                    .handle_event(event)
                    .is_some_and(|changed| changed.value)
                {
                    self.cursor = 0;
                    self.narrow();
                }
            }
        }
        Heard::Nothing
    }

    pub(super) fn draw(&self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        let width = area.width.saturating_sub(4).min(110);
        let height = area.height.saturating_sub(2).min(30);
        let inner = place(area, width, height, &self.title, buffer, theme);
        let (left, wide) = (inner.x + 1, inner.width.saturating_sub(2));
        if inner.height < 3 || wide < 4 {
            return;
        }
        let after = text::put(
            buffer,
            left,
            inner.y,
            2,
            theme.sign("⌕ ", "/ "),
            theme.style(Role::Dim),
        );
        let room = Rect::new(after, inner.y, (left + wide).saturating_sub(after), 1);
        line(buffer, room, &self.query, theme);
        let doc_height = if inner.height > 10 { 4 } else { 1 };
        let list = Rect::new(left, inner.y + 1, wide, inner.height - 1 - doc_height);
        let first = (self.cursor + 1).saturating_sub(list.height.into());
        let widest = self
            .shown
            .iter()
            .map(|&i| text::width(&self.items[i].label))
            .max()
            .unwrap_or(0);
        let column = (widest + 2).min(wide * 3 / 5);
        for (y, (place, &i)) in
            (list.top()..list.bottom()).zip(self.shown.iter().enumerate().skip(first))
        {
            let item = &self.items[i];
            let tick = match item.ticked {
                Some(true) => theme.sign("☑ ", "[x] "),
                Some(false) => theme.sign("☐ ", "[ ] "),
                None => "",
            };
            let x = text::put(buffer, list.x, y, wide, tick, theme.style(Role::Plain));
            text::put(
                buffer,
                x,
                y,
                (list.x + column).saturating_sub(x + 1),
                &item.label,
                theme.style(Role::Plain),
            );
            text::put(
                buffer,
                list.x + column,
                y,
                wide - column,
                &item.detail,
                theme.style(Role::Dim),
            );
            if place == self.cursor {
                frame::cursor(buffer, list, y, theme);
            }
        }
        if self.shown.is_empty() {
            text::put(
                buffer,
                list.x,
                list.y,
                wide,
                "nothing fits these words",
                theme.style(Role::Warn),
            );
        }
        let doc = self.chosen().map_or("", |i| self.items[i].doc.as_str());
        let below = Rect {
            x: left,
            y: list.bottom(),
            width: wide,
            height: inner.bottom().saturating_sub(list.bottom()),
        };
        text::put_wrapped(buffer, below, doc, theme.style(Role::Dim));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picker(labels: &[&str]) -> Picker {
        let item = |label: &&str| Item {
            label: (*label).to_owned(),
            doc: format!("about {label}"),
            ..Item::default()
        };
        Picker::new(Asked::Palette, "pick", labels.iter().map(item).collect())
    }

    #[test]
    fn names_come_before_what_is_said_about_them() {
        let mut picker = picker(&["optim.lr_mult", "optim.lr", "data.colour"]);
        "lr".chars().for_each(|c| picker.insert(c));
        assert_eq!(picker.shown, [1, 0]);
        " about nothing".chars().for_each(|c| picker.insert(c));
        assert_eq!(picker.chosen(), None);
    }
}
