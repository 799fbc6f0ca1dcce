//! What a device does fastest, by trying: the side of a tile, and plain products to hold a loss against. Which side is
//! taken changes results by rounding alone.

use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor, TensorData};

use super::product::Factor;
use super::{TensorPairs, contrastive_on};
use crate::train::loss::tile::Precision;
use crate::train::loss::{Draw, Labels, LossConfig, LossError, Way};
use crate::train::mesh::Mesh;

/// Sides that are tried, and the most pairs that they are tried on.
const SIDES: [usize; 5] = [256, 512, 1024, 2048, 4096];

/// Times that each is timed, after a first that compiles and allocates what the others use.
const TRIES: usize = 2;

/// The side of a tile at which the loss of `count` pairs of width `dim` took the least time on `device`, or their first
/// few thousand where they are more: the least of sides that are as good.
///
/// # Errors
/// As [`contrastive_on`].
pub fn fastest_side(
    device: &Device,
    config: &LossConfig,
    (count, dim): (usize, usize),
    precision: Precision,
) -> Result<usize, LossError> {
    let count = count.min(SIDES[SIDES.len() - 1]);
    let mesh = Mesh::alone();
    let embeddings = |phase: f64| {
        let values = (0..count * dim).map(|i| (phase + 0.7 * i as f64).sin() as f32);
        let values: Vec<f32> = values.collect();
        let rows = Tensor::<2>::from_data(TensorData::new(values, [count, dim]), device);
        let norms = rows.clone().square().sum_dim(1).sqrt();
        rows / norms
    };
    let [image, text] = [0.0, 0.5].map(embeddings);
    let time = |side: usize| -> Result<f64, LossError> {
        let pairs = TensorPairs {
            image: image.clone(),
            text: text.clone(),
            batch: count,
            learns: [true; 2],
            side,
            precision,
            way: Way::OneWay,
            labels: Labels::Partners,
            draw: Draw::default(),
        };
        let start = Instant::now();
        contrastive_on(config, &mesh, pairs, 2.3, -10.0)?.wait();
        Ok(start.elapsed().as_secs_f64())
    };
    let (mut best, mut least) = (SIDES[0], f64::INFINITY);
    for side in SIDES.into_iter().take_while(|side| *side < 2 * count) {
        time(side)?;
        let times: Vec<f64> = (0..TRIES).map(|_| time(side)).collect::<Result<_, _>>()?;
        let took = times.into_iter().fold(f64::INFINITY, f64::min);
        if took < NOISE * least {
            (best, least) = (side, took);
        }
    }
    Ok(best)
}

/// The share of the time of a smaller tile that a larger one, which takes more memory, may take to be better.
const NOISE: f64 = 0.97;

/// Operations a second of the product of `[side, depth]` and `[depth, side]` on `device`, at the best of `tries`.
pub fn product_rate(
    device: &Device,
    precision: Precision,
    [side, depth]: [usize; 2],
    tries: usize,
) -> f64 {
    // Of equal numbers a GPU makes products faster.
    let normal = |shape: [usize; 2]| Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
    let factor = |shape: [usize; 2]| Factor::new(normal(shape), precision);
    let (a, b) = (factor([side, depth]), factor([depth, side]));
    let time = || {
        let start = Instant::now();
        wait(&a.times(&b));
        start.elapsed().as_secs_f64()
    };
    time();
    let least = (0..tries).map(|_| time()).fold(f64::INFINITY, f64::min);
    2.0 * (side * side * depth) as f64 / least
}

/// Until it is computed: by reading of it.
pub fn wait(tensor: &Tensor<2>) {
    if tensor.shape().num_elements() > 0 {
        tensor.clone().slice([0..1, 0..1]).into_scalar::<f32>();
    }
}
