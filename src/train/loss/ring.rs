//! The way of a contrastive loss through the matrix of all pairs: images stay with their rank, chunks of texts travel
//! round the ring with the buffers that belong to them, and where the two meet the matrix exists one square at a
//! time. What a square contributes is the loss's affair.

use std::ops::Range;

use super::tile::{Real, Rows, add_product, add_transposed_product, similarities};
use crate::train::mesh::{Mesh, RankLost};

/// Texts of one rank, on their way or at home.
pub struct Chunk<T> {
    owner: usize,
    dim: usize,
    /// `[texts, dim]`.
    text: Vec<T>,
    /// ∂L/∂text so far, `[texts, dim]`.
    pub d_text: Vec<T>,
    /// The log-sum-exp of each text's column, for the losses that have one.
    pub lse: Vec<f64>,
}

impl<T: Real> Chunk<T> {
    /// The texts of this rank, at home; `lse` is the value that their log-sum-exps start from.
    pub fn at_home(mesh: &Mesh, text: Vec<T>, dim: usize, lse: f64) -> Self {
        Self {
            owner: mesh.rank(),
            dim,
            d_text: vec![T::zero(); text.len()],
            lse: vec![lse; text.len() / dim],
            text,
        }
    }
}

/// Where some images of this rank meet some texts.
pub struct Square<'a, T> {
    /// Images, by their row in this rank's slice.
    pub rows: Range<usize>,
    /// Texts, by their row in the chunk.
    pub columns: Range<usize>,
    /// The rank that the texts are of.
    pub owner: usize,
    own: bool,
    /// x_i · y_j, `[rows, columns]`; with gradients, the visitor leaves t ∂L/∂l_ij in its place.
    pub values: &'a mut [T],
    /// The log-sum-exps of the square's columns.
    pub lse: &'a mut [f64],
}

impl<T> Square<'_, T> {
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The column, within the square, of the partner of the square's `row`, which may lie outside it.
    pub fn partner(&self, row: usize) -> Option<usize> {
        let index = (self.rows.start + row).checked_sub(self.columns.start)?;
        self.own.then_some(index)
    }
}

/// Send `chunk` once round the ring and visit every square of up to `side` × `side` that this rank's images form with
/// the chunks that come by. With `d_image`, what the visitor leaves in a square is multiplied into both gradients.
pub fn trip<T: Real>(
    mesh: &Mesh,
    image: Rows<T>,
    mut chunk: Chunk<T>,
    side: usize,
    mut d_image: Option<&mut [T]>,
    mut visit: impl FnMut(&mut Square<T>),
) -> Result<Chunk<T>, RankLost> {
    let dim = chunk.dim;
    let mut scratch = Vec::new();
    for _ in 0..mesh.size() {
        let own = chunk.owner == mesh.rank();
        let text = Rows::new(&chunk.text, dim);
        for (rows, columns) in tiles(image.count(), text.count(), side) {
            let (x, y) = (image.range(rows.clone()), text.range(columns.clone()));
            scratch.resize(x.count() * y.count(), T::zero());
            similarities(x, y, &mut scratch);
            let (d_rows, d_columns) = (span(&rows, dim), span(&columns, dim));
            visit(&mut Square {
                rows,
                lse: &mut chunk.lse[columns.clone()],
                columns,
                owner: chunk.owner,
                own,
                values: &mut scratch,
            });
            if let Some(d_image) = &mut d_image {
                add_product(&scratch, y, &mut d_image[d_rows]);
                add_transposed_product(&scratch, x, &mut chunk.d_text[d_columns]);
            }
        }
        chunk = mesh.shift(chunk)?;
    }
    Ok(chunk)
}

/// The tiles of an m × n matrix, row blocks outside.
fn tiles(m: usize, n: usize, side: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let blocks = move |length: usize| {
        let starts = (0..length).step_by(side);
        starts.map(move |start| start..(start + side).min(length))
    };
    blocks(m).flat_map(move |rows| blocks(n).map(move |columns| (rows.clone(), columns)))
}

fn span(rows: &Range<usize>, dim: usize) -> Range<usize> {
    rows.start * dim..rows.end * dim
}
