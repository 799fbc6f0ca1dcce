//! What an attempt's numbers come from beside its settings and its data: the code, the machine and the libraries, as its
//! worker found them. It is for people to compare; no number and no name of a run depends on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What could not be found out is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// System, release and architecture: `Linux 6.8.0 x86_64`.
    pub os: String,
    /// The processor's model.
    pub cpu: String,
    /// Cores that the worker may use.
    pub cores: usize,
    /// Vector units that the processor has: `AVX2, FMA, AVX-512`.
    pub vectors: String,
    /// The instructions that the loss multiplies with at each precision: `f32 avx512, bf16x3 amx, bf16 amx`.
    pub products: String,
    /// Versions of the libraries that compute, as they were locked for the build.
    pub libraries: BTreeMap<String, String>,
    /// The repository of the directory that siglab was started in, if it is in one.
    pub git: Option<Git>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Git {
    pub commit: String,
    /// Whether files that git tracks were changed since; none where git took too long to tell.
    pub dirty: Option<bool>,
}

impl Provenance {
    /// Whether nothing is on record.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Git {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.dirty {
            Some(true) => ", changed",
            Some(false) => "",
            None => ", perhaps changed",
        };
        write!(f, "{}{state}", self.commit)
    }
}
