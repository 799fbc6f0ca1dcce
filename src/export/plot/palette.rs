//! How series are told apart: colours of Okabe and Ito that people with any colour vision see as different, and beside
//! them dashes and markers, for print without colour. Yellow, the eighth, is left out: on paper nobody sees it.

use super::sheet::{Ink, Point, Sheet};

const COLOURS: [(u8, u8, u8); 7] = [
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (0, 0, 0),
];

/// Dashes and gaps in turn, in points.
const DASHES: [&[f64]; 5] = [
    &[],
    &[4.0, 1.6],
    &[1.2, 1.2],
    &[5.0, 1.4, 1.2, 1.4],
    &[8.0, 2.0],
];

pub fn ink(series: usize) -> Ink {
    Ink {
        rgb: COLOURS[series % COLOURS.len()],
        alpha: 1.0,
    }
}

/// Of a bar; after the last colour they begin again, paler.
pub fn fill(series: usize) -> Ink {
    ink(series).pale(0.8 / (1 + series / COLOURS.len()) as f64)
}

/// After the last colour they begin again; the dashes have changed by then.
pub fn dashes(series: usize) -> &'static [f64] {
    DASHES[series % DASHES.len()]
}

/// Corners of a marker of radius 1; none for a disc.
fn corners(series: usize) -> Vec<Point> {
    let regular = |n: usize, first: f64| {
        let corner = |i: usize| {
            let turn = first + i as f64 / n as f64;
            let angle = std::f64::consts::TAU * turn;
            (angle.sin(), -angle.cos())
        };
        (0..n).map(corner).collect()
    };
    match series % 5 {
        0 => Vec::new(),
        1 => regular(4, 0.125),
        2 => regular(3, 0.0),
        3 => regular(4, 0.0),
        _ => regular(3, 0.5),
    }
}

/// The marker of a series, with a rim of paper that parts it from lines below.
pub fn marker(sheet: &mut Sheet, series: usize, at: Point, radius: f64) {
    shape(sheet, series, at, radius + 0.5, Ink::WHITE);
    shape(sheet, series, at, radius, ink(series));
}

/// The marker with an empty middle, for numbers that somebody else reports.
pub fn hollow(sheet: &mut Sheet, series: usize, at: Point, radius: f64) {
    shape(sheet, series, at, radius, ink(series));
    shape(sheet, series, at, radius - 0.8, Ink::WHITE);
}

fn shape(sheet: &mut Sheet, series: usize, at: Point, radius: f64, ink: Ink) {
    // As large to the eye as a disc.
    let reach = match series % 5 {
        0 => return sheet.disc(at, radius, ink),
        2 | 4 => radius * 1.35,
        _ => radius * 1.2,
    };
    let corners = corners(series).into_iter();
    let place = |(x, y): Point| (at.0 + reach * x, at.1 + reach * y);
    sheet.area(corners.map(place).collect(), ink);
}

/// The empty marker by itself.
pub fn reported(sheet: &mut Sheet, at: Point) {
    sheet.disc(at, 2.6, Ink::DARK);
    sheet.disc(at, 1.8, Ink::WHITE);
}

/// The cross of a value that is not there.
pub fn cross(sheet: &mut Sheet, at: Point, ink: Ink) {
    const ARM: f64 = 1.9;
    for turn in [1.0, -1.0] {
        let (dx, dy) = (ARM, ARM * turn);
        sheet.line((at.0 - dx, at.1 - dy), (at.0 + dx, at.1 + dy), 0.9, ink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is lost where colour is: luminance by WCAG. Paper is at 1.
    #[test]
    fn every_colour_stands_out_from_paper_and_every_series_from_the_others() {
        let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
        let luminance = |(r, g, b)| 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
        for colour in COLOURS {
            assert!(1.05 / (luminance(colour) + 0.05) > 2.0, "{colour:?}");
        }
        let look = |series: usize| (ink(series).rgb, series % 5);
        let looks: std::collections::BTreeSet<_> = (0..35).map(look).collect();
        assert_eq!(looks.len(), 35);
        let fills: std::collections::BTreeSet<_> = (0..21).map(|series| fill(series).rgb).collect();
        assert_eq!(fills.len(), 21);
    }
}
