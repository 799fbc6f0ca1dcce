//! Zero-shot classification as CLIP does it (arXiv 2103.00020, section 3.1): a class is the normalised mean of the
//! unit embeddings of its prompts, and a picture is of the class whose vector it is closest to.

use std::collections::BTreeMap;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::{EvalConfig, Hits, score};
use crate::train::data::{DataError, Source};
use crate::train::model::Model;

/// `zeroshot/…`, see [`super::Hits::metrics`]. Of data in several languages that is the mean over them, and
/// `zeroshot/top1/LANGUAGE` and the like are what prompts in each of them find.
pub fn run(
    config: &EvalConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> Result<BTreeMap<String, f64>, DataError> {
    let languages = source.languages();
    let sets = languages.len().max(1);
    let vectors = (0..sets).map(|language| class_vectors(model, source, language, device));
    let vectors = Tensor::cat(vectors.collect::<Result<Vec<_>, _>>()?, 0).transpose();
    let hits = score(config, source, device, sets, |pixels| {
        model.embed_images(pixels).matmul(vectors.clone())
    })?;
    let mut all = Hits::default();
    hits.iter().for_each(|hits| all.merge(hits));
    let mut metrics = all.metrics("zeroshot");
    if sets > 1 {
        for (language, hits) in languages.iter().zip(&hits) {
            let named = hits.metrics("zeroshot").into_iter();
            metrics.extend(named.map(|(name, value)| (format!("{name}/{language}"), value)));
        }
    }
    Ok(metrics)
}

/// `[classes, embed_dim]`, unit rows.
fn class_vectors(
    model: &Model,
    source: &Source,
    language: usize,
    device: &Device,
) -> Result<Tensor<2>, DataError> {
    let means = (0..source.class_count()).map(|class| {
        let prompts = source.prompts(class, language)?;
        let shape = [prompts.len(), source.context()];
        let tokens = Tensor::<2, Int>::from_data(TensorData::new(prompts.concat(), shape), device);
        Ok(model.embed_texts(tokens).mean_dim(0))
    });
    let means = Tensor::cat(means.collect::<Result<Vec<_>, DataError>>()?, 0);
    let lengths = means.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    Ok(means / lengths)
}
