//! How parameters move: the schedule of the learning rate, each group's share of it, and the optimiser. It works on
//! the flat vector of all parameters; which tensor lies where is `model::params`' affair.

pub mod adamw;
mod schedule;
pub mod staleness;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use super::loss::LossConfig;
use super::model::params::{Group, Part};
pub use schedule::{Decay, ScheduleConfig};

/// AdamW and its schedule, see [`adamw`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// Peak learning rate.
    pub lr: f64,
    /// How much of the first moment, the mean of the gradient, survives an update.
    pub beta1: f64,
    /// How much of the second moment, the mean of its square, survives an update; 0.95 forgets a spike within a hundred steps.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled and times the learning rate (AdamW); matrices only: gains, biases, embeddings, t' and b have none.
    pub weight_decay: f64,
    /// Clip the global gradient norm to this; 0 is off.
    pub clip_norm: f64,
    /// The learning rate over the run.
    pub schedule: ScheduleConfig,
    /// The image tower's share.
    pub image: GroupConfig,
    /// The text tower's share.
    pub text: GroupConfig,
}

impl Default for OptimConfig {
    fn default() -> Self {
        Self {
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            clip_norm: 1.0,
            schedule: ScheduleConfig::default(),
            image: GroupConfig::default(),
            text: GroupConfig::default(),
        }
    }
}

/// One tower's part of the optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// Multiplies the learning rate; 0 keeps the tower as it starts.
    pub lr_mult: f64,
    /// Multiplies the weight decay.
    pub wd_mult: f64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            lr_mult: 1.0,
            wd_mult: 1.0,
        }
    }
}

impl GroupConfig {
    /// Whether the tower stays as it starts, and so has no gradient.
    pub fn is_locked(&self) -> bool {
        self.lr_mult == 0.0
    }
}

/// What one group of parameters gets of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub lr_mult: f64,
    pub weight_decay: f64,
}

impl OptimConfig {
    /// What a gradient of the global `norm` is multiplied by.
    pub fn clip_factor(&self, norm: f64) -> f64 {
        if self.clip_norm > 0.0 && norm > self.clip_norm {
            self.clip_norm / norm
        } else {
            1.0
        }
    }

    /// The share of `group`; scalars that `loss` does not learn get nothing.
    pub fn rates(&self, group: Group, loss: &LossConfig) -> Rates {
        let scalar = |learned: bool| GroupConfig {
            lr_mult: f64::from(u8::from(learned)),
            wd_mult: 0.0,
        };
        let GroupConfig { lr_mult, wd_mult } = match group.part {
            Part::Image => self.image.clone(),
            Part::Text => self.text.clone(),
            Part::LogT => scalar(loss.log_t().is_some_and(|s| s.learned)),
            Part::Bias => scalar(loss.bias().is_some_and(|s| s.learned)),
        };
        Rates {
            lr_mult,
            weight_decay: if group.decays {
                self.weight_decay * wd_mult
            } else {
                0.0
            },
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let not_negative = |key, x: f64| {
            check(key, x.is_finite() && x >= 0.0, || {
                format!("{x} is not a finite number from 0 up")
            })
        };
        let fraction = |key, x: f64| {
            check(key, (0.0..1.0).contains(&x), || {
                format!("{x} is not in [0, 1)")
            })
        };
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
