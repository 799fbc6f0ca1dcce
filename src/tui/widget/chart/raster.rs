//! Dots of a plot, and their way into the cells of a buffer: two by four Braille dots a cell, or one plain character.
//! It knows lines only by their number, and keeps its memory from frame to frame.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Modifier;

use super::reach::Reach;
use super::{Glyphs, Stroke};

/// Braille bits of a cell's left and right dot column from a dot row down to the lowest.
const DOWN: [[u8; 5]; 2] = [
    [0b0100_0111, 0b0100_0110, 0b0100_0100, 0b0100_0000, 0],
    [0b1011_1000, 0b1011_0000, 0b1010_0000, 0b1000_0000, 0],
];

/// What covers what in a cell; the dots of all stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    #[default]
    Nothing,
    /// The inside of a band.
    Shade,
    Dim,
    Line,
}

/// The dots of a cell and the line that lends it colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ink {
    /// Braille bits; in plain characters 1 for a lone cell and 2 for a part of a taller stretch.
    pub dots: u8,
    pub rank: Rank,
    /// More than one line has dots here.
    pub shared: bool,
    pub line: u16,
}

#[derive(Clone, Debug, Default)]
pub struct Raster {
    glyphs: Glyphs,
    columns: usize,
    rows: usize,
    /// Cells by column: stretches are vertical.
    cells: Vec<Ink>,
}

impl Raster {
    /// Wipe it, with room for `columns` by `rows` cells.
    pub fn reset(&mut self, glyphs: Glyphs, columns: usize, rows: usize) {
        (self.glyphs, self.columns, self.rows) = (glyphs, columns, rows);
        self.cells.clear();
        self.cells.resize(columns * rows, Ink::default());
    }

    pub fn ink(&self, column: usize, row: usize) -> Ink {
        self.cells[column * self.rows + row]
    }

    /// Light the dots of a line.
    pub fn line(&mut self, reaches: &[Reach], line: u16, rank: Rank) {
        for (column, reach) in reaches.iter().enumerate() {
            self.stretch(column, *reach, line, rank);
        }
    }

    /// Fill between two lines thinly, so that what lies inside can be read.
    pub fn shade(&mut self, upper: &[Reach], lower: &[Reach], line: u16) {
        let (_, down) = self.glyphs.dots();
        let height = (self.rows * down) as i32;
        for (column, (upper, lower)) in upper.iter().zip(lower).enumerate() {
            if upper.is_none() || lower.is_none() {
                continue;
            }
            if self.glyphs == Glyphs::Ascii {
                let all = Reach {
                    top: upper.top,
                    bottom: lower.bottom,
                };
                self.stretch(column, all, line, Rank::Shade);
            } else if column % 2 == 0 {
                let phase = (column / 2 % 2) as i32;
                let inside = upper.top.max(0)..=lower.bottom.min(height - 1);
                for row in inside
                    .filter(|row| row % 2 == phase || *row == upper.top || *row == lower.bottom)
                {
                    let dot = Reach {
                        top: row,
                        bottom: row,
                    };
                    self.stretch(column, dot, line, Rank::Shade);
                }
            }
        }
    }

    fn stretch(&mut self, column: usize, reach: Reach, line: u16, rank: Rank) {
        let (across, down) = self.glyphs.dots();
        let (top, bottom) = (
            reach.top.max(0),
            reach.bottom.min((self.rows * down) as i32 - 1),
        );
        if top > bottom {
            return;
        }
        let (top, bottom) = (top as usize, bottom as usize);
        let side = column % across;
        let cells = &mut self.cells[column / across * self.rows..][..self.rows];
        let (first, last) = (top / down, bottom / down);
        for (cell, ink) in cells[first..=last].iter_mut().enumerate() {
            let cell = first + cell;
            let dots = match self.glyphs {
                Glyphs::Braille => {
                    let from = if cell == first { top % 4 } else { 0 };
                    let to = if cell == last { bottom % 4 + 1 } else { 4 };
                    DOWN[side][from] & !DOWN[side][to]
                }
                Glyphs::Ascii => 1 + u8::from(reach.bottom > reach.top),
            };
            let other = ink.rank != Rank::Nothing && ink.line != line;
            ink.shared |= other;
            if self.glyphs == Glyphs::Ascii {
                // A character is of one line, so its dots are too.
                ink.dots = match rank >= ink.rank {
                    true if other => dots,
                    true => ink.dots | dots,
                    false => ink.dots,
                };
            } else {
                ink.dots |= dots;
            }
            if rank >= ink.rank {
                (ink.rank, ink.line) = (rank, line);
            }
        }
    }

    /// The Braille character of a cell; a blank where no dot is lit.
    pub fn braille(&self, column: usize, row: usize) -> char {
        match self.ink(column, row).dots {
            0 => ' ',
            dots => char::from_u32(0x2800 + u32::from(dots)).expect("Braille has 256 patterns"),
        }
    }

    /// Copy the dots into the cells of `area`, which is as large as the raster.
    pub fn draw(
        &self,
        area: Rect,
        strokes: impl Fn(u16) -> Stroke,
        colour: bool,
        buffer: &mut Buffer,
    ) {
        for row in 0..self.rows {
            let start = buffer.index_of(area.x, area.y + row as u16);
            let cells = &mut buffer.content[start..start + self.columns];
            for (column, cell) in cells.iter_mut().enumerate() {
                let ink = self.ink(column, row);
                if ink.rank == Rank::Nothing {
                    continue;
                }
                let stroke = strokes(ink.line);
                cell.set_char(match self.glyphs {
                    Glyphs::Braille => self.braille(column, row),
                    Glyphs::Ascii => plain(ink, &stroke),
                });
                if colour {
                    cell.fg = stroke.colour;
                }
                if ink.rank < Rank::Line {
                    cell.modifier.insert(Modifier::DIM);
                }
            }
        }
    }

    /// The highest and the lowest lit dot of a dot column.
    #[cfg(test)]
    pub fn lit(&self, column: usize) -> Option<(usize, usize)> {
        let (across, down) = self.glyphs.dots();
        let lit = |row: &usize| {
            let dots = self.ink(column / across, row / down).dots;
            let (side, row) = (column % across, row % down);
            match self.glyphs {
                Glyphs::Ascii => dots != 0,
                Glyphs::Braille => dots & DOWN[side][row] & !DOWN[side][row + 1] != 0,
            }
        };
        let mut rows = (0..self.rows * down).filter(lit);
        let top = rows.next()?;
        Some((top, rows.next_back().unwrap_or(top)))
    }
}

/// The character of a cell without Braille: the line's own letter, else `*` where it is level and `|` where it rises.
fn plain(ink: Ink, stroke: &Stroke) -> char {
    let tall = ink.dots & 2 != 0;
    match (ink.rank, stroke.mark) {
        (Rank::Line, Some(mark)) => mark,
        (Rank::Line, None) if tall => '|',
        (Rank::Line, None) => '*',
        (Rank::Dim, _) if tall => ':',
        _ => '.',
    }
}
