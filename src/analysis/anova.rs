//! The analysis of variance of a full grid: how much of all differences each axis makes, and each pair of axes beyond what
//! the two make by themselves. Seeds are blocks, for a seed is the same data in the same order at every cell. What is left
//! is the error: the noise, and what three axes and more do together. Where cells are missing sums of squares have no one
//! meaning, and there is no table but the reason.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use statrs::distribution::{ContinuousCDF, FisherSnedecor};

use super::effects::Observation;
use crate::spec::Axis;

/// The table, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Variance {
    Analysed(Anova),
    Refused { reason: String },
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Anova {
    /// The seeds, each axis, each pair of axes.
    pub sources: Vec<Source>,
    pub residual: Part,
    /// Seeds that were measured at every cell, and others, which are left out.
    pub seeds: usize,
    pub left_out: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// `seed`, `loss.kind`, `loss.kind × train.batch_size`.
    pub name: String,
    pub part: Part,
    pub f: f64,
    /// The chance of such an F if the source did nothing.
    pub p: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Part {
    pub sum_of_squares: f64,
    pub df: u64,
}

/// What one run measured, and where: its place along the seeds, then along each axis that varies.
type Value = (Vec<usize>, f64);

impl Variance {
    /// Of the runs that a grid over `axes` asks for.
    pub(super) fn of(axes: &[Axis], runs: &[Observation]) -> Self {
        analyse(axes, runs).map_or_else(|reason| Self::Refused { reason }, Self::Analysed)
    }
}

fn analyse(axes: &[Axis], runs: &[Observation]) -> Result<Anova, String> {
    let several: Vec<usize> = (0..axes.len())
        .filter(|axis| axes[*axis].points.len() > 1)
        .collect();
    if several.is_empty() {
        return Err("no axis has two levels".into());
    }
    let cells: usize = several
        .iter()
        .map(|axis| axes[*axis].points.len())
        .product();
    let positions: BTreeSet<&Vec<usize>> = runs.iter().map(|(_, position, _)| position).collect();
    if positions.len() < cells {
        let lacking = cells - positions.len();
        return Err(format!(
            "the design leaves out {lacking} of the {cells} cells that its axes make"
        ));
    }
    let mut by_seed: BTreeMap<u64, Vec<(&Vec<usize>, f64)>> = BTreeMap::new();
    for (seed, position, value) in runs {
        let of_seed = by_seed.entry(*seed).or_default();
        of_seed.extend(value.map(|value| (position, value)));
    }
    let asked = by_seed.len();
    by_seed.retain(|_, values| values.len() == cells);
    let seeds = by_seed.len();
    if seeds < 2 {
        return Err(format!(
            "{seeds} of {asked} seeds are measured at all {cells} cells, and it takes 2"
        ));
    }
    let values: Vec<Value> = by_seed
        .values()
        .enumerate()
        .flat_map(|(seed, values)| {
            values.iter().map({
                let several = &several;
                move |(position, value)| {
                    let along = several.iter().map(|axis| position[*axis]);
                    (std::iter::once(seed).chain(along).collect(), *value)
                }
            })
        })
        .collect();
    Ok(Anova {
        seeds,
        left_out: asked - seeds,
        ..table(&names(axes, &several), &values)
    })
}

/// `seed`, then those of the axes.
fn names(axes: &[Axis], several: &[usize]) -> Vec<String> {
    let axes = several.iter().map(|axis| axes[*axis].name());
    std::iter::once("seed".to_owned()).chain(axes).collect()
}

/// The table of balanced values. The first factor is the blocks, which make no pairs.
fn table(names: &[String], values: &[Value]) -> Anova {
    let all = part_of(values, &[]);
    let main: Vec<Part> = (0..names.len()).map(|f| part_of(values, &[f])).collect();
    let single = |f: usize| (names[f].clone(), main[f]);
    let pairs = (1..names.len()).flat_map(|one| (one + 1..names.len()).map(move |two| (one, two)));
    let pair = |(one, two): (usize, usize)| {
        let both = part_of(values, &[one, two]);
        let part = both.without(main[one]).without(main[two]);
        (format!("{} × {}", names[one], names[two]), part)
    };
    let parts: Vec<(String, Part)> = (0..names.len())
        .map(single)
        .chain(pairs.map(pair))
        .collect();
    let residual = parts
        .iter()
        .fold(all, |left, (_, part)| left.without(*part));
    let source = |(name, part): (String, Part)| {
        let part = part.unless_rounding(all);
        let f = part.mean_square() / residual.mean_square();
        Source {
            name,
            part,
            f,
            p: exceeded(f, part.df, residual.df),
        }
    };
    Anova {
        sources: parts.into_iter().map(source).collect(),
        residual,
        seeds: 0,
        left_out: 0,
    }
}

/// The sum of squares between the means at each combination of levels of `factors`, and its degrees of freedom; of no
/// factor, between the values themselves.
fn part_of(values: &[Value], factors: &[usize]) -> Part {
    let mean = values.iter().map(|(_, y)| y).sum::<f64>() / values.len() as f64;
    if factors.is_empty() {
        return Part {
            sum_of_squares: values.iter().map(|(_, y)| (y - mean).powi(2)).sum(),
            df: values.len() as u64 - 1,
        };
    }
    let mut groups: BTreeMap<Vec<usize>, (f64, f64)> = BTreeMap::new();
    for (at, y) in values {
        let key = factors.iter().map(|factor| at[*factor]).collect();
        let (sum, count) = groups.entry(key).or_default();
        *sum += y - mean;
        *count += 1.0;
    }
    Part {
        sum_of_squares: groups.values().map(|(sum, count)| sum * sum / count).sum(),
        df: groups.len() as u64 - 1,
    }
}

impl Part {
    /// What is left without a part of it.
    fn without(self, other: Self) -> Self {
        Self {
            sum_of_squares: self.sum_of_squares - other.sum_of_squares,
            df: self.df - other.df,
        }
    }

    /// Nothing where it is no more than the rounding of the whole.
    fn unless_rounding(self, all: Self) -> Self {
        match self.sum_of_squares > 1e-12 * all.sum_of_squares {
            true => self,
            false => Self {
                sum_of_squares: 0.0,
                ..self
            },
        }
    }

    pub fn mean_square(self) -> f64 {
        self.sum_of_squares / self.df as f64
    }
}

/// The chance of an F beyond `f`. Without an error any difference is certain, and none is none.
fn exceeded(f: f64, df: u64, of_error: u64) -> f64 {
    match FisherSnedecor::new(df as f64, of_error as f64) {
        Ok(distribution) if f.is_finite() => distribution.sf(f),
        _ if f.is_nan() => 1.0,
        _ => 0.0,
    }
}
