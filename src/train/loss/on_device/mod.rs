//! The contrastive losses on tensors, for devices whose tensors should not leave them: the same closed forms, tile by
//! tile and rank by rank, from the operations that every backend of burn has, or one of libtorch's for several of them. Beside what travels between ranks, a few
//! numbers of each row are read by the host, and with hard or easy negatives the similarities of one tile at a time. The
//! processor's own memory has the slices of [`contrastive`](super::contrastive), which tell the hardest too.

mod fastest;
mod product;
mod sigmoid;
mod softmax;
mod walk;

use burn::tensor::{Device, Tensor, TensorData};

use super::places::{self, Places};
use super::tile::Precision;
use super::{Draw, Labels, LossConfig, LossError, LossOutput, Pairs, Way, check_scalars};
use crate::train::device::host;
use crate::train::mesh::Mesh;
pub use fastest::{fastest_side, product_rate};
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
    /// Of the products.
    pub precision: Precision,
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

impl<'a> TensorPairs<'a> {
    /// The same on `device`.
    ///
    /// # Panics
    /// When they are not matrices.
    pub fn of_slices(pairs: Pairs<'a, f32>, device: &Device) -> Self {
        let shape = [pairs.text.len() / pairs.dim, pairs.dim];
        let tensor = |rows: Vec<f32>| Tensor::from_data(TensorData::new(rows, shape), device);
        Self {
            image: tensor(pairs.image.to_vec()),
            text: tensor(pairs.text),
            batch: pairs.batch,
            learns: pairs.learns,
            side: pairs.plan.side,
            precision: pairs.plan.kernel.precision(),
            way: pairs.plan.way,
            labels: pairs.labels,
            draw: pairs.draw,
        }
    }

    /// Until they are there.
    pub fn wait(&self) {
        [&self.image, &self.text]
            .into_iter()
            .for_each(fastest::wait);
    }
}

impl TensorOutput {
    /// The same with its gradients on the host.
    pub fn on_host(self) -> LossOutput<f32> {
        let [d_image, d_text] = self.gradients.map(|d| d.map(host).unwrap_or_default());
        LossOutput {
            d_image,
            d_text,
            ..self.sums
        }
    }

    /// Until it is computed: devices with a memory of their own compute behind those who ask.
    pub fn wait(&self) {
        self.gradients.iter().flatten().for_each(fastest::wait);
    }
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
        precision: pairs.precision,
        // As f32, for no pair may have another t than its rivals.
        scale: f64::from(log_t.exp() as f32),
        way: pairs.way,
        image: pairs.image.clone(),
        text: pairs.text.clone(),
    };
    match config {
        LossConfig::Sigmoid(c) => sigmoid::sigmoid(c, &walk, &pairs, (log_t, bias)),
        LossConfig::Softmax(_) => softmax::softmax(&walk, &pairs),
        LossConfig::Classify(_) => panic!("the supervised loss compares no pairs"),
    }
}

/// [`contrastive`](super::contrastive) by way of tensors on `device`: slices go there, gradients come back. Of the
/// plan's kernel the precision counts, and `look` finds nothing.
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
    let pairs = TensorPairs::of_slices(pairs, device);
    let out = contrastive_on(config, mesh, pairs, log_t, bias)?;
    Ok(out.on_host())
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
    /// Σ g_ij s_ij from Σ_j g_ij y_j or Σ_i g_ij x_i, whichever was asked for: s_ij is x_i · y_j, and the matrix of the
    /// pairs need not be seen again. None where neither was.
    fn gs(&self, found: &[walk::Blocks; 2]) -> Option<f64> {
        let mut sides = self.learns.into_iter().zip([&self.image, &self.text]);
        let side = sides.position(|(learns, _)| learns)?;
        let embeddings = [&self.image, &self.text][side];
        let rows = walk::read([found[side]
            .clone()
            .whole()
            .map(|d| (d * embeddings.clone()).sum_dim(1))]);
        Some(rows[0].iter().sum())
    }

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
