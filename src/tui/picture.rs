//! A screen as text, or as an SVG that looks like the terminal: how the tests read it and how the pictures in `assets/`
//! are made. Braille and lines are drawn, not typed, so that no font is needed for them.

use std::fmt::Write;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

/// One line a row, without blanks at the end.
pub fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width.max(1));
    let rows = buffer.content.chunks(width);
    let line = |row: &[Cell]| {
        let mut line = String::new();
        let mut covered = 0;
        for cell in row {
            // The cell after a wide character is hidden under it.
            if covered == 0 {
                line.push_str(cell.symbol());
                covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).max(1);
            }
            covered -= 1;
        }
        format!("{}\n", line.trim_end())
    };
    rows.map(line).collect()
}

/// Size of a character cell in pixels.
const CELL: (f64, f64) = (8.4, 17.0);
const MARGIN: f64 = 12.0;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d7dae0";

/// The screen as a picture of its own, for a browser or a readme.
pub fn svg(buffer: &Buffer) -> String {
    let (columns, rows) = (buffer.area.width, buffer.area.height);
    let width = f64::from(columns) * CELL.0 + 2.0 * MARGIN;
    let height = f64::from(rows) * CELL.1 + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" viewBox=\"0 0 {width:.0} {height:.0}\" \
         font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace\" font-size=\"14\">\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    let write = |svg: &mut String, part: std::fmt::Arguments| {
        svg.write_fmt(part).expect("a string takes all")
    };
    for y in 0..rows {
        let top = MARGIN + f64::from(y) * CELL.1;
        let mut x = 0;
        while x < columns {
            let cell = &buffer[(x, y)];
            let look = Look::of(cell);
            let end = (x + 1..columns)
                .find(|&x| Look::of(&buffer[(x, y)]) != look)
                .unwrap_or(columns);
            let left = MARGIN + f64::from(x) * CELL.0;
            let run = f64::from(end - x) * CELL.0;
            if look.background != BACKGROUND {
                write(
                    &mut svg,
                    format_args!(
                        "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{run:.1}\" height=\"{:.1}\" fill=\"{}\"/>\n",
                        CELL.1, look.background
                    ),
                );
            }
            let mut words = String::new();
            let mut drawn = String::new();
            for at in x..end {
                let symbol = buffer[(at, y)].symbol();
                let left = MARGIN + f64::from(at) * CELL.0;
                match shape(symbol, left, top, &look.foreground) {
                    Some(shape) => {
                        drawn += &shape;
                        words.push(' ');
                    }
                    None => words.push_str(symbol),
                }
            }
            let kept = words.trim_end();
            if !kept.trim().is_empty() {
                let lead = kept.len() - kept.trim_start().len();
                let left = left + lead as f64 * CELL.0;
                let kept = kept.trim_start();
                let length = unicode_width::UnicodeWidthStr::width(kept) as f64 * CELL.0;
                write(
                    &mut svg,
                    format_args!(
                        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{length:.1}\" xml:space=\"preserve\" fill=\"{}\"{}>{}</text>\n",
                        top + 13.0,
                        look.foreground,
                        look.attributes,
                        escape(kept)
                    ),
                );
            }
            svg += &drawn;
            x = end;
        }
    }
    svg + "</svg>\n"
}

#[derive(PartialEq)]
struct Look {
    foreground: String,
    background: String,
    attributes: &'static str,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        let mut foreground = colour(cell.fg, FOREGROUND);
        let mut background = colour(cell.bg, BACKGROUND);
        if cell.modifier.contains(Modifier::REVERSED) {
            std::mem::swap(&mut foreground, &mut background);
        }
        let attributes = match (
            cell.modifier.contains(Modifier::BOLD),
            cell.modifier.contains(Modifier::DIM),
        ) {
            (true, _) => " font-weight=\"bold\"",
            (false, true) => " opacity=\"0.55\"",
            (false, false) => "",
        };
        Self {
            foreground,
            background,
            attributes,
        }
    }
}

fn colour(colour: Color, reset: &str) -> String {
    let named = match colour {
        Color::Reset => reset,
        Color::Black => "#16181d",
        Color::Red => "#e06c75",
        Color::Green => "#98c379",
        Color::Yellow => "#e5c07b",
        Color::Blue => "#61afef",
        Color::Magenta => "#c678dd",
        Color::Cyan => "#56b6c2",
        Color::Gray => "#abb2bf",
        Color::DarkGray => "#7a818e",
        Color::LightRed => "#ff8b92",
        Color::LightGreen => "#b5e890",
        Color::LightYellow => "#ffe08a",
        Color::LightBlue => "#8cc8ff",
        Color::LightMagenta => "#e3a6f5",
        Color::LightCyan => "#7fdbe6",
        Color::White => "#ffffff",
        Color::Rgb(r, g, b) => return format!("#{r:02x}{g:02x}{b:02x}"),
        Color::Indexed(_) => FOREGROUND,
    };
    named.to_owned()
}

/// Braille dots and box lines at their place; none for what is typed.
fn shape(symbol: &str, left: f64, top: f64, colour: &str) -> Option<String> {
    let c = symbol.chars().next()?;
    if let dots @ 1..=0xff = u32::from(c).wrapping_sub(0x2800) {
        // Bit n of a Braille character: column and row of its dot.
        let places = [
            (0, 0),
            (0, 1),
            (0, 2),
            (1, 0),
            (1, 1),
            (1, 2),
            (0, 3),
            (1, 3),
        ];
        let lit = places
            .iter()
            .enumerate()
            .filter(|(bit, _)| dots >> bit & 1 == 1);
        let dot = |(_, (column, row)): (usize, &(u8, u8))| {
            let x = left + CELL.0 * (0.25 + 0.5 * f64::from(*column));
            let y = top + CELL.1 * (0.125 + 0.25 * f64::from(*row));
            format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.5\" fill=\"{colour}\"/>")
        };
        return Some(lit.map(dot).collect::<String>() + "\n");
    }
    let (middle, centre) = (left + CELL.0 / 2.0, top + CELL.1 / 2.0);
    let (right, bottom) = (left + CELL.0, top + CELL.1);
    let path = match c {
        '─' => format!("M{left:.1} {centre:.1}H{right:.1}"),
        '│' => format!("M{middle:.1} {top:.1}V{bottom:.1}"),
        '┌' => format!("M{right:.1} {centre:.1}H{middle:.1}V{bottom:.1}"),
        '┐' => format!("M{left:.1} {centre:.1}H{middle:.1}V{bottom:.1}"),
        '└' => format!("M{right:.1} {centre:.1}H{middle:.1}V{top:.1}"),
        '┘' => format!("M{left:.1} {centre:.1}H{middle:.1}V{top:.1}"),
        '┤' => format!("M{left:.1} {centre:.1}H{middle:.1}M{middle:.1} {top:.1}V{bottom:.1}"),
        '├' => format!("M{right:.1} {centre:.1}H{middle:.1}M{middle:.1} {top:.1}V{bottom:.1}"),
        '┴' => format!("M{left:.1} {centre:.1}H{right:.1}M{middle:.1} {centre:.1}V{top:.1}"),
        '┬' => format!("M{left:.1} {centre:.1}H{right:.1}M{middle:.1} {centre:.1}V{bottom:.1}"),
        '┼' => format!("M{left:.1} {centre:.1}H{right:.1}M{middle:.1} {top:.1}V{bottom:.1}"),
        _ => return None,
    };
    Some(format!(
        "<path d=\"{path}\" stroke=\"{colour}\" fill=\"none\"/>\n"
    ))
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn a_screen_is_text_and_a_picture() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        buffer.set_string(0, 0, "a<日 ", Style::new().fg(Color::Red));
        buffer.set_string(0, 1, "⠁─", Style::new());
        assert_eq!(text(&buffer), "a<日\n⠁─\n");
        let svg = svg(&buffer);
        assert!(svg.contains("a&lt;日") && svg.contains("#e06c75"));
        assert_eq!(
            (svg.matches("<circle").count(), svg.matches("<path").count()),
            (1, 1)
        );
    }
}
