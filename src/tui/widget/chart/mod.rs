//! Lines over one x-axis, drawn so that no value can hide: every dot column shows the exact extremes of the raw rows
//! that fall into it, in time that grows with the logarithm of their number. A chart is built anew for each frame from
//! borrowed data; what is costly stays in a [`ChartCache`] that the caller keeps beside it. It reads no keys and no
//! clock, and where a cursor or a view stands is the caller's affair.
//!
//! ```text
//!   loss · log                                     0.6931      title
//!                   ▼          ✖ NaN                           markers.rs
//!   10┤⠳⡀            ┊          ┊           a                  raster.rs ◄ reach.rs ◄ span.rs ◄ rows
//!    1┤ ⠈⠒⠤⢄⣀⣀⡸⣄⣀⣀⣀⣀⣀⣸          ┊           b                  letters.rs
//!     └┬──────┬──────┬──────┬───────                           axis.rs ◄ export/ticks.rs, scale.rs
//!      0     10k    20k    30k   examples
//! ```

mod axis;
mod cache;
mod extremes;
mod letters;
mod markers;
mod raster;
mod reach;
mod scale;
mod smooth;
mod span;
mod spark;
mod title;
mod view;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::analysis::BandPoint;
use crate::export::ticks;
pub use crate::export::ticks::short;
use crate::store::{Along, Column, Series};
pub use cache::ChartCache;
pub use markers::{Marker, Sign};
pub use scale::Scale;
use scale::{Columns, Rows};
pub use smooth::Smooth;
pub use spark::spark;
pub use view::View;

/// What a chart is drawn with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    /// Two by four dots a cell.
    #[default]
    Braille,
    /// One character a cell, all of them ASCII.
    Ascii,
}

impl Glyphs {
    /// Dots of a cell: across and down.
    pub fn dots(self) -> (usize, usize) {
        match self {
            Self::Braille => (2, 4),
            Self::Ascii => (1, 1),
        }
    }

    /// The first for a terminal that has it, else the second.
    fn pick<T>(self, rich: T, plain: T) -> T {
        match self {
            Self::Braille => rich,
            Self::Ascii => plain,
        }
    }
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stroke {
    /// One of the sixteen named colours.
    pub colour: Color,
    /// A letter one column wide, so that colour alone tells nothing: beside the line's end, and along it where it
    /// hides no other dots. Without Braille the line itself is made of it.
    pub mark: Option<char>,
    /// Faint, and under all others: the raw line under a smoothed one.
    pub dim: bool,
}

/// What a line shows.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// A metric of a run. The column may be shorter than the series; rows without a value do not break the line.
    Raw {
        series: &'a Series,
        column: &'a Column,
    },
    /// Sparse points sorted by x, each with a marker and joined by straight lines.
    Points(&'a [(f64, f64)]),
    /// Mean and interval, sorted by x. Points without a mean break the line, points without an interval the band.
    Band(&'a [BandPoint]),
}

#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    pub data: Data<'a>,
    pub stroke: Stroke,
}

/// The y-axis.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Vertical {
    pub scale: Scale,
    /// From and to; none fits the axis to the exact extremes of what is in view.
    pub range: Option<(f64, f64)>,
}

/// One panel. Later lines lie over earlier ones.
#[derive(Clone, Copy, Debug)]
pub struct Chart<'a> {
    pub title: &'a str,
    pub lines: &'a [Line<'a>],
    pub view: View,
    pub along: Along,
    pub y: Vertical,
    /// The newest value, beside the title.
    pub latest: Option<f64>,
    pub markers: &'a [Marker<'a>],
    /// The x of a vertical line.
    pub cursor: Option<f64>,
    pub glyphs: Glyphs,
    /// Whether to set colours; letters, faintness and reversed cells stay without.
    pub colour: bool,
    /// Whether the x-axis is drawn: the lowest panel of a stack has it.
    pub x_axis: bool,
}

/// The parts of a chart on the screen. Panels of one width and gutter have their plots at the same columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Panel {
    pub title: Rect,
    pub markers: Rect,
    pub plot: Rect,
    /// Line and labels of the x-axis.
    pub axis: Rect,
}

impl Panel {
    /// Where the parts lie. What does not fit is left out: first the x-axis, then the markers, then the plot.
    pub fn new(area: Rect, gutter: u16, markers: bool, x_axis: bool) -> Self {
        let gutter = if area.width >= gutter.saturating_add(4) {
            gutter
        } else {
            0
        };
        let letters = u16::from(area.width - gutter >= 16);
        let part = |y: u16, height: u16| Rect {
            x: area.x + gutter,
            y: area.y + y,
            width: area.width - gutter - letters,
            height,
        };
        let title = area.height.min(1);
        let axis = if x_axis && area.height >= 5 { 2 } else { 0 };
        let signs = u16::from(markers && area.height - title - axis >= 4);
        Self {
            title: Rect {
                height: title,
                ..area
            },
            markers: part(title, signs),
            plot: part(title + signs, area.height - title - signs - axis),
            axis: part(area.height - axis, axis),
        }
    }
}

/// The edges of the dot columns of a plot `width` cells wide: the grid for [`crate::analysis::band`]. A band that was
/// made on another grid is drawn all the same.
pub fn grid(view: View, glyphs: Glyphs, width: u16) -> Vec<f64> {
    columns(view, glyphs, width).edges().to_vec()
}

fn columns(view: View, glyphs: Glyphs, width: u16) -> Columns {
    let view = view.sane();
    Columns::new(view.x, view.scale, usize::from(width) * glyphs.dots().0)
}

impl Chart<'_> {
    /// Columns that the labels of the y-axis need when the chart is `height` rows high. A stack is drawn with the
    /// largest of its panels.
    pub fn gutter_needed(&self, height: u16, cache: &mut ChartCache) -> u16 {
        let plot = self.panel(Rect::new(0, 0, 80, height), 0).plot;
        let extremes = extremes::of(self, &mut cache.seen);
        let rows = self.rows(&extremes, plot.height);
        axis::gutter(&axis::ticks_of(&rows, plot.height))
    }

    /// Where the parts of the chart lie within `area`.
    pub fn panel(&self, area: Rect, gutter: u16) -> Panel {
        Panel::new(area, gutter, !self.markers.is_empty(), self.x_axis)
    }

    /// The x in the middle of a cell column of `plot`.
    pub fn x_at(&self, plot: Rect, column: u16) -> Option<f64> {
        let within = (plot.left()..plot.right()).contains(&column);
        let cells = columns(self.view, Glyphs::Ascii, plot.width);
        within.then(|| cells.middle(usize::from(column - plot.x)))
    }

    /// The row of a line that has a value and lies nearest to `x`: of the series, or of the points. The earlier of two
    /// that are equally near.
    pub fn nearest_row(&self, line: usize, x: f64) -> Option<usize> {
        let nearest = |before: Option<usize>,
                       after: Option<usize>,
                       place: &dyn Fn(usize) -> f64| match (before, after) {
            (Some(b), Some(a)) => Some(if x - place(b) <= place(a) - x { b } else { a }),
            (before, after) => before.or(after),
        };
        match self.lines.get(line)?.data {
            Data::Raw { series, column } => {
                let row = series.first_at(self.along, x);
                let after = column.first_from(row).filter(|row| *row < series.len());
                nearest(column.last_before(row), after, &|row| {
                    series.x(self.along, row)
                })
            }
            Data::Points(points) => {
                let has = |row: &usize| points[*row].1.is_finite();
                let row = points.partition_point(|point| point.0 < x);
                let (before, after) = ((0..row).rfind(has), (row..points.len()).find(has));
                nearest(before, after, &|row| points[row].0)
            }
            Data::Band(points) => {
                let has = |row: &usize| points[*row].mean.is_some();
                let row = points.partition_point(|point| point.x < x);
                let (before, after) = ((0..row).rfind(has), (row..points.len()).find(has));
                nearest(before, after, &|row| points[row].x)
            }
        }
    }

    /// Draw into `area`. `cache` is this chart's from the frame before, or an empty one.
    pub fn draw(&self, area: Rect, gutter: u16, cache: &mut ChartCache, buffer: &mut Buffer) {
        let panel = self.panel(area.intersection(buffer.area), gutter);
        let extremes = extremes::of(self, &mut cache.seen);
        title::draw(self, &extremes, panel.title, buffer);
        if panel.plot.is_empty() {
            return;
        }
        let rows = self.rows(&extremes, panel.plot.height);
        cache.update(self, panel.plot, &rows);
        cache
            .raster
            .draw(panel.plot, |line| self.stroke(line), self.colour, buffer);
        axis::draw(self, &panel, &rows, &cache.columns, buffer);
        letters::draw(self, &panel, &rows, cache, buffer);
        markers::draw(self, &panel, &cache.columns, buffer);
    }

    fn stroke(&self, line: u16) -> Stroke {
        self.lines[usize::from(line)].stroke
    }

    /// The dot rows of a plot that is `height` cells high.
    fn rows(&self, extremes: &extremes::Extremes, height: u16) -> Rows {
        let scale = self.y.scale;
        let drawable = |&(low, high): &(f64, f64)| {
            low.is_finite()
                && high.is_finite()
                && low < high
                && (low > 0.0 || scale == Scale::Linear)
        };
        let (low, high) = match (self.y.range.filter(drawable), extremes.range, scale) {
            (Some(range), _, _) => range,
            (None, Some((low, high)), _) => scale::padded(low, high, scale),
            (None, None, Scale::Linear) => (0.0, 1.0),
            (None, None, Scale::Log) => (0.1, 10.0),
        };
        let count = usize::from(height.max(1)) * self.glyphs.dots().1;
        Rows::new(low, high, scale, count as i32)
    }
}

#[cfg(test)]
mod tests;
