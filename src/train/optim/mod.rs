//! The optimisers.

use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// Peak learning rate.
    pub lr: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    /// Decoupled, times the learning rate (AdamW); matrices only: gains, biases, embeddings, t' and b have none.
    pub weight_decay: f64,
    /// Clip the global gradient norm to this; 0 is off.
    pub clip_norm: f64,
    pub schedule: ScheduleConfig,
    pub image: GroupConfig,
    pub text: GroupConfig,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self { lr: 1e-3, beta1: 0.9, beta2: 0.95, eps: 1e-8, weight_decay: 0.1, clip_norm: 1.0, schedule: ScheduleConfig::default(), image: GroupConfig::default(), text: GroupConfig::default() }
    }
}

/// The learning rate over a run: linear warm-up from 0, then a decay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    pub decay: Decay,
    /// Examples over which the rate rises to its peak.
    pub warmup: u64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self { decay: Decay::Cosine, warmup: 6_000 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// Half a cosine to 0 at the end of the budget.
    Cosine,
    /// A straight line to 0 at the end of the budget.
    Linear,
    Constant,
}

/// One tower's part of the optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// Multiplies the learning rate; 0 locks the tower.
    pub lr_mult: f64,
    /// Multiplies the weight decay.
    pub wd_mult: f64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self { lr_mult: 1.0, wd_mult: 1.0 }
    }
}

impl OptimConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let not_negative = |key, x: f64| check(key, x.is_finite() && x >= 0.0, || format!("{x} is not a finite number from 0 up"));
        let fraction = |key, x: f64| check(key, (0.0..1.0).contains(&x), || format!("{x} is not in [0, 1)"));
        not_negative("optim.lr", self.lr)?;
        fraction("optim.beta1", self.beta1)?;
        fraction("optim.beta2", self.beta2)?;
        not_negative("optim.eps", self.eps)?;
        not_negative("optim.weight_decay", self.weight_decay)?;
        not_negative("optim.clip_norm", self.clip_norm)?;
        not_negative("optim.image.lr_mult", self.image.lr_mult)?;
        not_negative("optim.image.wd_mult", self.image.wd_mult)?;
        not_negative("optim.text.lr_mult", self.text.lr_mult)?;
        not_negative("optim.text.wd_mult", self.text.wd_mult)
    }
}
