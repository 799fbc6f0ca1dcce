//! Words on the screen: cut to their place by the width that they take, and unable to drive the terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::util::printable;

/// Put `text` at `(x, y)`, at most `width` columns of it; what is cut off ends in `…` (or `~`). Returns the column
/// after it. Nothing happens outside the buffer.
pub fn put(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) -> u16 {
    let area = buffer.area;
    if y < area.top() || y >= area.bottom() || x < area.left() || x >= area.right() {
        return x;
    }
    let width = width.min(area.right() - x);
    let text = cut(&printable(text), width.into());
    buffer.set_stringn(x, y, text, width.into(), style).0
}

/// [`put`], with the text's end at the right end of the place.
pub fn put_right(buffer: &mut Buffer, x: u16, y: u16, width: u16, text: &str, style: Style) {
    let text = cut(&printable(text), width.into());
    let space = width.saturating_sub(text.width() as u16);
    put(buffer, x + space, y, width - space, &text, style);
}

/// Pieces one after another, each in its style. Returns the column after the last.
pub fn put_all<'t>(
    buffer: &mut Buffer,
    place: Rect,
    pieces: impl IntoIterator<Item = (&'t str, Style)>,
) -> u16 {
    let mut x = place.x;
    for (text, style) in pieces {
        x = put(
            buffer,
            x,
            place.y,
            place.right().saturating_sub(x),
            text,
            style,
        );
    }
    x
}

/// [`wrap`]ped `text` from the top of `area` on. Returns what is left of `area` below it.
pub fn put_wrapped(buffer: &mut Buffer, area: Rect, text: &str, style: Style) -> Rect {
    let mut rest = area;
    for line in wrap(text, area.width.into())
        .iter()
        .take(area.height.into())
    {
        put(buffer, rest.x, rest.y, rest.width, line, style);
        rest.y += 1;
        rest.height -= 1;
    }
    rest
}

/// `text` in at most `width` columns.
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut taken = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if taken + wide + 1 > width {
            break;
        }
        taken += wide;
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// `text` in lines of at most `width` columns, broken between words where that is possible.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let mut word = word;
            while line.width() + word.width() + usize::from(!line.is_empty()) > width {
                if !line.is_empty() {
                    lines.push(std::mem::take(&mut line));
                    continue;
                }
                // A word longer than a line is cut.
                let mut taken = 0;
                let end = word.char_indices().find(|(_, c)| {
                    taken += c.width().unwrap_or(0);
                    taken > width
                });
                let Some((end, _)) = end.filter(|(end, _)| *end > 0) else {
                    break;
                };
                lines.push(word[..end].to_owned());
                word = &word[end..];
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// How many columns `text` takes.
pub fn width(text: &str) -> u16 {
    text.width().try_into().unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_by_their_width_and_cannot_drive_the_terminal() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 8, 1));
        put(&mut buffer, 0, 0, 8, "\x1b[31mhostile", Style::new());
        assert!(!buffer.content[0].symbol().contains('\x1b'));
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("abcd", 0), "");
        put(&mut buffer, 90, 90, 4, "nowhere", Style::new());
        put_right(&mut buffer, 5, 0, 3, "long", Style::new());
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(wrap("a\n\nb", 9), ["a", "", "b"]);
        assert_eq!(wrap("日本", 1), ["日本"]);
    }
}
