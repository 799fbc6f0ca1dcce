//! Verdicts on claims as lines of a terminal: what came of it, the difference, the sentence.

use super::number::Scale;
use super::text::align;
use crate::analysis::Verdict;

/// Verdict, difference with its interval, and claim, each in a column.
pub fn verdict_lines(verdicts: &[Verdict]) -> Vec<String> {
    let row = |verdict: &Verdict| {
        vec![
            verdict.outcome.words().to_owned(),
            difference(verdict),
            verdict.says.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = verdicts.iter().map(row).collect();
    align(&rows).lines().map(str::to_owned).collect()
}

/// `+3.2 [1.1, 5.3]`; a dash where nothing was measured on both sides.
pub(super) fn difference(verdict: &Verdict) -> String {
    match (verdict.difference.mean, verdict.difference.half_width) {
        (Some(mean), half) => Scale::of(&verdict.metric).difference(mean, half),
        (None, _) => "-".into(),
    }
}
