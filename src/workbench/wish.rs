//! What a person wants of runs: stop, pause, resume, retry, priority. Each verb writes `want.json` and no more; a
//! scheduler obeys at its next tick, and a worker that outlived its own is told here.

use rustix::process::Signal;

use super::Workbench;
use crate::record::{Lease, RunId, Want, Wish};
use crate::sched::holder;
use crate::store::{Delta, Run, RunState};

/// A verb over runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Want it no more: its worker saves and stops, and no scheduler starts it until it is retried.
    Stop,
    /// Hold it back: its worker saves and stops, its place goes to others, and `resume` lets it go on.
    Pause,
    /// Let a run that was paused or stopped go on.
    Resume,
    /// Let a run that failed, diverged or was stopped go again.
    Retry,
    /// Start it after runs of a higher priority and before those of a lower one.
    Priority(i32),
}

impl Verb {
    /// The verb of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Priority(_) => "priority",
        }
    }

    /// What `run` is wanted for, which was `want`, once this is said; none when it would change nothing.
    pub fn applied(self, run: &Run, want: Want) -> Option<Want> {
        let running = run.state == RunState::Running;
        let wish = |wish, applies: bool| applies.then_some(Want { wish, ..want });
        match self {
            Self::Stop => wish(
                Wish::Stop,
                !run.state.is_over() && (running || want.wish != Wish::Stop),
            ),
            Self::Pause => wish(Wish::Pause, !run.state.is_over() && want.wish == Wish::Run),
            Self::Resume => wish(Wish::Run, !run.state.is_over() && want.wish != Wish::Run),
            Self::Retry => {
                let forgivable = match run.state {
                    RunState::Failed { .. }
                    | RunState::Diverged { .. }
                    | RunState::Interrupted { .. } => true,
                    RunState::New | RunState::Stopped => want.wish != Wish::Run,
                    RunState::Running | RunState::Completed => false,
                };
                forgivable.then_some(Want {
                    wish: Wish::Run,
                    forgive: run.attempt,
                    ..want
                })
            }
            Self::Priority(priority) => (!run.state.is_over() && want.priority != priority)
                .then_some(Want { priority, ..want }),
        }
    }
}

impl Workbench {
    /// Read what is on record of these runs now.
    pub fn look_at(&mut self, runs: &[RunId]) -> Vec<Delta> {
        let mut deltas = std::mem::take(&mut self.untold);
        deltas.extend(self.store.refresh_runs(runs));
        deltas
    }

    /// Say `verb` of `run`. False when it changes nothing.
    pub fn wish(&self, verb: Verb, run: &Run) -> anyhow::Result<bool> {
        let Some(want) = verb.applied(run, Want::read(&run.dir)?) else {
            return Ok(false);
        };
        want.write(&run.dir)?;
        // A scheduler obeys at its next tick; a worker that outlived its own is told here.
        if want.wish != Wish::Run
            && run.state == RunState::Running
            && holder(&self.root)?.is_none()
            && let Some(lease) = Lease::read(&run.dir)?
        {
            lease.process.signal_group(Signal::TERM)?;
        }
        Ok(true)
    }
}
