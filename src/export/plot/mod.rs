//! Figures to SVG and PNG, as a paper prints them: in the width of one column or two, told apart without colour, and with
//! what a reader must know at the foot. Figures are laid out as marks on a `sheet`, which plotters turns into bytes; the
//! same figure gives the same bytes. What a figure shows was settled before; here it gets its looks.

mod axis;
mod bars;
mod caption;
mod curves;
mod font;
mod forest;
mod line;
mod media;
mod page;
mod palette;
mod sheet;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::str::FromStr;

use super::number::Scale;
use crate::analysis::{Figure, Plot};
use crate::util::printable;
use media::About;
use sheet::Sheet;

/// What a figure is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// Sharp at any size; LaTeX takes it by way of Inkscape or rsvg-convert.
    #[default]
    Svg,
    /// 300 dots an inch.
    Png,
}

impl Medium {
    pub const ALL: [Self; 2] = [Self::Svg, Self::Png];

    /// As the command line has it, and as names of files end.
    pub fn name(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
        }
    }
}

impl FromStr for Medium {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|medium| medium.name() == name);
        named.ok_or_else(|| "expected svg or png".into())
    }
}

/// How wide a figure is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Size {
    /// A column of two: 3.3 inches.
    #[default]
    One,
    /// Both columns: 6.9 inches.
    Two,
}

impl Size {
    fn points(self) -> f64 {
        match self {
            Self::One => 3.3 * 72.0,
            Self::Two => 6.9 * 72.0,
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "one" => Ok(Self::One),
            "two" => Ok(Self::Two),
            _ => Err("expected one or two".into()),
        }
    }
}

/// `figure` as the bytes of a file.
pub fn plot(figure: &Figure, size: Size, medium: Medium) -> anyhow::Result<Vec<u8>> {
    let sheet = lay_out(figure, size);
    let about = about(figure);
    match medium {
        Medium::Svg => Ok(media::svg(&sheet, &about)?.into_bytes()),
        Medium::Png => media::png(&sheet, &about),
    }
}

fn lay_out(figure: &Figure, size: Size) -> Sheet {
    match &figure.plot {
        Plot::Curves(curves) => curves::lay_out(figure, curves, size),
        Plot::Line { table, places, log } => {
            line::lay_out(figure, table, places.as_deref(), *log, size)
        }
        Plot::Bars(table) => bars::lay_out(figure, table, size),
        Plot::Effects(effects) => forest::lay_out(figure, effects, size),
    }
}

/// Each figure with the name of a file for it, without an ending: the experiment's, which is `stem`, and its own, and a
/// number where two would be one.
pub fn named<'f>(stem: &str, figures: &'f [Figure]) -> Vec<(String, &'f Figure)> {
    let mut taken = BTreeSet::new();
    let name = |figure: &'f Figure| {
        let own = format!("{stem}-{}", file_stem(figure));
        let numbered = (2..).map(|n| format!("{own}-{n}"));
        let mut names = std::iter::once(own.clone()).chain(numbered);
        let free = names.find(|name| !taken.contains(name));
        let name = free.unwrap_or(own);
        taken.insert(name.clone());
        (name, figure)
    };
    figures.iter().map(name).collect()
}

/// The title of a figure in small letters, or what it is of.
fn file_stem(figure: &Figure) -> String {
    let title = match &figure.title {
        Some(title) => title.clone(),
        None => format!(
            "{} {}",
            figure.plot.kind().name(),
            figure.plot.metrics().join(" ")
        ),
    };
    let given = figure.given.iter();
    let given = given.map(|(axis, label)| format!(" {axis} {label}"));
    slug(&(title + &given.collect::<String>()))
}

/// Letters, digits and points with hyphens between them, not too long for a file.
fn slug(text: &str) -> String {
    const MOST: usize = 80;
    let mut slug = String::new();
    for c in text.chars() {
        match c {
            c if c.is_alphanumeric() => slug.extend(c.to_lowercase()),
            '.' if slug.ends_with(|c: char| c.is_alphanumeric()) => slug.push('.'),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
        if slug.chars().count() >= MOST {
            break;
        }
    }
    let slug = slug.trim_end_matches(['-', '.']);
    if slug.is_empty() { "figure" } else { slug }.to_owned()
}

fn about(figure: &Figure) -> About {
    let metrics = figure.plot.metrics().join(", ");
    let caption = caption::sentences(figure, false).join(" ");
    let description = format!("{} of {metrics}. {caption}", figure.plot.kind().name());
    About {
        title: sheet::clean(&figure.name()),
        description: sheet::clean(&description),
        origin: vec![
            ("Software", format!("siglab {}", env!("CARGO_PKG_VERSION"))),
            ("Experiment", printable(&figure.experiment)),
            ("Runs", figure.runs.join(" ")),
        ],
    }
}

/// The factor that values of `metric` are drawn at, and what they can be at the least and at the most.
fn range_of(metric: &str, values: impl Iterator<Item = f64>) -> (f64, (f64, f64)) {
    let least = values.fold(f64::INFINITY, f64::min);
    match Scale::of(metric) {
        Scale::Percent => (100.0, (0.0, 100.0)),
        // What is nowhere below zero, such as a loss or a norm, has no interval there either.
        Scale::Plain if least >= 0.0 => (1.0, (0.0, f64::INFINITY)),
        Scale::Plain => (1.0, (f64::NEG_INFINITY, f64::INFINITY)),
    }
}
