//! A metric of a run as one row of text for a cell of a table: too small for an axis, but no extreme is lost in it
//! either.

use super::raster::{Rank, Raster};
use super::reach::{Reach, connect};
use super::scale::{Rows, Scale};
use super::span::{self, Span};
use super::{Glyphs, View, columns};
use crate::store::{Along, Column, Series};

/// Plain characters by the lowest and the highest third that a column of values reaches.
const THIRDS: [[char; 3]; 3] = [['_', ':', '|'], [' ', '-', '!'], [' ', ' ', '^']];

/// All of `column` over `along` in `width` characters, from the lowest to the highest value; blank where there are no
/// rows. In plain characters each is a third of the height or a stretch of thirds: `_` low, `-` middle, `^` high, `:`
/// low to middle, `!` middle to high, `|` all.
pub fn spark(series: &Series, column: &Column, along: Along, width: u16, glyphs: Glyphs) -> String {
    let rows = span::rows(series, column);
    let all = column.summary(0..rows);
    let Some(all) = all.filter(|all| width > 0 && (all.max - all.min).is_finite()) else {
        return " ".repeat(usize::from(width));
    };
    let extent = (series.x(along, 0), series.x(along, rows - 1));
    let columns = columns(View::whole(extent, Scale::Linear), glyphs, width);
    let mut spans = vec![Span::NONE; columns.len()];
    span::of_series(series, column, along, &columns, 0, &mut spans);
    let height = match glyphs {
        Glyphs::Braille => 4,
        Glyphs::Ascii => 3,
    };
    // A level line runs through the middle.
    let (low, high) = if all.max > all.min {
        (all.min, all.max)
    } else {
        (all.min - 1.0, all.max + 1.0)
    };
    let scale = Rows::new(low, high, Scale::Linear, height);
    let mut reaches = vec![Reach::NONE; columns.len()];
    connect(&spans, (None, None), &scale, 0, &mut reaches);
    if glyphs == Glyphs::Ascii {
        let plain = |reach: &Reach| match reach.is_none() {
            true => ' ',
            false => THIRDS[(2 - reach.bottom) as usize][(2 - reach.top) as usize],
        };
        return reaches.iter().map(plain).collect();
    }
    let mut raster = Raster::default();
    raster.reset(glyphs, usize::from(width), 1);
    raster.line(&reaches, 0, Rank::Line);
    (0..usize::from(width))
        .map(|cell| raster.braille(cell, 0))
        .collect()
}
