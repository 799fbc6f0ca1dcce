//! A forecast in words: `1.2 device-hours [0.9, 1.6], done in 38m [30m, 52m]`.

use std::fmt;
use std::time::Duration;

use super::{Span, Total};
use crate::util::human_duration;

impl fmt::Display for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.device.seconds {
            s if s >= 3_600.0 => (3_600.0, "hours"),
            s if s >= 60.0 => (60.0, "minutes"),
            _ => (1.0, "seconds"),
        };
        let count = |seconds: f64| match seconds / unit {
            n if n < 10.0 => format!("{n:.1}"),
            n => format!("{n:.0}"),
        };
        let Self { device, done } = self;
        write!(
            f,
            "{} device-{name}{}, done in {}{}",
            count(device.seconds),
            device.interval(count),
            duration(done.seconds),
            done.interval(duration)
        )
    }
}

impl Span {
    /// ` [0.9, 1.6]`, or nothing where there is no interval.
    fn interval(&self, show: impl Fn(f64) -> String) -> String {
        match (self.low, self.high) {
            (Some(low), Some(high)) => format!(" [{}, {}]", show(low), show(high)),
            _ => String::new(),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", duration(self.seconds), self.interval(duration))
    }
}

/// Without the seconds that no forecast knows.
fn duration(seconds: f64) -> String {
    let minutes = (seconds / 60.0).round();
    if (10.0..60.0).contains(&minutes) {
        return format!("{minutes}m");
    }
    human_duration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(seconds: f64, low: f64, high: f64) -> Span {
        Span {
            seconds,
            low: Some(low),
            high: Some(high),
        }
    }

    #[test]
    fn a_total_is_one_line() {
        let words = |device, done| Total { device, done }.to_string();
        assert_eq!(
            words(
                span(4_320.0, 3_240.0, 5_760.0),
                span(2_280.0, 1_800.0, 3_120.0)
            ),
            "1.2 device-hours [0.9, 1.6], done in 38m [30m, 52m]"
        );
        let alone = |seconds| Span {
            seconds,
            low: None,
            high: None,
        };
        assert_eq!(
            words(alone(400_000.0), alone(100_000.0)),
            "111 device-hours, done in 1d03h"
        );
        assert_eq!(
            words(span(600.0, 500.0, 720.0), span(185.0, 160.0, 215.0)),
            "10 device-minutes [8.3, 12], done in 3m05s [2m40s, 3m35s]"
        );
        assert_eq!(
            words(alone(4.0), alone(4.0)),
            "4.0 device-seconds, done in 4s"
        );
        assert!(!alone(f64::MAX).to_string().is_empty());
    }
}
