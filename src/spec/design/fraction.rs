//! A regular fraction 2^(k-p) of k axes with two points: p of them stand at the product of others, where the first
//! point counts as -1 and the second as +1. The axes with more points are crossed with it.

use super::{DesignProblem, search};
use crate::spec::experiment::Experiment;

/// Names of factors in textbooks: I is the identity.
pub const LETTERS: &[u8] = b"ABCDEFGHJKLMNOPQRSTUVWXYZ";

pub struct Fraction {
    /// The axes with two points; a factor's letter is its place here.
    pub factors: Vec<usize>,
    /// In the order of their factors.
    pub generators: Vec<Generator>,
}

/// A factor that stands at plus or minus the product of others.
pub struct Generator {
    pub factor: usize,
    /// The others, as bits.
    pub product: u64,
    pub negative: bool,
}

impl Fraction {
    /// The fraction 1/`fraction` of the two-level axes of `experiment`.
    pub fn of(
        experiment: &Experiment,
        fraction: u64,
        words: &[String],
    ) -> Result<Self, DesignProblem> {
        let wrong = |problem: String, expected: String| {
            Err(DesignProblem::new("fraction", problem, expected))
        };
        let two = experiment.axes.iter().enumerate();
        let two = two.filter(|(_, axis)| axis.points.len() == 2);
        let factors: Vec<usize> = two.map(|(index, _)| index).collect();
        let count = factors.len();
        if !fraction.is_power_of_two() || fraction < 2 {
            return wrong(
                format!("found {fraction}"),
                "2, 4, 8 or another power of two".into(),
            );
        }
        if count > LETTERS.len() {
            return wrong(
                format!("{count} axes have two values"),
                format!("at most {}", LETTERS.len()),
            );
        }
        let p = fraction.trailing_zeros() as usize;
        let fits = |p: usize| p < count && count < 1 << (count - p);
        if !fits(p) {
            let most = (1..count).rev().find(|p| fits(*p));
            return wrong(
                format!(
                    "1/{fraction} of the cells of {count} axes with two values cannot tell their effects apart"
                ),
                match most {
                    Some(p) => format!("at most {} here", 1u64 << p),
                    None => "three or more axes with two values".into(),
                },
            );
        }
        let generators = if words.is_empty() {
            let basic = count - p;
            // There are enough products, or the fraction would not fit.
            let found = search::generators(basic, p).unwrap_or_default().into_iter();
            let numbered = found.enumerate();
            numbered
                .map(|(index, product)| Generator {
                    factor: basic + index,
                    product,
                    negative: false,
                })
                .collect()
        } else {
            read(experiment, &factors, p, words)?
        };
        let fraction = Self {
            factors,
            generators,
        };
        fraction.tells_main_effects_apart(experiment)?;
        Ok(fraction)
    }

    /// Every word of the defining relation but the identity: its factors as bits, and whether it is -1.
    pub fn words(&self) -> Vec<(u64, bool)> {
        let mut words = vec![(0, false)];
        for generator in &self.generators {
            let word = generator.product | 1 << generator.factor;
            let more = words
                .iter()
                .map(|(other, negative)| (other ^ word, negative ^ generator.negative));
            words.extend(more.collect::<Vec<_>>());
        }
        words.remove(0);
        words.sort_by_key(|(word, _)| (word.count_ones(), word.reverse_bits() ^ u64::MAX));
        words
    }

    /// The cells, in the order of the full product.
    pub fn positions(&self, lengths: &[usize]) -> Vec<Vec<usize>> {
        let mut positions = vec![vec![0; lengths.len()]];
        for (axis, length) in lengths.iter().enumerate() {
            let factor = self.factors.iter().position(|other| *other == axis);
            if self.generators.iter().any(|g| Some(g.factor) == factor) {
                continue;
            }
            let points = |position: Vec<usize>| {
                (0..*length).map(move |point| {
                    let mut position = position.clone();
                    position[axis] = point;
                    position
                })
            };
            positions = positions.into_iter().flat_map(points).collect();
        }
        for position in &mut positions {
            for Generator {
                factor,
                product,
                negative,
            } in &self.generators
            {
                let minus = (0..self.factors.len()).filter(|other| {
                    product >> other & 1 == 1 && position[self.factors[*other]] == 0
                });
                let plus = (minus.count() % 2 == 0) != *negative;
                position[self.factors[*factor]] = usize::from(plus);
            }
        }
        positions.sort_unstable();
        positions
    }

    /// What each factor's column is: the product of these factors that no generator makes, or its negative. Effects
    /// are one if the products of their columns are.
    pub fn columns(&self) -> Vec<(u64, bool)> {
        let column = |factor: usize| {
            let made = self.generators.iter().find(|g| g.factor == factor);
            made.map_or((1 << factor, false), |g| (g.product, g.negative))
        };
        (0..self.factors.len()).map(column).collect()
    }

    fn tells_main_effects_apart(&self, experiment: &Experiment) -> Result<(), DesignProblem> {
        let columns = self.columns();
        for (factor, column) in columns.iter().enumerate() {
            let earlier = columns[..factor]
                .iter()
                .position(|other| other.0 == column.0);
            if let Some(other) = earlier {
                let name = |factor: usize| experiment.axes[self.factors[factor]].name();
                return Err(DesignProblem::new(
                    "generators",
                    format!(
                        "{} and {} would always change together",
                        name(other),
                        name(factor)
                    ),
                    "products of two or more axes, each another",
                ));
            }
        }
        Ok(())
    }
}

/// Generators as a file has them.
fn read(
    experiment: &Experiment,
    factors: &[usize],
    p: usize,
    words: &[String],
) -> Result<Vec<Generator>, DesignProblem> {
    let names = || {
        let lettered = factors.iter().zip(LETTERS).map(|(axis, letter)| {
            let name = experiment.axes[*axis].name();
            format!("{} ({name})", char::from(*letter))
        });
        lettered.collect::<Vec<_>>().join(", ")
    };
    if words.len() != p {
        return Err(DesignProblem::new(
            "generators",
            format!("{} words for 1/{}", words.len(), 1u64 << p),
            format!("{p}, one for each axis that is a product of others"),
        ));
    }
    let wrong = |item: usize, problem: String, expected: String| DesignProblem {
        item: Some(item),
        ..DesignProblem::new("generators", problem, expected)
    };
    let mut generators: Vec<Generator> = Vec::new();
    for (item, word) in words.iter().enumerate() {
        let form = || {
            wrong(
                item,
                format!("found `{word}`"),
                "a word such as `d = a b c`".into(),
            )
        };
        let (left, right) = word.split_once('=').ok_or_else(form)?;
        let (negative, right) = match right.trim().strip_prefix('-') {
            Some(right) => (true, right),
            None => (false, right.trim().trim_start_matches('+')),
        };
        let unknown = |name: &str| {
            wrong(
                item,
                format!("`{name}` is no axis with two values"),
                format!("one of {}", names()),
            )
        };
        let [factor] = named(experiment, factors, left).map_err(|name| unknown(&name))?[..] else {
            return Err(form());
        };
        let others = named(experiment, factors, right).map_err(|name| unknown(&name))?;
        let product = others.iter().fold(0u64, |bits, other| bits | 1 << other);
        if others.is_empty() || product.count_ones() as usize != others.len() {
            return Err(form());
        }
        generators.push(Generator {
            factor,
            product,
            negative,
        });
    }
    let made: u64 = generators
        .iter()
        .map(|g| 1 << g.factor)
        .fold(0, |all, bit| all | bit);
    for (item, generator) in generators.iter().enumerate() {
        let twice = generators[..item]
            .iter()
            .any(|g| g.factor == generator.factor);
        if twice || generator.product & made != 0 {
            return Err(wrong(
                item,
                format!("`{}` is of an axis that a generator makes", words[item]),
                "each made once, of axes that none makes".into(),
            ));
        }
    }
    generators.sort_by_key(|generator| generator.factor);
    Ok(generators)
}

/// The factors that `text` names, by keys or letters with spaces or `*` between, or by letters in a row; or the name
/// that is none.
fn named(experiment: &Experiment, factors: &[usize], text: &str) -> Result<Vec<usize>, String> {
    let letter = |name: &str| {
        let [letter] = name.as_bytes() else {
            return None;
        };
        let upper = letter.to_ascii_uppercase();
        let factor = LETTERS.iter().position(|other| *other == upper)?;
        (factor < factors.len()).then_some(factor)
    };
    let key = |name: &str| {
        let axis = experiment.axis_of(name)?;
        factors.iter().position(|factor| *factor == axis)
    };
    let mut found = Vec::new();
    let names = text.split(|c: char| c.is_whitespace() || c == '*');
    for name in names.filter(|name| !name.is_empty()) {
        if let Some(factor) = key(name).or_else(|| letter(name)) {
            found.push(factor);
            continue;
        }
        let letters = name.split("").filter(|part| !part.is_empty()).map(letter);
        found.extend(letters.collect::<Option<Vec<usize>>>().ok_or(name)?);
    }
    Ok(found)
}
