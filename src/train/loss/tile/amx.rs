//! Products of bf16 by AMX (Intel's Sapphire Rapids and later). A tile register holds 16 rows of 16 words; one
//! instruction multiplies a tile of pairs of bf16 by another and adds the products to a tile of f32 sums. Blocks of 32
//! by 32 sums stay in four registers over the whole depth and all parts of the operands.
//!
//! No machine at hand has the instructions: the loops are tested on a model of the registers, and a processor's own earn
//! their use by a trial against the portable products. `siglab check loss` is what to run where they are.

mod registers;
mod trial;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use super::pack::{
    Part, Sums, products, words_mut, write_panels_down_rows, write_strips, write_transposed_panels,
    write_transposed_strips,
};
use super::{Grid, PANEL, Pack, Precision, Rows, Words};
use registers::Registers;

/// Whether there are the instructions for the precision, the kernel lets this process use them, and they multiply as
/// they should.
pub fn serves(precision: Precision) -> bool {
    precision != Precision::F32 && trial::passed()
}

pub fn similarities(
    precision: Precision,
    x: Rows<f32>,
    y: Rows<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    similarities_by(&mut registers(), precision, x, y, s, pack);
}

pub fn add_gradients(
    precision: Precision,
    g: &Grid<f32>,
    sides: (Rows<f32>, Rows<f32>),
    gradients: (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    add_gradients_by(&mut registers(), precision, g, sides, gradients, pack);
}

fn registers() -> Registers {
    Registers::take().expect("whoever made the kernel asked whether it serves")
}

/// Tile registers, by number: 16 rows of 16 words.
trait Tiles {
    fn zero<const TILE: u8>(&mut self);

    /// `stride` words from row to row.
    fn load<const TILE: u8>(&mut self, words: &[u32], stride: usize);

    /// `sums[i, j] += Σ_k a[i, k] · b[k, j]`, where the product of two words is the sum of the products of their halves.
    fn multiply<const SUMS: u8, const A: u8, const B: u8>(&mut self);

    fn store<const TILE: u8>(&self, values: &mut [f32], stride: usize);
}

fn similarities_by(
    tiles: &mut impl Tiles,
    precision: Precision,
    x: Rows<f32>,
    y: Rows<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    let [left, right, scratch] = &mut pack.words;
    let (stride, columns) = (s.stride, s.columns);
    let a = Operand::pack(precision, x.count(), x.dim, left, |part, depth, words| {
        write_strips(part, x.into(), depth, words);
    });
    let b = Operand::pack(precision, y.count(), y.dim, right, |part, depth, words| {
        write_transposed_panels(part, y.into(), depth, scratch, words);
    });
    let sums = Sums {
        values: &mut s.values,
        stride,
        columns,
        add: false,
    };
    multiply(tiles, precision, a, b, sums);
}

fn add_gradients_by(
    tiles: &mut impl Tiles,
    precision: Precision,
    g: &Grid<f32>,
    (x, y): (Rows<f32>, Rows<f32>),
    (dx, dy): (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    let [left, right, scratch] = &mut pack.words;
    if !dx.is_empty() {
        let a = Operand::pack(precision, g.rows, g.columns, left, |part, depth, words| {
            write_strips(part, g.into(), depth, words);
        });
        let b = Operand::pack(precision, y.dim, g.columns, right, |part, depth, words| {
            write_panels_down_rows(part, y.into(), depth, words);
        });
        multiply(tiles, precision, a, b, Sums::added_to(dx, x.dim));
    }
    if !dy.is_empty() {
        let a = Operand::pack(precision, g.columns, g.rows, left, |part, depth, words| {
            write_transposed_strips(part, g.into(), depth, scratch, words);
        });
        let b = Operand::pack(precision, x.dim, g.rows, right, |part, depth, words| {
            write_panels_down_rows(part, x.into(), depth, words);
        });
        multiply(tiles, precision, a, b, Sums::added_to(dy, x.dim));
    }
}

/// One side of a product, packed part behind part: for every 32 rows of the left, or columns of the right, `depth` lines
/// of 32 words. Those of the left lie as two strips of 16 rows.
#[derive(Clone, Copy)]
struct Operand<'a> {
    words: &'a [u32],
    lines: usize,
    /// Words along the sum: whole tiles.
    depth: usize,
}

impl<'a> Operand<'a> {
    /// `lines` rows or columns with sums of `terms`; `write` is given the part, the depth and the memory of the part.
    fn pack(
        precision: Precision,
        lines: usize,
        terms: usize,
        memory: &'a mut Vec<Words>,
        mut write: impl FnMut(Part, usize, &mut [u32]),
    ) -> Self {
        let parts: &[Part] = match precision {
            Precision::Bf16x3 => &[Part::High, Part::Low],
            _ => &[Part::High],
        };
        let depth = terms.div_ceil(2).next_multiple_of(16);
        let count = lines.next_multiple_of(PANEL) * depth;
        let words = words_mut(memory, parts.len() * count);
        if count > 0 {
            for (part, words) in parts.iter().zip(words.chunks_exact_mut(count)) {
                write(*part, depth, words);
            }
        }
        Self {
            words,
            lines,
            depth,
        }
    }

    fn panels(self) -> usize {
        self.lines.div_ceil(PANEL)
    }

    fn panel(self, part: Part, panel: usize) -> &'a [u32] {
        let before = usize::from(part == Part::Low) * self.panels() + panel;
        &self.words[before * PANEL * self.depth..][..PANEL * self.depth]
    }
}

/// `sums[i, j] = [sums[i, j] +] Σ_k a[i, k] · b[k, j]` over the products of parts that count. The left's panel stays in
/// the first cache, the right's stream.
fn multiply(tiles: &mut impl Tiles, precision: Precision, a: Operand, b: Operand, sums: Sums) {
    let mut block = Block([[0.0; PANEL]; PANEL]);
    for row in 0..a.panels() {
        for column in 0..b.panels() {
            tiles.zero::<0>();
            tiles.zero::<1>();
            tiles.zero::<2>();
            tiles.zero::<3>();
            for &(a_part, b_part) in products(precision) {
                add_panels(tiles, a.panel(a_part, row), b.panel(b_part, column));
            }
            let values = block.0.as_flattened_mut();
            tiles.store::<0>(values, PANEL);
            tiles.store::<1>(&mut values[16..], PANEL);
            tiles.store::<2>(&mut values[16 * PANEL..], PANEL);
            tiles.store::<3>(&mut values[16 * PANEL + 16..], PANEL);

            let first = column * PANEL;
            let columns = PANEL.min(sums.columns - first);
            for (i, block) in (row * PANEL..a.lines).zip(&block.0) {
                let out = &mut sums.values[i * sums.stride + first..][..columns];
                if sums.add {
                    for (out, sum) in out.iter_mut().zip(block) {
                        *out += sum;
                    }
                } else {
                    out.copy_from_slice(&block[..columns]);
                }
            }
        }
    }
}

/// The sums of 32 rows and columns, on their way to where they belong.
#[repr(align(64))]
struct Block([[f32; PANEL]; PANEL]);

/// Add to the tiles 0 to 3 the product of 32 rows and 32 columns of one part.
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
