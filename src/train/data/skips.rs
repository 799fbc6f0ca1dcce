//! The samples of a data set that are not trained on, by reason, with the first names of each. They are counted and named,
//! and they stop nothing until there are too many of them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::error::DataError;
use super::fault::Fault;
use crate::util::printable;

/// What was skipped of how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skips {
    /// Samples, those that were skipped included.
    pub total: u64,
    reasons: BTreeMap<Fault, Tally>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Tally {
    count: u64,
    /// The first so many, in the order of the set.
    names: Vec<String>,
}

/// Names that are kept of a reason.
const NAMED: usize = 3;
/// Letters of a name that are shown.
const LETTERS: usize = 80;

impl Skips {
    /// None yet of so many.
    pub fn of(total: u64) -> Self {
        let reasons = BTreeMap::new();
        Self { total, reasons }
    }

    /// Count one, which is among `total` already. Its name is asked for when it is one of the first.
    pub fn add<N: AsRef<str>>(&mut self, fault: Fault, name: impl FnOnce() -> N) {
        let tally = self.reasons.entry(fault).or_default();
        tally.count += 1;
        if tally.names.len() < NAMED {
            let name = name();
            let letters = name.as_ref().chars().take(LETTERS + 1).collect::<String>();
            let mut shown = printable(&letters);
            if letters.chars().count() > LETTERS {
                shown = shown.chars().take(LETTERS).chain(['…']).collect();
            }
            tally.names.push(shown);
        }
    }

    /// Those of another part of the set, which comes after.
    pub fn merge(&mut self, other: &Self) {
        self.total += other.total;
        for (fault, tally) in &other.reasons {
            let own = self.reasons.entry(*fault).or_default();
            own.count += tally.count;
            let room = NAMED - own.names.len();
            own.names.extend(tally.names.iter().take(room).cloned());
        }
    }

    /// How many were skipped.
    pub fn count(&self) -> u64 {
        self.reasons.values().map(|tally| tally.count).sum()
    }

    /// By reason.
    pub fn counts(&self) -> impl Iterator<Item = (Fault, u64)> {
        self.reasons
            .iter()
            .map(|(fault, tally)| (*fault, tally.count))
    }

    /// # Errors
    /// When more than the share `most` of the samples were skipped.
    pub fn check(&self, most: f64) -> Result<(), DataError> {
        if self.count() as f64 > most * self.total as f64 {
            return Err(DataError::TooManyBroken(format!(
                "{self}; that is more than the {} % that may be",
                most * 100.0
            )));
        }
        Ok(())
    }
}

/// "skipped 3 of 1 204 samples: 2 no caption (a.jpg, b.jpg), 1 cut image (c.jpg)".
impl fmt::Display for Skips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, total) = (grouped(self.count()), grouped(self.total));
        write!(f, "skipped {count} of {total} samples")?;
        let mut reasons: Vec<_> = self.reasons.iter().collect();
        reasons.sort_by_key(|(_, tally)| std::cmp::Reverse(tally.count));
        for (i, (fault, tally)) in reasons.into_iter().enumerate() {
            let before = if i == 0 { ": " } else { ", " };
            write!(
                f,
                "{before}{} {fault} ({}",
                grouped(tally.count),
                tally.names.join(", ")
            )?;
            let more = if tally.count > tally.names.len() as u64 {
                ", …)"
            } else {
                ")"
            };
            f.write_str(more)?;
        }
        Ok(())
    }
}

/// Digits in groups of three.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_told_in_a_sentence() {
        let mut skips = Skips::of(1_200);
        for name in ["a.jpg", "b\u{1b}[2J.jpg", "c.jpg", "d.jpg"] {
            skips.add(Fault::NoCaption, || name);
        }
        let mut more = Skips::of(4);
        more.add(Fault::CutImage, || "x".repeat(500));
        more.add(Fault::NoCaption, || "late.jpg");
        skips.merge(&more);
        let told = skips.to_string();
        assert!(!told.contains('\u{1b}') && !told.contains("late"), "{told}");
        assert!(
            told.starts_with("skipped 6 of 1 204 samples: 5 no caption (a.jpg, "),
            "{told}"
        );
        assert!(
            told.contains("c.jpg, …), 1 cut image (xxx") && told.len() < 300,
            "{told}"
        );
    }

    #[test]
    fn too_many_are_an_error_and_none_are_not() {
        let mut skips = Skips::of(100);
        skips.check(0.0).unwrap();
        (0..5).for_each(|_| skips.add(Fault::NoImage, || "a"));
        skips.check(0.05).unwrap();
        skips.add(Fault::NoImage, || "b");
        let error = skips.check(0.05).unwrap_err().to_string();
        assert!(
            error.starts_with("data.max_broken: skipped 6 of 100"),
            "{error}"
        );
    }
}
