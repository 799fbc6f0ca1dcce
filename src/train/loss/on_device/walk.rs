//! The way of a contrastive loss through the matrix of all pairs, on tensors: tile after tile where this rank's images
//! meet the texts that come by. What becomes of a tile is the loss's affair; what it finds of rows and columns is kept
//! here in blocks of as many rows, which are put together at the end.

use std::ops::Range;

use burn::tensor::Tensor;

use super::product::Factor;
use crate::train::device::host;
use crate::train::loss::places::Places;
use crate::train::loss::ring::Square;
use crate::train::loss::tile::{Grid, Precision};
use crate::train::loss::travel::{Cargo, Findings, Way, travel};
use crate::train::mesh::{Mesh, RankLost};
use crate::train::torch;

/// How two findings about the same rows are one.
pub type Join = fn(Tensor<2>, Tensor<2>) -> Tensor<2>;

/// Where this rank's images go.
pub struct Walk<'a> {
    pub mesh: &'a Mesh,
    pub places: &'a Places,
    /// Of a tile.
    pub side: usize,
    /// Of the products.
    pub precision: Precision,
    /// e^t', by which similarities are multiplied.
    pub scale: f64,
    pub way: Way,
    /// `[n, dim]`.
    pub image: Tensor<2>,
    pub text: Tensor<2>,
}

/// Where a block of images meets a block of texts.
pub struct Tile {
    /// The block of images, and the images in this rank's slice.
    pub row: usize,
    pub rows: Range<usize>,
    /// The block of texts, and the texts in their rank's slice.
    pub column: usize,
    pub columns: Range<usize>,
    /// The rank that the texts are of.
    owner: usize,
    own: bool,
    x: Images,
    y: Texts,
    precision: Precision,
    /// What the loss knows of each text, `[columns, 1]`.
    pub notes: Option<Tensor<2>>,
}

/// A block of images.
#[derive(Clone)]
struct Images {
    /// `[rows, dim]`.
    plain: Tensor<2>,
    /// For gradients of texts.
    factor: Factor,
    /// Times the scale.
    scaled: Factor,
}

/// A block of texts.
#[derive(Clone)]
struct Texts {
    /// `[columns, dim]`.
    factor: Factor,
    /// The sum of them, `[dim, 1]`.
    sum: Tensor<2>,
}

impl Walk<'_> {
    /// Visit every tile that this rank's images form with the texts of all ranks, its own first. What a visit adds about
    /// the tile's block of texts is found for them, complete. `notes`, `[n, 1]`, travel with the texts.
    pub fn tiles(
        &self,
        notes: Option<Tensor<2>>,
        join: Join,
        mut visit: impl FnMut(&Tile, &mut Blocks),
    ) -> Result<Blocks, RankLost> {
        let device = self.image.device();
        let factor = |matrix: Tensor<2>| Factor::new(matrix, self.precision);
        let images = self.blocks(&self.image).into_iter();
        let images = images.map(|(rows, plain)| {
            let scaled = factor(plain.clone().mul_scalar(self.scale));
            let factor = factor(plain.clone());
            let block = Images {
                plain,
                factor,
                scaled,
            };
            (rows, block)
        });
        let images: Vec<(Range<usize>, Images)> = images.collect();
        let home = Chunk {
            text: self.text.clone(),
            notes,
        };
        travel(self.mesh, self.way, &home, |chunk: &Chunk, owner| {
            let here = |rows: &Tensor<2>| self.blocks(&rows.clone().to_device(&device));
            let texts = here(&chunk.text).into_iter();
            let texts = texts.map(|(columns, plain)| {
                let sum = plain.clone().sum_dim(0).transpose();
                let factor = factor(plain);
                (columns, Texts { factor, sum })
            });
            let texts: Vec<(Range<usize>, Texts)> = texts.collect();
            let notes = chunk.notes.as_ref().map(here);
            let mut of_texts = Blocks::new(texts.len(), join);
            for (row, (rows, x)) in images.iter().enumerate() {
                for (column, (columns, y)) in texts.iter().enumerate() {
                    let tile = Tile {
                        row,
                        rows: rows.clone(),
                        column,
                        columns: columns.clone(),
                        owner,
                        own: owner == self.mesh.rank(),
                        x: x.clone(),
                        y: y.clone(),
                        precision: self.precision,
                        notes: notes.as_ref().map(|notes| notes[column].1.clone()),
                    };
                    visit(&tile, &mut of_texts);
                }
            }
            of_texts
        })
    }

    /// Findings about this rank's images, none yet.
    pub fn of_images(&self, join: Join) -> Blocks {
        Blocks::new(self.image.dims()[0].div_ceil(self.side), join)
    }

    /// The blocks of a matrix, with the rows that they are.
    pub fn blocks(&self, whole: &Tensor<2>) -> Vec<(Range<usize>, Tensor<2>)> {
        let count = whole.dims()[0];
        let starts = (0..count).step_by(self.side);
        let block = |start: usize| {
            let rows = start..count.min(start + self.side);
            (
                rows.clone(),
                whole.clone().narrow(0, rows.start, rows.len()),
            )
        };
        starts.map(block).collect()
    }
}

impl Tile {
    /// x_i · y_j, `[rows, columns]`.
    pub fn similarities(&self) -> Tensor<2> {
        self.x.factor.times(&self.y.factor.transpose())
    }

    /// The similarities times the scale, `[rows, columns]`, in one product.
    pub fn scaled(&self) -> Tensor<2> {
        self.x.scaled.times(&self.y.factor.transpose())
    }

    /// Σ_j x_i · y_j, `[rows, 1]`, without the matrix.
    pub fn sums(&self) -> Tensor<2> {
        self.x.plain.clone().matmul(self.y.sum.clone())
    }

    /// 1 for a pair of partners, 0 else; none when the tile holds no partners. A tile that does is a square of the
    /// diagonal.
    pub fn partners(&self) -> Option<Tensor<2>> {
        let diagonal = self.own && self.row == self.column;
        diagonal.then(|| Tensor::eye(self.rows.len(), &self.x.plain.device()))
    }

    /// The tile for what works on the host; `values` are all similarities, or zeros when they are not needed.
    pub fn square<'a>(
        &self,
        grid: &'a mut Grid<f32>,
        values: Option<&Tensor<2>>,
    ) -> Square<'a, f32> {
        let (rows, columns) = (self.rows.clone(), self.columns.clone());
        let values = match values {
            Some(values) => host(values.clone()),
            None => vec![0.0; rows.len() * columns.len()],
        };
        grid.fill(columns.len(), &values);
        Square::of_values((rows, columns), self.owner, self.own, grid)
    }

    /// Add Σ_j g_ij y_j and Σ_i g_ij x_i to what was found, where they are wanted.
    pub fn add_gradients(
        &self,
        g: Tensor<2>,
        learns: [bool; 2],
        of_images: &mut Blocks,
        of_texts: &mut Blocks,
    ) {
        if learns == [false; 2] {
            return;
        }
        let g = Factor::new(g, self.precision);
        if learns[0] {
            of_images.add(self.row, g.times(&self.y.factor));
        }
        if learns[1] {
            of_texts.add(self.column, g.transpose().times(&self.x.factor));
        }
    }
}

/// Texts of one rank.
#[derive(Clone)]
struct Chunk {
    text: Tensor<2>,
    notes: Option<Tensor<2>>,
}

impl Cargo for Chunk {
    fn bytes(&self) -> usize {
        bytes(&self.text) + self.notes.as_ref().map_or(0, bytes)
    }
}

/// What was found about rows, block by block.
#[derive(Clone)]
pub struct Blocks {
    /// None where nothing was.
    parts: Vec<Option<Tensor<2>>>,
    join: Join,
}

impl Blocks {
    fn new(count: usize, join: Join) -> Self {
        Self {
            parts: vec![None; count],
            join,
        }
    }

    /// Take in what was found about the rows of a block.
    pub fn add(&mut self, block: usize, found: Tensor<2>) {
        let part = &mut self.parts[block];
        *part = Some(match part.take() {
            Some(before) => (self.join)(before, found),
            None => found,
        });
    }

    /// Of all rows; none when there are none, or nothing was found of some.
    pub fn whole(self) -> Option<Tensor<2>> {
        let parts: Vec<Tensor<2>> = self.parts.into_iter().collect::<Option<_>>()?;
        (!parts.is_empty()).then(|| Tensor::cat(parts, 0))
    }
}

impl Cargo for Blocks {
    fn bytes(&self) -> usize {
        self.parts.iter().flatten().map(bytes).sum()
    }
}

/// Those of this rank's device stay there.
impl Findings for Blocks {
    fn merge(&mut self, before: Self) {
        for (part, before) in self.parts.iter_mut().zip(before.parts) {
            *part = match (part.take(), before) {
                (Some(found), Some(before)) => {
                    let before = before.to_device(&found.device());
                    Some((self.join)(found, before))
                }
                (found, before) => found.or(before),
            };
        }
    }
}

fn bytes(tensor: &Tensor<2>) -> usize {
    tensor.shape().num_elements() * tensor.dtype().size()
}

/// Columns of one number a row on the host, read at once; empty when there are no rows.
pub fn read<const N: usize>(columns: [Option<Tensor<2>>; N]) -> [Vec<f64>; N] {
    let columns: Vec<Tensor<2>> = columns.into_iter().flatten().collect();
    if columns.len() < N {
        return [const { Vec::new() }; N];
    }
    let values = host(Tensor::cat(columns, 1));
    std::array::from_fn(|column| {
        let values = values.iter().skip(column).step_by(N);
        values.map(|x| f64::from(*x)).collect()
    })
}

/// The least and the greatest of each row, `[rows, 1]`.
pub fn extremes(x: &Tensor<2>) -> [Tensor<2>; 2] {
    let by_torch = torch::tensors::extremes(x);
    by_torch.unwrap_or_else(|| [x.clone().min_dim(1), x.clone().max_dim(1)])
}

/// [`Join`]s.
pub fn sum(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    a + b
}

/// ln(eᵃ + eᵇ).
pub fn log_add_exp(a: Tensor<2>, b: Tensor<2>) -> Tensor<2> {
    let rest = (a.clone() - b.clone()).abs().neg().exp().log1p();
    a.max_pair(b) + rest
}
