//! The scheduler's own time, which time-outs are counted in. It goes on with its clock, but never back, and by no more
//! than a second between two looks: a machine that slept, a scheduler that was held up or a clock that was set make no
//! worker late.

use std::fmt;
use std::time::{Duration, Instant};

/// Longer than a tick; a tick that takes longer counts for this.
const LONGEST: Duration = Duration::from_secs(1);

pub(super) struct Time {
    clock: Box<dyn Fn() -> Duration + Send>,
    last: Duration,
    spent: Duration,
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Time")
            .field("spent", &self.spent)
            .finish_non_exhaustive()
    }
}

impl Time {
    /// By the machine's monotonic clock.
    pub(super) fn monotonic() -> Self {
        let began = Instant::now();
        Self::by(Box::new(move || began.elapsed()))
    }

    /// By a clock that tells the time since any moment.
    pub(super) fn by(clock: Box<dyn Fn() -> Duration + Send>) -> Self {
        Self {
            last: clock(),
            clock,
            spent: Duration::ZERO,
        }
    }

    /// Look at the clock.
    pub(super) fn advance(&mut self) {
        let now = (self.clock)();
        self.spent += now.saturating_sub(self.last).min(LONGEST);
        self.last = now;
    }

    /// Time that was counted so far.
    pub(super) fn now(&self) -> Duration {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_clock_that_jumps_costs_a_second_at_most_and_gives_none_back() {
        let clock = Arc::new(AtomicU64::new(1_000_000));
        let read = Arc::clone(&clock);
        let mut time = Time::by(Box::new(move || {
            Duration::from_millis(read.load(Ordering::Relaxed))
        }));
        let mut look = |ms: u64| {
            clock.store(ms, Ordering::Relaxed);
            time.advance();
            time.now().as_millis()
        };
        assert_eq!(look(1_000_100), 100);
        assert_eq!(look(1_000_099), 100);
        assert_eq!(look(1_000_199), 200);
        assert_eq!(look(5_000_000), 1_200);
        assert_eq!(look(0), 1_200);
        assert_eq!(look(50), 1_250);
    }
}
