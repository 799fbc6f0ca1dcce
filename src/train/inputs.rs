//! Examples as the towers read them: tensors on a device. Which examples, and what becomes of them, is for others to say.

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::{Address, Source};

/// Pixels `[examples, size, size, 3]`.
pub fn images(source: &Source, examples: &[Address], device: &Device) -> Tensor<4> {
    pictures(source, source.pixels(examples), device)
}

/// Pixels of second pictures of the same scenes, `[examples, size, size, 3]`.
pub fn second_images(source: &Source, examples: &[Address], device: &Device) -> Tensor<4> {
    pictures(source, source.second_pixels(examples), device)
}

fn pictures(source: &Source, pixels: Vec<f32>, device: &Device) -> Tensor<4> {
    let side = source.image_size();
    let shape = [pixels.len() / (side * side * 3), side, side, 3];
    Tensor::from_data(TensorData::new(pixels, shape), device)
}

/// Token ids `[examples, context]`.
pub fn texts(source: &Source, examples: &[Address], device: &Device) -> Tensor<2, Int> {
    let shape = [examples.len(), source.context()];
    Tensor::from_data(TensorData::new(source.tokens(examples), shape), device)
}

/// Classes `[examples]`.
pub fn labels(source: &Source, examples: &[Address], device: &Device) -> Tensor<1, Int> {
    let labels = source.labels(examples);
    Tensor::from_data(TensorData::new(labels, [examples.len()]), device)
}
