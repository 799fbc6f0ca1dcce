//! A frame with a title, in lines or in ASCII. A place too small for one stays bare.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::text;
use crate::tui::theme::{Role, Theme};

/// Mark row `y` of `area` as the one under the cursor.
pub fn cursor(buffer: &mut Buffer, area: Rect, y: u16, theme: Theme) {
    buffer.set_style(
        Rect {
            y,
            height: 1,
            ..area
        },
        theme.style(Role::Cursor),
    );
}

/// Draw a frame around `area` and return the room inside.
pub fn draw(buffer: &mut Buffer, area: Rect, title: &str, style: Style, theme: Theme) -> Rect {
    let area = area.intersection(buffer.area);
    if area.width < 2 || area.height < 2 {
        return area;
    }
    let [horizontal, vertical, corners] = if theme.ascii() {
        ["-", "|", "++++"]
    } else {
        ["─", "│", "┌┐└┘"]
    };
    let (left, right) = (area.left(), area.right() - 1);
    let (top, bottom) = (area.top(), area.bottom() - 1);
    for x in left..=right {
        buffer[(x, top)].set_symbol(horizontal).set_style(style);
        buffer[(x, bottom)].set_symbol(horizontal).set_style(style);
    }
    for y in top..=bottom {
        buffer[(left, y)].set_symbol(vertical).set_style(style);
        buffer[(right, y)].set_symbol(vertical).set_style(style);
    }
    let places = [(left, top), (right, top), (left, bottom), (right, bottom)];
    for (place, corner) in places.into_iter().zip(corners.chars()) {
        buffer[place].set_char(corner);
    }
    if !title.is_empty() && area.width > 4 {
        let room = area.width - 4;
        let after = text::put(
            buffer,
            left + 2,
            top,
            room,
            title,
            theme.style(Role::Title).patch(style),
        );
        for x in [left + 1, after] {
            if x < right {
                buffer[(x, top)].set_symbol(" ");
            }
        }
    }
    Rect {
        x: area.x + 1,
        y: area.y + 1,
        width: area.width - 2,
        height: area.height - 2,
    }
}

/// A rule with a title, for where a frame would cost too much room. Returns what is below it.
pub fn rule(buffer: &mut Buffer, area: Rect, title: &str, focused: bool, theme: Theme) -> Rect {
    let area = area.intersection(buffer.area);
    if area.height == 0 {
        return area;
    }
    let dim = theme.style(Role::Dim);
    let line = theme.sign("─", "-");
    for x in area.left()..area.right() {
        buffer[(x, area.y)].set_symbol(line).set_style(dim);
    }
    let role = if focused { Role::Accent } else { Role::Title };
    // The focus is a sign as well as a colour.
    let title = if focused {
        format!(" {} {title} ", theme.sign("▸", ">"))
    } else {
        format!(" {title} ")
    };
    text::put(
        buffer,
        area.x + 1,
        area.y,
        area.width.saturating_sub(2),
        &title,
        theme.style(role),
    );
    Rect {
        y: area.y + 1,
        height: area.height - 1,
        ..area
    }
}
