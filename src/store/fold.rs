//! One run's two logs folded into its [`Run`]. An attempt says which step it goes on from, 0 when it starts from
//! nothing, and so makes void what earlier attempts said of later steps. Lines that this version cannot read, and events
//! that come twice or out of order, are counted and passed over. What did not change since the last look is not opened again.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use super::kept::Kept;
use super::names::Names;
use super::{Change, Evaluation, Position, Run, RunState};
use crate::record::{
    Bite, Block, Event, Lease, Line, Outcome, Room, RowReader, RunDir, Tail, Want, WorkerLock,
};

/// How an attempt ended, in its own words.
#[derive(Debug)]
enum Ending {
    Stopped,
    Finished {
        step: u64,
        outcome: Outcome,
        at: u64,
    },
}

/// Memory that one run after the other is read through.
#[derive(Debug, Default)]
pub(super) struct Reader {
    events: Block,
    rows: Block,
    row: RowReader,
}

#[derive(Debug)]
pub(super) struct Fold {
    events: Tail,
    metrics: Tail,
    want: Kept<Want>,
    lease: Kept<Option<Lease>>,
    /// No worker has left a file yet, so that only a new name can tell of one.
    untouched: bool,
    names: Names,
    /// Rows are left that no bite has taken yet.
    unread: bool,
    /// The step that each attempt went on from; what earlier attempts said of later steps is void.
    starts: BTreeMap<u32, u64>,
    ending: Option<Ending>,
    /// The number that the next event has, or a higher one.
    next_seq: u64,
    /// An attempt is on record: what lies between its events is time that the run was busy.
    begun: bool,
}

impl Fold {
    pub(super) fn new(dir: &RunDir) -> Self {
        Self {
            events: Tail::new(dir.events()),
            metrics: Tail::new(dir.metrics()),
            want: Kept::default(),
            lease: Kept::default(),
            untouched: false,
            names: Names::default(),
            unread: false,
            starts: BTreeMap::new(),
            ending: None,
            next_seq: 0,
            begun: false,
        }
    }

    /// Whether rows are left for another bite.
    pub(super) fn unread(&self) -> bool {
        self.unread
    }

    /// Fold all new events and about `bite` bytes of new rows; with no bytes at all the rows are left alone.
    pub(super) fn read(
        &mut self,
        run: &mut Run,
        reader: &mut Reader,
        bite: usize,
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        if bite == 0 && self.untouched && !self.names.may_differ(run.dir.path())? {
            return Ok(());
        }
        let (evaluations, warnings) = (run.evaluations.len(), run.warnings.len());
        // What cannot be read now is not asked for again before the next look.
        self.unread = false;
        let news = self.metrics.has_news()?;
        // Rows first: whatever event a worker wrote before a row is then among the events read next.
        let rows = if news && bite > 0 {
            self.metrics.read(bite, &mut reader.rows)?
        } else {
            reader.rows.clear();
            Bite {
                more: news,
                ..Bite::default()
            }
        };
        if rows.restarted || self.events(run, reader, changes)? {
            *run = Run {
                state: run.state.clone(),
                ..Run::new(run.dir.clone(), run.spec.clone())
            };
            *self = Self::new(&run.dir);
            changes.push(Change::Rewound);
            return self.read(run, reader, bite, changes);
        }
        run.damaged += rows.damaged;
        self.rows(run, reader, changes);
        self.unread = rows.more;
        let judged = self.judge(run, reader, changes);
        if news && !self.unread && run.state.is_over() {
            run.series.settle();
        }
        let empty = self.events.is_at_start() && self.metrics.is_at_start();
        self.untouched = empty && run.state == RunState::New && judged.is_ok();
        if changes.contains(&Change::Rewound) && !run.evaluations.is_empty() {
            changes.push(Change::Evaluated { from: 0 });
        } else if run.evaluations.len() > evaluations {
            changes.push(Change::Evaluated { from: evaluations });
        }
        if run.warnings.len() > warnings {
            changes.push(Change::Warned { from: warnings });
        }
        judged
    }

    /// What is wanted of the run, and the state that it is in.
    fn judge(
        &mut self,
        run: &mut Run,
        reader: &mut Reader,
        changes: &mut Vec<Change>,
    ) -> io::Result<()> {
        let want = *self.want.renew(&run.dir.want(), || Want::read(&run.dir))?;
        let mut other = std::mem::replace(&mut run.want, want) != want;
        run.state = self.state(run)?;
        // A worker may have had its last word between the reading of its events and the look at its lock.
        if matches!(run.state, RunState::Interrupted { .. }) && self.events.has_news()? {
            self.events(run, reader, changes)?;
            run.state = self.state(run)?;
        }
        let waits = run.state == RunState::Running && Room::is_awaited(&run.dir)?;
        if std::mem::replace(&mut run.waits, waits) != waits {
            changes.push(Change::Waits);
        }
        // Of a run that is over nothing more depends on the lease: one that cannot be read is no trouble of it.
        if let Ok(Some(lease)) = (self.lease).renew(&run.dir.lease(), || Lease::read(&run.dir)) {
            run.peak = lease.peak;
            if run.setbacks != lease.setbacks {
                run.setbacks.clone_from(&lease.setbacks);
                other = true;
            }
        }
        if other {
            changes.push(Change::Prospects);
        }
        run.finished_at = match self.ending {
            Some(Ending::Finished { at, .. }) if run.state.is_over() => Some(at),
            _ => None,
        };
        Ok(())
    }

    /// Fold all new events. True, and nothing folded, when the file was replaced.
    fn events(
        &mut self,
        run: &mut Run,
        reader: &mut Reader,
        changes: &mut Vec<Change>,
    ) -> io::Result<bool> {
        if !self.events.has_news()? {
            return Ok(false);
        }
        let bite = self.events.read(usize::MAX, &mut reader.events)?;
        if bite.restarted {
            return Ok(true);
        }
        run.damaged += bite.damaged;
        for line in reader.events.lines() {
            match line.and_then(Line::parse) {
                // One writer counts up: what comes again or late was put there by somebody else.
                Some(line) if line.seq >= self.next_seq => {
                    self.next_seq = line.seq.saturating_add(1);
                    self.event(run, line, changes);
                }
                _ => run.damaged += 1,
            }
        }
        Ok(false)
    }

    fn event(&mut self, run: &mut Run, line: Line, changes: &mut Vec<Change>) {
        let Line {
            attempt, at, event, ..
        } = line;
        if self.begun && !matches!(event, Event::Started { .. }) {
            // A clock that was set back took no time.
            let since = run.last_at.map_or(0, |last| at.saturating_sub(last));
            run.busy += Duration::from_millis(since);
        }
        run.last_at = Some(at);
        let examples_seen = match event {
            Event::Started {
                siglab,
                host,
                devices,
                threads,
                total_steps,
                files,
                provenance,
                ..
            } => {
                run.attempt = run.attempt.max(attempt);
                run.devices = devices;
                run.files = files;
                run.starts.insert(attempt, at);
                run.siglab = Some(siglab);
                run.host = Some(host);
                run.threads = Some(threads);
                run.provenance = *provenance;
                run.total_steps = Some(total_steps);
                self.ending = None;
                self.begun = true;
                return;
            }
            Event::Resumed { step, examples } => {
                self.rewind(run, attempt, step, changes);
                run.examples = examples;
                return;
            }
            Event::Evaluated {
                step,
                examples,
                metrics,
            } => {
                run.evaluations.retain(|evaluation| evaluation.step < step);
                run.evaluations.push(Evaluation {
                    attempt,
                    at,
                    step,
                    examples,
                    metrics,
                });
                examples
            }
            Event::Saved { examples, .. } => examples,
            Event::Warned { message, .. } => {
                run.warnings.push(message);
                return;
            }
            Event::RolledBack { .. } => {
                run.warnings.push(event.to_string());
                return;
            }
            // The lease says what became of it; the scheduler reads the rest.
            Event::Interrupted { .. } => return,
            Event::Stopped { examples, .. } => {
                self.ending = Some(Ending::Stopped);
                examples
            }
            Event::Finished {
                step,
                examples,
                outcome,
            } => {
                self.ending = Some(Ending::Finished { step, outcome, at });
                examples
            }
        };
        run.examples = run.examples.max(examples_seen);
    }

    /// Fold the rows that were read.
    fn rows(&mut self, run: &mut Run, reader: &mut Reader, changes: &mut Vec<Change>) {
        let before = run.series.len();
        for line in reader.rows.lines() {
            match line.map(|line| reader.row.read(line)) {
                Some(Ok(())) => self.row(run, &reader.row),
                _ => run.damaged += 1,
            }
        }
        if run.series.len() > before {
            changes.push(Change::Rows { from: before });
        }
    }

    fn row(&self, run: &mut Run, row: &RowReader) {
        let void = self
            .starts
            .range(row.attempt.saturating_add(1)..)
            .any(|(_, start)| row.step > *start);
        let last = run.series.steps().last();
        if void || last.is_some_and(|last| row.step <= *last) {
            return;
        }
        run.examples = run.examples.max(row.examples);
        let at = Position {
            attempt: row.attempt,
            step: row.step,
            examples: row.examples,
            seconds: row.seconds,
        };
        run.series.push(at, row.values());
    }

    /// An attempt goes on from `start`: what earlier ones said of later steps is void.
    fn rewind(&mut self, run: &mut Run, attempt: u32, start: u64, changes: &mut Vec<Change>) {
        self.starts.insert(attempt, start);
        let before = run.evaluations.len();
        run.evaluations
            .retain(|evaluation| evaluation.step <= start);
        if run.series.rewind(start) || run.evaluations.len() != before {
            changes.push(Change::Rewound);
        }
    }

    /// The state that the log gives or, while it leaves the matter open, the lease and the lock.
    fn state(&mut self, run: &Run) -> io::Result<RunState> {
        if let Some(Ending::Finished { step, outcome, .. }) = &self.ending {
            match outcome {
                Outcome::Completed => return Ok(RunState::Completed),
                Outcome::Diverged { .. } | Outcome::Failed { .. }
                    if run.want.forgive >= run.attempt => {}
                Outcome::Diverged { reason } => {
                    return Ok(RunState::Diverged {
                        step: *step,
                        reason: reason.clone(),
                    });
                }
                Outcome::Failed { reason } => {
                    return Ok(RunState::Failed {
                        reason: reason.clone(),
                    });
                }
            }
        }
        let lease = self
            .lease
            .renew(&run.dir.lease(), || Lease::read(&run.dir))?;
        let started = |lease: &Lease| lease.ended.is_none() && lease.process.is_alive();
        // The lease covers the moment between a worker's birth and its taking of the lock.
        if WorkerLock::is_held(&run.dir)? || lease.as_ref().is_some_and(started) {
            return Ok(RunState::Running);
        }
        Ok(match (&self.ending, lease) {
            (Some(_), _) => RunState::Stopped,
            (None, None) if run.attempt == 0 => RunState::New,
            (None, lease) => RunState::Interrupted {
                cause: lease.as_ref().and_then(|lease| lease.ended.clone()),
            },
        })
    }
}
