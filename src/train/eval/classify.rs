//! Accuracy of a supervised model on the evaluation's pictures, by the scores of its head.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::{EvalConfig, score};
use crate::train::data::Source;
use crate::train::model::Model;

/// `classify/…`, see [`super::Hits::metrics`].
pub fn run(
    config: &EvalConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> BTreeMap<String, f64> {
    score(config, source, device, |pixels| model.image.forward(pixels)).metrics("classify")
}
