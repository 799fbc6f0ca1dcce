//! How every parameter starts, by its name: the one table of initialisations. Values come from our own generator,
//! keyed by seed and name, so a run starts alike on every backend and number of ranks, and adding a layer changes
//! no other layer's start.

use burn::tensor::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::params::{Entry, Layout};
use crate::train::TrainConfig;
use crate::train::device::vector;

/// The flat vector of initial values, in the order of `layout`.
pub fn initialise(layout: &Layout, config: &TrainConfig, device: &Device) -> Tensor<1> {
    let values: Vec<f32> = layout
        .entries()
        .iter()
        .flat_map(|entry| start(entry, config))
        .collect();
    vector(values, device)
}

fn start(entry: &Entry, config: &TrainConfig) -> Vec<f32> {
    let TrainConfig { seed, loss, .. } = config;
    let length = entry.range.len();
    let constant = |x: f64| vec![x as f32; length];
    let key = *blake3::hash(format!("{seed}/{}", entry.name).as_bytes()).as_bytes();
    let mut rng = ChaCha8Rng::from_seed(key);
    let mut normal = |deviation: f64| {
        (0..length)
            .map(|_| (deviation * rng.sample::<f64, _>(StandardNormal)) as f32)
            .collect()
    };
    let width = *entry.shape.last().expect("a parameter has a shape") as f64;
    match entry.leaf() {
        _ if entry.name == "log_t" => {
            constant(loss.log_t_init().expect("a model with t' has such a loss"))
        }
        _ if entry.name == "bias" => constant(
            loss.bias_init(config.train.batch_size)
                .expect("a model with b has such a loss"),
        ),
        "gain" => constant(1.0),
        "bias" | "class_token" => constant(0.0),
        "tokens" => normal(0.02),
        "position" | "probe" => normal(width.powf(-0.5)),
        // Glorot's uniform distribution, as big_vision's ViT.
        "weight" => {
            let limit = (6.0 / (entry.shape[0] as f64 + entry.shape[1] as f64)).sqrt();
            (0..length)
                .map(|_| rng.random_range(-limit..limit) as f32)
                .collect()
        }
        other => unreachable!("no initialisation is known for `{other}` ({})", entry.name),
    }
}
