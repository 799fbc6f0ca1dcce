//! Products of matrices on one thread; who uses them has many, side by side. The right side is packed into panels once
//! for all left sides that it meets. Every element of a product in f32 is one chain of fused multiplications and
//! additions in the order of the sum, on every processor that has them, however the work is cut.

#[cfg(target_arch = "x86_64")]
mod bf16;
mod kernel;
mod pack;
mod terms;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::simd;
#[cfg(target_arch = "x86_64")]
use crate::train::words::amx;
pub use crate::train::words::{Matrix, Sums};
use kernel::{F32, Product};
pub use pack::{Panels, Room};
pub use terms::{Scratch, Terms};

/// Of the values that products of activations and weights multiply. Sums are f32 always, and so are parameters and all
/// that is no such product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As they are.
    #[default]
    F32,
    /// Rounded to bf16, 8 bits: for processors with AMX (Intel's from Sapphire Rapids on), or whose AVX512_BF16 is twice as
    /// fast as their f32 (AMD's from Zen 4 on). Others round too, and take longer than with f32.
    Bf16,
}

/// How products at a precision are formed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    /// f32 by f32.
    #[default]
    Values,
    /// The same, of values that were rounded to bf16.
    Rounded,
    /// Pairs of bf16, by AVX512_BF16.
    Pairs,
    /// Tiles of pairs of bf16, by AMX.
    Tiles,
}

impl Way {
    /// The fastest that this processor has.
    fn of(precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::Values,
            Precision::Bf16 => [Self::Tiles, Self::Pairs]
                .into_iter()
                .find(|way| way.is_there())
                .unwrap_or(Self::Rounded),
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn is_there(self) -> bool {
        match self {
            Self::Values | Self::Rounded => true,
            Self::Pairs => bf16::is_there(),
            Self::Tiles => amx::passed(),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn is_there(self) -> bool {
        matches!(self, Self::Values | Self::Rounded)
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
/// `room` is for a left side that is rounded.
pub fn multiply(left: Left, right: &Panels, bias: Option<&[f32]>, sums: Sums, room: &mut Room) {
    assert_eq!(left.depth(), right.depth(), "sums of one length");
    assert!(right.columns() <= sums.stride);
    assert!(bias.is_none_or(|bias| bias.len() == right.columns()));
    if right.depth() == 0 {
        return;
    }
    let columns = right.columns();
    match right.packed() {
        pack::Packed::Values { lines, rounded } => {
            let left = if rounded {
                room.round(left)
            } else {
                left.into()
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
            left: room.pair(left),
            lines,
            columns,
            bias,
            sums,
        }),
        #[cfg(target_arch = "x86_64")]
        pack::Packed::Tiles(right) => {
            let terms = [(room.tile(left), right)];
            amx::multiply(&mut amx::registers(), &terms, bias, sums);
        }
    }
}

#[cfg(test)]
mod tests;
