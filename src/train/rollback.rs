//! Going back after a divergence: what a run may do about it, which batches it leaves out for it, and when a rise of the
//! loss is one. That it went back, and what it leaves out from then on, is an event: an attempt that reads the events takes
//! the same way, from wherever it starts. Nothing here trains or writes.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use crate::record::{Event, Line};

/// What a run does about a divergence, instead of ending with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RollbackConfig {
    /// How often the run may go back before its divergence is its result; 0 is never.
    pub times: u64,
    /// Updates that are taken back; the newest checkpoint before them is where training goes on, or the start.
    pub back: u64,
    /// Batches to leave out in their place (arXiv 2204.02311 goes back about 100 updates and leaves out 200 to 500 batches).
    pub skip: u64,
    /// Go back from a spike of the loss too: when the logarithm of the loss is so many deviations above the usual in three
    /// updates in a row. Usual is the median of the 32 updates before; the deviation is 1.4826 times the median one of 64
    /// from their trend, and at least 0.02. 10 is beyond healthy noise; 0 is never.
    pub spike: f64,
}

impl Default for RollbackConfig {
    fn default() -> Self {
        Self {
            times: 0,
            back: 100,
            skip: 200,
            spike: 0.0,
        }
    }
}

impl RollbackConfig {
    pub fn validate(&self) -> Result<(), ConfigError> {
        let why = "must be at least 1: the same batches from the same weights diverge again";
        check(
            "train.rollback.skip",
            self.times == 0 || self.skip > 0,
            || why.into(),
        )?;
        let most = 1_000_000_000;
        for (key, value) in [
            ("train.rollback.back", self.back),
            ("train.rollback.skip", self.skip),
        ] {
            check(key, value <= most, || {
                format!("{value} is more than {most}")
            })?;
        }
        check(
            "train.rollback.spike",
            self.spike >= 0.0 && self.spike.is_finite(),
            || "must not be negative".into(),
        )
    }

    /// How far behind the newest a checkpoint has to be kept for this; 0 is not at all.
    pub fn keeps_back(&self) -> u64 {
        if self.times > 0 { self.back.max(1) } else { 0 }
    }
}

/// Batches that a run leaves out. They are counted from 1, as the updates are that would have taken them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// First and last, in order, none of them touching the next.
    ranges: Vec<[u64; 2]>,
}

impl LeftOut {
    /// The batch that update `step` takes.
    pub fn batch(&self, step: u64) -> u64 {
        let before = |batch, [first, last]: &[u64; 2]| match *first <= batch {
            true => Some(batch + (last - first + 1)),
            false => None,
        };
        let mut batch = step;
        for range in &self.ranges {
            match before(batch, range) {
                Some(later) => batch = later,
                None => break,
            }
        }
        batch
    }

    /// The batches that the `count` updates after `step` would take, as ranges.
    pub fn after(&self, step: u64, count: u64) -> Vec<[u64; 2]> {
        let mut found = Self::default();
        let mut next = step + 1;
        while next <= step + count {
            let first = self.batch(next);
            let gap = self.ranges.iter().map(|[first, _]| *first);
            let free = gap
                .filter(|start| *start > first)
                .min()
                .map_or(u64::MAX, |start| start - first);
            let length = free.min(step + count + 1 - next);
            found.leave_out([first, first + length - 1]);
            next += length;
        }
        found.ranges
    }

    /// Leave out `range`, first and last.
    pub fn leave_out(&mut self, range: [u64; 2]) {
        let [mut first, mut last] = range;
        let touches = |[other, end]: &[u64; 2]| {
            *other <= last.saturating_add(1) && first <= end.saturating_add(1)
        };
        let (joined, mut apart): (Vec<_>, Vec<_>) = self.ranges.drain(..).partition(touches);
        for [other, end] in joined {
            (first, last) = (first.min(other), last.max(end));
        }
        apart.push([first, last]);
        apart.sort_unstable();
        self.ranges = apart;
    }
}

/// What the events of a run tell of its ways back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detours {
    pub left_out: LeftOut,
    /// How often it went back.
    pub times: u64,
    /// The last step that stands, of a way back that nobody has gone yet.
    pub due: Option<u64>,
}

impl Detours {
    pub fn of(events: &[Line]) -> Self {
        let mut detours = Self::default();
        for line in events {
            match &line.event {
                Event::RolledBack { to, left_out, .. } => {
                    detours.times += 1;
                    detours.due = Some(*to);
                    for range in left_out.iter().filter(|[first, last]| first <= last) {
                        detours.left_out.leave_out(*range);
                    }
                }
                Event::Resumed { .. } => detours.due = None,
                _ => {}
            }
        }
        detours
    }
}

/// Updates that a spike is measured against.
const WINDOW: usize = 64;
/// Updates in a row that make one.
const IN_A_ROW: usize = 3;
/// Least deviation of log loss.
const FLOOR: f64 = 0.02;

/// The losses that a spike is told by. It is part of a run's state: what it says must not depend on where an attempt began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// Deviations that are too many.
    spike: f64,
    /// Logarithms of the last losses that were none too high.
    usual: VecDeque<f64>,
    /// How many were too high since.
    high: usize,
}

impl Watch {
    /// None for a run that does not ask for it.
    pub fn new(config: &RollbackConfig) -> Option<Self> {
        let asked = config.times > 0 && config.spike > 0.0;
        asked.then(|| Self {
            spike: config.spike,
            ..Self::default()
        })
    }

    /// Take in the loss of the next update; whether the loss spikes there.
    pub fn sees_spike(&mut self, loss: f64) -> bool {
        // Neither a loss without a logarithm nor one that ends the run says anything of the usual.
        if !(loss > 0.0 && loss.is_finite()) {
            return false;
        }
        let loss = loss.ln();
        if self.usual.len() == WINDOW {
            let (level, deviation) = self.level();
            if loss - level >= self.spike * deviation {
                self.high += 1;
                return self.high == IN_A_ROW;
            }
            self.usual.pop_front();
        }
        self.high = 0;
        self.usual.push_back(loss);
        false
    }

    /// The usual log loss, and how far from its trend it usually is.
    fn level(&self) -> (f64, f64) {
        let half = WINDOW / 2;
        let older = median(self.usual.iter().take(half).copied());
        let newer = median(self.usual.iter().skip(half).copied());
        // The line through the medians of both halves, so that a fall widens nothing.
        let slope = (newer - older) / half as f64;
        let middle = (WINDOW + half - 1) as f64 / 2.0;
        let trend = |i: usize| newer + slope * (i as f64 - middle);
        let off = self.usual.iter().enumerate();
        let off = median(off.map(|(i, usual)| (usual - trend(i)).abs()));
        (newer, (1.4826 * off).max(FLOOR))
    }

    /// For a checkpoint.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers = [self.high as f64].into_iter().chain(self.usual.clone());
        numbers.flat_map(f64::to_le_bytes).collect()
    }

    /// Go on from what [`Watch::to_bytes`] gave.
    pub fn restore(&mut self, bytes: &[u8]) {
        let mut numbers = bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b));
        self.high = numbers.next().map_or(0, |high| high as usize);
        self.usual = numbers.take(WINDOW).collect();
    }
}

/// # Panics
/// When there are none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests;
