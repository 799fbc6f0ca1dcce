//! What should happen next. [`plan`] is a pure function from a view of the runs to actions, one rule a function;
//! [`drive`] carries it out. Nothing here reads a log or knows how a worker is started.

pub mod drive;
mod lock;
pub mod requests;
mod slots;

use std::collections::BTreeMap;

use crate::record::{RunId, Want, Wish};
use crate::store::{Run, RunState, Store};
pub use drive::{Notice, Scheduler};
pub use lock::{LockError, SchedulerLock, holder};

/// One run as the rules see it.
#[derive(Clone, Debug)]
pub struct Task {
    pub state: RunState,
    pub want: Want,
    /// Runs that must be complete before this one.
    pub needs: Vec<RunId>,
    /// Slots that it takes together.
    pub slots: usize,
    /// It is among the runs that this scheduler was asked for; others it only watches.
    pub ours: bool,
    /// Its worker was asked to stop.
    pub asked: bool,
    /// Why no further attempt is made, if so.
    pub given_up: Option<String>,
}

impl Task {
    /// A run as its directory tells it, with no scheduler at work.
    pub fn at_rest(run: &Run) -> Self {
        Self {
            state: run.state.clone(),
            want: run.want,
            needs: run.spec.config.model.prerequisites().cloned().collect(),
            slots: run.spec.config.train.ranks,
            ours: false,
            asked: false,
            given_up: None,
        }
    }
}

/// Everything that the rules need to know.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub tasks: BTreeMap<RunId, Task>,
    /// The order in which runs of equal priority start.
    pub order: Vec<RunId>,
    pub free: usize,
    /// Start nothing more and stop what runs of ours.
    pub halting: bool,
}

impl View {
    /// The workspace with no scheduler at work.
    pub fn at_rest(store: &Store) -> Self {
        let tasks = store
            .runs()
            .map(|run| (run.id().clone(), Task::at_rest(run)))
            .collect();
        Self {
            tasks,
            ..Self::default()
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    Start(RunId),
    Stop(RunId),
}

/// Where a run stands between its last attempt and its next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Running,
    /// Completed, diverged, or failed until somebody retries it.
    Over,
    /// Starts as soon as there is room.
    Ready,
    /// Starts when this run is complete, which it may yet be.
    Waiting {
        needs: RunId,
    },
    /// Cannot start: this run did not come to a good end.
    Blocked {
        by: RunId,
    },
    /// Held back by request.
    Held(Wish),
    GivenUp {
        reason: String,
    },
}

/// What to do now. Stops come first, then starts: by priority, then in the given order, while there is room.
pub fn plan(view: &View) -> Vec<Action> {
    stops(view).chain(starts(view)).collect()
}

/// A running worker is stopped, once, when its run is no longer wanted.
fn stops(view: &View) -> impl Iterator<Item = Action> {
    let unwanted = |task: &Task| view.halting && task.ours || task.want.wish != Wish::Run;
    let due = move |task: &Task| task.state == RunState::Running && !task.asked && unwanted(task);
    view.tasks
        .iter()
        .filter(move |(_, task)| due(task))
        .map(|(id, _)| Action::Stop(id.clone()))
}

/// Ready runs start in strict order: a large run at the head waits for its slots and is not overtaken for ever by
/// small ones.
fn starts(view: &View) -> Vec<Action> {
    if view.halting {
        return Vec::new();
    }
    let ready = |id: &&RunId| standing(view, id) == Some(Standing::Ready);
    let mut queue: Vec<(&RunId, &Task)> = view
        .order
        .iter()
        .filter(ready)
        .map(|id| (id, &view.tasks[id]))
        .collect();
    queue.sort_by_key(|(_, task)| std::cmp::Reverse(task.want.priority));
    let mut free = view.free;
    let fits = |(_, task): &(&RunId, &Task)| {
        let room = task.slots <= free;
        free = free.saturating_sub(task.slots);
        room
    };
    queue
        .into_iter()
        .take_while(fits)
        .map(|(id, _)| Action::Start(id.clone()))
        .collect()
}

/// Where one run stands; none for a run that the view lacks.
pub fn standing(view: &View, id: &RunId) -> Option<Standing> {
    standing_within(view, id, view.tasks.len())
}

/// `depth` bounds the chain of needs, so that a circle, which only a forged specification can hold, ends.
fn standing_within(view: &View, id: &RunId, depth: usize) -> Option<Standing> {
    let task = view.tasks.get(id)?;
    Some(match &task.state {
        RunState::Running => Standing::Running,
        state if state.is_over() => Standing::Over,
        _ if task.want.wish != Wish::Run => Standing::Held(task.want.wish),
        _ => {
            let unmet = |need| unmet(view, need, depth);
            match (&task.given_up, task.needs.iter().find_map(unmet)) {
                (Some(reason), _) => Standing::GivenUp {
                    reason: reason.clone(),
                },
                (None, Some(obstacle)) => obstacle,
                (None, None) => Standing::Ready,
            }
        }
    })
}

/// How the run `need` keeps those back that need it; none when it is complete.
fn unmet(view: &View, need: &RunId, depth: usize) -> Option<Standing> {
    let blocked = Some(Standing::Blocked { by: need.clone() });
    let Some(task) = view.tasks.get(need) else {
        return blocked;
    };
    if task.state == RunState::Completed {
        return None;
    }
    match depth
        .checked_sub(1)
        .and_then(|depth| standing_within(view, need, depth))
    {
        Some(
            Standing::Running | Standing::Ready | Standing::Waiting { .. } | Standing::Held(_),
        ) => Some(Standing::Waiting {
            needs: need.clone(),
        }),
        // The root of the trouble is worth more than the nearest link.
        Some(Standing::Blocked { by }) => Some(Standing::Blocked { by }),
        Some(Standing::Over | Standing::GivenUp { .. }) | None => blocked,
    }
}

#[cfg(test)]
mod tests;
