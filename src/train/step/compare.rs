//! Where the loss meets the embeddings: on their device when that has its own memory, and else on slices, which are
//! faster on the processor. What the loss is, and how its gradients reach the towers, is not known here.

use burn::tensor::{Tensor, TensorData};

use crate::train::device::{self, host};
use crate::train::loss::on_device::{TensorOutput, TensorPairs, contrastive_on, serves};
use crate::train::loss::tile::Kernel;
use crate::train::loss::{LossConfig, LossError, Pairs, Plan, contrastive};
use crate::train::mesh::Mesh;

/// This rank's share of a contrastive loss; `kernel` and `look` are for slices alone.
pub fn compare(
    config: &LossConfig,
    mesh: &Mesh,
    pairs: TensorPairs,
    (kernel, look): (Kernel, bool),
    (log_t, bias): (f64, f64),
) -> Result<TensorOutput, LossError> {
    let (device, shape) = (pairs.image.device(), pairs.image.dims());
    if !device::is_host(&device) && serves(kernel.precision()) {
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
            kernel,
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
