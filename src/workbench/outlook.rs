//! What a `run` of a grid would do about one of its runs: the words of a plan. It looks at a view and starts nothing.

use crate::record::RunId;
use crate::sched::{Standing, View, standing};
use crate::store::RunState;

/// A run's state in the words of a plan, and what there is to say about it.
pub fn outlook(view: &View, id: &RunId) -> (&'static str, Option<String>) {
    if let Some(Standing::Blocked { by }) = standing(view, id) {
        let what = view
            .tasks
            .get(&by)
            .map_or("is in this workspace no run that can be read", |task| {
                task.state.name()
            });
        return ("blocked", Some(format!("needs {by}, which {what}")));
    }
    let state = view
        .tasks
        .get(id)
        .map_or(&RunState::New, |task| &task.state);
    match state {
        RunState::Completed => ("cached", None),
        RunState::Interrupted { cause } => (state.name(), cause.clone()),
        RunState::Diverged { reason, .. } | RunState::Failed { reason } => {
            (state.name(), Some(reason.clone()))
        }
        RunState::New | RunState::Running | RunState::Stopped => (state.name(), None),
    }
}
