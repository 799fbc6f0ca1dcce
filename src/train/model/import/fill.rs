//! The parameters of a tower out of a file: each tensor of the file is read once, turned to our order of axes and put in
//! its place. What is missing, of another shape or left over is told by name.

use std::collections::{BTreeMap, BTreeSet};

use super::FileError;
use super::archive::Archive;
use super::axes::transposed;
use super::names::{Names, Order, Place, count};
use super::positions::resampled;
use crate::train::model::params::{Entry, Layout};
use crate::util::printable;

/// What became of the parameters of a tower.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Parameters that the file gave.
    pub taken: usize,
    /// Parameters, and the names under which they were looked for.
    pub missing: Vec<String>,
    /// Tensors of the file that the tower has no use for.
    pub unused: Vec<String>,
    /// Parameters of another shape.
    pub misshapen: Vec<String>,
    /// What was made to fit.
    pub fitted: Vec<String>,
}

impl Report {
    pub fn is_whole(&self) -> bool {
        self.missing.is_empty() && self.unused.is_empty() && self.misshapen.is_empty()
    }

    /// Everything that did not fit, by name.
    pub fn mismatches(&self) -> String {
        let lists = [
            ("missing", &self.missing),
            ("of another shape", &self.misshapen),
            ("unused", &self.unused),
        ];
        let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let lists = lists.map(|(what, names)| {
            let most = names.iter().take(MOST_NAMED).cloned();
            let more = names.len().saturating_sub(MOST_NAMED);
            let more = (more > 0).then(|| format!("and {more} more"));
            let names: Vec<String> = most.chain(more).collect();
            format!("{what}: {}", names.join(", "))
        });
        lists.collect::<Vec<_>>().join("; ")
    }
}

/// A file can have a hundred thousand tensors.
const MOST_NAMED: usize = 500;

/// Where the tower's grid of positions comes from.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Patches along a side, here and in the file.
    pub here: usize,
    pub there: usize,
    /// Whether a class token has a row before the grid, here and in the file.
    pub class_here: bool,
    pub class_there: bool,
}

/// Put what `archive` has of `tower` (`image` or `text`) under `names` into `values`, all parameters in the order of
/// `layout`. `grid` is of an image tower.
pub fn fill(
    values: &mut [f32],
    layout: &Layout,
    tower: &str,
    names: &Names,
    archive: &mut Archive,
    grid: Option<Grid>,
) -> Result<Report, FileError> {
    let mut report = Report::default();
    let mut sources: BTreeMap<String, Vec<(&Entry, Place)>> = BTreeMap::new();
    let prefix = format!("{tower}.");
    for entry in layout.entries() {
        if !entry.name.starts_with(&prefix) {
            continue;
        }
        match names.find(&entry.name, archive) {
            Some(place) => sources
                .entry(place.name.clone())
                .or_default()
                .push((entry, place)),
            None => {
                let tried = names.places(&entry.name).into_iter().map(|p| p.name);
                let tried = tried.collect::<Vec<_>>().join(" or ");
                let sought = if tried.is_empty() || tried == entry.name {
                    entry.name.clone()
                } else {
                    format!("{} ({tried})", entry.name)
                };
                report.missing.push(sought);
            }
        }
    }
    let used: BTreeSet<&String> = sources.keys().collect();
    let unused = archive.names().filter(|name| names.covers(name));
    let unused = unused.filter(|name| !used.contains(&(*name).to_owned()));
    report.unused = unused.map(printable).collect();

    for (name, wanted) in sources {
        let theirs = archive.shape(&name).unwrap_or_default().to_vec();
        let fits = wanted.into_iter().filter(|(entry, place)| {
            let fits = fit(entry, place, &theirs, grid).is_some();
            if !fits {
                report.misshapen.push(format!(
                    "{} is {:?} here and {theirs:?} in the file ({})",
                    entry.name,
                    entry.shape,
                    printable(&name)
                ));
            }
            fits
        });
        let fits: Vec<_> = fits.collect();
        if fits.is_empty() {
            continue;
        }
        let tensor = archive.read(&name)?;
        for (entry, place) in fits {
            let (part, shape) = part_of(&tensor, &theirs, &place);
            let part = match place.order {
                Order::Same(_) => part.to_vec(),
                Order::Swapped => transposed(part, &shape, &[1, 0]),
                Order::Conv => transposed(part, &shape, &[2, 3, 1, 0]),
            };
            let fit = fit(entry, &place, &theirs, grid);
            let part = match (fit, grid) {
                (Some(Fit::Rows), _) => {
                    let (here, there) = (entry.shape[0], part.len() / entry.shape[1]);
                    report.fitted.push(format!(
                        "{}: the first {here} of {there} positions",
                        entry.name
                    ));
                    part[..entry.range.len()].to_vec()
                }
                (Some(Fit::Grid), Some(grid)) => {
                    let resized = grid.here != grid.there;
                    if resized {
                        report.fitted.push(format!(
                            "{}: {there}x{there} positions resampled to {here}x{here}, bicubic with antialiasing",
                            entry.name,
                            there = grid.there,
                            here = grid.here,
                        ));
                    }
                    grid.fitted(part, entry.shape[1])
                }
                _ => part,
            };
            values[entry.range.clone()].copy_from_slice(&part);
            report.taken += 1;
        }
    }
    Ok(report)
}

/// How a tensor of a file becomes a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    AsIs,
    /// The first rows of more: positions of longer texts.
    Rows,
    Grid,
}

/// How a tensor of shape `theirs` at `place` becomes the parameter `entry`; none if it cannot.
fn fit(entry: &Entry, place: &Place, theirs: &[usize], grid: Option<Grid>) -> Option<Fit> {
    let shape = place.shape(theirs)?;
    let squeezed =
        |axes: &[usize]| -> Vec<usize> { axes.iter().copied().filter(|&axis| axis != 1).collect() };
    let (ours, flat) = (squeezed(&entry.shape), squeezed(&shape));
    let position = entry.leaf() == "position";
    if let (true, Some(grid)) = (position, grid) {
        let rows = grid.there.checked_pow(2)? + usize::from(grid.class_there);
        let fits =
            shape.last() == entry.shape.last() && count(&shape) == count(&[rows, *shape.last()?]);
        return fits.then_some(Fit::Grid);
    }
    if flat == ours || place.order == Order::Same(None) && folds(&flat, &ours) {
        return Some(Fit::AsIs);
    }
    let longer =
        position && shape.last() == entry.shape.last() && count(&shape) > count(&entry.shape);
    longer.then_some(Fit::Rows)
}

/// Whether `axes` become `folded` when neighbours are made one.
fn folds(axes: &[usize], folded: &[usize]) -> bool {
    let mut axes = axes.iter();
    folded.iter().all(|&wanted| {
        let mut product = 1_usize;
        while product < wanted {
            match axes.next() {
                Some(axis) => product = product.saturating_mul(*axis),
                None => return false,
            }
        }
        product == wanted
    }) && axes.next().is_none()
}

/// The values of `tensor` that `place` speaks of, and their shape.
fn part_of<'t>(tensor: &'t [f32], theirs: &[usize], place: &Place) -> (&'t [f32], Vec<usize>) {
    let mut shape = theirs.to_vec();
    let mut values = tensor;
    if let Some(block) = place.block {
        let blocks = shape.remove(0);
        let length = values.len() / blocks;
        values = &values[block * length..][..length];
    }
    if let Some((n, of)) = place.part {
        shape[0] /= of;
        let length = values.len() / of;
        values = &values[n * length..][..length];
    }
    (values, shape)
}

impl Grid {
    /// Positions of the file, `[rows there, width]`, as those here. A class token that had none gets zeros.
    fn fitted(self, positions: Vec<f32>, width: usize) -> Vec<f32> {
        let (class, grid) = positions.split_at(usize::from(self.class_there) * width);
        let mut out = match (self.class_here, class.is_empty()) {
            (true, true) => vec![0.0; width],
            (true, false) => class.to_vec(),
            (false, _) => Vec::new(),
        };
        if self.here == self.there {
            out.extend(grid);
        } else {
            out.extend(resampled(grid, self.there, self.here, width));
        }
        out
    }
}
