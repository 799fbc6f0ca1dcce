//! The evaluations.

use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// Evaluate each time this many examples were seen, and at the end; 0 only at the end.
    pub every: u64,
    /// Pictures of an evaluation.
    pub images: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { every: 10_000, images: 1_024 }
    }
}

impl EvalConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        check("eval.images", (1..=1 << 20).contains(&self.images), || format!("{} is not between 1 and {}", self.images, 1 << 20))
    }
}
