//! The way of a contrastive loss through the matrix of all pairs. Images stay with their rank, chunks of texts travel,
//! and where the two meet the matrix exists one square a thread. What a square contributes is the loss's affair.
//! How chunks travel, and what was found out about them after them, is [`travel`](super::travel)'s.
//!
//! Within a rank the squares of one round share no row and no column, so threads work side by side on gradients that
//! they need not add up, and every sum is taken in one order whatever the number of threads.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;

use super::tile::{
    Grid, Kernel, Operand, Pack, Precision, Real, Rows, Uses, add_gradients, log_add_exp,
    similarities,
};
use super::travel::{Cargo, Findings, Way, travel};
use crate::train::mesh::{Mesh, RankLost};

/// How squares are formed.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Side of a square.
    pub side: usize,
    pub kernel: Kernel,
    pub way: Way,
}

impl Plan {
    /// The fastest way to multiply f32 on this machine, one way round the ring.
    pub fn in_squares_of(side: usize) -> Self {
        Self {
            side,
            kernel: Kernel::best(Precision::F32),
            way: Way::OneWay,
        }
    }
}

/// Texts of one rank, which others only read.
struct Chunk<T> {
    /// `[texts, dim]`.
    text: Arc<Vec<T>>,
    /// What the loss knows of each text, `[texts]`; empty when that is nothing.
    notes: Arc<Vec<f64>>,
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            notes: self.notes.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> Cargo for Chunk<T> {
    fn bytes(&self) -> usize {
        size_of_val(&self.text[..]) + size_of_val(&self.notes[..])
    }
}

/// What a trip finds out about texts, or about images.
#[derive(Clone, Debug, Default)]
pub struct Found<T> {
    /// ∂L/∂z, `[rows, dim]`; empty when the trip takes no gradient.
    pub gradient: Vec<T>,
    /// Log-sum-exps, `[rows]`; empty when the trip takes none.
    pub lse: Vec<f64>,
}

impl<T: Real> Found<T> {
    fn nothing(rows: Rows<T>, seek: Seek, side: usize) -> Self {
        match seek {
            Seek::Nothing => Self::default(),
            Seek::Lse => Self {
                gradient: Vec::new(),
                lse: vec![f64::NEG_INFINITY; rows.count()],
            },
            Seek::Gradient(wanted) => Self {
                gradient: vec![T::zero(); if wanted[side] { rows.data.len() } else { 0 }],
                lse: Vec::new(),
            },
        }
    }

    /// Mutable parts of `side` rows.
    fn blocks(&mut self, side: usize, dim: usize) -> Vec<Option<Block<'_, T>>> {
        let count = (self.gradient.len() / dim).max(self.lse.len());
        let mut gradients = self.gradient.chunks_mut(side * dim);
        let mut lses = self.lse.chunks_mut(side);
        let blocks = (0..count.div_ceil(side)).map(|_| {
            Some(Block {
                gradient: gradients.next().unwrap_or_default(),
                lse: lses.next().unwrap_or_default(),
            })
        });
        blocks.collect()
    }
}

impl<T: Real> Cargo for Found<T> {
    fn bytes(&self) -> usize {
        size_of_val(&self.gradient[..]) + size_of_val(&self.lse[..])
    }
}

impl<T: Real> Findings for Found<T> {
    fn merge(&mut self, before: Self) {
        for (sum, x) in self.gradient.iter_mut().zip(before.gradient) {
            *sum = *sum + x;
        }
        for (lse, x) in self.lse.iter_mut().zip(before.lse) {
            *lse = log_add_exp(*lse, x);
        }
    }
}

struct Block<'a, T> {
    gradient: &'a mut [T],
    lse: &'a mut [f64],
}

/// What a trip is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seek {
    Nothing,
    Lse,
    /// Of images and of texts.
    Gradient([bool; 2]),
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
    /// x_i · y_j; with gradients, the visitor leaves ∂L/∂s_ij in its place.
    pub values: &'a mut Grid<T>,
    /// What the loss knows of the square's texts.
    pub notes: &'a [f64],
    /// The log-sum-exps of the square's rows and columns, for a trip that takes them.
    pub row_lse: &'a mut [f64],
    pub column_lse: &'a mut [f64],
}

impl<'a, T> Square<'a, T> {
    /// Of similarities that were formed elsewhere, at these rows and columns; the loss knows nothing more of them.
    pub fn of_values(
        (rows, columns): (Range<usize>, Range<usize>),
        owner: usize,
        own: bool,
        values: &'a mut Grid<T>,
    ) -> Self {
        Self {
            rows,
            columns,
            owner,
            own,
            values,
            notes: &[],
            row_lse: &mut [],
            column_lse: &mut [],
        }
    }

    /// The column, within the square, of the partner of the square's `row`, which may lie outside it.
    pub fn partner(&self, row: usize) -> Option<usize> {
        let index = (self.rows.start + row).checked_sub(self.columns.start)?;
        (self.own && index < self.columns.len()).then_some(index)
    }
}

/// One thread's memory for a square.
#[derive(Default)]
struct Desk<T> {
    values: Grid<T>,
    pack: Pack<T>,
}

/// Send the rank's texts round the ring and visit every square that this rank's images form with the chunks that come
/// by, its own first. What is sought is found for the images and for the texts, complete; `sum` hears of each square
/// in an order that the sizes alone decide. `notes` travel with the texts.
pub fn trip<T: Real, R: Send>(
    mesh: &Mesh,
    image: Rows<T>,
    text: &Arc<Vec<T>>,
    notes: Vec<f64>,
    (plan, seek): (Plan, Seek),
    visit: impl Fn(&mut Square<T>) -> R + Sync,
    mut sum: impl FnMut(R),
) -> Result<[Found<T>; 2], RankLost> {
    let dim = image.dim;
    let home = Chunk {
        text: text.clone(),
        notes: Arc::new(notes),
    };
    let mut of_images = Found::nothing(image, seek, 0);
    let desks = Mutex::new(Vec::new());
    let [for_images, for_texts] = match seek {
        Seek::Gradient(wanted) => wanted,
        Seek::Nothing | Seek::Lse => [false; 2],
    };
    let images = operands(plan, image, false, for_texts);
    let of_texts = travel(mesh, plan.way, &home, |chunk: &Chunk<T>, owner| {
        let text = Rows::new(&chunk.text, dim);
        let mut of_texts = Found::nothing(text, seek, 1);
        let task = Meeting {
            plan,
            seek,
            dim,
            images: &images,
            texts: &operands(plan, text, true, for_images),
            notes: &chunk.notes,
            owner,
            own: owner == mesh.rank(),
            desks: &desks,
            visit: &visit,
        };
        task.run(&mut of_images, &mut of_texts, &mut sum);
        of_texts
    })?;
    Ok([of_images, of_texts])
}

/// The blocks of some rows that a square may be of, ready to be multiplied.
fn operands<T: Real>(
    plan: Plan,
    rows: Rows<'_, T>,
    similarities: bool,
    gradient: bool,
) -> Vec<Operand<'_, T>> {
    let uses = Uses {
        similarities,
        gradient,
    };
    let blocks = rows.data.par_chunks(plan.side * rows.dim);
    let operand = |block| Operand::new(plan.kernel, Rows::new(block, rows.dim), uses);
    blocks.map(operand).collect()
}

/// This rank's images and one chunk of texts, by blocks.
struct Meeting<'a, T, V> {
    plan: Plan,
    seek: Seek,
    dim: usize,
    images: &'a [Operand<'a, T>],
    texts: &'a [Operand<'a, T>],
    notes: &'a [f64],
    owner: usize,
    own: bool,
    desks: &'a Mutex<Vec<Desk<T>>>,
    visit: &'a V,
}

/// A square that waits for a thread: block row, block column, and what is found out there.
type Task<'a, T> = (usize, usize, Block<'a, T>, Block<'a, T>);

impl<T: Real, V> Meeting<'_, T, V> {
    /// In round r, block row i meets block column i + r: as in a Latin square, no two tasks of a round share either.
    fn run<R: Send>(
        &self,
        of_images: &mut Found<T>,
        of_texts: &mut Found<T>,
        mut sum: impl FnMut(R),
    ) where
        V: Fn(&mut Square<T>) -> R + Sync,
    {
        let side = self.plan.side;
        let (rows, columns) = (self.images.len(), self.texts.len());
        let order = rows.max(columns);
        for round in 0..order {
            let mut row_blocks = of_images.blocks(side, self.dim);
            let mut column_blocks = of_texts.blocks(side, self.dim);
            let tasks: Vec<Task<T>> = (0..rows)
                .map(|row| (row, (row + round) % order))
                .filter(|(_, column)| *column < columns)
                .map(|(row, column)| {
                    let take = |blocks: &mut Vec<Option<_>>, at: usize| {
                        blocks.get_mut(at).map_or_else(Block::empty, |block| {
                            block.take().expect("a round takes each block once")
                        })
                    };
                    let blocks = (take(&mut row_blocks, row), take(&mut column_blocks, column));
                    (row, column, blocks.0, blocks.1)
                })
                .collect();
            let results: Vec<R> = tasks
                .into_par_iter()
                .map(|task| self.square(task))
                .collect();
            results.into_iter().for_each(&mut sum);
        }
    }

    fn square<R>(&self, (row, column, of_rows, of_columns): Task<T>) -> R
    where
        V: Fn(&mut Square<T>) -> R + Sync,
    {
        let Plan { side, kernel, .. } = self.plan;
        let (x, y) = (&self.images[row], &self.texts[column]);
        let range = |block: usize, of: &Operand<T>| block * side..block * side + of.rows.count();
        let (rows, columns) = (range(row, x), range(column, y));
        let mut desk = self
            .desks
            .lock()
            .expect("no thread panics with it")
            .pop()
            .unwrap_or_default();
        similarities(kernel, x, y, &mut desk.values, &mut desk.pack);
        let notes = self.notes;
        let result = (self.visit)(&mut Square {
            notes: if notes.is_empty() {
                &[]
            } else {
                &notes[columns.clone()]
            },
            rows,
            columns,
            owner: self.owner,
            own: self.own,
            values: &mut desk.values,
            row_lse: of_rows.lse,
            column_lse: of_columns.lse,
        });
        if let Seek::Gradient(_) = self.seek {
            let gradients = (of_rows.gradient, of_columns.gradient);
            add_gradients(kernel, &desk.values, (x, y), gradients, &mut desk.pack);
        }
        self.desks
            .lock()
            .expect("no thread panics with it")
            .push(desk);
        result
    }
}

impl<T> Block<'_, T> {
    fn empty() -> Self {
        Self {
            gradient: &mut [],
            lse: &mut [],
        }
    }
}
