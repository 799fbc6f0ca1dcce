//! Workers that have ended and workers that must: what a process left, what that means for its run, and what is done to
//! one that does not stop or does not go on.

use std::time::Duration;

use super::{Notice, Scheduler};
use crate::exec::{Executor, JobState, Ticket};
use crate::record::{
    Cause, Event, Lack, Lease, Line, RunDir, RunId, Setback, end_of_log, read_events,
};
use crate::sched::policy::{self, Verdict};
use crate::store::{Run, RunState, Store};

/// The signal that a process ends itself with, when it finds that it cannot go on.
const ABORT: i32 = 6;
/// Lines of a log among which a process's last word is.
const LAST_WORDS: usize = 5;

/// A worker's end that the store has not been asked about yet.
pub(super) struct End {
    pub(super) id: RunId,
    ticket: Option<Ticket>,
    state: JobState,
    /// Why it was killed, if it was.
    doom: Option<Cause>,
    /// It was asked to stop, this long before it was found to be gone.
    asked: Option<Duration>,
    peak: Option<u64>,
    on_gpus: bool,
    shared: bool,
    retries: u32,
    before: Option<u32>,
}

impl End {
    /// Whether it ended before it was an attempt: `run` stands where it stood when it was started.
    fn began_nothing(&self, run: &Run) -> bool {
        run.state == RunState::Stopped && self.before == Some(run.attempt)
    }
}

impl<E: Executor> Scheduler<E> {
    /// Poll all tickets in one call; release the workers that are gone.
    pub(super) fn reap(&mut self, store: &Store) -> Vec<End> {
        let now = self.time.now();
        let ticketed =
            |(id, held): (&RunId, &super::Held)| Some((id.clone(), held.ticket.clone()?));
        let (ids, tickets): (Vec<RunId>, Vec<Ticket>) =
            self.held.iter().filter_map(ticketed).unzip();
        let states = self.executor.poll(&tickets);
        let crowd = self.held.len() > 1;
        let mut gone: Vec<(RunId, JobState)> = Vec::new();
        for ((id, ticket), state) in ids.into_iter().zip(&tickets).zip(states) {
            let Some(held) = self.held.get_mut(&id) else {
                continue;
            };
            held.shared |= crowd && !self.slots.has_its_gpus(&id);
            held.suspended = state == JobState::Suspended;
            held.peak = held.peak.max(self.executor.peak(ticket));
            if !state.is_alive() {
                gone.push((id, state));
            }
        }
        // One without a ticket shows by its lock that it lives, which the store looks at.
        let lost = |(id, held): (&RunId, &super::Held)| {
            let free = held.ticket.is_none()
                && store
                    .get(id)
                    .is_none_or(|run| run.state != RunState::Running);
            free.then(|| (id.clone(), JobState::Vanished))
        };
        gone.extend(self.held.iter().filter_map(lost));
        let mut ends = Vec::new();
        for (id, state) in gone {
            let Some(held) = self.held.remove(&id) else {
                continue;
            };
            let on_gpus = self.slots.is_on_gpus(&id);
            self.slots.release(&id);
            ends.push(End {
                id,
                ticket: held.ticket,
                state,
                doom: held.doom,
                asked: held.asked.map(|asked| now - asked),
                peak: held.peak,
                on_gpus,
                shared: held.shared,
                retries: held.retries,
                before: held.before,
            });
        }
        ends
    }

    /// Ends of workers that no scheduler saw, because none was there: they count like others. Not those of another boot:
    /// a machine that went down says nothing about the run.
    pub(super) fn unseen_ends(&self, store: &Store) -> Vec<End> {
        let unexplained = |id: &&RunId| {
            let run = store.get(id);
            run.is_some_and(|run| run.state == RunState::Interrupted { cause: None })
        };
        let scope = self.scope.iter().filter(unexplained);
        scope
            .filter_map(|id| {
                let run = store.get(id)?;
                let lease = Lease::read(&run.dir).ok()??;
                let open = lease.ended.is_none() && lease.process.is_of_this_boot();
                open.then(|| End {
                    id: id.clone(),
                    ticket: Some(lease.process),
                    state: JobState::Vanished,
                    doom: None,
                    asked: None,
                    peak: None,
                    on_gpus: false,
                    shared: true,
                    retries: run.want.retries,
                    before: None,
                })
            })
            .collect()
    }

    /// Put an end on record and, if it was no result, decide what follows from it.
    pub(super) fn judge(&mut self, store: &Store, end: End, notices: &mut Vec<Notice>) {
        let (Some(run), Some(how)) = (store.get(&end.id), end.state.ending()) else {
            return;
        };
        let unfinished = matches!(run.state, RunState::New | RunState::Interrupted { .. })
            || end.began_nothing(run);
        let events = match unfinished {
            true => last_attempt(run),
            false => Vec::new(),
        };
        let cause = match &end.asked {
            // Whoever asked a worker to stop has its end.
            Some(_) => None,
            None if unfinished => Some(cause(&run.dir, &end, &events)),
            None => None,
        };
        let how = match (&cause, end.asked) {
            (Some(cause), _) => cause.to_string(),
            (None, Some(took)) if end.state == JobState::Killed(9) => {
                format!("killed: it did not stop within {} s", took.as_secs())
            }
            (None, _) => how,
        };
        notices.push(Notice::Ended {
            id: end.id.clone(),
            how: how.clone(),
        });
        if let Some(Cause::DeviceLost { device }) = &cause
            && self.slots.set_aside(device)
        {
            notices.push(Notice::SetAside {
                id: end.id.clone(),
                device: device.clone(),
            });
        }
        let mut setbacks = self.setbacks_of(run).to_vec();
        if let Some(cause) = cause {
            let setback = Setback {
                cause,
                retries: end.retries,
            };
            policy::add(&mut setbacks, setback, has_saved(&events));
            self.setbacks.insert(end.id.clone(), setbacks.clone());
            // Somebody may have asked for another try before this end was seen: then nothing has to follow.
            let verdict = policy::verdict(&setbacks, run.want.retries);
            let then = verdict.words();
            notices.extend(match verdict {
                Verdict::GiveUp(reason) => Some(Notice::GivenUp {
                    id: end.id.clone(),
                    reason,
                }),
                _ => then.map(|then| Notice::Restarts {
                    id: end.id.clone(),
                    how: how.clone(),
                    then,
                }),
            });
        }
        if let Err(e) = self.note_end(run, &end, how, setbacks) {
            notices.push(Notice::Trouble {
                id: end.id,
                problem: format!("cannot note its end: {e}"),
            });
        }
    }

    /// Complete the lease that the worker ran under, unless another has come since.
    fn note_end(
        &self,
        run: &Run,
        end: &End,
        how: String,
        setbacks: Vec<Setback>,
    ) -> std::io::Result<()> {
        match Lease::read(&run.dir)? {
            Some(lease) if Some(&lease.process) == end.ticket.as_ref() => {
                let lease = Lease {
                    ended: Some(how),
                    peak: lease.peak.max(end.peak),
                    setbacks,
                    ..lease
                };
                self.write(run, lease)
            }
            _ => Ok(()),
        }
    }

    /// Kill the workers that were asked to stop and had their grace, and those that do nothing any more.
    pub(super) fn press(&mut self, store: &Store, notices: &mut Vec<Notice>) {
        let now = self.time.now();
        for (id, held) in &mut self.held {
            let (Some(run), Some(ticket)) = (store.get(id), &held.ticket) else {
                continue;
            };
            let late = held.asked.is_some_and(|at| now - at >= self.limits.grace);
            let new_doom = match (late, &held.doom) {
                (false, None) => {
                    held.silence
                        .look(now, (&run.dir, ticket), held.suspended, &self.limits)
                }
                _ => None,
            };
            if !late && held.doom.is_none() && new_doom.is_none() {
                continue;
            }
            let first = !std::mem::replace(&mut held.killed, true);
            if let Some(cause) = new_doom {
                held.doom = Some(cause);
            }
            // Again with each tick until it is gone: what it started meanwhile is to go too.
            let outcome = self.executor.kill(ticket);
            if !first {
                continue;
            }
            let reason = match &held.doom {
                Some(cause) => cause.to_string(),
                None => {
                    let grace = self.limits.grace.as_secs();
                    format!("it did not stop within {grace} s")
                }
            };
            notices.push(match outcome {
                Ok(_) => Notice::Kills {
                    id: id.clone(),
                    reason,
                },
                Err(e) => Notice::Trouble {
                    id: id.clone(),
                    problem: format!("cannot be killed ({reason}): {e}"),
                },
            });
        }
    }
}

/// Why an attempt ended without a last word, by the way its process went and by what it said.
fn cause(dir: &RunDir, end: &End, events: &[Line]) -> Cause {
    if let Some(doom) = &end.doom {
        return doom.clone();
    }
    let memory = Cause::OutOfMemory {
        shared: end.shared,
        // What was seen is memory of the machine.
        peak: end.peak.filter(|_| !end.on_gpus),
    };
    let said = events.iter().rev().find_map(|line| match &line.event {
        Event::Interrupted { lack, .. } => Some(lack),
        _ => None,
    });
    match (said, &end.state) {
        (Some(Lack::Memory), _) | (_, JobState::OutOfMemory) => memory,
        (Some(Lack::Device { name }), _) => Cause::DeviceLost {
            device: name.clone(),
        },
        (_, JobState::Killed(ABORT)) if says_memory_is_out(dir) => memory,
        (_, JobState::Killed(signal)) => Cause::Crashed { signal: *signal },
        (_, JobState::Exited(code)) => Cause::Silent { code: *code },
        (_, JobState::Vanished | JobState::Alive | JobState::Suspended) => Cause::Gone,
    }
}

/// Whether the last words in the log are those of an allocation that failed. A process that has no memory left can put
/// nothing on record: its runtime prints one line and aborts.
fn says_memory_is_out(dir: &RunDir) -> bool {
    let lines = end_of_log(dir, LAST_WORDS).unwrap_or_default();
    let failed =
        |line: &String| line.starts_with("memory allocation of ") && line.ends_with("failed");
    lines.iter().any(failed)
}

/// The events of the last attempt; none when they cannot be read, which takes nothing from the end itself.
fn last_attempt(run: &Run) -> Vec<Line> {
    let mut events = read_events(&run.dir).unwrap_or_default();
    let last = events.iter().map(|line| line.attempt).max();
    events.retain(|line| Some(line.attempt) == last);
    events
}

/// Whether the attempt has got a checkpoint further than it began.
fn has_saved(events: &[Line]) -> bool {
    let saved = |line: &Line| matches!(line.event, Event::Saved { .. });
    events.iter().any(saved)
}
