//! Zero-shot classification as CLIP does it (arXiv 2103.00020, section 3.1): a class is the normalised mean of the
//! unit embeddings of its prompts, and a picture is of the class whose vector it is closest to.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::hits::Hits;
use super::{CHUNK, Labelled};
use crate::train::device::host;
use crate::train::model::Model;

/// What the pictures of `asked` come out as. `prompts` are the token ids of every prompt of every class, `held_out` says of
/// each class whether training never shows it.
pub fn run(
    model: &Model,
    prompts: &[Vec<Vec<i32>>],
    held_out: &[bool],
    asked: &Labelled,
    device: &Device,
) -> Hits {
    let classes = class_vectors(model, prompts, device).transpose();
    let dim = classes.dims()[0];
    let mut hits = Hits::new(held_out.to_vec());
    let rows = asked.embeddings.chunks(CHUNK * dim);
    for (rows, labels) in rows.zip(asked.labels.chunks(CHUNK)) {
        let rows = TensorData::new(rows.to_vec(), [labels.len(), dim]);
        let scores = host(Tensor::<2>::from_data(rows, device).matmul(classes.clone()));
        for (scores, label) in scores.chunks_exact(prompts.len()).zip(labels) {
            hits.add(scores, *label);
        }
    }
    hits
}

/// `[classes, embed_dim]`, unit rows.
fn class_vectors(model: &Model, prompts: &[Vec<Vec<i32>>], device: &Device) -> Tensor<2> {
    let all: Vec<&[i32]> = prompts.iter().flatten().map(Vec::as_slice).collect();
    let embedded = embed_texts(model, &all, device);
    let dim = embedded.dims()[1];
    let mut first = 0;
    let means = prompts.iter().map(|prompts| {
        let own = embedded.clone().narrow(0, first, prompts.len());
        first += prompts.len();
        own.mean_dim(0)
    });
    let means = Tensor::cat(means.collect(), 0).reshape([prompts.len(), dim]);
    let lengths = means.clone().square().sum_dim(1).sqrt().clamp_min(1e-12);
    means / lengths
}

/// Unit embeddings `[texts, embed_dim]` of token ids, all of one length.
pub fn embed_texts(model: &Model, texts: &[&[i32]], device: &Device) -> Tensor<2> {
    let parts = texts.chunks(CHUNK).map(|texts| {
        let shape = [texts.len(), texts.first().map_or(0, |text| text.len())];
        let tokens = TensorData::new(texts.concat(), shape);
        model.embed_texts(Tensor::<2, Int>::from_data(tokens, device))
    });
    Tensor::cat(parts.collect(), 0)
}
