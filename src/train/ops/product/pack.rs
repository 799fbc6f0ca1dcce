//! Both sides of products as the loops read them. Two bf16 that follow each other in a sum are one word of 32 bits, where
//! the processor multiplies such pairs; elsewhere a value that was rounded stays an f32.

use super::kernel::Side;
use super::{Left, Matrix, Precision};
use crate::train::simd::{self, Kernel};

/// Columns that a pass over the left side meets.
pub const PANEL: usize = 32;

/// The right side of products: `[⌈columns / 32⌉, depth, 32]`, what is missing zero.
#[derive(Clone, Debug, Default)]
pub struct Panels {
    /// That it was packed for.
    precision: Precision,
    values: Vec<[f32; PANEL]>,
    /// The same as pairs, where these are multiplied.
    pairs: Vec<[u32; PANEL]>,
    depth: usize,
    columns: usize,
}

/// The lines of panels.
pub enum Packed<'a> {
    Values(&'a [[f32; PANEL]]),
    #[cfg(target_arch = "x86_64")]
    Pairs(&'a [[u32; PANEL]]),
}

impl Panels {
    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn depth(&self) -> usize {
        self.depth
    }

    pub fn columns(&self) -> usize {
        self.columns
    }

    pub fn packed(&self) -> Packed<'_> {
        #[cfg(target_arch = "x86_64")]
        if self.is_paired() {
            return Packed::Pairs(&self.pairs);
        }
        Packed::Values(&self.values)
    }

    fn is_paired(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.precision == Precision::Bf16 && super::bf16::is_there();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Be `right`, sums down its rows.
    pub fn pack(&mut self, right: Matrix, precision: Precision) -> &Self {
        self.reshape(right.rows, right.columns, precision);
        let panels = self.values.chunks_exact_mut(right.rows.max(1));
        for (index, panel) in panels.enumerate() {
            let first = index * PANEL;
            let count = PANEL.min(right.columns - first);
            for (row, line) in panel.iter_mut().enumerate() {
                let from = &right.row(row)[first..][..count];
                match from.try_into() {
                    Ok(whole) => *line = whole,
                    Err(_) => {
                        line[..count].copy_from_slice(from);
                        line[count..].fill(0.0);
                    }
                }
            }
        }
        self.round()
    }

    /// Be the transpose of `right`: sums along its rows.
    pub fn pack_transposed(&mut self, right: Matrix, precision: Precision) -> &Self {
        self.reshape(right.columns, right.rows, precision);
        let panels = self.values.chunks_exact_mut(right.columns.max(1));
        for (index, panel) in panels.enumerate() {
            let first = index * PANEL;
            let count = PANEL.min(right.rows - first);
            for lane in 0..count {
                for (line, value) in panel.iter_mut().zip(right.row(first + lane)) {
                    line[lane] = *value;
                }
            }
            for line in panel.iter_mut() {
                line[count..].fill(0.0);
            }
        }
        self.round()
    }

    fn reshape(&mut self, depth: usize, columns: usize, precision: Precision) {
        (self.depth, self.columns, self.precision) = (depth, columns, precision);
        let lines = depth * columns.div_ceil(PANEL);
        self.values.resize(lines, [0.0; PANEL]);
    }

    /// From values to what the precision makes of them.
    fn round(&mut self) -> &Self {
        if self.is_paired() {
            let panels = self.columns.div_ceil(PANEL);
            let depth = self.depth.div_ceil(2);
            self.pairs.resize(panels * depth, [0; PANEL]);
            let to = self.pairs.chunks_exact_mut(depth.max(1));
            for (from, to) in self.values.chunks_exact(self.depth.max(1)).zip(to) {
                simd::run(PairRows {
                    from: from.as_flattened(),
                    columns: PANEL,
                    stride: PANEL,
                    to: to.as_flattened_mut(),
                });
            }
        } else if self.precision == Precision::Bf16 {
            simd::run(Round(self.values.as_flattened_mut()));
        }
        self
    }
}

/// Room for a left side that is rounded.
#[derive(Default)]
pub struct Words {
    values: Vec<f32>,
    pairs: Vec<u32>,
}

impl Words {
    /// The left side with every value rounded.
    pub fn round<'a>(&'a mut self, left: Left) -> Side<'a, f32> {
        let (Left::Plain(m) | Left::Transposed(m)) = left;
        self.values.clear();
        for row in 0..m.rows {
            self.values.extend_from_slice(m.row(row));
        }
        simd::run(Round(&mut self.values));
        let rounded = Matrix::new(&self.values, m.columns);
        match left {
            Left::Plain(_) => Left::Plain(rounded).into(),
            Left::Transposed(_) => Left::Transposed(rounded).into(),
        }
    }

    /// The left side in pairs along the sums, what is missing zero.
    pub fn pair<'a>(&'a mut self, left: Left) -> Side<'a, u32> {
        let rows = left.rows();
        match left {
            Left::Plain(m) => {
                let stride = m.columns.div_ceil(2);
                self.pairs.resize(m.rows * stride, 0);
                simd::run(PairColumns {
                    from: m,
                    to: &mut self.pairs,
                });
                Side::along(&self.pairs, rows, stride)
            }
            Left::Transposed(m) => {
                self.pairs.resize(m.rows.div_ceil(2) * m.columns, 0);
                simd::run(PairRows {
                    from: m.values,
                    columns: m.columns,
                    stride: m.stride,
                    to: &mut self.pairs,
                });
                Side::down(&self.pairs, rows, m.columns)
            }
        }
    }
}

/// The nearest bf16, ties to even, in the upper half of the bits. A NaN stays one.
#[inline(always)]
fn round(x: f32) -> u32 {
    let bits = x.to_bits();
    let up = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    if x.is_nan() { bits | 0x0040_0000 } else { up }
}

/// In place.
struct Round<'a>(&'a mut [f32]);

impl Kernel for Round<'_> {
    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = f32::from_bits(round(*x) & 0xffff_0000);
        }
    }
}

/// Pairs of neighbours in each row.
struct PairColumns<'a> {
    from: Matrix<'a>,
    to: &'a mut [u32],
}

impl Kernel for PairColumns<'_> {
    #[inline(always)]
    fn run(self) {
        let width = self.from.columns.div_ceil(2);
        for (row, words) in self.to.chunks_exact_mut(width).enumerate() {
            let (pairs, last) = self.from.row(row).as_chunks::<2>();
            for (word, [first, second]) in words.iter_mut().zip(pairs) {
                *word = round(*first) >> 16 | round(*second) & 0xffff_0000;
            }
            if let [last] = last {
                words[width - 1] = round(*last) >> 16;
            }
        }
    }
}

/// Pairs of neighbours in each column.
struct PairRows<'a> {
    from: &'a [f32],
    columns: usize,
    stride: usize,
    to: &'a mut [u32],
}

impl Kernel for PairRows<'_> {
    #[inline(always)]
    fn run(self) {
        let lines = self.to.chunks_exact_mut(self.columns);
        for (words, rows) in lines.zip(self.from.chunks(2 * self.stride)) {
            let first = &rows[..self.columns];
            match rows.get(self.stride..self.stride + self.columns) {
                Some(second) => {
                    for ((word, first), second) in words.iter_mut().zip(first).zip(second) {
                        *word = round(*first) >> 16 | round(*second) & 0xffff_0000;
                    }
                }
                None => {
                    for (word, first) in words.iter_mut().zip(first) {
                        *word = round(*first) >> 16;
                    }
                }
            }
        }
    }
}
