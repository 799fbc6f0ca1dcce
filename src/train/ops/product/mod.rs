//! Products of matrices on one thread; who uses them has many, side by side. The right side is packed into panels once
//! for all left sides that it meets. Every element of a product in f32 is one chain of fused multiplications and
//! additions in the order of the sum, on every processor that has them, however the work is cut.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod kernel;
mod pack;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::simd;
use kernel::{F32, Product};
pub use pack::{Panels, Words};

/// Of the values that products of activations and weights multiply. Sums are f32 always, and so are parameters and all
/// that is no such product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16, 8 bits: for processors whose AVX512_BF16 is twice as fast as their f32 (AMD's from Zen 4 on). Others
    /// round too, and take longer than with f32, Intel's among them: the towers do not use AMX.
    Bf16,
}

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
    /// To what is there, or in its place.
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

/// `sums[i, j] = [sums[i, j] +] Σ_k left[i, k] · right[k, j] [+ bias[j]]`, at the precision that `right` was packed for;
/// `words` is room for a left side that is rounded.
pub fn multiply(left: Left, right: &Panels, bias: Option<&[f32]>, sums: Sums, words: &mut Words) {
    assert_eq!(left.depth(), right.depth(), "sums of one length");
    assert!(right.columns() <= sums.stride);
    assert!(bias.is_none_or(|bias| bias.len() == right.columns()));
    if right.depth() == 0 {
        return;
    }
    let columns = right.columns();
    match right.packed() {
        pack::Packed::Values(lines) => {
            let left = match (left, right.precision()) {
                (left, Precision::F32) => left.into(),
                (left, Precision::Bf16) => words.round(left),
            };
            simd::dispatch(F32(Product {
                left,
                lines,
                columns,
                bias,
                sums,
            }));
        }
        #[cfg(target_arch = "x86_64")]
        pack::Packed::Pairs(lines) => bf16::multiply(Product {
            left: words.pair(left),
            lines,
            columns,
            bias,
            sums,
        }),
    }
}

#[cfg(test)]
mod tests;
