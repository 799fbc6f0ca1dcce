//! Examples as the towers read them: tensors on a device. Which examples, and what becomes of them, is for others to say.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::{DataError, Example, Source};
use super::profile::span;

/// Pixels `[examples, size, size, 3]`.
pub fn images(
    source: &Source,
    examples: &[Example],
    device: &Device,
) -> Result<Tensor<4>, DataError> {
    let pixels = span("data", || source.pixels(examples))?;
    Ok(pictures(source, pixels, device))
}

/// Pixels of second pictures of the same scenes, `[examples, size, size, 3]`.
pub fn second_images(
    source: &Source,
    examples: &[Example],
    device: &Device,
) -> Result<Tensor<4>, DataError> {
    let pixels = span("data", || source.second_pixels(examples))?;
    Ok(pictures(source, pixels, device))
}

fn pictures(source: &Source, pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let side = source.image_size();
    let shape = [pixels.len() / (side * side * 3), side, side, 3];
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

/// Token ids `[examples, context]`.
pub fn texts(
    source: &Source,
    examples: &[Example],
    device: &Device,
) -> Result<Tensor<2, Int>, DataError> {
    let shape = [examples.len(), source.context()];
    let tokens = span("data", || source.tokens(examples))?;
    let tokens = TensorData::new(tokens, shape);
    Ok(Tensor::from_data(tokens, device))
}

/// Classes `[examples]`.
pub fn labels(
    source: &Source,
    examples: &[Example],
    device: &Device,
) -> Result<Tensor<1, Int>, DataError> {
    let labels = TensorData::new(source.labels(examples)?, [examples.len()]);
    Ok(Tensor::from_data(labels, device))
}
