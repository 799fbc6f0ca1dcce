//! The learning rate over a run, relative to its peak: a linear warm-up, then a decay over the rest of the budget, and
//! on top of it a linear cool-down at the end. All lengths are in examples.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::config::{ConfigError, check};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// How the rate falls from its peak.
    pub decay: Decay,
    /// Examples over which the rate rises to its peak.
    pub warmup: u64,
    /// Of `decay = "rsqrt"`: examples after the warm-up at which the rate is 1 / √2 of its peak.
    pub timescale: u64,
    /// Examples at the end of the budget over which a straight line to 0 multiplies the rate; 0 is none.
    pub cooldown: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            decay: Decay::Cosine,
            warmup: 6_000,
            // big_vision's 10,000 updates, of our default batch.
            timescale: 2_560_000,
            cooldown: 0,
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
    /// 1 / √(1 + e / timescale), e the examples since the warm-up (arXiv 2106.04560): it does not depend on the budget,
    /// so that runs of any length share their beginning, and wants a cool-down.
    Rsqrt,
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
        let after = (seen as f64 - warmup).max(0.0);
        let progress = (after / (total as f64 - warmup).max(1.0)).min(1.0);
        let fall = match self.decay {
            Decay::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            Decay::Linear => 1.0 - progress,
            Decay::Constant => 1.0,
            Decay::Rsqrt => (1.0 + after / self.timescale as f64).powf(-0.5),
        };
        let left = total.saturating_sub(seen) as f64;
        let end = match self.cooldown {
            0 => 1.0,
            cooldown => (left / cooldown as f64).min(1.0),
        };
        rise * fall * end
    }

    /// `examples` is the run's budget.
    pub(super) fn validate(&self, examples: u64) -> Result<(), ConfigError> {
        check("optim.schedule.timescale", self.timescale > 0, || {
            "must be at least 1".into()
        })?;
        let cooldown = self.cooldown;
        check("optim.schedule.cooldown", cooldown <= examples, || {
            format!("{cooldown} is more than the run's {examples} examples")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::optim::tests::recorded;

    fn with(decay: Decay, cooldown: u64) -> ScheduleConfig {
        ScheduleConfig {
            decay,
            warmup: 100,
            timescale: 200,
            cooldown,
        }
    }

    #[test]
    fn it_rises_to_the_peak_and_falls_as_its_equation() {
        let factor = |decay, seen| with(decay, 0).factor(seen, 10, 1_100);
        assert_eq!(factor(Decay::Cosine, 0), 0.1);
        assert_eq!(factor(Decay::Cosine, 90), 1.0);
        assert!((factor(Decay::Cosine, 600) - 0.5).abs() < 1e-12);
        assert!(factor(Decay::Cosine, 1_090) < 1e-3);
        assert_eq!(factor(Decay::Linear, 600), 0.5);
        assert_eq!(factor(Decay::Constant, 1_090), 1.0);
        assert_eq!(factor(Decay::Rsqrt, 100), 1.0);
        assert!((factor(Decay::Rsqrt, 300) - 0.5_f64.sqrt()).abs() < 1e-12);
        assert!((factor(Decay::Rsqrt, 900) - 0.2_f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn a_cool_down_takes_what_is_left_to_nothing() {
        for decay in [Decay::Cosine, Decay::Linear, Decay::Constant, Decay::Rsqrt] {
            for seen in (0..1_100).step_by(10) {
                let share = with(decay, 200).factor(seen, 10, 1_100)
                    - with(decay, 0).factor(seen, 10, 1_100)
                        * (f64::from(1_100 - seen as u32) / 200.0).min(1.0);
                assert!(share.abs() < 1e-15, "{decay:?} {seen}");
            }
        }
        assert_eq!(with(Decay::Constant, 200).factor(1_090, 10, 1_100), 0.05);
    }

    /// Ours warms up from the first update on, and big_vision's from 0; from the peak on they are the same.
    #[test]
    fn from_the_peak_on_it_is_that_of_big_vision() {
        let table = recorded("schedules");
        for (name, decay, cooldown) in [
            ("cosine", Decay::Cosine, 0),
            ("linear", Decay::Linear, 0),
            ("rsqrt", Decay::Rsqrt, 0),
            ("rsqrt_cooldown", Decay::Rsqrt, 150),
            ("cosine_cooldown", Decay::Cosine, 150),
        ] {
            let expected = &table[name];
            assert_eq!(expected.len(), 100);
            for step in 10..100 {
                let ours = with(decay, cooldown).factor(10 * step, 10, 1_000);
                let theirs = f64::from(expected[step as usize]);
                assert!(
                    (ours - theirs).abs() < 1e-6,
                    "{name} {step}: {ours}, {theirs}"
                );
            }
        }
    }

    #[test]
    fn lengths_that_mean_nothing_name_their_key() {
        let problem = |schedule: ScheduleConfig| schedule.validate(1_000).unwrap_err().key;
        let mut schedule = with(Decay::Rsqrt, 1_001);
        assert_eq!(problem(schedule.clone()), "optim.schedule.cooldown");
        (schedule.cooldown, schedule.timescale) = (1_000, 0);
        assert_eq!(problem(schedule), "optim.schedule.timescale");
    }
}
