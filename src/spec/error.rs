//! What can be wrong with an experiment file. Each error names the place, the key and what would be right; the
//! command line answers all of them with "wrong usage".

use std::path::Path;

use thiserror::Error;

use super::source::Place;
use crate::util::abridged;

#[derive(Clone, Debug, PartialEq, Error)]
pub enum SpecError {
    /// The file cannot be read as text.
    #[error("{file}: {problem}")]
    Unreadable { file: String, problem: String },
    /// The text is not TOML.
    #[error("{place}: {problem}")]
    Syntax { place: String, problem: String },
    /// A key or its value is not what the experiment file or the trainer takes.
    #[error("{place}: {key}: {problem}{}", expectation(.expected))]
    Setting {
        place: String,
        key: String,
        problem: String,
        expected: String,
    },
    /// The grid is larger than anybody means.
    #[error(
        "{place}: {key}: {count} {cells} ({lengths}) are more than the {limit} that one grid may have; shorten an axis or split the file"
    )]
    TooManyCells {
        place: String,
        key: String,
        count: u128,
        cells: &'static str,
        lengths: String,
        limit: usize,
    },
    /// Some cells ask for runs that cannot be.
    #[error(
        "{first}\n{others} more of the {cells} cells cannot run; `siglab plan {file}` lists them"
    )]
    InvalidCells {
        file: String,
        cells: usize,
        others: usize,
        first: Box<SpecError>,
    },
}

/// Characters of a key or value that a sentence has room for.
const LONGEST: usize = 1_000;

/// As much of `text` as can be said, safe to print.
pub(super) fn said(text: &str) -> String {
    abridged(text, LONGEST)
}

fn expectation(expected: &str) -> String {
    if expected.is_empty() {
        String::new()
    } else {
        format!("; expected {expected}")
    }
}

impl SpecError {
    pub(super) fn setting(
        file: &Path,
        place: Place,
        key: impl AsRef<str>,
        problem: impl AsRef<str>,
        expected: impl AsRef<str>,
    ) -> Self {
        Self::Setting {
            place: place.show(file),
            key: said(key.as_ref()),
            problem: said(problem.as_ref()),
            expected: said(expected.as_ref()),
        }
    }
}
