//! Why a run is where it is, in a sentence: what it waits for, what keeps it back, how it ended, and what to do about
//! it. Every face says it in these words.

use crate::record::{RunId, Wish};
use crate::sched::{Standing, View, standing};
use crate::store::{Run, RunState, Store};
use crate::util::printable;

/// Why `run` stands where it stands, if its state alone does not say. Safe to print.
pub fn why(store: &Store, run: &Run, view: &View) -> Option<String> {
    Some(match (&run.state, standing(view, run.id())?) {
        (RunState::Failed { reason }, _) => printable(reason),
        (RunState::Diverged { step, reason }, _) => {
            format!("at step {step}: {}", printable(reason))
        }
        (RunState::Running, _) if run.want.wish == Wish::Pause => "pauses at a checkpoint".into(),
        (RunState::Running, _) if run.want.wish == Wish::Stop => "stops at a checkpoint".into(),
        (_, Standing::Held(Wish::Pause)) => "paused on request".into(),
        (_, Standing::Held(_)) => "stopped on request".into(),
        (_, Standing::Blocked { by }) => blocked(store, &by),
        (_, Standing::Waiting { needs }) => format!("waits for {needs}"),
        (RunState::Interrupted { cause: Some(cause) }, _) => printable(cause),
        _ => return None,
    })
}

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
