//! The training loss on pairs that training never sees: the same loss, over batches of the same size, with the t' and b of
//! the moment. Where the loss leaves negatives out, it does so here.

use std::sync::atomic::AtomicBool;

use anyhow::ensure;
use burn::module::Param;
use burn::tensor::{Device, Tensor, TensorData};

use super::CHUNK;
use crate::train::TrainConfig;
use crate::train::data::{Example, Source};
use crate::train::device::host;
use crate::train::inputs;
use crate::train::loss::on_device::TensorPairs;
use crate::train::loss::{Draw, Labels, LossConfig, classify};
use crate::train::mesh::Mesh;
use crate::train::model::Model;
use crate::train::side::Side;
use crate::train::step::compare::compare;

/// The mean over the whole batches in the first `eval.val` of the evaluation's pairs. `model` is without autodiff.
///
/// # Errors
/// Fewer pairs than a batch, pairs that cannot be read, and embeddings that no loss is defined for.
pub fn run(
    config: &TrainConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> anyhow::Result<f64> {
    let batch = config.train.batch_size;
    let part = match config.train.micro_batch {
        0 => CHUNK,
        most => most.min(CHUNK),
    };
    let mut losses: Vec<f64> = Vec::new();
    let mut waiting = Outputs::default();
    for start in (0..config.eval.val).step_by(part) {
        let end = (start + part).min(config.eval.val);
        let examples = source.eval(start as u64..end as u64)?;
        waiting.add(config, model, source, device, &examples)?;
        while waiting.count >= batch {
            let number = losses.len() as u64;
            losses.push(waiting.take(batch).loss(config, model, device, number)?);
        }
    }
    let there = waiting.count;
    ensure!(
        !losses.is_empty(),
        "eval.val: {there} pairs are held out, and a batch is {batch}: set data.held_out"
    );
    Ok(losses.iter().sum::<f64>() / losses.len() as f64)
}

/// What the towers made of examples.
#[derive(Debug, Default)]
struct Outputs {
    count: usize,
    /// Embeddings of both sides, or the logits of a supervised model alone, row-major.
    sides: [Vec<f32>; 2],
    /// Classes, where the loss asks for them.
    labels: Vec<i32>,
}

impl Outputs {
    /// Those of `examples`, after the others.
    fn add(
        &mut self,
        config: &TrainConfig,
        model: &Model,
        source: &Source,
        device: &Device,
        examples: &[Example],
    ) -> anyhow::Result<()> {
        if examples.is_empty() {
            return Ok(());
        }
        let supervised = matches!(config.loss, LossConfig::Classify(_));
        if supervised {
            let pixels = inputs::images(source, examples, device)?;
            self.sides[0].extend(host(model.image.forward(pixels)));
        } else {
            for (side, rows) in Side::both(config).iter().zip(&mut self.sides) {
                let reading = side.read(source, examples, &AtomicBool::new(false))?;
                let reading = reading.expect("nobody asks to stop");
                rows.extend(host(side.embed(model, reading, device)));
            }
        }
        if supervised || config.loss.positives_by_class() {
            self.labels.extend(source.labels(examples)?);
        }
        self.count += examples.len();
        Ok(())
    }

    /// The first `count`, which are there, and are then no more.
    fn take(&mut self, count: usize) -> Self {
        let all = self.count;
        let first = |rows: &mut Vec<f32>| rows.drain(..rows.len() / all * count).collect();
        let taken = Self {
            count,
            sides: self.sides.each_mut().map(first),
            labels: self.labels.drain(..count.min(self.labels.len())).collect(),
        };
        self.count -= count;
        taken
    }

    /// The loss over these as batch `number`.
    fn loss(
        self,
        config: &TrainConfig,
        model: &Model,
        device: &Device,
        number: u64,
    ) -> anyhow::Result<f64> {
        let [image, text] = self.sides.map(|rows| {
            let shape = [self.count, rows.len() / self.count];
            Tensor::<2>::from_data(TensorData::new(rows, shape), device)
        });
        if let LossConfig::Classify(loss) = &config.loss {
            let labels = inputs::labels(self.labels, device);
            let loss = classify(loss, image, labels, self.count);
            return Ok(f64::from(loss.into_scalar::<f32>()));
        }
        let classes: Vec<u32> = self.labels.into_iter().map(i32::cast_unsigned).collect();
        let pairs = TensorPairs {
            image,
            text,
            batch: self.count,
            side: config.train.tile,
            precision: config.train.loss_precision,
            way: config.train.ring,
            learns: [false; 2],
            labels: match config.loss.positives_by_class() {
                true => Labels::Classes {
                    image: &classes,
                    text: &classes,
                },
                false => Labels::Partners,
            },
            draw: Draw {
                seed: config.seed,
                step: number,
            },
        };
        let scalar = |scalar: &Option<Param<Tensor<1>>>| {
            let value = scalar.as_ref().map(|x| x.val().into_scalar::<f32>());
            f64::from(value.unwrap_or(0.0))
        };
        let scalars = (scalar(&model.log_t), scalar(&model.bias));
        let found = compare(&config.loss, &Mesh::alone(), pairs, false, scalars)?;
        Ok(found.sums.loss)
    }
}
