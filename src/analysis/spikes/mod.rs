//! Loss spikes of one run, found row by row as its log grows, with what preceded each. Divergence is no spike: it ends
//! a run, and the run's state tells it.
//!
//! Judged is log loss against the last [`SpikeConfig::window`] rows that were in no spike. The level is the median of
//! their newer half, so that it follows a falling loss; the scale is the median absolute deviation from the line
//! through the medians of both halves, which a fall does not widen, times 1.4826, which makes it the standard deviation
//! of normal noise, and at least [`SpikeConfig::floor`]. The score is z = (log loss − level) / scale; that of log
//! gradient norm likewise, over the same rows. A spike begins at a row
//!
//! - with z ≥ [`SpikeConfig::alone`], or
//! - with z ≥ [`SpikeConfig::with_gradient`] and a gradient score ≥ [`SpikeConfig::gradient`] in the same row or one of
//!   the [`SpikeConfig::together`] before it,
//!
//! and ends, recovered, at the first row whose loss is within [`SpikeConfig::recovered`] scales of the level from
//! before it. One that is longer than [`SpikeConfig::longest`] rows is no spike any more but where the run is now:
//! the window is emptied and fills from there. The first [`SpikeConfig::warm_up`] rows of a window raise no alarm.
//!
//! The thresholds come from what healthy noise does. Loss and gradient have heavy tails: of two million rows of
//! Student's t with 5 degrees of freedom two score 25 (P(T > x) ≈ 9.5 x⁻⁵), and eight have a 5 that meets a 7 of the
//! gradient by chance; 40,000 healthy curves of 400 rows raise eight alarms. With 20 alone it would be four times as
//! many. Real rows are tamer: four runs of 2,500 rows at a batch of 32 raise none, and three of four at five to twenty
//! times their learning rate raise one each, at 1.1 to 1.4 times the loss before and within three rows of a gradient of
//! 37 to 700 times the usual. The least scale makes 10 % the smallest rise that can be a spike.

mod preceding;
mod window;

use serde::{Deserialize, Serialize};

use crate::store::{Column, Series};
pub use preceding::{Preceding, Rise, Stale};
use window::{Usual, Window};

/// Rows between two memories of the detector's state, to which a rewind goes back.
const MEMORY: usize = 4_096;

/// When a row is a spike; the module's text says how these numbers come about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpikeConfig {
    /// Rows that the scale is taken over; the level is that of the newer half.
    pub window: usize,
    /// Rows at the beginning that are no spikes, whatever they are.
    pub warm_up: usize,
    /// Score of the loss that is a spike whatever the gradient does.
    pub alone: f64,
    /// Score of the loss that is a spike if the gradient agrees.
    pub with_gradient: f64,
    /// Score of the gradient norm that counts as agreement.
    pub gradient: f64,
    /// Rows before a row whose gradient may agree too: the update that spoils the loss comes before it shows.
    pub together: usize,
    /// Least scale of log loss, so that a flat curve raises no alarms.
    pub floor: f64,
    /// Least scale of log gradient norm.
    pub gradient_floor: f64,
    /// Scales above the level at which a loss counts as recovered.
    pub recovered: f64,
    /// Rows after which a spike is given up as the new level.
    pub longest: usize,
    /// Rows before the onset that are searched for what preceded it.
    pub look_back: usize,
    /// Staleness of a layer's second moment above which it counts as stale; arXiv 2304.13013 has 2.3.
    pub stale: f64,
}

impl Default for SpikeConfig {
    fn default() -> Self {
        Self {
            window: 64,
            warm_up: 50,
            alone: 25.0,
            with_gradient: 5.0,
            gradient: 7.0,
            together: 3,
            floor: 0.02,
            gradient_floor: 0.05,
            recovered: 2.0,
            longest: 500,
            look_back: 20,
            stale: 2.3,
        }
    }
}

/// A row by its places on every axis.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Moment {
    pub row: usize,
    pub step: u64,
    pub examples: u64,
    pub seconds: f64,
}

impl Moment {
    fn of(series: &Series, row: usize) -> Self {
        Self {
            row,
            step: series.steps()[row],
            examples: series.examples()[row],
            seconds: series.seconds()[row],
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The rows end in it.
    Open,
    /// The loss came back at [`Spike::until`].
    Recovered,
    /// It did not within [`SpikeConfig::longest`] rows: the run went on from another level.
    NewLevel,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spike {
    pub onset: Moment,
    /// The row of the highest loss, and that loss over the level before.
    pub peak: Moment,
    pub height: f64,
    /// Score of the loss at the peak.
    pub z: f64,
    /// Largest gradient norm of the spike over its median before; none where it is not logged.
    pub gradient_ratio: Option<f64>,
    /// The row of recovery, or the last one so far.
    pub until: Moment,
    pub end: End,
    pub preceding: Preceding,
}

impl Spike {
    /// How long it was or is, in updates.
    pub fn steps(&self) -> u64 {
        self.until.step - self.onset.step
    }

    /// How long it was or is, in pairs seen.
    pub fn examples(&self) -> u64 {
        self.until.examples - self.onset.examples
    }

    /// The step at which the loss was back.
    pub fn recovery(&self) -> Option<u64> {
        (self.end == End::Recovered).then_some(self.until.step)
    }
}

/// The spikes of one run so far.
#[derive(Clone, Debug)]
pub struct Spikes {
    config: SpikeConfig,
    state: State,
    found: Vec<Spike>,
    memories: Vec<Memory>,
}

/// What decides about the rows to come.
#[derive(Clone, Debug)]
struct State {
    /// Rows that were looked at.
    rows: usize,
    /// Log loss of the last rows that were in no spike.
    window: Window,
    /// Rows that the window has taken in since it was empty.
    taken: usize,
    /// The last spike found has not ended.
    open: Option<Before>,
}

/// What was usual before the spike that is open.
#[derive(Clone, Copy, Debug)]
struct Before {
    loss: Usual,
    gradient: Option<Usual>,
}

#[derive(Clone, Debug)]
struct Memory {
    state: State,
    ended: usize,
    open: Option<Spike>,
}

impl Spikes {
    pub fn new(config: SpikeConfig) -> Self {
        let state = State {
            rows: 0,
            window: Window::new(config.window),
            taken: 0,
            open: None,
        };
        Self {
            config,
            state,
            found: Vec::new(),
            memories: Vec::new(),
        }
    }

    /// All spikes of a run.
    pub fn of(series: &Series, config: SpikeConfig) -> Self {
        let mut spikes = Self::new(config);
        spikes.follow(series);
        spikes
    }

    /// By onset; the last one may be open.
    pub fn found(&self) -> &[Spike] {
        &self.found
    }

    /// Look at the rows that `series` has got since the last time.
    pub fn follow(&mut self, series: &Series) {
        if series.len() < self.state.rows {
            self.truncate(series.len());
        }
        let Some(loss) = series.column("loss") else {
            return;
        };
        let gradient = series.column("grad_norm");
        for row in self.state.rows..series.len() {
            if row.is_multiple_of(MEMORY) {
                self.remember();
            }
            let value = loss.values()[row];
            // Neither an absent loss nor one without a logarithm says anything.
            if value > 0.0 && value.is_finite() {
                self.look(series, gradient, row, value.ln());
            }
            self.state.rows = row + 1;
        }
        if let (Some(_), Some(spike), Some(last)) = (
            self.state.open,
            self.found.last_mut(),
            series.len().checked_sub(1),
        ) {
            spike.until = Moment::of(series, last);
        }
    }

    /// Forget what was said of the rows from `rows` on, because a resume made them void; the next [`Self::follow`]
    /// looks again at the few rows before that it takes.
    pub fn truncate(&mut self, rows: usize) {
        if rows >= self.state.rows {
            return;
        }
        while self
            .memories
            .pop_if(|memory| memory.state.rows > rows)
            .is_some()
        {}
        match self.memories.pop() {
            Some(Memory { state, ended, open }) => {
                self.state = state;
                self.found.truncate(ended);
                self.found.extend(open);
            }
            None => *self = Self::new(self.config.clone()),
        }
    }

    fn remember(&mut self) {
        let open = self.state.open.and_then(|_| self.found.last().cloned());
        self.memories.push(Memory {
            state: self.state.clone(),
            ended: self.found.len() - usize::from(open.is_some()),
            open,
        });
    }

    /// Judge one row.
    fn look(&mut self, series: &Series, gradient: Option<&Column>, row: usize, log: f64) {
        let log_gradient = |row| logarithm(gradient?, row);
        if self.goes_on(series, log_gradient, row, log) {
            return;
        }
        if let Some(before) = self.alarm(log_gradient, row, log) {
            let now = Moment::of(series, row);
            let rows: Vec<usize> = self.state.window.rows().collect();
            self.state.open = Some(before);
            self.found.push(Spike {
                onset: now,
                peak: now,
                height: (log - before.loss.level).exp(),
                z: before.loss.score(log),
                gradient_ratio: before.gradient_ratio(log_gradient(row)),
                until: now,
                end: End::Open,
                preceding: preceding::search(series, &rows, row, &self.config),
            });
            return;
        }
        self.state.window.push(row, log);
        self.state.taken += 1;
    }

    /// Whether the row belongs to the spike that is open; if it does not, the spike has ended.
    fn goes_on(
        &mut self,
        series: &Series,
        log_gradient: impl Fn(usize) -> Option<f64>,
        row: usize,
        log: f64,
    ) -> bool {
        let (Some(before), Some(spike)) = (self.state.open, self.found.last_mut()) else {
            return false;
        };
        let z = before.loss.score(log);
        let end = if z <= self.config.recovered {
            End::Recovered
        } else if row - spike.onset.row >= self.config.longest {
            self.state.window.clear();
            self.state.taken = 0;
            End::NewLevel
        } else {
            if z > spike.z {
                spike.z = z;
                spike.height = (log - before.loss.level).exp();
                spike.peak = Moment::of(series, row);
            }
            if let Some(ratio) = before.gradient_ratio(log_gradient(row)) {
                spike.gradient_ratio = Some(spike.gradient_ratio.map_or(ratio, |r| r.max(ratio)));
            }
            return true;
        };
        spike.until = Moment::of(series, row);
        spike.end = end;
        self.state.open = None;
        false
    }

    /// What was usual before a row that begins a spike; none if it does not.
    fn alarm(
        &self,
        log_gradient: impl Fn(usize) -> Option<f64>,
        row: usize,
        log: f64,
    ) -> Option<Before> {
        let config = &self.config;
        let lowest = config.alone.min(config.with_gradient);
        let window = &self.state.window;
        // Nearly every row is settled here: no scale is below the floor.
        if self.state.taken < config.warm_up.max(1) || log - window.level() < lowest * config.floor
        {
            return None;
        }
        let loss = window.usual(config.floor)?;
        let z = loss.score(log);
        if z < lowest {
            return None;
        }
        let logs: Vec<f64> = window.rows().filter_map(&log_gradient).collect();
        let half = logs.len() / 2;
        let gradient = Usual::of(logs, half, config.gradient_floor);
        let agrees = gradient.is_some_and(|usual| {
            let mut logs = (row.saturating_sub(config.together)..=row).filter_map(&log_gradient);
            logs.any(|log| usual.score(log) >= config.gradient)
        });
        let before = Before { loss, gradient };
        (z >= config.alone || z >= config.with_gradient && agrees).then_some(before)
    }
}

impl Before {
    /// A gradient norm over the usual one.
    fn gradient_ratio(&self, log_gradient: Option<f64>) -> Option<f64> {
        Some((log_gradient? - self.gradient?.level).exp())
    }
}

fn logarithm(column: &Column, row: usize) -> Option<f64> {
    column.get(row).filter(|x| *x > 0.0).map(f64::ln)
}

#[cfg(test)]
mod tests;
