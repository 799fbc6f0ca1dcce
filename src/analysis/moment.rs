//! When a run is asked for its metric, with nothing left open: a report's [`Moment`] once the runs are known that it is
//! asked of, and what a run had spent at each of its steps. What it says then is [`super::answer`]'s.

use serde::Serialize;

use super::compare::Direction;
use crate::spec::{Amount, Budget, Moment};
use crate::store::{Along, Run, RunState};
use crate::util::printable;

/// When each run of a table or figure is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum When {
    #[default]
    End,
    /// At the evaluation, or the logged step, that was best.
    Best { direction: Direction },
    /// When it had spent so much.
    Spent {
        of: Budget,
        /// None where it is to be matched and no run is complete yet.
        amount: Option<f64>,
        /// It is the most that every completed run has spent.
        matched: bool,
    },
}

/// A best moment of a metric that is neither good nor bad.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "report.at = \"best\" of `{metric}`: its name does not tell whether more of it is better or less; \
     expected \"end\" or a budget such as {{ examples = 40_000 }}"
)]
pub struct NoBest {
    metric: String,
}

impl When {
    /// `moment` for `runs`, where a matched budget is the most that every completed one of them has spent.
    ///
    /// # Errors
    /// The best moment of a metric without a direction.
    pub fn of<'r>(
        moment: Moment,
        metric: &str,
        runs: impl Iterator<Item = &'r Run>,
    ) -> Result<Self, NoBest> {
        let (of, amount) = match moment {
            Moment::End => return Ok(Self::End),
            Moment::Best => {
                let direction = Direction::of(metric).ok_or_else(|| NoBest {
                    metric: printable(metric),
                })?;
                return Ok(Self::Best { direction });
            }
            Moment::Budget { of, amount } => (of, amount),
        };
        let (amount, matched) = match amount {
            Amount::Exactly(amount) => (Some(amount), false),
            Amount::Matched => {
                let completed = runs.filter(|run| run.state == RunState::Completed);
                let totals = completed.filter_map(|run| Spending::of(run, of)?.total());
                (totals.reduce(f64::min), true)
            }
        };
        Ok(Self::Spent {
            of,
            amount,
            matched,
        })
    }

    /// The larger of two budgets has not been reached by all: where tables are compared with one another, they share the
    /// smaller. Other moments are alike in all tables of a report.
    pub(super) fn shared(self, other: Self) -> Self {
        match (self, other) {
            (Self::Spent { amount: one, .. }, Self::Spent { amount: two, .. })
                if two.is_some_and(|two| one.is_none_or(|one| two < one)) =>
            {
                other
            }
            _ => self,
        }
    }
}

/// What a run spends of one thing as it goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spending<'r> {
    run: &'r Run,
    rate: Rate,
}

#[derive(Clone, Copy, Debug)]
enum Rate {
    PerExample(f64),
    PerSecond(f64),
}

impl<'r> Spending<'r> {
    /// None for what the run does not have: pairs, where the loss compares none.
    pub(super) fn of(run: &'r Run, of: Budget) -> Option<Self> {
        let config = &run.spec.config;
        let batch = config.train.batch_size;
        let rate = match of {
            Budget::Examples => Rate::PerExample(1.0),
            Budget::Pairs => Rate::PerExample(config.loss.pairs(batch)? / batch as f64),
            Budget::DeviceHours => Rate::PerSecond(config.train.ranks as f64 / 3_600.0),
        };
        Some(Self { run, rate })
    }

    /// When it had done `step` updates and seen `examples`. Of the time between two rows the later one tells: an evaluation
    /// that holds training up is paid for by the row after it.
    pub(super) fn at(&self, step: u64, examples: u64) -> Option<f64> {
        match self.rate {
            Rate::PerExample(each) => Some(each * examples as f64),
            Rate::PerSecond(each) => {
                let series = &self.run.series;
                let last = series.len().checked_sub(1)?;
                let row = series.first_at(Along::Steps, step as f64).min(last);
                Some(each * series.seconds()[row])
            }
        }
    }

    /// At one of the run's rows.
    pub(super) fn at_row(&self, row: usize) -> f64 {
        let (along, each) = self.along();
        each * self.run.series.x(along, row)
    }

    /// All that it spent.
    pub(super) fn total(&self) -> Option<f64> {
        match self.rate {
            Rate::PerExample(each) => Some(each * self.run.examples as f64),
            Rate::PerSecond(each) => Some(each * self.run.series.seconds().last()?),
        }
    }

    /// Whether it spent so much, but for rounding.
    pub(super) fn reaches(&self, amount: f64) -> bool {
        self.total()
            .is_some_and(|total| total >= amount * (1.0 - 1e-9))
    }

    /// What is spent below this is paid for by `amount`: the update that spends the last of a budget counts as a whole, as
    /// the last one of `train.examples` does.
    pub(super) fn end_of(&self, amount: f64) -> f64 {
        // Short of the next update by more than rounding.
        const WHOLE: f64 = 1.0 - 1e-6;
        amount + WHOLE * self.update()
    }

    /// The rows that spend less than `end` come before this one.
    pub(super) fn rows_below(&self, end: f64) -> usize {
        let (along, each) = self.along();
        self.run.series.first_at(along, end / each)
    }

    /// By one update; of time, by the mean one.
    fn update(&self) -> f64 {
        match self.rate {
            Rate::PerExample(each) => each * self.run.spec.config.train.batch_size as f64,
            Rate::PerSecond(each) => {
                let series = &self.run.series;
                let (seconds, steps) = (series.seconds().last(), series.steps().last());
                let mean = seconds.zip(steps).map(|(all, steps)| all / *steps as f64);
                each * mean.unwrap_or(0.0)
            }
        }
    }

    fn along(&self) -> (Along, f64) {
        match self.rate {
            Rate::PerExample(each) => (Along::Examples, each),
            Rate::PerSecond(each) => (Along::Seconds, each),
        }
    }
}
