//! The loops of products, for words that the processor multiplies: f32, or pairs of bf16.

use pulp::bytemuck::{Pod, bytes_of, cast_slice, cast_slice_mut, pod_read_unaligned};
use pulp::{Simd, WithSimd};

use super::pack::PANEL;
use super::{Left, Sums};

/// What a processor does to words.
pub trait Multiplier: Copy {
    type Word: Copy;
    /// Words, as many as sums.
    type Words: Copy;
    /// Sums in f32.
    type Sums: Pod;

    const LANES: usize = size_of::<Self::Sums>() / size_of::<f32>();

    fn zero(self) -> Self::Sums;
    fn broadcast(self, word: Self::Word) -> Self::Words;
    /// The pair of vectors of a line that is `pair`th.
    fn load(line: &[Self::Word; PANEL], pair: usize) -> [Self::Words; 2];
    /// `sums + left · right`.
    fn add_product(self, left: Self::Words, right: Self::Words, sums: Self::Sums) -> Self::Sums;
    fn add(self, a: Self::Sums, b: Self::Sums) -> Self::Sums;
}

/// The left side: word k of row i lies at `row · i + step · k`.
#[derive(Clone, Copy)]
pub struct Side<'a, W> {
    words: &'a [W],
    rows: usize,
    row: usize,
    step: usize,
}

impl<'a, W> Side<'a, W> {
    /// Sums run along rows that are `stride` apart.
    pub fn along(words: &'a [W], rows: usize, stride: usize) -> Self {
        Self {
            words,
            rows,
            row: stride,
            step: 1,
        }
    }

    /// Sums run from row to row, `stride` apart.
    pub fn down(words: &'a [W], rows: usize, stride: usize) -> Self {
        Self {
            words,
            rows,
            row: 1,
            step: stride,
        }
    }
}

impl<'a> From<Left<'a>> for Side<'a, f32> {
    fn from(left: Left<'a>) -> Self {
        match left {
            Left::Plain(m) => Self::along(m.values, m.rows, m.stride),
            Left::Transposed(m) => Self::down(m.values, m.columns, m.stride),
        }
    }
}

pub struct Product<'a, W> {
    pub left: Side<'a, W>,
    /// Of all panels, one after the other.
    pub lines: &'a [[W; PANEL]],
    pub columns: usize,
    pub bias: Option<&'a [f32]>,
    pub sums: Sums<'a>,
}

impl<W: Copy> Product<'_, W> {
    /// A panel stays in the first cache while the left side passes by.
    #[inline(always)]
    pub fn run<A: Multiplier<Word = W>>(mut self, by: A) {
        let rows = self.left.rows;
        let depth = self.lines.len() / self.columns.div_ceil(PANEL);
        for (index, panel) in self.lines.chunks_exact(depth).enumerate() {
            let mut row = 0;
            while row < rows {
                // As many sums as there are registers for, less what a step loads.
                row += match rows - row {
                    12.. if A::LANES == 16 => self.block::<A, 12>(by, row, index, panel),
                    6.. => self.block::<A, 6>(by, row, index, panel),
                    4.. => self.block::<A, 4>(by, row, index, panel),
                    2.. => self.block::<A, 2>(by, row, index, panel),
                    _ => self.block::<A, 1>(by, row, index, panel),
                };
            }
        }
    }

    /// M rows by one panel.
    #[inline(always)]
    fn block<A: Multiplier<Word = W>, const M: usize>(
        &mut self,
        by: A,
        row: usize,
        index: usize,
        panel: &[[W; PANEL]],
    ) -> usize {
        let Side {
            words,
            row: stride,
            step,
            ..
        } = self.left;
        for pair in 0..PANEL / (2 * A::LANES) {
            let sums = if step == 1 {
                let row = |i| &words[(row + i) * stride..][..panel.len()];
                let rows: [&[W]; M] = std::array::from_fn(row);
                along(by, rows, panel, pair)
            } else {
                down::<A, M>(by, &words[row..], step, panel, pair)
            };
            for (i, sums) in sums.into_iter().enumerate() {
                self.store(by, row + i, index * PANEL + 2 * pair * A::LANES, sums);
            }
        }
        M
    }

    #[inline(always)]
    fn store<A: Multiplier>(&mut self, by: A, row: usize, column: usize, sums: [A::Sums; 2]) {
        let count = self.columns.saturating_sub(column).min(2 * A::LANES);
        if count == 0 {
            return;
        }
        let place = row * self.sums.stride + column;
        let line = &mut self.sums.values[place..place + count];
        let bias = self.bias.map(|bias| &bias[column..column + count]);
        if count == 2 * A::LANES {
            for (half, mut sum) in sums.into_iter().enumerate() {
                let here = half * A::LANES..(half + 1) * A::LANES;
                if let Some(bias) = bias {
                    sum = by.add(sum, pod_read_unaligned(cast_slice(&bias[here.clone()])));
                }
                let place: &mut [u8] = cast_slice_mut(&mut line[here]);
                if self.sums.add {
                    sum = by.add(pod_read_unaligned(place), sum);
                }
                place.copy_from_slice(bytes_of(&sum));
            }
            return;
        }
        for (j, (out, sum)) in line.iter_mut().zip(cast_slice::<_, f32>(&sums)).enumerate() {
            let sum = bias.map_or(*sum, |bias| sum + bias[j]);
            *out = if self.sums.add { *out + sum } else { sum };
        }
    }
}

/// Sums along M rows of the left side with one pair of vectors of the panel.
#[inline(always)]
fn along<A: Multiplier, const M: usize>(
    by: A,
    rows: [&[A::Word]; M],
    panel: &[[A::Word; PANEL]],
    pair: usize,
) -> [[A::Sums; 2]; M] {
    let mut sums = [[by.zero(); 2]; M];
    for (k, line) in panel.iter().enumerate() {
        let right = A::load(line, pair);
        for (sums, row) in sums.iter_mut().zip(&rows) {
            add(by, sums, row[k], right);
        }
    }
    sums
}

/// Sums down M columns, `stride` from one step to the next.
#[inline(always)]
fn down<A: Multiplier, const M: usize>(
    by: A,
    words: &[A::Word],
    stride: usize,
    panel: &[[A::Word; PANEL]],
    pair: usize,
) -> [[A::Sums; 2]; M] {
    let mut sums = [[by.zero(); 2]; M];
    for (k, line) in panel.iter().enumerate() {
        let left: &[A::Word; M] = words[k * stride..]
            .first_chunk()
            .expect("a row of the left");
        let right = A::load(line, pair);
        for (sums, left) in sums.iter_mut().zip(left) {
            add(by, sums, *left, right);
        }
    }
    sums
}

#[inline(always)]
fn add<A: Multiplier>(by: A, sums: &mut [A::Sums; 2], left: A::Word, right: [A::Words; 2]) {
    let left = by.broadcast(left);
    sums[0] = by.add_product(left, right[0], sums[0]);
    sums[1] = by.add_product(left, right[1], sums[1]);
}

/// With the widest vectors of f32 that there are.
pub struct F32<'a>(pub Product<'a, f32>);

#[derive(Clone, Copy)]
struct By<S>(S);

impl WithSimd for F32<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        self.0.run(By(simd));
    }
}

impl<S: Simd> Multiplier for By<S> {
    type Word = f32;
    type Words = S::f32s;
    type Sums = S::f32s;

    #[inline(always)]
    fn zero(self) -> S::f32s {
        self.0.splat_f32s(0.0)
    }

    #[inline(always)]
    fn broadcast(self, word: f32) -> S::f32s {
        self.0.splat_f32s(word)
    }

    #[inline(always)]
    fn load(line: &[f32; PANEL], pair: usize) -> [S::f32s; 2] {
        let (vectors, _) = S::as_simd_f32s(line);
        [vectors[2 * pair], vectors[2 * pair + 1]]
    }

    #[inline(always)]
    fn add_product(self, left: S::f32s, right: S::f32s, sums: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(left, right, sums)
    }

    #[inline(always)]
    fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }
}
