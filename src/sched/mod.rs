//! What should happen next. [`plan`] is a pure function from a view of the runs to actions, one rule a function;
//! [`drive`] carries it out. [`policy`] says what follows from a bad end, [`queue`] who starts next. Nothing here reads a log or knows how a worker is started.

pub mod drive;
mod lock;
mod needs;
pub mod policy;
mod posted;
pub mod queue;
pub mod requests;
mod silence;
mod slots;
mod time;

use std::collections::BTreeMap;

use crate::record::{RunId, Setback, Want, Wish};
use crate::spec::RunSpec;
use crate::store::{Run, RunState, Store};
pub use drive::{Notice, Scheduler};
pub use lock::{LockError, SchedulerLock, holder};
use policy::Verdict;
pub use posted::{has_begun, waits};
use queue::Decision;
pub use queue::Wait;
pub use silence::Limits;

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
    /// It runs only with no other at its side.
    pub alone: bool,
    /// Bytes that it is known to need.
    pub memory: Option<u64>,
    /// How often a run behind it has started before it.
    pub overtaken: usize,
}

impl Task {
    /// A run that no worker has touched, with no scheduler at work.
    pub fn new(spec: &RunSpec) -> Self {
        Self {
            state: RunState::New,
            want: Want::default(),
            needs: spec.config.model.prerequisites().cloned().collect(),
            slots: spec.config.train.ranks,
            ours: false,
            asked: false,
            given_up: None,
            alone: false,
            memory: None,
            overtaken: 0,
        }
    }

    /// A run as its directory tells it, with no scheduler at work.
    pub fn at_rest(run: &Run) -> Self {
        Self {
            state: run.state.clone(),
            want: run.want,
            ..Self::new(&run.spec)
        }
        .after(&run.setbacks)
    }

    /// The same run after these setbacks.
    fn after(self, setbacks: &[Setback]) -> Self {
        let (given_up, alone) = match policy::verdict(setbacks, self.want.retries) {
            Verdict::GiveUp(reason) => (Some(reason), false),
            Verdict::Alone => (None, true),
            Verdict::Untroubled | Verdict::Again | Verdict::Elsewhere => (None, false),
        };
        Self {
            given_up,
            alone,
            ..self
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
    /// Slots whose devices are not set aside.
    pub usable: usize,
    /// Devices that were lost.
    pub set_aside: Vec<String>,
    /// Bytes that the workers at work leave for others; none where nobody knows.
    pub memory: Option<u64>,
    /// Workers at work, of whatever runs.
    pub workers: usize,
    /// Why runs wait that are ready, as far as a scheduler said so.
    pub waits: BTreeMap<RunId, Wait>,
    /// Start nothing more and stop what runs of ours.
    pub halting: bool,
    /// The disk is full: start nothing more.
    pub full: bool,
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

/// What to do now. Stops come first, then starts in the order of the queue.
pub fn plan(view: &View) -> Vec<Action> {
    let starts = queue::decide(view)
        .into_iter()
        .filter(|(_, decision)| *decision == Decision::Start)
        .map(|(id, _)| Action::Start(id));
    stops(view).chain(starts).collect()
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
