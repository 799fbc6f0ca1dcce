//! What keeps a run back that needs another one first, in words, and what to do about it.

use crate::record::RunId;
use crate::store::{RunState, Store};

/// Why the prerequisite `by` gave no result to start from.
pub fn blocked(store: &Store, by: &RunId) -> String {
    let Some(run) = store.get(by) else {
        return format!(
            "blocked: prerequisite {by} is not in the workspace; `siglab run` makes it"
        );
    };
    let remedy = match run.state {
        RunState::Failed { .. } => format!("failed; `siglab retry {by}` tries it again"),
        RunState::Diverged { .. } => {
            format!("diverged; change its settings, or `siglab retry {by}` tries it again")
        }
        _ => format!(
            "is {} and was given up; the same `siglab run` tries it again",
            run.state.name()
        ),
    };
    format!("blocked: prerequisite {by} {remedy}")
}
