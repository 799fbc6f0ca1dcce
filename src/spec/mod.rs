//! From an experiment file to runs. This layer reads settings and makes ids; it starts nothing and knows no
//! process, screen or tensor.

use std::io;

use serde::{Deserialize, Serialize};

use crate::record::{FORMAT, RunDir, RunId};
use crate::train::TrainConfig;

/// What one run is: the content of `spec.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunSpec {
    pub format: u32,
    pub id: RunId,
    /// The version of siglab that made the run.
    pub siglab: String,
    /// Every setting, defaults included.
    pub config: TrainConfig,
}
