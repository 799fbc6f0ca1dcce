//! Which cells of the full product an experiment has: all, one factor at a time, a regular fraction, or a sample. A
//! design chooses positions on the axes; seeds are replication and never part of it, and excludes apply to what it
//! chose.

mod aliases;
mod draws;
mod fraction;
mod sample;
mod search;
#[cfg(test)]
mod tests;

use serde_json::Value;

use super::experiment::Experiment;
use super::path;
use crate::util::human_count;
pub use aliases::{Aliased, Aliases, Effect};
use fraction::Fraction;
pub(super) use fraction::LETTERS;

/// `[design]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Design {
    /// Every cell.
    #[default]
    Full,
    /// A baseline, and each axis varied alone around it: its first point unless `around` says where it stands.
    OneFactor { around: Vec<(String, Value)> },
    /// A regular fraction 1/2^p over the axes with two points; the others are crossed with it in full.
    Fractional {
        /// 2^p.
        fraction: u64,
        /// p words such as `d = a b c`, of keys or letters; without any the best are found.
        generators: Vec<String>,
    },
    /// Distinct cells, drawn uniformly. With a larger count the cells drawn before stay.
    Random { count: usize, seed: u64 },
    /// Distinct cells that use the points of each axis as evenly as their number allows; where there are fewer cells
    /// than points, one in each of that many stretches of the axis.
    LatinHypercube { count: usize, seed: u64 },
}

/// What is wrong with a design for the axes that it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignProblem {
    /// The key of `[design]` at fault, and which of its items.
    pub key: &'static str,
    pub item: Option<usize>,
    pub problem: String,
    pub expected: String,
}

impl DesignProblem {
    fn new(key: &'static str, problem: impl Into<String>, expected: impl Into<String>) -> Self {
        Self {
            key,
            item: None,
            problem: problem.into(),
            expected: expected.into(),
        }
    }
}

/// Points on the axes, one list a cell.
pub enum Positions {
    /// All, in the order of the axes with the last one fastest, made one by one.
    Product(Vec<usize>),
    Listed(Vec<Vec<usize>>),
}

impl Positions {
    pub fn len(&self) -> usize {
        match self {
            Self::Product(lengths) => lengths.iter().product(),
            Self::Listed(positions) => positions.len(),
        }
    }

    pub fn get(&self, index: usize) -> Vec<usize> {
        let mut position = Vec::new();
        self.write(index, &mut position);
        position
    }

    /// [`get`](Self::get) in the place of what was in `position`, for those who ask for many.
    pub fn write(&self, index: usize, position: &mut Vec<usize>) {
        position.clear();
        match self {
            Self::Listed(positions) => position.extend(&positions[index]),
            Self::Product(lengths) => {
                let mut rest = index;
                position.resize(lengths.len(), 0);
                for (place, length) in position.iter_mut().zip(lengths).rev() {
                    *place = rest % length;
                    rest /= length;
                }
            }
        }
    }
}

impl Design {
    /// The word for it in a file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::OneFactor { .. } => "one-factor",
            Self::Fractional { .. } => "fractional",
            Self::Random { .. } => "random",
            Self::LatinHypercube { .. } => "latin-hypercube",
        }
    }

    /// What `[design]` says besides the kind, as values of its keys.
    pub fn entries(&self) -> Vec<(&'static str, Value)> {
        let sample = |count: usize, seed: u64| {
            let seed = (seed != 0).then(|| ("seed", Value::from(seed)));
            [("count", Value::from(count))]
                .into_iter()
                .chain(seed)
                .collect()
        };
        match self {
            Self::Full => Vec::new(),
            Self::OneFactor { around } if around.is_empty() => Vec::new(),
            Self::OneFactor { around } => {
                vec![("around", around.iter().cloned().collect())]
            }
            Self::Fractional {
                fraction,
                generators,
            } => {
                let words = (!generators.is_empty())
                    .then(|| ("generators", generators.iter().cloned().collect()));
                [("fraction", Value::from(*fraction))]
                    .into_iter()
                    .chain(words)
                    .collect()
            }
            Self::Random { count, seed } | Self::LatinHypercube { count, seed } => {
                sample(*count, *seed)
            }
        }
    }

    /// How many cells it chooses, seeds aside.
    pub(super) fn count(&self, experiment: &Experiment) -> u128 {
        let lengths = lengths(experiment);
        match self {
            Self::Full => product(&lengths),
            Self::OneFactor { .. } => 1 + lengths.iter().map(|n| *n as u128 - 1).sum::<u128>(),
            Self::Fractional { fraction, .. } => product(&lengths) / u128::from(*fraction).max(1),
            Self::Random { count, .. } | Self::LatinHypercube { count, .. } => *count as u128,
        }
    }

    /// The cells that it chooses. One factor at a time has its baseline first and then axis by axis, the others are
    /// in the order of the full product.
    pub(super) fn positions(&self, experiment: &Experiment) -> Result<Positions, DesignProblem> {
        self.check(experiment)?;
        let lengths = lengths(experiment);
        Ok(match self {
            Self::Full => Positions::Product(lengths),
            Self::OneFactor { around } => {
                let baseline = baseline(experiment, around)?;
                Positions::Listed(sample::one_factor(&lengths, &baseline))
            }
            Self::Fractional {
                fraction,
                generators,
            } => {
                let fraction = Fraction::of(experiment, *fraction, generators)?;
                Positions::Listed(fraction.positions(&lengths))
            }
            Self::Random { count, seed } => {
                Positions::Listed(sample::random(&lengths, *count, *seed))
            }
            Self::LatinHypercube { count, seed } => {
                Positions::Listed(sample::latin_hypercube(&lengths, *count, *seed))
            }
        })
    }

    /// Whether it can be made of these axes, short of making it.
    pub(super) fn check(&self, experiment: &Experiment) -> Result<(), DesignProblem> {
        match self {
            Self::Full => Ok(()),
            Self::OneFactor { around } => baseline(experiment, around).map(drop),
            Self::Fractional {
                fraction,
                generators,
            } => Fraction::of(experiment, *fraction, generators).map(drop),
            Self::Random { count, .. } | Self::LatinHypercube { count, .. } => {
                let cells = product(&lengths(experiment));
                if *count == 0 || *count as u128 > cells {
                    return Err(DesignProblem::new(
                        "count",
                        format!("{count} cells of the {cells} that the axes make"),
                        format!("1 to {cells}"),
                    ));
                }
                Ok(())
            }
        }
    }
}

impl Experiment {
    /// What a fractional design cannot tell apart; None for others.
    pub fn aliases(&self) -> Option<Aliases> {
        let Design::Fractional {
            fraction,
            generators,
        } = &self.design
        else {
            return None;
        };
        let fraction = Fraction::of(self, *fraction, generators).ok()?;
        Some(Aliases::of(self, &fraction))
    }

    /// Where a design of one factor at a time stands on each axis while another varies; None for others.
    pub fn baseline(&self) -> Option<Vec<usize>> {
        match &self.design {
            Design::OneFactor { around } => baseline(self, around).ok(),
            _ => None,
        }
    }

    /// The design in words, such as `random, 20 of 1000 cells, seed 1`; None for the full product.
    pub fn design_label(&self) -> Option<String> {
        let all = product(&lengths(self));
        let all = match all {
            0..1_000_000 => all.to_string(),
            many => human_count(many as f64),
        };
        let cells = format!("{} of {all} cells", self.design.count(self));
        Some(match &self.design {
            Design::Full => return None,
            Design::OneFactor { around } => {
                let baseline = baseline(self, around).ok()?;
                let points = self.axes.iter().zip(baseline);
                let points =
                    points.map(|(axis, p)| format!("{} = {}", axis.name(), axis.points[p].label()));
                let points: Vec<String> = points.collect();
                format!(
                    "one factor at a time, {cells}, around {}",
                    points.join(", ")
                )
            }
            Design::Fractional { .. } => format!("fractional, {cells}"),
            Design::Random { seed, .. } => format!("random, {cells}, seed {seed}"),
            Design::LatinHypercube { seed, .. } => format!("Latin hypercube, {cells}, seed {seed}"),
        })
    }
}

fn lengths(experiment: &Experiment) -> Vec<usize> {
    experiment
        .axes
        .iter()
        .map(|axis| axis.points.len())
        .collect()
}

fn product(lengths: &[usize]) -> u128 {
    lengths.iter().fold(1, |cells: u128, length| {
        cells.saturating_mul(*length as u128)
    })
}

/// The point of each axis that `around` names; the first where it is silent.
fn baseline(
    experiment: &Experiment,
    around: &[(String, Value)],
) -> Result<Vec<usize>, DesignProblem> {
    let mut holds: Vec<Vec<(usize, &str, &Value)>> = vec![Vec::new(); experiment.axes.len()];
    for (item, (key, value)) in around.iter().enumerate() {
        let Some((axis, index, rest)) = experiment.locate(key) else {
            let known: Vec<&str> = experiment.axis_keys().collect();
            return Err(DesignProblem {
                item: Some(item),
                ..DesignProblem::new(
                    "around",
                    format!("`{key}` is no axis of this file"),
                    format!("one of {}", known.join(", ")),
                )
            });
        };
        holds[axis].push((index, rest, value));
    }
    let points = experiment.axes.iter().zip(holds).map(|(axis, holds)| {
        let fits = |point: &super::Point| {
            let mut all = holds.iter();
            all.all(|(index, rest, value)| point.value_at(*index, rest) == Some(*value))
        };
        axis.points.iter().position(fits).ok_or_else(|| {
            let values: Vec<String> = holds.iter().map(|(.., value)| path::label(value)).collect();
            DesignProblem::new(
                "around",
                format!(
                    "no point of the axis {} is {}",
                    axis.name(),
                    values.join(", ")
                ),
                "values that stand together on it",
            )
        })
    });
    points.collect()
}
