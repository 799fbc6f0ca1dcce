//! The way of a contrastive loss through the matrix of all pairs. Images stay with their rank, chunks of texts travel,
//! and where the two meet the matrix exists one square a thread. What a square contributes is the loss's affair.
//!
//! A text leaves for the next rank before this one works with it, and what is found out about it (its gradient, its
//! log-sum-exp) follows behind and is added to on the way: transfer and work overlap. The last rank that a chunk meets
//! sends what was found home.
//!
//! Within a rank the squares of one round share no row and no column, so threads work side by side on gradients that
//! they need not add up, and every sum is taken in one order whatever the number of threads.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::tile::{
    Grid, Kernel, Pack, Precision, Real, Rows, add_gradients, log_add_exp, similarities,
};
use crate::train::mesh::{Mesh, RankLost};

/// Which way chunks of texts go round the ring of ranks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// To the next rank, `ranks` - 1 times.
    #[default]
    OneWay,
    /// To the next and to the previous one, half as many times: for links that carry both at once.
    TwoWay,
}

impl Way {
    /// How far chunks go forward and back among `size` ranks.
    fn reach(self, size: usize) -> [usize; 2] {
        match self {
            Self::OneWay => [size - 1, 0],
            Self::TwoWay => [size / 2, (size - 1) / 2],
        }
    }
}

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
    owner: usize,
    /// `[texts, dim]`.
    text: Arc<Vec<T>>,
    /// What the loss knows of each text, `[texts]`; empty when that is nothing.
    notes: Arc<Vec<f64>>,
}

impl<T> Clone for Chunk<T> {
    fn clone(&self) -> Self {
        Self {
            owner: self.owner,
            text: self.text.clone(),
            notes: self.notes.clone(),
        }
    }
}

impl<T: Send + Sync + 'static> Chunk<T> {
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

    fn merge(&mut self, other: Self) {
        for (sum, x) in self.gradient.iter_mut().zip(other.gradient) {
            *sum = *sum + x;
        }
        for (lse, x) in self.lse.iter_mut().zip(other.lse) {
            *lse = log_add_exp(*lse, x);
        }
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.gradient[..]) + size_of_val(&self.lse[..])
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

impl<T> Square<'_, T> {
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
        owner: mesh.rank(),
        text: text.clone(),
        notes: Arc::new(notes),
    };
    let mut of_images = Found::nothing(image, seek, 0);
    let desks = Mutex::new(Vec::new());
    let mut meet = |chunk: &Chunk<T>| {
        let text = Rows::new(&chunk.text, dim);
        let mut of_texts = Found::nothing(text, seek, 1);
        let task = Meeting {
            plan,
            seek,
            image,
            text,
            chunk,
            own: chunk.owner == mesh.rank(),
            desks: &desks,
            visit: &visit,
        };
        task.run(&mut of_images, &mut of_texts, &mut sum);
        of_texts
    };

    let reach = plan.way.reach(mesh.size());
    let neighbours = [
        (mesh.before(1), mesh.after(1)),
        (mesh.after(1), mesh.before(1)),
    ];
    for ((_, next), reach) in neighbours.into_iter().zip(reach) {
        if reach > 0 {
            mesh.send(next, home.clone(), home.bytes())?;
        }
    }
    let mut of_texts = meet(&home);
    for hop in 1..=reach[0] {
        for ((previous, next), reach) in neighbours.into_iter().zip(reach) {
            if hop > reach {
                continue;
            }
            let chunk: Chunk<T> = mesh.receive(previous)?;
            if hop < reach {
                mesh.send(next, chunk.clone(), chunk.bytes())?;
            }
            let mut found = meet(&chunk);
            if hop > 1 {
                let mut before: Found<T> = mesh.receive(previous)?;
                before.merge(found);
                found = before;
            }
            let to = if hop < reach { next } else { chunk.owner };
            let bytes = found.bytes();
            mesh.send(to, found, bytes)?;
        }
    }
    let last = [mesh.after(reach[0]), mesh.before(reach[1])];
    for (from, reach) in last.into_iter().zip(reach) {
        if reach > 0 {
            of_texts.merge(mesh.receive(from)?);
        }
    }
    Ok([of_images, of_texts])
}

/// This rank's images and one chunk of texts.
struct Meeting<'a, T, V> {
    plan: Plan,
    seek: Seek,
    image: Rows<'a, T>,
    text: Rows<'a, T>,
    chunk: &'a Chunk<T>,
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
        let blocks = |rows: Rows<T>| rows.count().div_ceil(side);
        let (rows, columns) = (blocks(self.image), blocks(self.text));
        let order = rows.max(columns);
        for round in 0..order {
            let mut row_blocks = of_images.blocks(side, self.image.dim);
            let mut column_blocks = of_texts.blocks(side, self.image.dim);
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
        let range =
            |block: usize, rows: Rows<T>| block * side..rows.count().min((block + 1) * side);
        let (rows, columns) = (range(row, self.image), range(column, self.text));
        let (x, y) = (
            self.image.range(rows.clone()),
            self.text.range(columns.clone()),
        );
        let mut desk = self
            .desks
            .lock()
            .expect("no thread panics with it")
            .pop()
            .unwrap_or_default();
        similarities(kernel, x, y, &mut desk.values, &mut desk.pack);
        let notes = &self.chunk.notes;
        let result = (self.visit)(&mut Square {
            notes: if notes.is_empty() {
                &[]
            } else {
                &notes[columns.clone()]
            },
            rows,
            columns,
            owner: self.chunk.owner,
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
