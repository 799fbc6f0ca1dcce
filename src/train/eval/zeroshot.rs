//! Zero-shot classification as CLIP does it (arXiv 2103.00020, section 3.1): a class is the normalised mean of the
//! unit embeddings of its prompts, and a picture is of the class whose vector it is closest to.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{EvalConfig, score};
use crate::train::data::{DataError, Source};
use crate::train::model::Model;

/// `zeroshot/…`, see [`super::Hits::metrics`].
pub fn run(
    config: &EvalConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> Result<BTreeMap<String, f64>, DataError> {
    let classes = class_vectors(model, source, device).transpose();
    let hits = score(config, source, device, |pixels| {
        model.embed_images(pixels).matmul(classes.clone())
    })?;
    Ok(hits.metrics("zeroshot"))
}

/// `[classes, embed_dim]`, unit rows.
fn class_vectors(model: &Model, source: &Source, device: &Device) -> Tensor<2> {
    let means = (0..source.class_count()).map(|class| {
        let prompts = source.prompts(class);
        let shape = [prompts.len(), source.context()];
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(prompts.concat(), shape), device);
        model.embed_texts(tokens).mean_dim(0)
    });
    let means = Tensor::cat(means.collect(), 0);
    let lengths = means.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    means / lengths
}
