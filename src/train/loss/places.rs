//! Where the rows of each rank stand in the batch, which is those of rank 0, then those of rank 1, and so on. Built from
//! what every rank says of its inputs, so that all ranks refuse together what one of them cannot use.

use super::ring::Square;
use super::{LossError, Pairs, Real};
use crate::train::mesh::Mesh;

/// The place of each rank's rows in the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    rank: usize,
    /// Pairs of the ranks before each rank, and at the end of all.
    first: Vec<usize>,
}

/// The start of a row of a square in the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub image: usize,
    /// The first of the line's texts.
    pub text: usize,
    pub batch: usize,
}

impl Place {
    /// The place of the pair in `column` in the matrix of all pairs, row-major.
    #[inline(always)]
    pub fn index(self, column: usize) -> u64 {
        (self.image * self.batch + self.text + column) as u64
    }
}

impl Places {
    /// From the number of pairs and the width that each rank has, and the size that the batch should be. Every rank hears
    /// of the problem of any, that of the lowest rank first.
    pub fn gather(
        mesh: &Mesh,
        inputs: Result<(usize, usize), LossError>,
        batch: usize,
    ) -> Result<Self, LossError> {
        let mut first = vec![0];
        let mut dim = None;
        for inputs in mesh.gather(inputs)? {
            let (count, width) = inputs?;
            if let Some(expected) = dim.filter(|dim| *dim != width) {
                return Err(LossError::Shape(format!(
                    "embeddings of width {expected} and {width} are of different spaces"
                )));
            }
            dim = Some(width);
            first.push(first[first.len() - 1] + count);
        }
        let places = Self {
            rank: mesh.rank(),
            first,
        };
        match places.batch() {
            0 => Err(LossError::Empty),
            found if found != batch => Err(LossError::Shape(format!(
                "the ranks hold {found} pairs of a batch of {batch}"
            ))),
            _ => Ok(places),
        }
    }

    /// Pairs of all ranks.
    pub fn batch(&self) -> usize {
        self.first[self.first.len() - 1]
    }

    /// Where a square's `row` is.
    pub fn of<T>(&self, square: &Square<T>, row: usize) -> Place {
        Place {
            image: self.first[self.rank] + square.rows.start + row,
            text: self.first[square.owner] + square.columns.start,
            batch: self.batch(),
        }
    }
}

/// The number of pairs and their width, if this rank's inputs can be used.
pub fn check<T: Real>(pairs: &Pairs<T>) -> Result<(usize, usize), LossError> {
    let (image, text, dim) = (pairs.image, &pairs.text[..], pairs.dim);
    if dim == 0 || !image.len().is_multiple_of(dim) || image.len() != text.len() {
        return Err(LossError::Shape(format!(
            "{} and {} values are not as many images and texts of width {dim}",
            image.len(),
            text.len()
        )));
    }
    for (side, values) in [("image", image), ("text", text)] {
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return Err(LossError::NotFinite {
                side,
                row: at / dim,
            });
        }
    }
    let count = image.len() / dim;
    pairs.labels.check(count, pairs.batch)?;
    Ok((count, dim))
}
