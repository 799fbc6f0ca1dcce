//! How parameters move: the schedule of the learning rate, each group's share of it, and the optimiser. It works on
//! the flat vector of all parameters; which tensor lies where is `model::params`' affair.
//!
//! An optimiser is a file: its equations and paper, its state as named vectors, and one function that moves a vector.
//! What all of them share stands in [`update`] (clipping, rates, decay, norms) and `sweep` (threads and sums).

mod adafactor;
mod adamw;
mod lion;
mod schedule;
pub mod staleness;
mod state;
mod sweep;
mod tensors;
mod update;

use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use super::device::is_host;
use super::loss::LossConfig;
use super::model::params::{Group, Layout, Part};
use adafactor::Adafactor;
use adamw::AdamW;
use lion::Lion;
pub use schedule::{Decay, ScheduleConfig};
pub use state::{Piece, StateVector};
pub use sweep::norm;
pub use update::{Norms, Stretch, stretches, update};

/// The optimiser and its schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct OptimConfig {
    /// What makes an update of a gradient.
    pub kind: OptimKind,
    /// Peak learning rate.
    pub lr: f64,
    /// How much of the first moment, the mean of the gradient, survives an update.
    pub beta1: f64,
    /// How much of the second moment, the mean of its square, survives an update; 0.95 forgets a spike within a hundred
    /// steps. Adafactor: the most that survives, for it begins with less. Lion: how much of its only moment survives;
    /// its paper has 0.99.
    pub beta2: f64,
    /// Added to the root of the second moment; AdamW only.
    pub eps: f64,
    /// Decoupled weight decay; matrices only: gains, biases, embeddings, t' and b have none.
    pub weight_decay: f64,
    /// What an update multiplies the weight decay by.
    pub decay_by: DecayBy,
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
            kind: OptimKind::AdamW,
            lr: 1e-3,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
            decay_by: DecayBy::Lr,
            clip_norm: 1.0,
            schedule: ScheduleConfig::default(),
            image: GroupConfig::default(),
            text: GroupConfig::default(),
        }
    }
}

/// What makes an update of a gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OptimKind {
    /// Adam with decoupled weight decay (arXiv 1711.05101), as PyTorch's.
    #[default]
    #[serde(rename = "adamw")]
    AdamW,
    /// The variant that large vision transformers are trained with (arXiv 2106.04560), as big_vision's: Adam's momentum,
    /// and of a matrix's second moment only the means of its rows and columns.
    Adafactor,
    /// The sign of a momentum (arXiv 2302.06675): a third to a tenth of AdamW's learning rate, and more weight decay.
    Lion,
}

/// What an update multiplies the weight decay by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecayBy {
    /// The learning rate, with its schedule and the tower's `lr_mult`: PyTorch's convention.
    #[default]
    Lr,
    /// The schedule alone, from 0 to 1 at its peak: big_vision's convention. Its 1e-4 at a peak rate of 1e-3 is
    /// PyTorch's 0.1.
    Schedule,
}

/// One tower's part of the optimiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GroupConfig {
    /// Multiplies the learning rate; 0 keeps the tower as it starts: locked, frozen, as in LiT.
    pub lr_mult: f64,
    /// Multiplies the weight decay: 0 is none for this tower.
    pub wd_mult: f64,
    /// Examples for which the tower stays as it starts, without gradients; 0 trains it from the first. After them it is
    /// trained by moments that begin there, at the learning rate that the run's schedule has by then: there is no second
    /// warm-up.
    pub unlock_after: u64,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            lr_mult: 1.0,
            wd_mult: 1.0,
            unlock_after: 0,
        }
    }
}

impl GroupConfig {
    /// Whether the tower stays as it starts in the update after `seen` examples, and so has no gradient.
    pub fn is_locked_at(&self, seen: u64) -> bool {
        self.lr_mult == 0.0 || seen < self.unlock_after
    }
}

/// What one group of parameters gets of an update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    pub lr_mult: f64,
    pub weight_decay: f64,
    /// Examples before the group's first update.
    pub unlock_after: u64,
}

/// A way to make an update of a gradient, with whatever it remembers.
pub trait Optimiser: std::fmt::Debug {
    /// Move the weights of `stretches` in `flat` and the state that belongs to them; what is in no stretch stays.
    /// `clip` is what the gradient is multiplied by first. Returns the L2 norm of the change.
    fn apply(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64 {
        if is_host(&flat.device()) {
            self.sweep(stretches, clip, flat, gradient)
        } else {
            self.on_tensors(stretches, clip, flat, gradient)
        }
    }

    /// [`apply`](Self::apply) on the host's memory.
    fn sweep(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64;

    /// [`apply`](Self::apply) by operations on tensors, for devices with a memory of their own.
    fn on_tensors(
        &mut self,
        stretches: &[Stretch],
        clip: f64,
        flat: &mut Tensor<1>,
        gradient: &Tensor<1>,
    ) -> f64;

    /// What it remembers, for checkpoints.
    fn state(&self) -> Vec<&StateVector>;

    fn state_mut(&mut self) -> Vec<&mut StateVector>;

    /// The mean square of the gradient that updates are divided by the root of, if that is how they are made.
    fn second_moment(&self) -> Option<SecondMoment>;
}

/// An estimate of the mean square of each parameter's gradient.
#[derive(Clone, Debug)]
pub struct SecondMoment {
    /// `[parameters]`.
    pub v: Tensor<1>,
    /// v is (1 - `beta2`ˢ) of the estimate after s updates.
    pub beta2: f64,
    /// What keeps the root of it from 0.
    pub eps: f64,
}

impl OptimConfig {
    /// The optimiser, before its first update of the parameters of `layout`.
    pub fn begin(&self, layout: &Layout, device: &Device) -> Box<dyn Optimiser> {
        match self.kind {
            OptimKind::AdamW => Box::new(AdamW::new(self, layout, device)),
            OptimKind::Adafactor => Box::new(Adafactor::new(self, layout, device)),
            OptimKind::Lion => Box::new(Lion::new(self, layout, device)),
        }
    }

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
            unlock_after: 0,
        };
        let GroupConfig {
            lr_mult,
            wd_mult,
            unlock_after,
        } = match group.part {
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
            unlock_after,
        }
    }

    /// `examples` is the run's budget.
    pub(super) fn validate(&self, examples: u64) -> Result<(), ConfigError> {
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
        not_negative("optim.text.wd_mult", self.text.wd_mult)?;
        for (key, group) in [
            ("optim.image.unlock_after", &self.image),
            ("optim.text.unlock_after", &self.text),
        ] {
            let after = group.unlock_after;
            check(key, after == 0 || group.lr_mult > 0.0, || {
                "a tower whose lr_mult is 0 is never unlocked: set one of the two".into()
            })?;
            check(key, after < examples, || {
                format!(
                    "the run ends after {examples} examples: to lock the tower, set its lr_mult to 0"
                )
            })?;
        }
        self.schedule.validate(examples)
    }
}

#[cfg(test)]
mod tests;
