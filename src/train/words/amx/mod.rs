//! Products of bf16 by AMX (Intel's Sapphire Rapids and later). A tile register holds 16 rows of 16 words; one
//! instruction multiplies a tile of pairs of bf16 by another and adds the products to a tile of f32 sums. Blocks of 32
//! by 32 sums stay in four registers over the whole depth and all terms of a product.
//!
//! The loops are tested on a model of the registers too, so that they are on a processor without; and a processor's own
//! earn their use by a trial.

mod registers;
mod trial;

#[cfg(test)]
pub mod model;
#[cfg(test)]
mod tests;

use super::{
    Matrix, PANEL, Part, Sums, Words, words, words_mut, write_panels_down_rows, write_strips,
    write_transposed_panels, write_transposed_strips,
};
use crate::train::simd::{self, Kernel};
pub use registers::Registers;
pub use trial::passed;

/// Tile registers, by number: 16 rows of 16 words.
pub trait Tiles {
    fn zero<const TILE: u8>(&mut self);

    /// `stride` words from row to row.
    fn load<const TILE: u8>(&mut self, words: &[u32], stride: usize);

    /// `sums[i, j] += Σ_k a[i, k] · b[k, j]`, where the product of two words is the sum of the products of their halves.
    fn multiply<const SUMS: u8, const A: u8, const B: u8>(&mut self);

    fn store<const TILE: u8>(&self, values: &mut [f32], stride: usize);
}

/// The registers of this thread, once [`passed`].
pub fn registers() -> Registers {
    Registers::take().expect("whoever multiplies by tiles asked whether they passed")
}

/// One side of a product: for every 32 rows of the left, or columns of the right, `depth` lines of 32 words. Those of
/// the left lie as two strips of 16 rows.
#[derive(Clone, Debug, Default)]
pub struct Side {
    words: Vec<Words>,
    lines: usize,
    /// Words along the sum: whole tiles.
    depth: usize,
}

impl Side {
    /// Be the left side `m`, sums along its rows.
    pub fn pack_left(&mut self, part: Part, m: Matrix) {
        self.pack(m.rows, m.columns, |depth, words| {
            write_strips(part, m, depth, words);
        });
    }

    /// Be the transpose of `m` as the left side: sums down its columns.
    pub fn pack_transposed_left(&mut self, part: Part, m: Matrix, scratch: &mut Vec<Words>) {
        self.pack(m.columns, m.rows, |depth, words| {
            write_transposed_strips(part, m, depth, scratch, words);
        });
    }

    /// Be the right side `m`, sums down its rows.
    pub fn pack_right(&mut self, part: Part, m: Matrix) {
        self.pack(m.columns, m.rows, |depth, words| {
            write_panels_down_rows(part, m, depth, words);
        });
    }

    /// Be the transpose of `m` as the right side: sums along its rows.
    pub fn pack_transposed_right(&mut self, part: Part, m: Matrix, scratch: &mut Vec<Words>) {
        self.pack(m.rows, m.columns, |depth, words| {
            write_transposed_panels(part, m, depth, scratch, words);
        });
    }

    /// Rows or columns, with sums of `terms`.
    fn pack(&mut self, lines: usize, terms: usize, write: impl FnOnce(usize, &mut [u32])) {
        self.lines = lines;
        self.depth = terms.div_ceil(2).next_multiple_of(16);
        let count = lines.next_multiple_of(PANEL) * self.depth;
        if count > 0 {
            write(self.depth, words_mut(&mut self.words, count));
        }
    }

    fn panels(&self) -> usize {
        self.lines.div_ceil(PANEL)
    }

    fn panel(&self, panel: usize) -> &[u32] {
        &words(&self.words)[panel * PANEL * self.depth..][..PANEL * self.depth]
    }
}

/// `sums[i, j] = [sums[i, j] +] Σ_t Σ_k a_t[i, k] · b_t[k, j] [+ bias[j]]` over the terms (a, b), all of one shape but
/// for their depths. There is one at least.
pub fn multiply(
    tiles: &mut impl Tiles,
    terms: &[(&Side, &Side)],
    bias: Option<&[f32]>,
    sums: Sums,
) {
    simd::run(Product {
        tiles,
        terms,
        bias,
        sums,
    });
}

struct Product<'a, T> {
    tiles: &'a mut T,
    terms: &'a [(&'a Side, &'a Side)],
    bias: Option<&'a [f32]>,
    sums: Sums<'a>,
}

impl<T: Tiles> Kernel for Product<'_, T> {
    /// The left's panel stays in the first cache, the right's stream.
    #[inline(always)]
    fn run(self) {
        let Self {
            tiles,
            terms,
            bias,
            sums,
        } = self;
        let (a, b) = terms[0];
        let mut block = Block([[0.0; PANEL]; PANEL]);
        for row in 0..a.panels() {
            for column in 0..b.panels() {
                tiles.zero::<0>();
                tiles.zero::<1>();
                tiles.zero::<2>();
                tiles.zero::<3>();
                for (a, b) in terms {
                    add_panels(tiles, a.panel(row), b.panel(column));
                }
                let values = block.0.as_flattened_mut();
                tiles.store::<0>(values, PANEL);
                tiles.store::<1>(&mut values[16..], PANEL);
                tiles.store::<2>(&mut values[16 * PANEL..], PANEL);
                tiles.store::<3>(&mut values[16 * PANEL + 16..], PANEL);

                let first = column * PANEL;
                let columns = PANEL.min(b.lines - first);
                let bias = bias.map(|bias| &bias[first..first + columns]);
                for (i, block) in (row * PANEL..a.lines).zip(&mut block.0) {
                    let out = &mut sums.values[i * sums.stride + first..][..columns];
                    if let Some(bias) = bias {
                        add(block, bias);
                    }
                    if sums.add {
                        add(out, block);
                    } else {
                        out.copy_from_slice(&block[..columns]);
                    }
                }
            }
        }
    }
}

/// To as many as there are of the others.
#[inline(always)]
fn add(sums: &mut [f32], more: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(more) {
        *sum += x;
    }
}

/// The sums of 32 rows and columns, on their way to where they belong.
#[repr(align(64))]
struct Block([[f32; PANEL]; PANEL]);

/// Add to the tiles 0 to 3 the product of 32 rows and 32 columns.
#[inline(always)]
fn add_panels(tiles: &mut impl Tiles, a: &[u32], b: &[u32]) {
    let (upper, lower) = a.split_at(a.len() / 2);
    let steps = upper
        .chunks_exact(16 * 16)
        .zip(lower.chunks_exact(16 * 16))
        .zip(b.chunks_exact(16 * PANEL));
    for ((upper, lower), b) in steps {
        tiles.load::<4>(upper, 16);
        tiles.load::<6>(b, PANEL);
        tiles.multiply::<0, 4, 6>();
        tiles.load::<7>(&b[16..], PANEL);
        tiles.multiply::<1, 4, 7>();
        tiles.load::<5>(lower, 16);
        tiles.multiply::<2, 5, 6>();
        tiles.multiply::<3, 5, 7>();
    }
}
