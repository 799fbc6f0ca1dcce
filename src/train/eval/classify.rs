//! Accuracy of a supervised model on the evaluation's pictures, by the scores of its head.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::{EvalConfig, score};
use crate::train::data::{DataError, Source};
use crate::train::model::Model;

/// `classify/…`, see [`super::Hits::metrics`].
pub fn run(
    config: &EvalConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> Result<BTreeMap<String, f64>, DataError> {
    let hits = score(config, source, device, 1, |pixels| {
        model.image.forward(pixels)
    })?;
    Ok(hits[0].metrics("classify"))
}
