//! The losses.

use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use super::model::ModelConfig;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// SigLIP: every pair of the batch is a binary decision.
    Sigmoid(SigmoidConfig),
    /// CLIP: each image picks its text among the batch's, and each text its image.
    Softmax(SoftmaxConfig),
    /// Supervised: the image alone, a linear head, cross entropy over the data set's classes. The text tower rests.
    Classify(ClassifyConfig),
}

impl Default for LossConfig {
    fn default() -> Self {
        Self::Sigmoid(SigmoidConfig::default())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SigmoidConfig {
    pub log_t: SigmoidLogT,
    pub bias: BiasConfig,
}

/// t' = ln t, the log of the logit scale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SigmoidLogT {
    pub init: f64,
    pub learned: bool,
}

impl Default for SigmoidLogT {
    fn default() -> Self {
        Self { init: std::f64::consts::LN_10, learned: true }
    }
}

/// b, added to every logit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BiasConfig {
    pub init: f64,
    pub mode: BiasMode,
}

impl Default for BiasConfig {
    fn default() -> Self {
        Self { init: -10.0, mode: BiasMode::Learned }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BiasMode {
    Learned,
    /// Stays at `init`.
    Frozen,
    /// No bias: `init` is not used.
    None,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftmaxConfig {
    pub log_t: SoftmaxLogT,
}

/// t' = ln t, the log of the logit scale; CLIP starts at t = 1 / 0.07.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SoftmaxLogT {
    pub init: f64,
    pub learned: bool,
}

impl Default for SoftmaxLogT {
    fn default() -> Self {
        Self { init: (1.0_f64 / 0.07).ln(), learned: true }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {}

impl LossConfig {
    pub(super) fn validate(&self, _model: &ModelConfig) -> Result<(), ConfigError> {
        let finite = |key, x: f64| check(key, x.is_finite() && x.abs() < 1e4, || format!("{x} is not a number between -10000 and 10000"));
        match self {
            Self::Sigmoid(c) => finite("loss.log_t.init", c.log_t.init).and_then(|()| finite("loss.bias.init", c.bias.init)),
            Self::Softmax(c) => finite("loss.log_t.init", c.log_t.init),
            Self::Classify(_) => Ok(()),
        }
    }
}
