//! Where the loss meets the embeddings: on their device when that has its own memory, and else on slices, which are
//! faster on the processor. What the loss is, and how its gradients reach the towers, is not known here.

use burn::tensor::{Device, Tensor, TensorData};

use crate::train::config::{LoopConfig, TrainConfig};
use crate::train::device::{self, host};
use crate::train::loss::on_device::{TensorOutput, TensorPairs, contrastive_on, fastest_side};
use crate::train::loss::tile::Kernel;
use crate::train::loss::{LossConfig, LossError, Pairs, Plan, contrastive};
use crate::train::mesh::Mesh;

/// The side of a tile in the run that `config` describes, on `device`: the settings', or where they leave it open the
/// same on every processor, for the bits of a run depend on it, and by measurement elsewhere.
///
/// # Errors
/// When the loss cannot be computed there.
pub fn side(config: &TrainConfig, device: &Device) -> Result<usize, LossError> {
    let LoopConfig {
        tile,
        batch_size,
        ranks,
        loss_precision,
        ..
    } = config.train;
    if tile > 0 {
        return Ok(tile);
    }
    if device::is_host(device) || matches!(config.loss, LossConfig::Classify(_)) {
        return Ok(LoopConfig::default().tile);
    }
    let shape = (batch_size / ranks, config.model.embed_dim);
    fastest_side(device, &config.loss, shape, loss_precision)
}

/// This rank's share of a contrastive loss; `look` is for slices alone.
pub fn compare(
    config: &LossConfig,
    mesh: &Mesh,
    pairs: TensorPairs,
    look: bool,
    (log_t, bias): (f64, f64),
) -> Result<TensorOutput, LossError> {
    let (device, shape) = (pairs.image.device(), pairs.image.dims());
    if !device::is_host(&device) {
        return contrastive_on(config, mesh, pairs, log_t, bias);
    }
    let image = host(pairs.image);
    let slices = Pairs {
        image: &image,
        text: host(pairs.text),
        dim: shape[1],
        batch: pairs.batch,
        learns: pairs.learns,
        plan: Plan {
            side: pairs.side,
            kernel: Kernel::best(pairs.precision),
            way: pairs.way,
        },
        labels: pairs.labels,
        draw: pairs.draw,
        look,
    };
    let mut sums = contrastive(config, mesh, slices, log_t, bias)?;
    let mut learns = pairs.learns.into_iter();
    let found = [&mut sums.d_image, &mut sums.d_text].map(std::mem::take);
    let gradients = found.map(|d| {
        let tensor = || Tensor::from_data(TensorData::new(d, shape), &device);
        learns.next().filter(|learns| *learns).map(|_| tensor())
    });
    Ok(TensorOutput { gradients, sums })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_that_is_left_open_is_the_same_on_every_processor() {
        let mut config = TrainConfig::default();
        config.train.tile = 0;
        config.validate().unwrap();
        assert_eq!(side(&config, &Device::flex()).unwrap(), 256);
        config.train.tile = 32;
        assert_eq!(side(&config, &Device::flex()).unwrap(), 32);
    }
}
