//! What keeps a data set from being opened or read. A sample that cannot be used is no error: it is skipped and counted,
//! and only too many of them are one.

use std::io;
use std::path::{Path, PathBuf};

use crate::util::abridged;

#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A setting and the files that it names do not go together.
    #[error("{key}: {problem}")]
    Setting { key: &'static str, problem: String },
    /// `error` is part of the sentence and so no source of it: an error is told once.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    /// The file is there and is not what it should be.
    #[error("{}: {problem}", path.display())]
    Content { path: PathBuf, problem: String },
    /// More samples than `data.max_broken` allows cannot be used.
    #[error("data.max_broken: {0}")]
    TooManyBroken(String),
}

impl DataError {
    pub fn setting(key: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self::Setting { key, problem }
    }

    pub fn content(path: &Path, problem: impl Into<String>) -> Self {
        let (path, problem) = (path.to_owned(), problem.into());
        Self::Content { path, problem }
    }

    /// What a library says of the file at `path`, which may repeat much of the file.
    pub fn said(path: &Path, error: &impl std::fmt::Display) -> Self {
        Self::content(path, abridged(&error.to_string(), 200))
    }

    /// For `map_err` of what was done with the file at `path`.
    pub fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |error| Self::File { path, error }
    }
}
