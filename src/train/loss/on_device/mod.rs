//! The contrastive losses on tensors, for devices whose tensors should not leave them: the same closed forms, tile by
//! tile and rank by rank, from the operations that every backend of burn has. Beside what travels between ranks, a few
//! numbers of each row are read by the host, and with hard or easy negatives the similarities of one tile at a time. The
//! processor's own memory has the slices of [`contrastive`](super::contrastive), which tell the hardest too.

mod sigmoid;
mod softmax;
mod walk;

use std::time::Instant;

use burn::tensor::{Device, Tensor, TensorData};

use super::places::{self, Places};
use super::tile::Precision;
use super::{Draw, Labels, LossConfig, LossError, LossOutput, Pairs, Way, check_scalars};
use crate::train::device::host;
use crate::train::mesh::Mesh;
use walk::Walk;

/// What a contrastive loss compares, see [`Pairs`]: this rank's slice of the batch, on this rank's device. Ranks may
/// have different devices.
pub struct TensorPairs<'a> {
    /// Unit embeddings `[n, dim]`, f32, without autodiff.
    pub image: Tensor<2>,
    /// Unit embeddings `[n, dim]`; row i is the partner of image i.
    pub text: Tensor<2>,
    /// Pairs of all ranks together: B.
    pub batch: usize,
    /// Whether images and texts want their gradients.
    pub learns: [bool; 2],
    /// Side of a square of the pair matrix.
    pub side: usize,
    pub way: Way,
    pub labels: Labels<'a>,
    pub draw: Draw,
}

/// One rank's share, as in [`LossOutput`].
pub struct TensorOutput {
    /// ∂L/∂x and ∂L/∂y, `[n, dim]`, where they are wanted.
    pub gradients: [Option<Tensor<2>>; 2],
    /// All but the gradients, which are empty here, and [`hardest`](LossOutput::hardest), which is too.
    pub sums: LossOutput<f32>,
}

/// Whether products of this precision can be asked of tensors. Products of bf16 are bf16 themselves in burn, and its
/// 8 bits are too few for a similarity: there is f32 alone, with such products as the device makes of it.
pub fn serves(precision: Precision) -> bool {
    precision == Precision::F32
}

/// This rank's share of the contrastive loss that `config` names, on the device of its embeddings; b counts as 0 where
/// there is none.
///
/// # Errors
/// What [`LossError`] names, on all ranks; nothing else was computed then.
///
/// # Panics
/// On the supervised loss, which compares no pairs.
pub fn contrastive_on(
    config: &LossConfig,
    mesh: &Mesh,
    pairs: TensorPairs,
    log_t: f64,
    bias: f64,
) -> Result<TensorOutput, LossError> {
    let places = Places::gather(mesh, check(&pairs), pairs.batch)?;
    check_scalars::<f32>(log_t, bias)?;
    let walk = Walk {
        mesh,
        places: &places,
        side: pairs.side,
        way: pairs.way,
        image: pairs.image.clone(),
        text: pairs.text.clone(),
    };
    match config {
        LossConfig::Sigmoid(c) => sigmoid::sigmoid(c, &walk, &pairs, (log_t, bias)),
        LossConfig::Softmax(_) => softmax::softmax(&walk, &pairs, log_t),
        LossConfig::Classify(_) => panic!("the supervised loss compares no pairs"),
    }
}

/// [`contrastive`](super::contrastive) by way of tensors on `device`: slices go there, gradients come back. Of the plan
/// the kernel does not count, and `look` finds nothing.
///
/// # Errors
/// As [`contrastive_on`].
///
/// # Panics
/// As [`contrastive_on`].
pub fn contrastive_by_tensors(
    device: &Device,
    config: &LossConfig,
    mesh: &Mesh,
    pairs: Pairs<f32>,
    log_t: f64,
    bias: f64,
) -> Result<LossOutput<f32>, LossError> {
    // Before there are tensors, which must have a shape.
    Places::gather(mesh, places::check(&pairs), pairs.batch)?;
    let shape = [pairs.text.len() / pairs.dim, pairs.dim];
    let tensor = |rows: Vec<f32>| Tensor::from_data(TensorData::new(rows, shape), device);
    let pairs = TensorPairs {
        image: tensor(pairs.image.to_vec()),
        text: tensor(pairs.text),
        batch: pairs.batch,
        learns: pairs.learns,
        side: pairs.plan.side,
        way: pairs.plan.way,
        labels: pairs.labels,
        draw: pairs.draw,
    };
    let out = contrastive_on(config, mesh, pairs, log_t, bias)?;
    let [d_image, d_text] = out.gradients.map(|d| d.map(host).unwrap_or_default());
    Ok(LossOutput {
        d_image,
        d_text,
        ..out.sums
    })
}

/// Operations a second of the product of `[side, depth]` and `[depth, side]` on `device`, at the best of `tries`.
pub fn product_rate(device: &Device, side: usize, depth: usize, tries: usize) -> f64 {
    let tensor = |shape: [usize; 2]| Tensor::<2>::full(shape, 0.5, device);
    let (a, b) = (tensor([side, depth]), tensor([depth, side]));
    let time = || {
        let start = Instant::now();
        let product = a.clone().matmul(b.clone());
        // It is waited for by whoever reads of it.
        product.slice([0..1, 0..1]).into_scalar::<f32>();
        start.elapsed().as_secs_f64()
    };
    let least = (0..tries).map(|_| time()).fold(f64::INFINITY, f64::min);
    2.0 * (side * side * depth) as f64 / least
}

/// The number of pairs and their width, if this rank's inputs can be used.
fn check(pairs: &TensorPairs) -> Result<(usize, usize), LossError> {
    let ([count, dim], [texts, width]) = (pairs.image.dims(), pairs.text.dims());
    if dim == 0 || (count, dim) != (texts, width) {
        return Err(LossError::Shape(format!(
            "{count} images of width {dim} and {texts} texts of width {width} are not pairs"
        )));
    }
    if count > 0 {
        let finite = [&pairs.image, &pairs.text].map(|z| z.clone().is_finite().all_dim(1));
        let finite = Tensor::cat(finite.to_vec(), 0).into_data();
        let at = finite.iter::<bool>().position(|finite| !finite);
        if let Some(at) = at {
            let side = if at < count { "image" } else { "text" };
            return Err(LossError::NotFinite {
                side,
                row: at % count,
            });
        }
    }
    pairs.labels.check(count, pairs.batch)?;
    Ok((count, dim))
}

impl TensorPairs<'_> {
    /// What was found of images and of texts, where it is wanted.
    fn wanted(&self, found: [walk::Blocks; 2], factor: f64) -> [Option<Tensor<2>>; 2] {
        let mut learns = self.learns.into_iter();
        found.map(|blocks| {
            // A rank without pairs finds nothing.
            let empty = || self.image.zeros_like();
            let whole = || blocks.whole().unwrap_or_else(empty).mul_scalar(factor);
            learns.next().filter(|learns| *learns).map(|_| whole())
        })
    }
}
