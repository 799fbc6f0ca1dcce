//! Sheets to bytes by plotters: SVG, and PNG at 300 dots an inch. Both are drawn in units of 1/1200 inch, for plotters
//! knows whole units only; four by four of them are averaged into a dot of the PNG, which smooths its edges. Text comes
//! last, above all else; in an SVG it is outlines, see [`font`].

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, anyhow};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontTransform, IntoFont, RGBAColor, ShapeStyle};

use super::super::html::escape;
use super::font::{self, FAMILY};
use super::sheet::{Anchor, Ink, Mark, Point, Sheet};

/// Units of an inch, and of a point.
const INCH: f64 = 1200.0;
const UNIT: f64 = INCH / 72.0;
/// Units along a side of a dot.
const FINE: usize = 4;

/// What a file says of itself.
#[derive(Clone, Debug)]
pub struct About {
    pub title: String,
    /// For people who do not see the picture.
    pub description: String,
    /// Key and value.
    pub origin: Vec<(&'static str, String)>,
}

pub fn svg(sheet: &Sheet, about: &About) -> anyhow::Result<String> {
    let (width, height) = size(sheet, 1);
    let mut drawn = String::new();
    let area = SVGBackend::with_string(&mut drawn, (width, height)).into_drawing_area();
    let shapes = sheet.marks.iter().filter(|mark| !mark.is_text());
    draw(shapes, &area, whole)?;
    drop(area);
    // The first line is plotters' own, which knows no inches; the last one closes the picture, where text comes before.
    let body = drawn.split_once('\n');
    let body = body.and_then(|(_, rest)| rest.trim_end().strip_suffix("</svg>"));
    let body = body.context("plotters wrote no SVG")?;
    let inches = |units: u32| f64::from(units) / INCH;
    let origin = about.origin.iter();
    let origin = origin.map(|(key, value)| format!("{key}: {}\n", escape(value)));
    Ok(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{:.4}in\" height=\"{:.4}in\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" stroke-linejoin=\"round\">\n<title>{}</title>\n<desc>{}</desc>\n<metadata>\n{}</metadata>\n{body}{}</svg>\n",
        inches(width),
        inches(height),
        escape(&about.title),
        escape(&about.description),
        origin.collect::<String>(),
        written(sheet),
    ))
}

/// The text of a sheet: the outline of each glyph once, and then each text by its glyphs.
fn written(sheet: &Sheet) -> String {
    let mut outlines: BTreeMap<u16, String> = BTreeMap::new();
    let mut texts = String::new();
    for mark in &sheet.marks {
        let Mark::Text {
            at,
            text,
            size,
            anchor,
            turned,
            ink,
        } = mark
        else {
            continue;
        };
        let width = font::width(text, font::EM);
        let mut x = match anchor {
            Anchor::Left => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::Right => -width,
        };
        let (left, baseline) = place(at);
        let turn = if *turned { " rotate(-90)" } else { "" };
        let scale = size * UNIT / font::EM;
        let (r, g, b) = ink.rgb;
        let _ = write!(
            texts,
            "<g aria-label=\"{}\" fill=\"#{r:02X}{g:02X}{b:02X}\" \
             transform=\"translate({left} {baseline}){turn} scale({scale:.5} -{scale:.5})\">",
            escape(text)
        );
        for c in text.chars() {
            let glyph = font::glyph(c);
            if let Some(outline) = font::outline(glyph) {
                outlines.insert(glyph.0, outline);
                let _ = write!(texts, "<use xlink:href=\"#g{}\" x=\"{x}\"/>", glyph.0);
            }
            x += font::advance(glyph);
        }
        texts += "</g>\n";
    }
    let outlines = outlines.iter();
    let outlines = outlines.map(|(glyph, path)| format!("<path id=\"g{glyph}\" d=\"{path}\"/>\n"));
    format!("<defs>\n{}</defs>\n{texts}", outlines.collect::<String>())
}

pub fn png(sheet: &Sheet, about: &About) -> anyhow::Result<Vec<u8>> {
    font::register();
    let (width, height) = size(sheet, FINE as u32);
    let mut fine = vec![0; width as usize * height as usize * 3];
    let area = BitMapBackend::with_buffer(&mut fine, (width, height)).into_drawing_area();
    let (text, shapes): (Vec<&Mark>, Vec<&Mark>) = sheet.marks.iter().partition(|m| m.is_text());
    draw(shapes.into_iter().chain(text), &area, by_segments)?;
    drop(area);
    let (columns, rows) = (width / FINE as u32, height / FINE as u32);
    let dots = averaged(&fine, columns as usize, rows as usize);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns, rows);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::High);
    let per_metre = (INCH / FINE as f64 / 0.0254).round() as u32;
    encoder.set_pixel_dims(Some(png::PixelDimensions {
        xppu: per_metre,
        yppu: per_metre,
        unit: png::Unit::Meter,
    }));
    let said = [("Title", &about.title), ("Description", &about.description)];
    let origin = about.origin.iter().map(|(key, value)| (*key, value));
    for (key, value) in said.into_iter().chain(origin) {
        encoder.add_itxt_chunk(key.to_owned(), value.clone())?;
    }
    encoder.write_header()?.write_image_data(&dots)?;
    Ok(bytes)
}

/// Width and height in units, both in whole multiples of `of`.
fn size(sheet: &Sheet, of: u32) -> (u32, u32) {
    let units = |points: f64| ((points * UNIT).round().max(1.0) as u32).next_multiple_of(of);
    (units(sheet.width), units(sheet.height))
}

/// The mean of each square of [`FINE`] by [`FINE`] units.
fn averaged(fine: &[u8], columns: usize, rows: usize) -> Vec<u8> {
    let stride = columns * FINE * 3;
    let mut dots = Vec::with_capacity(columns * rows * 3);
    for row in 0..rows {
        for column in 0..columns {
            for channel in 0..3 {
                let lines =
                    (0..FINE).map(|y| (row * FINE + y) * stride + column * FINE * 3 + channel);
                let sum: usize = lines
                    .flat_map(|at| (0..FINE).map(move |x| usize::from(fine[at + 3 * x])))
                    .sum();
                dots.push((sum / (FINE * FINE)) as u8);
            }
        }
    }
    dots
}

type Failure<B> = DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>;

/// How a line is drawn through these places.
type DrawLine<B> =
    fn(&DrawingArea<B, Shift>, Vec<(i32, i32)>, ShapeStyle) -> Result<(), Failure<B>>;

/// Draw `marks`, lines as `line` does.
fn draw<'m, B: DrawingBackend>(
    marks: impl Iterator<Item = &'m Mark>,
    area: &DrawingArea<B, Shift>,
    line: DrawLine<B>,
) -> anyhow::Result<()> {
    let failed = |e: &dyn std::fmt::Display| anyhow!("cannot draw the figure: {e}");
    area.fill(&plotters::style::WHITE).map_err(|e| failed(&e))?;
    for mark in marks {
        let drawn = match mark {
            Mark::Path { points, width, ink } => {
                let units = points.iter().map(place).collect();
                let style = filled(*ink).stroke_width((width * UNIT).round().max(1.0) as u32);
                line(area, units, style)
            }
            other => filled_or_written(other, area),
        };
        drawn.map_err(|e| failed(&e))?;
    }
    area.present().map_err(|e| failed(&e))
}

fn whole<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    line: Vec<(i32, i32)>,
    style: ShapeStyle,
) -> Result<(), Failure<B>> {
    area.draw(&PathElement::new(line, style))
}

/// A thick line of many corners crosses itself, and plotters would leave what is crossed evenly often empty.
fn by_segments<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    line: Vec<(i32, i32)>,
    style: ShapeStyle,
) -> Result<(), Failure<B>> {
    for ends in line.windows(2) {
        area.draw(&PathElement::new(ends.to_vec(), style))?;
    }
    let radius = style.stroke_width.div_ceil(2) as i32;
    let corners = line.iter().skip(1).take(line.len().saturating_sub(2));
    for corner in corners {
        area.draw(&Circle::new(*corner, radius, style))?;
    }
    Ok(())
}

fn filled_or_written<B: DrawingBackend>(
    mark: &Mark,
    area: &DrawingArea<B, Shift>,
) -> Result<(), Failure<B>> {
    match mark {
        Mark::Path { .. } => Ok(()),
        Mark::Area { points, ink } => {
            let units: Vec<(i32, i32)> = points.iter().map(place).collect();
            area.draw(&Polygon::new(units, filled(*ink)))
        }
        Mark::Disc { at, radius, ink } => {
            let radius = (radius * UNIT).round() as i32;
            area.draw(&Circle::new(place(at), radius, filled(*ink)))
        }
        Mark::Text {
            at,
            text,
            size,
            anchor,
            turned,
            ink,
        } => {
            // plotters is given the upper edge of a text, and has its baseline half of its height below that.
            let lift = font::HEIGHT / 2.0 * size;
            let (at, turn) = match turned {
                true => ((at.0 - lift, at.1), FontTransform::Rotate270),
                false => ((at.0, at.1 - lift), FontTransform::None),
            };
            let side = match anchor {
                Anchor::Left => HPos::Left,
                Anchor::Middle => HPos::Center,
                Anchor::Right => HPos::Right,
            };
            let font = (FontFamily::Name(FAMILY), size * UNIT * font::HEIGHT).into_font();
            let mut style = font.transform(turn).color(&colour(*ink));
            style.pos = Pos::new(side, VPos::Top);
            area.draw(&Text::new(text.as_str(), place(&at), style))
        }
    }
}

fn place((x, y): &Point) -> (i32, i32) {
    ((x * UNIT).round() as i32, (y * UNIT).round() as i32)
}

fn colour(ink: Ink) -> RGBAColor {
    let (r, g, b) = ink.rgb;
    RGBAColor(r, g, b, ink.alpha)
}

fn filled(ink: Ink) -> ShapeStyle {
    colour(ink).filled()
}
