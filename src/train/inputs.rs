//! Examples as the towers read them: numbers on the host, and tensors on a device. Which examples, and what becomes of
//! them, is for others to say.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::{DataError, Example, Source};

/// What a tower reads of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Image,
    SecondImage,
    Text,
}

/// What a tower reads of some examples, on the host.
#[derive(Debug)]
pub enum Content {
    /// `[examples, size, size, 3]`.
    Pixels(TensorData),
    /// `[examples, context]`.
    Tokens(TensorData),
    /// `[examples, width]`, in the place of either.
    Vectors(TensorData),
}

/// Examples that are drawn between two looks at whether to stop.
const BITE: usize = 64;

impl Content {
    /// What `reads` names of `examples`; none when `stop` is set before all are drawn.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn draw(
        reads: Reads,
        source: &Source,
        examples: &[Example],
        stop: &AtomicBool,
    ) -> Result<Option<Self>, DataError> {
        let (side, context) = (source.image_size(), source.context());
        let of_pictures = |pixels| {
            let shape = [examples.len(), side, side, 3];
            Self::Pixels(TensorData::new(pixels, shape))
        };
        let of_vectors = |vectors: Vec<f32>| {
            let shape = [examples.len(), vectors.len() / examples.len().max(1)];
            Self::Vectors(TensorData::new(vectors, shape))
        };
        let [image_vectors, text_vectors] = source.widths().map(|width| width.is_some());
        Ok(match reads {
            Reads::Image if image_vectors => {
                bites(Source::image_vectors, source, examples, stop)?.map(of_vectors)
            }
            Reads::Text if text_vectors => {
                bites(Source::text_vectors, source, examples, stop)?.map(of_vectors)
            }
            Reads::Image => bites(Source::pixels, source, examples, stop)?.map(of_pictures),
            Reads::SecondImage => {
                bites(Source::second_pixels, source, examples, stop)?.map(of_pictures)
            }
            Reads::Text => bites(Source::tokens, source, examples, stop)?.map(|tokens| {
                let shape = [examples.len(), context];
                Self::Tokens(TensorData::new(tokens, shape))
            }),
        })
    }
}

/// What `draw` gives of some examples.
type Draw<T> = fn(&Source, &[Example]) -> Result<Vec<T>, DataError>;

/// What it gives of all, a few at a time; none when `stop` is set before the last.
fn bites<T>(
    draw: Draw<T>,
    source: &Source,
    examples: &[Example],
    stop: &AtomicBool,
) -> Result<Option<Vec<T>>, DataError> {
    let mut all = Vec::new();
    for bite in examples.chunks(BITE) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let drawn = draw(source, bite)?;
        if all.is_empty() {
            all.reserve_exact(drawn.len() / bite.len() * examples.len());
        }
        all.extend(drawn);
    }
    Ok(Some(all))
}

/// Pixels `[examples, size, size, 3]`.
pub fn images(
    source: &Source,
    examples: &[Example],
    device: &Device,
) -> Result<Tensor<4>, DataError> {
    let side = source.image_size();
    let pixels = TensorData::new(source.pixels(examples)?, [examples.len(), side, side, 3]);
    Ok(Tensor::from_data(pixels, device))
}

/// Classes `[examples]`.
pub fn labels(classes: Vec<i32>, device: &Device) -> Tensor<1, Int> {
    let shape = [classes.len()];
    Tensor::from_data(TensorData::new(classes, shape), device)
}
