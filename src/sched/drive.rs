//! The tick: look at the workers, bring the store up to date, plan, carry out. It holds what only a live scheduler
//! knows (tickets, slots, crashes of this session); what must survive it stands in the run directories.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::slots::Slots;
use super::{Action, SchedulerLock, Standing, Task, View, plan, requests, standing};
use crate::exec::{Executor, Job, JobState, Ticket};
use crate::record::{Lease, RunId, Want};
use crate::store::{Delta, Run, RunState, Store};

/// Crashes of one run after which this scheduler leaves it alone.
const CRASHES: u32 = 2;

/// What a tick did, for whoever watches.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    Started {
        id: RunId,
        devices: Vec<String>,
    },
    /// A worker of an earlier scheduler is at it.
    Adopted {
        id: RunId,
    },
    /// Its worker is gone; the store has its state. `how` says how the process ended.
    Ended {
        id: RunId,
        how: String,
    },
    /// It crashed and is started once more.
    Restarts {
        id: RunId,
        how: String,
    },
    /// No further attempt is made by this scheduler.
    GivenUp {
        id: RunId,
        reason: String,
    },
    /// Something about the scheduling itself went wrong; the runs go on.
    Trouble {
        id: RunId,
        problem: String,
    },
}

/// A worker that this scheduler started or took over.
#[derive(Debug)]
struct Held {
    /// None for a worker that left no lease: its lock is all there is to see.
    ticket: Option<Ticket>,
    asked: bool,
}

/// A worker's end that the store has not been asked about yet.
struct End {
    id: RunId,
    state: JobState,
    asked: bool,
}

/// What happened to a run under this scheduler, and the wish that it happened under: a new wish wipes it out.
#[derive(Debug, Default)]
struct Setbacks {
    want: Want,
    crashes: u32,
    given_up: Option<String>,
}

#[derive(Debug)]
pub struct Scheduler<E> {
    executor: E,
    slots: Slots,
    /// The runs to bring to an end, in the order to start them.
    scope: Vec<RunId>,
    ours: BTreeSet<RunId>,
    held: BTreeMap<RunId, Held>,
    setbacks: BTreeMap<RunId, Setbacks>,
    halting: bool,
    request_trouble: Option<String>,
    lock: SchedulerLock,
}

impl<E: Executor> Scheduler<E> {
    pub fn new(lock: SchedulerLock, executor: E, scope: Vec<RunId>) -> Self {
        Self {
            slots: Slots::new(executor.slots()),
            executor,
            ours: scope.iter().cloned().collect(),
            scope,
            held: BTreeMap::new(),
            setbacks: BTreeMap::new(),
            halting: false,
            request_trouble: None,
            lock,
        }
    }

    /// Start nothing more, and ask our workers to save and stop with the next tick.
    pub fn halt(&mut self) {
        self.halting = true;
    }

    /// Runs of ours that have a worker.
    pub fn active(&self) -> impl Iterator<Item = &RunId> {
        self.held.keys().filter(|id| self.ours.contains(id))
    }

    /// One round. The deltas are those of the runs with a worker, which it reads itself; everything else the caller
    /// refreshes as often as it likes.
    pub fn tick(&mut self, store: &mut Store) -> (Vec<Delta>, Vec<Notice>) {
        let mut notices = Vec::new();
        let watched: Vec<RunId> = self.held.keys().cloned().collect();
        // Processes first, logs after: what a worker wrote before it went is then in the store.
        let ends = self.reap(store, &mut notices);
        let deltas = store.refresh_runs(&watched);
        for end in ends {
            self.judge(store, end, &mut notices);
        }
        self.adopt(store, &mut notices);
        self.take_on(store, &mut notices);
        let mut started = Vec::new();
        for action in plan(&self.view(store)) {
            match action {
                Action::Start(id) => {
                    self.start(store, &id, &mut notices);
                    started.push(id);
                }
                Action::Stop(id) => self.stop(&id, &mut notices),
            }
        }
        let deltas = deltas
            .into_iter()
            .chain(store.refresh_runs(&started))
            .collect();
        (deltas, notices)
    }

    /// Whether nothing of ours runs and nothing could start: what is left waits for a person.
    pub fn is_idle(&self, store: &Store) -> bool {
        let view = self.view(store);
        let pending = |id| {
            matches!(
                standing(&view, id),
                Some(Standing::Running | Standing::Ready)
            )
        };
        self.active().next().is_none() && (self.halting || !self.scope.iter().any(pending))
    }

    /// What the rules see now.
    pub fn view(&self, store: &Store) -> View {
        let ours = self.scope.iter().filter_map(|id| store.get(id));
        let strangers = self
            .held
            .keys()
            .filter(|id| !self.ours.contains(id))
            .filter_map(|id| store.get(id));
        let mut tasks: BTreeMap<RunId, Task> = ours
            .chain(strangers)
            .map(|run| (run.id().clone(), self.task(run)))
            .collect();
        let needs: Vec<RunId> = tasks
            .values()
            .flat_map(|task| task.needs.iter().cloned())
            .collect();
        for run in needs.iter().filter_map(|id| store.get(id)) {
            tasks
                .entry(run.id().clone())
                .or_insert_with(|| self.task(run));
        }
        View {
            tasks,
            order: self.scope.clone(),
            free: self.slots.free(),
            halting: self.halting,
        }
    }

    fn task(&self, run: &Run) -> Task {
        let mut task = Task {
            ours: self.ours.contains(run.id()),
            ..Task::at_rest(run)
        };
        task.slots = self.slots.needed(task.slots);
        if let Some(held) = self.held.get(run.id()) {
            // Also when it has said its last word: it is through when its process is.
            task.state = RunState::Running;
            task.asked = held.asked;
        }
        let setbacks = self
            .setbacks
            .get(run.id())
            .filter(|setbacks| setbacks.want == run.want);
        task.given_up = setbacks.and_then(|setbacks| setbacks.given_up.clone());
        task
    }

    /// Poll all tickets in one call; note and release the workers that are gone.
    fn reap(&mut self, store: &Store, notices: &mut Vec<Notice>) -> Vec<End> {
        let ticketed = |(id, held): (&RunId, &Held)| Some((id.clone(), held.ticket.clone()?));
        let (ids, tickets): (Vec<RunId>, Vec<Ticket>) =
            self.held.iter().filter_map(ticketed).unzip();
        let states = self.executor.poll(&tickets);
        let mut gone: Vec<(RunId, JobState)> = ids.into_iter().zip(states).collect();
        let lost = |(id, held): (&RunId, &Held)| {
            let free = held.ticket.is_none()
                && store
                    .get(id)
                    .is_none_or(|run| run.state != RunState::Running);
            free.then(|| (id.clone(), JobState::Vanished))
        };
        gone.extend(self.held.iter().filter_map(lost));
        gone.retain(|(_, state)| *state != JobState::Alive);
        let mut ends = Vec::new();
        for (id, state) in gone {
            let Some(held) = self.held.remove(&id) else {
                continue;
            };
            self.slots.release(&id);
            if let (Some(run), Some(how)) = (store.get(&id), state.ending()) {
                if let Err(e) = note_end(run, held.ticket.as_ref(), how.clone()) {
                    notices.push(Notice::Trouble {
                        id: id.clone(),
                        problem: format!("cannot note its end: {e}"),
                    });
                }
                notices.push(Notice::Ended {
                    id: id.clone(),
                    how,
                });
            }
            ends.push(End {
                id,
                state,
                asked: held.asked,
            });
        }
        ends
    }

    /// A worker that ended without a word: killed from outside it may go on once; one that gave up by itself would
    /// do so again.
    fn judge(&mut self, store: &Store, end: End, notices: &mut Vec<Notice>) {
        let Some(run) = store.get(&end.id) else {
            return;
        };
        let (RunState::New | RunState::Interrupted { .. }, Some(how)) =
            (&run.state, end.state.ending())
        else {
            return;
        };
        if end.asked {
            return;
        }
        let setbacks = self.setbacks.entry(end.id.clone()).or_default();
        if setbacks.want != run.want {
            *setbacks = Setbacks {
                want: run.want,
                ..Setbacks::default()
            };
        }
        setbacks.crashes += 1;
        let restarts = !matches!(end.state, JobState::Exited(_)) && setbacks.crashes < CRASHES;
        if restarts {
            notices.push(Notice::Restarts { id: end.id, how });
        } else {
            let times = if setbacks.crashes > 1 { ", again" } else { "" };
            let reason = format!("its worker ended without a result: {how}{times}");
            setbacks.given_up = Some(reason.clone());
            notices.push(Notice::GivenUp { id: end.id, reason });
        }
    }

    /// Take over workers that earlier schedulers left, of any run of the workspace: they hold slots.
    fn adopt(&mut self, store: &Store, notices: &mut Vec<Notice>) {
        for run in store.runs() {
            if run.state != RunState::Running || self.held.contains_key(run.id()) {
                continue;
            }
            // A lease that cannot be read leaves the lock, and the lock says enough to keep hands off.
            let lease = Lease::read(&run.dir)
                .ok()
                .flatten()
                .filter(|lease| lease.process.is_alive());
            let (ticket, devices) = match lease {
                Some(lease) => (Some(lease.process), lease.devices),
                None => (None, vec![String::new(); run.spec.config.train.ranks]),
            };
            self.slots.adopt(run.id(), &devices);
            self.held.insert(
                run.id().clone(),
                Held {
                    ticket,
                    asked: false,
                },
            );
            notices.push(Notice::Adopted {
                id: run.id().clone(),
            });
        }
    }

    /// Runs that somebody asked for meanwhile are ours from now on.
    fn take_on(&mut self, store: &mut Store, notices: &mut Vec<Notice>) {
        let asked = match requests::take(self.lock.workspace()) {
            Ok(asked) if self.halting || asked.is_empty() => return,
            Ok(asked) => asked,
            Err(e) => {
                // Told once, not ten times a second.
                let problem = format!("cannot read what was asked for: {e}");
                if self.request_trouble.as_ref() != Some(&problem) {
                    self.request_trouble = Some(problem.clone());
                    notices.extend(
                        self.scope
                            .first()
                            .cloned()
                            .map(|id| Notice::Trouble { id, problem }),
                    );
                }
                return;
            }
        };
        store.refresh_runs(&asked);
        for id in asked {
            if self.ours.insert(id.clone()) {
                self.scope.push(id);
            }
        }
    }

    fn start(&mut self, store: &Store, id: &RunId, notices: &mut Vec<Notice>) {
        let Some(run) = store.get(id) else { return };
        let Some((devices, threads)) = self.slots.take(id, run.spec.config.train.ranks) else {
            return;
        };
        let job = Job {
            dir: run.dir.clone(),
            devices: devices.clone(),
            threads,
        };
        let ticket = match self.executor.submit(&job) {
            Ok(ticket) => ticket,
            Err(e) => {
                self.slots.release(id);
                let reason = format!("{e}: {}", e.source);
                let setbacks = Setbacks {
                    want: run.want,
                    crashes: 0,
                    given_up: Some(reason.clone()),
                };
                self.setbacks.insert(id.clone(), setbacks);
                notices.push(Notice::GivenUp {
                    id: id.clone(),
                    reason,
                });
                return;
            }
        };
        let lease = Lease {
            executor: self.executor.name().into(),
            process: ticket.clone(),
            devices: devices.clone(),
            ended: None,
        };
        self.held.insert(
            id.clone(),
            Held {
                ticket: Some(ticket),
                asked: false,
            },
        );
        notices.push(Notice::Started {
            id: id.clone(),
            devices,
        });
        if let Err(e) = lease.write(&run.dir) {
            let problem =
                format!("cannot note its process, so a later scheduler could not stop it: {e}");
            notices.push(Notice::Trouble {
                id: id.clone(),
                problem,
            });
        }
    }

    fn stop(&mut self, id: &RunId, notices: &mut Vec<Notice>) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        held.asked = true;
        let problem = match &held.ticket {
            None => "cannot be stopped from here: its worker left no lease".into(),
            Some(ticket) => match self.executor.stop(ticket) {
                // False: it went by itself, which the next tick sees.
                Ok(_) => return,
                Err(e) => format!("cannot be stopped: {e}"),
            },
        };
        notices.push(Notice::Trouble {
            id: id.clone(),
            problem,
        });
    }
}

/// Complete the lease that the worker ran under, unless another has come since.
fn note_end(run: &Run, ticket: Option<&Ticket>, how: String) -> io::Result<()> {
    match Lease::read(&run.dir)? {
        Some(lease) if Some(&lease.process) == ticket => Lease {
            ended: Some(how),
            ..lease
        }
        .write(&run.dir),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
