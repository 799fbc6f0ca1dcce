//! What a chart keeps from frame to frame: the dot columns, and for each line its spans and the dots that they light.
//! Rows that are only added cost the columns that they fall into; another view or width costs all of them, another
//! range or scale of the y-axis the dots alone.

use ratatui::layout::Rect;

use super::extremes::Seen;
use super::raster::{Rank, Raster};
use super::reach::{Reach, connect};
use super::scale::{Columns, Rows};
use super::span::{self, Outside, Span};
use super::{Chart, Data, View, columns};
use crate::analysis::BandPoint;
use crate::store::{Along, Column, Series};

/// Kept by the caller for each chart, and given to each [`Chart::draw`] of it.
///
/// It holds against the view, the size and the id of each line's column, so that other lines and rows that were taken back
/// are noticed.
#[derive(Clone, Debug, Default)]
pub struct ChartCache {
    /// What the columns are of.
    key: Option<(View, usize, Along)>,
    rows: Option<Rows>,
    pub(super) columns: Columns,
    pub(super) lines: Vec<Traced>,
    pub(super) raster: Raster,
    pub(super) seen: Vec<Seen>,
}

/// A line in dots.
#[derive(Clone, Debug, Default)]
pub(super) struct Traced {
    pub spans: Vec<Span>,
    pub reaches: Vec<Reach>,
    /// Upper and lower end of a band; empty for other lines.
    band: Option<(Vec<Reach>, Vec<Reach>)>,
    outside: (Outside, Outside),
    print: Option<Print>,
}

/// What the spans of a series were made of.
#[derive(Clone, Copy, Debug)]
struct Print {
    column: u64,
    rows: usize,
}

impl ChartCache {
    /// Trace the lines of `chart` and draw them into the raster.
    pub(super) fn update(&mut self, chart: &Chart, plot: Rect, rows: &Rows) {
        let dots = usize::from(plot.width) * chart.glyphs.dots().0;
        let key = Some((chart.view, dots, chart.along));
        if self.key != key {
            self.key = key;
            self.columns = columns(chart.view, chart.glyphs, plot.width);
            self.lines.iter_mut().for_each(|line| line.print = None);
        }
        let same_rows = self.rows.replace(*rows) == Some(*rows);
        self.lines.resize_with(chart.lines.len(), Traced::default);
        let size = (usize::from(plot.width), usize::from(plot.height));
        self.raster.reset(chart.glyphs, size.0, size.1);
        for (i, (line, traced)) in chart.lines.iter().zip(&mut self.lines).enumerate() {
            let number = i as u16;
            match line.data {
                Data::Raw { series, column } => {
                    traced.series(series, column, chart.along, &self.columns, rows, same_rows);
                }
                Data::Points(points) => traced.points(points, &self.columns, rows),
                Data::Band(points) => traced.band(points, &self.columns, rows),
            }
            if let Some((upper, lower)) = &traced.band {
                self.raster.shade(upper, lower, number);
            }
            let rank = if line.stroke.dim {
                Rank::Dim
            } else {
                Rank::Line
            };
            self.raster.line(&traced.reaches, number, rank);
        }
    }
}

impl Traced {
    fn reset(&mut self, columns: &Columns) {
        self.band = None;
        self.print = None;
        self.outside = (None, None);
        self.spans.clear();
        self.spans.resize(columns.len(), Span::NONE);
        self.reaches.clear();
        self.reaches.resize(columns.len(), Reach::NONE);
    }

    fn series(
        &mut self,
        series: &Series,
        column: &Column,
        along: Along,
        columns: &Columns,
        rows: &Rows,
        same_rows: bool,
    ) {
        let count = span::rows(series, column);
        let stands = |print: &Print| print.column == column.id() && print.rows <= count;
        let now = Print {
            column: column.id(),
            rows: count,
        };
        let Some(print) = self.print.filter(stands) else {
            self.reset(columns);
            span::of_series(series, column, along, columns, 0, &mut self.spans);
            let before = span::before(series, column, along, columns);
            self.outside = (before, span::after(series, column, along, columns));
            connect(&self.spans, self.outside, rows, 0, &mut self.reaches);
            self.print = Some(now);
            return;
        };
        if print.rows == count {
            if !same_rows {
                connect(&self.spans, self.outside, rows, 0, &mut self.reaches);
            }
            return;
        }
        // New rows lie in the newest row's column or after it.
        let last = print.rows.checked_sub(1);
        let newest = last.and_then(|last| columns.reaching(series.x(along, last)));
        let from = newest.map_or(0, |column| column.clamp(0, columns.len() as i64) as usize);
        if from < columns.len() {
            span::of_series(series, column, along, columns, from, &mut self.spans);
        }
        if from == 0 {
            self.outside.0 = span::before(series, column, along, columns);
        }
        self.outside.1 = span::after(series, column, along, columns);
        let from = if same_rows { from } else { 0 };
        connect(&self.spans, self.outside, rows, from, &mut self.reaches);
        self.print = Some(now);
    }

    fn points(&mut self, points: &[(f64, f64)], columns: &Columns, rows: &Rows) {
        self.reset(columns);
        let points = points.iter().copied();
        self.outside = span::of_points(points, columns, &mut self.spans);
        connect(&self.spans, self.outside, rows, 0, &mut self.reaches);
    }

    fn band(&mut self, points: &[BandPoint], columns: &Columns, rows: &Rows) {
        self.reset(columns);
        let mut part = Traced::default();
        let mut upper = self.reaches.clone();
        let mut lower = self.reaches.clone();
        let mut trace =
            |points: &[BandPoint], value: &dyn Fn(&BandPoint) -> f64, into: &mut [Reach]| {
                part.reset(columns);
                let points = points.iter().map(|point| (point.x, value(point)));
                let outside = span::of_points(points, columns, &mut part.spans);
                connect(&part.spans, outside, rows, 0, &mut part.reaches);
                for (into, reach) in into.iter_mut().zip(&part.reaches) {
                    into.include(reach.top, reach.bottom);
                }
            };
        let mean = |point: &BandPoint| point.mean.unwrap_or(f64::NAN);
        let half = |point: &BandPoint| point.half_width.unwrap_or(f64::NAN);
        for stretch in stretches(points, |point| point.mean.is_some()) {
            trace(stretch, &mean, &mut self.reaches);
        }
        for stretch in stretches(points, |point| point.half_width.is_some()) {
            trace(stretch, &|point| mean(point) + half(point), &mut upper);
            trace(stretch, &|point| mean(point) - half(point), &mut lower);
        }
        let means = points.iter().map(|point| (point.x, mean(point)));
        span::of_points(means, columns, &mut self.spans);
        self.band = Some((upper, lower));
    }
}

/// The stretches of neighbouring points that all have something.
fn stretches(
    points: &[BandPoint],
    has: fn(&BandPoint) -> bool,
) -> impl Iterator<Item = &[BandPoint]> {
    let joined = points.chunk_by(move |a, b| has(a) == has(b));
    joined.filter(move |stretch| has(&stretch[0]))
}
