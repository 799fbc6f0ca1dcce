//! What a person wants of runs: stop, pause, resume, retry, priority. Each verb writes `want.json` and no more; a
//! scheduler obeys at its next tick, and a worker that outlived its own is told here, and seen off.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::Workbench;
use crate::exec::{Executor, Local, Ticket};
use crate::record::{Lease, RunId, Want, Wish, WorkerLock, at_work};
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
            // A worker that is still there may be asked again.
            Self::Pause => wish(
                Wish::Pause,
                !run.state.is_over()
                    && (want.wish == Wish::Run || running && want.wish == Wish::Pause),
            ),
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
                    retries: want.retries + 1,
                    ..want
                })
            }
            Self::Priority(priority) => (!run.state.is_over() && want.priority != priority)
                .then_some(Want { priority, ..want }),
        }
    }
}

/// How a worker that was to be seen off went.
#[derive(Debug)]
pub enum Leave {
    /// By itself.
    Went,
    /// By a signal that nothing survives, with all that it started.
    Killed,
    /// It has not gone yet, and a scheduler that has come meanwhile sees to it.
    Handed,
    /// It cannot be seen off from here, and this is why.
    Stays(anyhow::Error),
}

/// Workers are looked at so often.
const LOOK: Duration = Duration::from_millis(50);
/// A process that was killed is gone by then, unless the system holds on to it.
const STUCK: Duration = Duration::from_secs(5);

/// An executor that starts nothing: its programme is none.
fn executor() -> Local {
    Local::new(PathBuf::new(), Vec::new())
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
            && let Some(ticket) = worker_of(run)?
        {
            executor().stop(&ticket)?;
        }
        Ok(true)
    }

    /// Ask the workers of `runs` to go, where no scheduler looks after them, wait for them, and kill those that are there when
    /// `grace` is over. Says of each how it went.
    pub fn see_off(
        &self,
        runs: &[RunId],
        grace: Duration,
        mut told: impl FnMut(&RunId, Leave),
    ) -> io::Result<()> {
        let mut executor = executor();
        let mut left: Vec<(&Run, Ticket)> = Vec::new();
        let runs = runs.iter().filter_map(|id| self.store.get(id));
        for run in runs.filter(|run| run.state == RunState::Running) {
            if holder(&self.root)?.is_some() {
                told(run.id(), Leave::Handed);
                continue;
            }
            match worker_of(run) {
                Ok(Some(ticket)) => match executor.stop(&ticket) {
                    Ok(_) => left.push((run, ticket)),
                    Err(e) => told(run.id(), Leave::Stays(e.into())),
                },
                Ok(None) => match WorkerLock::is_held(&run.dir)? {
                    true => {
                        let stranger = anyhow!("its worker is no process of this machine");
                        told(run.id(), Leave::Stays(stranger));
                    }
                    false => told(run.id(), Leave::Went),
                },
                Err(e) => told(run.id(), Leave::Stays(e.into())),
            }
        }
        let (asked, mut killed) = (Instant::now(), false);
        loop {
            let tickets: Vec<Ticket> = left.iter().map(|(_, ticket)| ticket.clone()).collect();
            let mut states = executor.poll(&tickets).into_iter();
            left.retain(|(run, ticket)| {
                if states.next().is_some_and(|state| state.is_alive()) {
                    return true;
                }
                if killed {
                    note_kill(run, ticket, grace);
                }
                told(run.id(), if killed { Leave::Killed } else { Leave::Went });
                false
            });
            if left.is_empty() {
                return Ok(());
            }
            if holder(&self.root)?.is_some() {
                for (run, _) in left {
                    told(run.id(), Leave::Handed);
                }
                return Ok(());
            }
            let late = asked.elapsed() >= grace;
            // What the system itself holds on to dies when it lets go.
            let stuck = asked.elapsed() >= grace.saturating_add(STUCK);
            left.retain(|(run, ticket)| {
                let outcome = match (late, stuck) {
                    (false, _) => return true,
                    // Again each time: what it started meanwhile is to go too.
                    (true, false) => executor.kill(ticket).map_err(Into::into),
                    (true, true) => Err(anyhow!(
                        "it was killed, and the system has not ended it yet"
                    )),
                };
                outcome.map_err(|e| told(run.id(), Leave::Stays(e))).is_ok()
            });
            killed |= late;
            std::thread::sleep(LOOK);
        }
    }
}

/// The process that works on `run`.
fn worker_of(run: &Run) -> io::Result<Option<Ticket>> {
    let lease = Lease::read(&run.dir)?;
    at_work(&run.dir, lease.map(|lease| lease.process))
}

/// Put on record that a worker was killed on request: a scheduler to come is not to count it against the run. Where that
/// cannot be done it does, which costs the run one of its tries.
fn note_kill(run: &Run, ticket: &Ticket, grace: Duration) {
    let lease = Lease::read(&run.dir).ok().flatten();
    let lease = lease.unwrap_or_else(|| Lease::new("local", ticket.clone(), Vec::new()));
    let seconds = grace.as_secs();
    let noted = Lease {
        process: ticket.clone(),
        ended: Some(format!("killed: it did not stop within {seconds} s")),
        ..lease
    };
    let _ = noted.write(&run.dir);
}
