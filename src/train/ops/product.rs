//! Products of f32 matrices on one thread; who uses it has many, side by side. The right side is packed into panels
//! once for all left sides that it meets, the left is read where it lies. Every element of a product is one chain of
//! fused multiplications and additions in the order of the sum, on every processor that has them, however the work is
//! cut.

use pulp::bytemuck::cast_slice;
use pulp::{Simd, WithSimd};

use crate::train::simd;

/// Values that lie row by row, `stride` from one to the next.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Matrix<'a> {
    /// Rows of `columns` values without a gap.
    pub fn new(values: &'a [f32], columns: usize) -> Self {
        assert!(values.len().is_multiple_of(columns), "whole rows");
        Self {
            values,
            rows: values.len() / columns,
            columns,
            stride: columns,
        }
    }

    /// The columns from `first` on, `count` of them.
    pub fn narrow(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.columns);
        Self {
            values: &self.values[first.min(self.values.len())..],
            columns: count,
            ..self
        }
    }

    fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.stride..][..self.columns]
    }
}

/// Where a product goes: rows as those of a [`Matrix`].
pub struct Sums<'a> {
    pub values: &'a mut [f32],
    pub stride: usize,
    /// In the place of what is there, or to it.
    pub add: bool,
}

impl<'a> Sums<'a> {
    pub fn set(values: &'a mut [f32], stride: usize) -> Self {
        Self {
            values,
            stride,
            add: false,
        }
    }
}

/// The left side of a product.
#[derive(Clone, Copy)]
pub enum Left<'a> {
    /// Sums run along the rows.
    Plain(Matrix<'a>),
    /// Sums run down the columns.
    Transposed(Matrix<'a>),
}

impl Left<'_> {
    fn rows(self) -> usize {
        match self {
            Self::Plain(m) => m.rows,
            Self::Transposed(m) => m.columns,
        }
    }

    fn depth(self) -> usize {
        match self {
            Self::Plain(m) => m.columns,
            Self::Transposed(m) => m.rows,
        }
    }
}

/// Columns that a pass over the left side meets.
const PANEL: usize = 32;

/// The right side of products: `[⌈columns / 32⌉, depth, 32]`, what is missing zero.
#[derive(Clone, Debug, Default)]
pub struct Panels {
    lines: Vec<[f32; PANEL]>,
    depth: usize,
    columns: usize,
}

impl Panels {
    fn reshape(&mut self, depth: usize, columns: usize) {
        (self.depth, self.columns) = (depth, columns);
        let lines = depth * columns.div_ceil(PANEL);
        self.lines.resize(lines, [0.0; PANEL]);
    }

    /// Be `right`, sums down its rows.
    pub fn pack(&mut self, right: Matrix) -> &Self {
        self.reshape(right.rows, right.columns);
        let panels = self.lines.chunks_exact_mut(right.rows.max(1));
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
        self
    }

    /// Be the transpose of `right`: sums along its rows.
    pub fn pack_transposed(&mut self, right: Matrix) -> &Self {
        self.reshape(right.columns, right.rows);
        let panels = self.lines.chunks_exact_mut(right.columns.max(1));
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
        self
    }
}

/// `sums[i, j] = [sums[i, j] +] Σ_k left[i, k] · right[k, j] [+ bias[j]]`.
pub fn multiply(left: Left, right: &Panels, bias: Option<&[f32]>, sums: Sums) {
    assert_eq!(left.depth(), right.depth, "sums of one length");
    assert!(right.columns <= sums.stride);
    assert!(bias.is_none_or(|bias| bias.len() == right.columns));
    if right.depth > 0 {
        simd::dispatch(Product {
            left,
            right,
            bias,
            sums,
        });
    }
}

struct Product<'a> {
    left: Left<'a>,
    right: &'a Panels,
    bias: Option<&'a [f32]>,
    sums: Sums<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    /// A panel stays in the first cache while the left side passes by.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let rows = self.left.rows();
        for (index, panel) in self.right.lines.chunks_exact(self.right.depth).enumerate() {
            let mut row = 0;
            while row < rows {
                // As many sums as there are registers for, less what a step loads.
                row += match rows - row {
                    12.. if S::F32_LANES == 16 => self.block::<S, 12>(simd, row, index, panel),
                    6.. => self.block::<S, 6>(simd, row, index, panel),
                    4.. => self.block::<S, 4>(simd, row, index, panel),
                    2.. => self.block::<S, 2>(simd, row, index, panel),
                    _ => self.block::<S, 1>(simd, row, index, panel),
                };
            }
        }
    }
}

impl Product<'_> {
    /// M rows by one panel.
    #[inline(always)]
    fn block<S: Simd, const M: usize>(
        &mut self,
        simd: S,
        row: usize,
        index: usize,
        panel: &[[f32; PANEL]],
    ) -> usize {
        for pair in 0..PANEL / (2 * S::F32_LANES) {
            let sums = match self.left {
                Left::Plain(m) => {
                    let rows: [&[f32]; M] = std::array::from_fn(|i| &m.row(row + i)[..panel.len()]);
                    along::<S, M>(simd, rows, panel, pair)
                }
                Left::Transposed(m) => down::<S, M>(simd, &m.values[row..], m.stride, panel, pair),
            };
            for (i, sums) in sums.into_iter().enumerate() {
                self.store(simd, row + i, index * PANEL + 2 * pair * S::F32_LANES, sums);
            }
        }
        M
    }

    #[inline(always)]
    fn store<S: Simd>(&mut self, simd: S, row: usize, column: usize, sums: [S::f32s; 2]) {
        let count = self
            .right
            .columns
            .saturating_sub(column)
            .min(2 * S::F32_LANES);
        if count == 0 {
            return;
        }
        let place = row * self.sums.stride + column;
        let line = &mut self.sums.values[place..place + count];
        let bias = self.bias.map(|bias| &bias[column..column + count]);
        let (whole, _) = S::as_mut_simd_f32s(line);
        if let [first, second] = whole {
            let bias = bias.map(S::as_simd_f32s);
            for (half, (out, mut sum)) in [first, second].into_iter().zip(sums).enumerate() {
                if let Some((bias, _)) = bias {
                    sum = simd.add_f32s(sum, bias[half]);
                }
                *out = if self.sums.add {
                    simd.add_f32s(*out, sum)
                } else {
                    sum
                };
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
fn along<S: Simd, const M: usize>(
    simd: S,
    rows: [&[f32]; M],
    panel: &[[f32; PANEL]],
    pair: usize,
) -> [[S::f32s; 2]; M] {
    let mut sums = [[simd.splat_f32s(0.0); 2]; M];
    for (k, line) in panel.iter().enumerate() {
        let right = vectors::<S>(line, pair);
        for (sums, row) in sums.iter_mut().zip(&rows) {
            let left = simd.splat_f32s(row[k]);
            sums[0] = simd.mul_add_e_f32s(left, right[0], sums[0]);
            sums[1] = simd.mul_add_e_f32s(left, right[1], sums[1]);
        }
    }
    sums
}

/// Sums down M columns, `stride` from one step to the next.
#[inline(always)]
fn down<S: Simd, const M: usize>(
    simd: S,
    values: &[f32],
    stride: usize,
    panel: &[[f32; PANEL]],
    pair: usize,
) -> [[S::f32s; 2]; M] {
    let mut sums = [[simd.splat_f32s(0.0); 2]; M];
    for (k, line) in panel.iter().enumerate() {
        let left: &[f32; M] = values[k * stride..]
            .first_chunk()
            .expect("a row of the left side");
        add(simd, &mut sums, left, vectors::<S>(line, pair));
    }
    sums
}

#[inline(always)]
fn vectors<S: Simd>(line: &[f32; PANEL], pair: usize) -> [S::f32s; 2] {
    let (vectors, _) = S::as_simd_f32s(line);
    [vectors[2 * pair], vectors[2 * pair + 1]]
}

#[inline(always)]
fn add<S: Simd, const M: usize>(
    simd: S,
    sums: &mut [[S::f32s; 2]; M],
    left: &[f32; M],
    right: [S::f32s; 2],
) {
    for (sums, left) in sums.iter_mut().zip(left) {
        let left = simd.splat_f32s(*left);
        sums[0] = simd.mul_add_e_f32s(left, right[0], sums[0]);
        sums[1] = simd.mul_add_e_f32s(left, right[1], sums[1]);
    }
}
