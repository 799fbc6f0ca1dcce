//! The tick: look at the workers, bring the store up to date, plan, carry out. It holds what only a live scheduler
//! knows (tickets, slots, who was asked when); what must survive it stands in the run directories. What becomes of a worker
//! that has ended, or must, is in `ends`.

mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use super::needs::Needs;
use super::queue::{Decision, decide};
use super::silence::Silence;
use super::slots::Slots;
use super::time::Time;
use super::{
    Action, Limits, LockError, SchedulerLock, Standing, Task, View, Wait, plan, posted, requests,
    standing,
};
use crate::exec::{Executor, Job, Ticket};
use crate::record::{Cause, Lease, RunId, Setback, Want, at_work};
use crate::store::{Delta, Run, RunState, Store};

/// Faces are told no more often than this why runs wait.
const POST: Duration = Duration::from_secs(1);

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
    /// The machine ended it, and `then` says what is done about it.
    Restarts {
        id: RunId,
        how: String,
        then: &'static str,
    },
    /// Its worker is killed, with all that it started.
    Kills {
        id: RunId,
        reason: String,
    },
    /// Nothing is placed on this device any more.
    SetAside {
        id: RunId,
        device: String,
    },
    /// No further attempt is made until a person asks for one.
    GivenUp {
        id: RunId,
        reason: String,
    },
    /// Something about the scheduling itself went wrong; the runs go on.
    Trouble {
        id: RunId,
        problem: String,
    },
    /// The workspace is another scheduler's by now: this one does nothing more.
    Superseded {
        problem: String,
    },
}

/// A worker that this scheduler started or took over.
#[derive(Debug)]
struct Held {
    /// None for a worker of another machine that left no lease: its lock is all there is to see.
    ticket: Option<Ticket>,
    /// When it was asked to stop.
    asked: Option<Duration>,
    /// Why it is being killed, when not because it was asked in vain.
    doom: Option<Cause>,
    /// It was sent the signal that nothing survives.
    killed: bool,
    suspended: bool,
    silence: Silence,
    /// The most memory that it was seen to hold, in bytes.
    peak: Option<u64>,
    /// Bytes that it was expected to need.
    needs: Option<u64>,
    /// Another worker was at work in its time.
    shared: bool,
    /// How often its run had been retried when it began: a retry since then is not about this attempt.
    retries: u32,
    /// Attempts that its run had had when it was started from here.
    before: Option<u32>,
}

impl Held {
    fn new(ticket: Option<Ticket>, now: Duration, needs: Option<u64>, retries: u32) -> Self {
        Self {
            ticket,
            asked: None,
            doom: None,
            killed: false,
            suspended: false,
            silence: Silence::new(now),
            peak: None,
            needs,
            shared: false,
            retries,
            before: None,
        }
    }
}

#[derive(Debug)]
pub struct Scheduler<E> {
    executor: E,
    limits: Limits,
    time: Time,
    slots: Slots,
    /// The runs to bring to an end, in the order to start them.
    scope: Vec<RunId>,
    ours: BTreeSet<RunId>,
    held: BTreeMap<RunId, Held>,
    /// Setbacks of runs that had one under this scheduler, with those before: a disk that does not take the note must
    /// not make us forget.
    setbacks: BTreeMap<RunId, Vec<Setback>>,
    /// Runs whose worker could not be started, why, and the wish that this happened under: a new one wipes it out.
    refused: BTreeMap<RunId, (Want, String)>,
    overtaken: BTreeMap<RunId, usize>,
    needs: Needs,
    waits: BTreeMap<RunId, Wait>,
    posted: Option<(Duration, BTreeMap<RunId, Wait>)>,
    halting: bool,
    /// What went wrong about no run in particular, so that it is told once and not ten times a second.
    troubles: BTreeSet<String>,
    /// What earlier schedulers left has been looked at.
    settled: bool,
    superseded: bool,
    lock: SchedulerLock,
}

impl<E: Executor> Scheduler<E> {
    pub fn new(lock: SchedulerLock, executor: E, scope: Vec<RunId>) -> Self {
        Self {
            slots: Slots::new(executor.slots()),
            executor,
            limits: Limits::default(),
            time: Time::monotonic(),
            ours: scope.iter().cloned().collect(),
            scope,
            held: BTreeMap::new(),
            setbacks: BTreeMap::new(),
            refused: BTreeMap::new(),
            overtaken: BTreeMap::new(),
            needs: Needs::default(),
            waits: BTreeMap::new(),
            posted: None,
            halting: false,
            troubles: BTreeSet::new(),
            settled: false,
            superseded: false,
            lock,
        }
    }

    /// Let workers take so long, and no longer.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// Tell the time by `clock`, which says how long ago any one moment was.
    pub fn with_clock(self, clock: impl Fn() -> Duration + Send + 'static) -> Self {
        Self {
            time: Time::by(Box::new(clock)),
            ..self
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

    /// Whether the workspace is another scheduler's by now.
    pub fn is_superseded(&self) -> bool {
        self.superseded
    }

    /// One round. The deltas are those of the runs with a worker, which it reads itself; everything else the caller
    /// refreshes as often as it likes.
    pub fn tick(&mut self, store: &mut Store) -> (Vec<Delta>, Vec<Notice>) {
        let mut notices = Vec::new();
        if !self.may_act(&mut notices) {
            return (Vec::new(), notices);
        }
        self.time.advance();
        if !self.settled {
            store.runs().for_each(|run| self.needs.learn(run));
        }
        let watched: Vec<RunId> = self.held.keys().cloned().collect();
        // Processes first, logs after: what a worker wrote before it went is then in the store.
        let mut ends = self.reap(store);
        let mut deltas = store.refresh_runs(&watched);
        self.adopt(store, &mut notices);
        if !std::mem::replace(&mut self.settled, true) {
            ends.extend(self.unseen_ends(store));
        }
        let ended: Vec<RunId> = ends.iter().map(|end| end.id.clone()).collect();
        for end in ends {
            self.judge(store, end, &mut notices);
        }
        // The lease says how they ended now.
        deltas.extend(store.refresh_runs(&ended));
        for run in ended.iter().filter_map(|id| store.get(id)) {
            self.needs.learn(run);
        }
        self.take_on(store, &mut notices);
        self.press(store, &mut notices);
        deltas.extend(self.carry_out(store, &mut notices));
        self.post(&mut notices);
        (deltas, notices)
    }

    /// Stop and start what the plan says.
    fn carry_out(&mut self, store: &mut Store, notices: &mut Vec<Notice>) -> Vec<Delta> {
        self.expect(store);
        let view = self.view(store);
        let mut started = Vec::new();
        for action in plan(&view) {
            match action {
                Action::Start(id) => {
                    self.start(store, &id, notices);
                    started.push(id);
                }
                Action::Stop(id) => self.stop(&id, notices),
            }
        }
        self.note_waits(&view);
        store.refresh_runs(&started)
    }

    /// Whether the lock is still ours. A look that fails leaves the question open: then nothing is done this time.
    fn may_act(&mut self, notices: &mut Vec<Notice>) -> bool {
        if self.superseded {
            return false;
        }
        match self.lock.check() {
            Ok(()) => true,
            Err(e @ LockError::Lost { .. }) => {
                self.superseded = true;
                notices.push(Notice::Superseded {
                    problem: e.to_string(),
                });
                false
            }
            Err(e) => {
                self.trouble(format!("{:#}", anyhow::Error::from(e)), notices);
                false
            }
        }
    }

    /// Tell what went wrong about no run in particular, once.
    fn trouble(&mut self, problem: String, notices: &mut Vec<Notice>) {
        if self.troubles.insert(problem.clone()) {
            let first = self.scope.first().cloned();
            notices.extend(first.map(|id| Notice::Trouble { id, problem }));
        }
    }

    /// Whether nothing of ours runs and nothing could start: what is left waits for a person.
    pub fn is_idle(&self, store: &Store) -> bool {
        if self.superseded {
            return true;
        }
        let view = self.view(store);
        let pending = |id| match standing(&view, id) {
            Some(Standing::Running) => true,
            Some(Standing::Ready) => view.usable > 0,
            _ => false,
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
        let held = self.held.values();
        let reserved: u64 = held.filter_map(|held| held.needs.max(held.peak)).sum();
        View {
            tasks,
            order: self.scope.clone(),
            free: self.slots.free(),
            usable: self.slots.usable(),
            set_aside: self.slots.lost().to_vec(),
            memory: (self.executor.memory()).map(|all| all.saturating_sub(reserved)),
            workers: self.held.len(),
            waits: self.waits.clone(),
            halting: self.halting,
            full: store.full().is_some(),
        }
    }

    fn task(&self, run: &Run) -> Task {
        let mut task = Task {
            ours: self.ours.contains(run.id()),
            memory: self.needs.known(run),
            overtaken: self.overtaken.get(run.id()).copied().unwrap_or_default(),
            ..Task::at_rest(run)
        };
        if let Some(setbacks) = self.setbacks.get(run.id()) {
            task = task.after(setbacks);
        }
        task.slots = self.slots.needed(task.slots);
        if let Some(held) = self.held.get(run.id()) {
            // Also when it has said its last word: it is through when its process is.
            task.state = RunState::Running;
            task.asked = held.asked.is_some();
        }
        let refused = self.refused.get(run.id());
        if let Some((_, reason)) = refused.filter(|(want, _)| *want == run.want) {
            task.given_up = Some(reason.clone());
        }
        task
    }

    /// Work out what memory the runs of the scope are known to need.
    fn expect(&mut self, store: &Store) {
        let waiting = self.scope.iter().filter(|id| !self.held.contains_key(id));
        let waiting = waiting.filter_map(|id| store.get(id));
        for run in waiting.filter(|run| !run.state.is_over()) {
            self.needs.expect(run);
        }
    }

    /// Remember why runs wait, and who was overtaken.
    fn note_waits(&mut self, view: &View) {
        self.waits.clear();
        for (id, decision) in decide(view) {
            match decision {
                Decision::Wait(wait) => {
                    self.waits.insert(id, wait);
                }
                Decision::Start => {
                    self.overtaken.remove(&id);
                    for waiting in self.waits.keys() {
                        *self.overtaken.entry(waiting.clone()).or_default() += 1;
                    }
                }
            }
        }
    }

    /// Let the faces know why runs wait.
    fn post(&mut self, notices: &mut Vec<Notice>) {
        let now = self.time.now();
        let due = match &self.posted {
            None => true,
            Some((at, waits)) => now - *at >= POST && *waits != self.waits,
        };
        if !due {
            return;
        }
        if let Err(e) = posted::post(&self.lock, &self.waits) {
            self.trouble(format!("cannot say why runs wait: {e}"), notices);
        }
        self.posted = Some((now, self.waits.clone()));
    }

    /// Take over workers that earlier schedulers left, of any run of the workspace: they hold slots.
    fn adopt(&mut self, store: &Store, notices: &mut Vec<Notice>) {
        for run in store.runs() {
            if run.state != RunState::Running || self.held.contains_key(run.id()) {
                continue;
            }
            // A lease that cannot be read leaves the lock, and who holds it is the worker. So does a lease of another
            // process, and its devices are as good a guess as any.
            let lease = Lease::read(&run.dir).ok().flatten();
            let leased = lease.as_ref().map(|lease| lease.process.clone());
            let ticket = at_work(&run.dir, leased).ok().flatten();
            let ranks = run.spec.config.train.ranks;
            let devices = lease.map_or_else(|| vec![String::new(); ranks], |lease| lease.devices);
            self.slots.adopt(run.id(), &devices);
            let needs = self.needs.expect(run);
            let held = Held::new(ticket, self.time.now(), needs, run.want.retries);
            self.held.insert(run.id().clone(), held);
            notices.push(Notice::Adopted {
                id: run.id().clone(),
            });
        }
    }

    /// Runs that somebody asked for meanwhile are ours from now on.
    fn take_on(&mut self, store: &mut Store, notices: &mut Vec<Notice>) {
        let asked = match requests::take(&self.lock) {
            Ok(asked) if self.halting || asked.is_empty() => return,
            Ok(asked) => asked,
            Err(e) => {
                self.trouble(format!("cannot read what was asked for: {e}"), notices);
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
        let task = self.task(run);
        let ranks = run.spec.config.train.ranks;
        // A worker without a lease would be nobody's.
        if self.lock.check().is_err() {
            return;
        }
        let Some((devices, threads)) = self.slots.take(id, ranks, task.alone) else {
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
                self.refused.insert(id.clone(), (run.want, reason.clone()));
                notices.push(Notice::GivenUp {
                    id: id.clone(),
                    reason,
                });
                return;
            }
        };
        let mut lease = Lease::new(self.executor.name(), ticket.clone(), devices.clone());
        lease.setbacks = self.setbacks_of(run).to_vec();
        lease.setbacks.retain(|old| old.retries == run.want.retries);
        let held = Held {
            before: Some(run.attempt),
            ..Held::new(Some(ticket), self.time.now(), task.memory, run.want.retries)
        };
        self.held.insert(id.clone(), held);
        notices.push(Notice::Started {
            id: id.clone(),
            devices,
        });
        if let Err(e) = self.write(run, lease) {
            let problem =
                format!("cannot note its process, so a later scheduler could not stop it: {e}");
            notices.push(Notice::Trouble {
                id: id.clone(),
                problem,
            });
        }
    }

    /// Put a lease on record, in our epoch, unless the workspace is another's.
    fn write(&self, run: &Run, lease: Lease) -> io::Result<()> {
        self.lock.check()?;
        Lease {
            epoch: self.lock.epoch(),
            ..lease
        }
        .write(&run.dir)
    }

    /// The bad ends of `run`, forgiven ones included.
    fn setbacks_of<'a>(&'a self, run: &'a Run) -> &'a [Setback] {
        self.setbacks.get(run.id()).unwrap_or(&run.setbacks)
    }

    fn stop(&mut self, id: &RunId, notices: &mut Vec<Notice>) {
        let Some(held) = self.held.get_mut(id) else {
            return;
        };
        held.asked = Some(self.time.now());
        let problem = match &held.ticket {
            None => "cannot be stopped from here: its worker is no process of this machine".into(),
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

#[cfg(test)]
mod tests;
