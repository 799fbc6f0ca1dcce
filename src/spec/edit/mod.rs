//! Changes to an experiment file as plain data, and their effect on its text: what a change does not speak of stays
//! as it is to the byte, comments go with what they stand above. Whether the result is a good experiment is for
//! [`super::Experiment::parse`] to say.

mod axes;
mod comparisons;
mod designs;
mod flat;
mod layout;
mod list;
mod merge;
mod references;
mod reported;
mod sections;
#[cfg(test)]
mod tests;
mod words;
mod zips;

use serde_json::Value;

use crate::spec::Design;
use crate::util::printable;
use layout::Layout;
pub use merge::{Clash, Merge, merge};
pub use words::EditWordsError;

/// One change. As text ([`std::fmt::Display`], [`std::str::FromStr`]) it is what `siglab edit FILE` takes.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// A new last axis of `[axes]`.
    AddAxis {
        key: String,
        values: Vec<Value>,
    },
    /// Other values for an axis, or for one key of a zip, whose others keep theirs.
    SetAxis {
        key: String,
        values: Vec<Value>,
    },
    /// Other values for several keys of one zip at once, which may change its length.
    SetZip {
        columns: Vec<(String, Vec<Value>)>,
    },
    /// Another key, wherever the file names the axis.
    RenameAxis {
        key: String,
        to: String,
    },
    /// One place earlier or later among `[axes]`, or among the zips.
    MoveAxis {
        key: String,
        later: bool,
    },
    /// An axis goes, or one key of a zip; rows that a zip then has twice become one.
    RemoveAxis {
        key: String,
    },
    /// The axes of these keys become one.
    Zip {
        keys: Vec<String>,
    },
    /// Each key of a zip becomes an axis of its own, with each of its values once.
    Unzip {
        key: String,
    },
    /// Leave out the cells with all these values.
    AddExclude {
        when: Vec<(String, Value)>,
    },
    RemoveExclude {
        when: Vec<(String, Value)>,
    },
    /// A key of `[base]`.
    SetBase {
        key: String,
        value: Value,
    },
    /// A key of `[base]` goes, or all keys of a table.
    UnsetBase {
        key: String,
    },
    Seeds(Seeds),
    /// The whole section; the full product needs none.
    Design(Design),
    Question(String),
    AddReport {
        title: Option<String>,
        rows: Option<String>,
        columns: Option<String>,
        metric: String,
    },
    /// The report at this place, from 0.
    RemoveReport {
        index: usize,
    },
}

/// How often each cell is repeated.
#[derive(Clone, Debug, PartialEq)]
pub enum Seeds {
    /// With the seeds 0 to this, exclusive.
    Count(u64),
    Values(Vec<u64>),
}

/// Why a change cannot be made, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    #[error("line {line} is not TOML: {problem}; mend the file first")]
    Syntax { line: usize, problem: String },
    #[error("[{section}] {problem}; mend the file first")]
    Unfit { section: String, problem: String },
    #[error("the file has no axis `{key}`; expected {expected}")]
    NoAxis { key: String, expected: String },
    #[error("`{key}` is an axis already; give it other values with `axis set`")]
    AxisThere { key: String },
    #[error("`{key}` is no key of a setting; expected names with points between, such as optim.lr")]
    BadKey { key: String },
    #[error("`{key}` would have no values; an axis needs at least one, or remove it")]
    NoValues { key: String },
    #[error(
        "`{key}` would have {count} values, but `{other}` has {length}: a zip needs lists of one length; set them together with `zip set`"
    )]
    Length {
        key: String,
        count: usize,
        other: String,
        length: usize,
    },
    #[error("`{key}` is the {end} of {group}; an axis moves among its own kind")]
    Edge {
        key: String,
        end: &'static str,
        group: &'static str,
    },
    #[error("`{key}` is in the condition of an [[exclude]], {condition}; remove that first")]
    InUse { key: String, condition: String },
    #[error("`{key}` is in the generator `{word}` of [design]; give the file another design first")]
    Generates { key: String, word: String },
    #[error("`{key}` is an axis of its own; only a zip can be unzipped")]
    NotZipped { key: String },
    #[error("{keys} are one axis already; name keys of two axes or more")]
    ZippedAlready { keys: String },
    #[error("`{key}` and `{other}` are not of one zip; name keys of one")]
    OtherZip { key: String, other: String },
    #[error("cells with {condition} are left out already")]
    ExcludeThere { condition: String },
    #[error("no [[exclude]] has the condition {condition}; the file has {expected}")]
    NoExclude { condition: String, expected: String },
    #[error("`{key}` is twice in one condition; name each key once")]
    Twice { key: String },
    #[error("`{key}` is not set in [base]")]
    NotSet { key: String },
    #[error("`{key}` is inside `{outer}`, which [base] sets as a whole; unset that first")]
    InsideBase { key: String, outer: String },
    #[error("the file has {count} reports and none at {}", index + 1)]
    NoReport { index: usize, count: usize },
    #[error("a report needs a metric, such as zeroshot/top1")]
    NoMetric,
    #[error("seeds must be at least one, and each once")]
    NoSeeds,
    /// The parts of the file stand in each other's way.
    #[error("the change does not go into the file as it is written: {problem}")]
    Unwritable { problem: String },
}

/// `text` with `edit` made.
pub fn apply(text: &str, edit: &Edit) -> Result<String, EditError> {
    // Lines end in one way while we work on them, and then as they did.
    let windows = text.contains("\r\n") && !text.replace("\r\n", "").contains('\n');
    let lines = if windows {
        &text.replace("\r\n", "\n")
    } else {
        text
    };
    let edited = edit.on(lines)?;
    Layout::read(&edited).map_err(|e| EditError::Unwritable {
        problem: match e {
            EditError::Syntax { problem, .. } => problem,
            other => other.to_string(),
        },
    })?;
    Ok(if windows {
        edited.replace('\n', "\r\n")
    } else {
        edited
    })
}

impl Edit {
    fn on(&self, text: &str) -> Result<String, EditError> {
        Layout::read(text)?;
        let spelled = match self {
            Self::AddAxis { .. }
            | Self::SetAxis { .. }
            | Self::SetZip { .. }
            | Self::MoveAxis { .. }
            | Self::RemoveAxis { .. }
            | Self::Zip { .. }
            | Self::Unzip { .. } => designs::spell_out(text)?,
            _ => text.to_owned(),
        };
        let text = spelled.as_str();
        match self {
            Self::AddAxis { key, values } => axes::add(text, key, values),
            Self::SetAxis { key, values } => axes::set(text, &[(key.clone(), values.clone())]),
            Self::SetZip { columns } => axes::set(text, columns),
            Self::RenameAxis { key, to } => axes::rename(text, key, to),
            Self::MoveAxis { key, later } => axes::shift(text, key, *later),
            Self::RemoveAxis { key } => axes::remove(text, key),
            Self::Zip { keys } => zips::zip(text, keys),
            Self::Unzip { key } => zips::unzip(text, key),
            Self::AddExclude { when } => sections::add_exclude(text, when),
            Self::RemoveExclude { when } => sections::remove_exclude(text, when),
            Self::SetBase { key, value } => sections::set_base(text, key, value),
            Self::UnsetBase { key } => sections::unset_base(text, key),
            Self::Seeds(seeds) => sections::seeds(text, seeds),
            Self::Design(design) => sections::design(text, design),
            Self::Question(question) => sections::question(text, question),
            Self::AddReport {
                title,
                rows,
                columns,
                metric,
            } => {
                let entries = [
                    ("title", title.as_deref()),
                    ("rows", rows.as_deref()),
                    ("columns", columns.as_deref()),
                    ("metric", Some(metric.as_str())),
                ];
                sections::add_report(text, &entries)
            }
            Self::RemoveReport { index } => sections::remove_report(text, *index),
        }
    }
}

/// `key` if it can be one: names with points between.
fn checked(key: &str) -> Result<(), EditError> {
    if key.split('.').all(|name| !name.trim().is_empty()) && printable(key) == key {
        Ok(())
    } else {
        Err(EditError::BadKey {
            key: printable(key),
        })
    }
}
