//! One run's two logs folded into its [`Run`]. An attempt says which step it goes on from, 0 when it starts from
//! nothing, and so makes void what earlier attempts said of later steps. Lines that this version
//! cannot read are counted and passed over.

use std::collections::BTreeMap;
use std::io;

use super::{Change, Evaluation, Position, Run, RunState};
use crate::record::{Event, Lease, Line, Outcome, Row, RunDir, Tail, Want, WorkerLock};

/// How an attempt ended, in its own words.
#[derive(Debug)]
enum Ending {
    Stopped,
    Finished { step: u64, outcome: Outcome },
}

#[derive(Debug)]
pub(super) struct Fold {
    events: Tail,
    metrics: Tail,
    /// The step that each attempt went on from; what earlier attempts said of later steps is void.
    starts: BTreeMap<u32, u64>,
    ending: Option<Ending>,
}

impl Fold {
    pub(super) fn new(dir: &RunDir) -> Self {
        Self {
            events: Tail::new(dir.events()),
            metrics: Tail::new(dir.metrics()),
            starts: BTreeMap::new(),
            ending: None,
        }
    }

    /// Fold all new events and at most about `budget` new rows. True when rows are left.
    pub(super) fn read(
        &mut self,
        run: &mut Run,
        budget: usize,
        changes: &mut Vec<Change>,
    ) -> io::Result<bool> {
        let (evaluations, warnings) = (run.evaluations.len(), run.warnings.len());
        // Rows first: whatever event a worker wrote before a row is then among the events read next.
        let rows = self.metrics.read(budget)?;
        let mut events = self.events.read(usize::MAX)?;
        if rows.restarted || events.restarted {
            *run = Run {
                state: run.state.clone(),
                ..Run::new(run.dir.clone(), run.spec.clone())
            };
            *self = Self::new(&run.dir);
            changes.push(Change::Rewound);
            return self.read(run, budget, changes);
        }
        run.damaged += rows.damaged + events.damaged;
        for text in std::mem::take(&mut events.lines) {
            match serde_json::from_str::<Line>(&text) {
                Ok(line) => self.event(run, line, changes),
                Err(_) => run.damaged += 1,
            }
        }
        let mut first_new = None;
        for text in &rows.lines {
            match serde_json::from_str::<Row>(text) {
                Ok(row) => self.row(run, row, &mut first_new),
                Err(_) => run.damaged += 1,
            }
        }
        if let Some(from) = first_new {
            changes.push(Change::Rows { from });
        }
        if changes.contains(&Change::Rewound) && !run.evaluations.is_empty() {
            changes.push(Change::Evaluated { from: 0 });
        } else if run.evaluations.len() > evaluations {
            changes.push(Change::Evaluated { from: evaluations });
        }
        if run.warnings.len() > warnings {
            changes.push(Change::Warned { from: warnings });
        }
        run.want = Want::read(&run.dir)?;
        run.state = self.state(run)?;
        Ok(rows.more)
    }

    fn event(&mut self, run: &mut Run, line: Line, changes: &mut Vec<Change>) {
        let Line { attempt, event, .. } = line;
        let step_reached = match event {
            Event::Started { .. } => {
                run.attempt = run.attempt.max(attempt);
                self.ending = None;
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
            Event::Stopped { examples, .. } => {
                self.ending = Some(Ending::Stopped);
                examples
            }
            Event::Finished {
                step,
                examples,
                outcome,
            } => {
                self.ending = Some(Ending::Finished { step, outcome });
                examples
            }
        };
        run.examples = run.examples.max(step_reached);
    }

    fn row(&mut self, run: &mut Run, row: Row, first_new: &mut Option<usize>) {
        let void = self
            .starts
            .range(row.attempt + 1..)
            .any(|(_, start)| row.step > *start);
        if void
            || run
                .series
                .steps()
                .last()
                .is_some_and(|last| row.step <= *last)
        {
            return;
        }
        run.examples = run.examples.max(row.examples);
        first_new.get_or_insert(run.series.len());
        let at = Position {
            attempt: row.attempt,
            step: row.step,
            examples: row.examples,
            seconds: row.seconds,
        };
        let values = row
            .values
            .iter()
            .map(|(name, value)| (name.as_str(), *value));
        run.series.push(at, values);
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

    fn state(&self, run: &Run) -> io::Result<RunState> {
        if let Some(Ending::Finished { step, outcome }) = &self.ending {
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
        let lease = Lease::read(&run.dir)?;
        let started = |lease: &Lease| lease.ended.is_none() && lease.process.is_alive();
        // The lease covers the moment between a worker's birth and its taking of the lock.
        if WorkerLock::is_held(&run.dir)? || lease.as_ref().is_some_and(started) {
            return Ok(RunState::Running);
        }
        Ok(match (&self.ending, lease) {
            (Some(_), _) => RunState::Stopped,
            (None, None) if run.attempt == 0 => RunState::New,
            (None, lease) => RunState::Interrupted {
                cause: lease.and_then(|lease| lease.ended),
            },
        })
    }
}
