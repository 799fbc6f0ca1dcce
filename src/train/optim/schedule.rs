//! The learning rate over a run, relative to its peak: a linear warm-up, then a decay over the rest of the budget.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// How the rate falls from its peak.
    pub decay: Decay,
    /// Examples over which the rate rises to its peak.
    pub warmup: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            decay: Decay::Cosine,
            warmup: 6_000,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Half a cosine to 0 at the end of the budget.
    Cosine,
    /// A straight line to 0 at the end of the budget.
    Linear,
    /// Stays at the peak.
    Constant,
}

impl ScheduleConfig {
    /// The factor for the update that takes a run from `seen` to `seen + batch` of `total` examples.
    pub fn factor(&self, seen: u64, batch: u64, total: u64) -> f64 {
        let warmup = self.warmup as f64;
        let rise = if self.warmup == 0 {
            1.0
        } else {
            ((seen + batch) as f64 / warmup).min(1.0)
        };
        let rest = (total as f64 - warmup).max(1.0);
        let progress = ((seen as f64 - warmup) / rest).clamp(0.0, 1.0);
        let fall = match self.decay {
            Decay::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            Decay::Linear => 1.0 - progress,
            Decay::Constant => 1.0,
        };
        rise * fall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_to_the_peak_and_falls_to_nothing() {
        let factor = |decay, seen| ScheduleConfig { decay, warmup: 100 }.factor(seen, 10, 1_100);
        assert_eq!(factor(Decay::Cosine, 0), 0.1);
        assert_eq!(factor(Decay::Cosine, 90), 1.0);
        assert!((factor(Decay::Cosine, 600) - 0.5).abs() < 1e-12);
        assert!(factor(Decay::Cosine, 1_090) < 1e-3);
        assert_eq!(factor(Decay::Linear, 600), 0.5);
        assert_eq!(factor(Decay::Constant, 1_090), 1.0);
    }
}
