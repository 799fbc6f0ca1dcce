//! What lies over a screen and takes the keys until it is answered or left: a question, a line to fill in, a list to
//! pick from, a page to read. A layer collects an answer and knows what it was asked for; what follows from the answer
//! is the app's affair.

mod confirm;
mod page;
mod picker;
mod prompt;

use crossterm::event::Event;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use super::key::Key;
use super::theme::{Role, Theme};
use super::widget::frame;
pub use confirm::Confirm;
pub use page::Page;
pub use picker::{Item, Picker};
pub use prompt::{Note, Prompt};

#[derive(Debug)]
pub enum Layer {
    Confirm(Confirm),
    Prompt(Prompt),
    Picker(Picker),
    Page(Page),
}

/// What a key made of the uppermost layer.
#[derive(Debug, PartialEq)]
pub enum Heard {
    /// It stays.
    Nothing,
    /// The line changed: what is said about it is due anew.
    Edited,
    /// It is to go, without an answer.
    Left,
    /// It is to go; this is the answer.
    Answered,
}

impl Layer {
    /// A key, as the event that it came in: a line takes letters as letters.
    pub fn hear(&mut self, key: Key, event: &Event) -> Heard {
        match self {
            Self::Confirm(confirm) => confirm.hear(key),
            Self::Prompt(prompt) => prompt.hear(key, event),
            Self::Picker(picker) => picker.hear(key, event),
            Self::Page(page) => page.hear(key),
        }
    }

    pub fn paste(&mut self, text: &str) -> Heard {
        let insert =
            |hear: &mut dyn FnMut(char)| text.chars().filter(|c| !c.is_control()).for_each(hear);
        match self {
            Self::Prompt(prompt) => {
                insert(&mut |c| prompt.insert(c));
                Heard::Edited
            }
            Self::Picker(picker) => {
                insert(&mut |c| picker.insert(c));
                Heard::Nothing
            }
            Self::Confirm(_) | Self::Page(_) => Heard::Nothing,
        }
    }

    pub fn draw(&mut self, area: Rect, buffer: &mut Buffer, theme: Theme) {
        match self {
            Self::Confirm(confirm) => confirm.draw(area, buffer, theme),
            Self::Prompt(prompt) => prompt.draw(area, buffer, theme),
            Self::Picker(picker) => picker.draw(area, buffer, theme),
            Self::Page(page) => page.draw(area, buffer, theme),
        }
    }
}

/// A framed and emptied place in the middle of `area`; returns the room inside.
fn place(
    area: Rect,
    width: u16,
    height: u16,
    title: &str,
    buffer: &mut Buffer,
    theme: Theme,
) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    let outer = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 3,
        width,
        height,
    };
    Clear.render(outer, buffer);
    frame::draw(buffer, outer, title, theme.style(Role::Accent), theme)
}
