//! Examples as the towers read them: numbers on the host, and tensors on a device, or on the way there. Which examples,
//! and what becomes of them, is for others to say.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::data::{DataError, Example, Source};
use super::torch;

/// What a tower reads of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    Image,
    SecondImage,
    Text,
}

/// What a tower reads of some examples.
#[derive(Debug)]
pub enum Content {
    /// `[examples, size, size, 3]`.
    Pixels(Floats<4>),
    /// `[examples, context]`, on the host.
    Tokens(TensorData),
    /// `[examples, width]`, in the place of either.
    Vectors(Floats<2>),
}

/// As drawn, or where they will be read.
#[derive(Debug)]
pub enum Floats<const D: usize> {
    Drawn(TensorData),
    There(Tensor<D>),
}

impl<const D: usize> Floats<D> {
    /// Take them to `device` if it is one that computes meanwhile: elsewhere it saves nothing.
    fn send(&mut self, device: &Device) {
        if let Self::Drawn(values) = self
            && let Some(there) = torch::tensors::upload(values, device)
        {
            *self = Self::There(there);
        }
    }

    /// As a tensor of `device`, on the tape if that is.
    pub fn on(self, device: &Device) -> Tensor<D> {
        match self {
            Self::Drawn(values) => Tensor::from_data(values, device),
            Self::There(tensor) if device.is_autodiff() => tensor.autodiff(),
            Self::There(tensor) => tensor,
        }
    }
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
            Self::Pixels(Floats::Drawn(TensorData::new(pixels, shape)))
        };
        let of_vectors = |vectors: Vec<f32>| {
            let shape = [examples.len(), vectors.len() / examples.len().max(1)];
            Self::Vectors(Floats::Drawn(TensorData::new(vectors, shape)))
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

    /// Take what is large to `device` ahead of its use, if that saves time.
    pub fn send(&mut self, device: &Device) {
        match self {
            Self::Pixels(pixels) => pixels.send(device),
            Self::Vectors(vectors) => vectors.send(device),
            Self::Tokens(_) => {}
        }
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
