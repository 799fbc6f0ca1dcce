//! What an experiment is to find out, so that a verdict can be given by rule: two sets of cells, a metric, and which of
//! them is said to have more of it. Who said so, and whether it is so, is elsewhere.

use serde_json::Value;

use super::path;

/// Keys of axes, or keys inside of their values, and what these must be.
pub type Conditions = Vec<(String, Value)>;

/// Conditions in words: `loss.kind = softmax and loss.bias.init = 0`.
pub fn words<'c>(conditions: impl IntoIterator<Item = (&'c str, &'c Value)>) -> String {
    let parts = conditions
        .into_iter()
        .map(|(key, value)| format!("{key} = {}", path::label(value)));
    parts.collect::<Vec<_>>().join(" and ")
}

/// One sentence that runs can bear out or contradict.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// The sentence.
    pub says: String,
    pub metric: String,
    /// Cells that are compared with those of `than`, which have the same values of all other axes.
    pub of: Conditions,
    pub than: Conditions,
    /// Cells that the claim is about; without conditions all.
    pub when: Conditions,
    pub sort: ClaimSort,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ClaimSort {
    /// `of` has more of the metric.
    Higher,
    Lower,
    /// Both have the same but for so much.
    Equal {
        within: f64,
    },
}
