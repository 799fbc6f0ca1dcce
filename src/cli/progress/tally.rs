//! A grid in one line: how many runs stand where, how fast it goes, how long it will take.

use std::fmt;
use std::time::Duration;

use super::Scene;
use crate::store::RunState;
use crate::util::{human_count, human_duration};
use crate::workbench::{Standing, standing};

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Completed or diverged: runs with a result.
    pub done: usize,
    pub running: usize,
    /// Ready, or waiting for a run that comes first.
    pub waiting: usize,
    /// Stopped or paused by request.
    pub held: usize,
    /// Failed, given up, or in want of a run that is.
    pub failed: usize,
    pub examples_per_second: f64,
    pub examples: u64,
    pub examples_wanted: u64,
}

impl Tally {
    pub fn of(scene: &Scene) -> Self {
        let mut tally = Self::default();
        for named in scene.runs {
            let Some(run) = scene.store.get(&named.id) else {
                continue;
            };
            let wanted = run.spec.config.examples();
            let (counter, will_run) = match standing(&scene.view, &named.id) {
                Some(Standing::Running) => (&mut tally.running, true),
                Some(Standing::Ready | Standing::Waiting { .. }) | None => {
                    (&mut tally.waiting, true)
                }
                Some(Standing::Held(_)) => (&mut tally.held, false),
                Some(Standing::Blocked { .. } | Standing::GivenUp { .. }) => {
                    (&mut tally.failed, false)
                }
                Some(Standing::Over) if matches!(run.state, RunState::Failed { .. }) => {
                    (&mut tally.failed, false)
                }
                Some(Standing::Over) => (&mut tally.done, false),
            };
            *counter += 1;
            if will_run {
                tally.examples += run.examples.min(wanted);
                tally.examples_wanted += wanted;
            }
            if run.state == RunState::Running {
                tally.examples_per_second += run.speed().unwrap_or(0.0);
            }
        }
        tally
    }

    pub fn total(&self) -> usize {
        self.done + self.running + self.waiting + self.held + self.failed
    }

    /// `3/7 done, 2 running, 1 waiting, 1 failed`.
    pub fn counts(&self) -> String {
        let counts = [
            (self.running, "running"),
            (self.waiting, "waiting"),
            (self.held, "stopped"),
            (self.failed, "failed"),
        ];
        let others = counts.iter().filter(|(count, _)| *count > 0);
        let others: String = others
            .map(|(count, name)| format!(", {count} {name}"))
            .collect();
        format!("{}/{} done{others}", self.done, self.total())
    }

    /// At the present speed, for all that will still run.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.examples_wanted - self.examples;
        let seconds = left as f64 / self.examples_per_second;
        Duration::try_from_secs_f64(seconds).ok()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.counts())?;
        if self.examples_per_second > 0.0 {
            write!(f, " | {} examples/s", human_count(self.examples_per_second))?;
            if let Some(left) = self.time_left() {
                write!(f, " | {} left", human_duration(left))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_reads_as_one_line() {
        let tally = Tally {
            done: 3,
            running: 2,
            waiting: 1,
            failed: 1,
            examples_per_second: 1_500.0,
            examples: 10_000,
            examples_wanted: 100_000,
            ..Tally::default()
        };
        assert_eq!(
            tally.to_string(),
            "3/7 done, 2 running, 1 waiting, 1 failed | 1.50k examples/s | 1m00s left"
        );
        assert_eq!(
            Tally {
                waiting: 2,
                ..Tally::default()
            }
            .to_string(),
            "0/2 done, 2 waiting"
        );
    }
}
