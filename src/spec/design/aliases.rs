//! What a fraction cannot tell apart: effects whose columns are equal, or each other's negative, in all its cells.

use std::collections::BTreeMap;

use serde::Serialize;

use super::fraction::{Fraction, LETTERS};
use crate::spec::experiment::Experiment;

/// Words of a defining relation that are written out: all of a fraction 1/256, and nobody reads more.
const MOST_WORDS: usize = 255;

/// The structure of a regular fraction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aliases {
    /// The axes with two points, and the letters that they have in `generators` and `defining`.
    pub letters: Vec<(char, String)>,
    /// Such as `D = ABC`.
    pub generators: Vec<String>,
    /// The words that are the identity, shortest first, such as `ABCD` or `-ABE`; the first of many.
    pub defining: Vec<String>,
    /// How many of them there are.
    pub words: usize,
    /// The length of the shortest word.
    pub resolution: usize,
    /// Main effects and interactions of two axes that are one in this design, a list for each lot that is.
    pub aliased: Vec<Aliased>,
}

/// Effects that are one, up to their signs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Aliased {
    pub effects: Vec<Effect>,
    /// In words: `optim.lr = loss.kind x optim.beta2`.
    pub label: String,
}

/// A main effect, or an interaction of two axes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effect {
    /// Positions in [`Experiment::axes`].
    pub axes: Vec<usize>,
    /// Whether it is the negative of the first of its lot.
    pub negative: bool,
}

impl Aliases {
    pub(super) fn of(experiment: &Experiment, fraction: &Fraction) -> Self {
        let words = fraction.words();
        let count = fraction.factors.len();
        let bits = |factors: u64| (0..count).filter(move |factor| factors >> factor & 1 == 1);
        let letters = |factors: u64| -> String {
            bits(factors)
                .map(|factor| char::from(LETTERS[factor]))
                .collect()
        };
        let sign = |negative: bool| if negative { "-" } else { "" };
        let name = |factor: usize| experiment.axes[fraction.factors[factor]].name();

        let mut effects: Vec<u64> = (0..count).map(|factor| 1 << factor).collect();
        for one in 0..count {
            effects.extend((one + 1..count).map(|other| 1 << one | 1 << other));
        }
        let columns = fraction.columns();
        let column = |effect: u64| {
            bits(effect).fold((0, false), |(product, negative), factor| {
                (product ^ columns[factor].0, negative ^ columns[factor].1)
            })
        };
        let mut lots: BTreeMap<u64, Vec<(u64, bool)>> = BTreeMap::new();
        for effect in effects {
            let (column, negative) = column(effect);
            lots.entry(column).or_default().push((effect, negative));
        }
        let mut lots: Vec<Vec<(u64, bool)>> =
            lots.into_values().filter(|lot| lot.len() > 1).collect();
        let place = |effect: u64| (effect.count_ones(), effect.reverse_bits() ^ u64::MAX);
        lots.sort_by_key(|lot| place(lot[0].0));
        let aliased = lots.into_iter().map(|lot| {
            let first = lot[0].1;
            let label = lot.iter().map(|(effect, negative)| {
                let names: Vec<String> = bits(*effect).map(name).collect();
                format!("{}{}", sign(*negative != first), names.join(" x "))
            });
            let label = label.collect::<Vec<_>>().join(" = ");
            let effects = lot.iter().map(|(effect, negative)| Effect {
                axes: bits(*effect)
                    .map(|factor| fraction.factors[factor])
                    .collect(),
                negative: *negative != first,
            });
            Aliased {
                effects: effects.collect(),
                label,
            }
        });
        Self {
            letters: (0..count)
                .map(|factor| (char::from(LETTERS[factor]), name(factor)))
                .collect(),
            generators: fraction
                .generators
                .iter()
                .map(|g| {
                    let (left, right) = (letters(1 << g.factor), letters(g.product));
                    format!("{left} = {}{right}", sign(g.negative))
                })
                .collect(),
            words: words.len(),
            defining: words
                .iter()
                .take(MOST_WORDS)
                .map(|(word, negative)| format!("{}{}", sign(*negative), letters(*word)))
                .collect(),
            resolution: words
                .first()
                .map_or(0, |(word, _)| word.count_ones() as usize),
            aliased: aliased.collect(),
        }
    }

    /// The resolution as textbooks write it: III, IV, V.
    pub fn roman(&self) -> String {
        let tens = "X".repeat(self.resolution / 10);
        let ones = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"];
        tens + ones[self.resolution % 10]
    }
}
