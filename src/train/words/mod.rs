//! What products of matrices on one thread share, whoever forms them: operands as words of 32 bits for sums along their
//! depth, in the layouts that instructions read, and the products by tile registers. A word is one f32, or two bf16 that
//! lie side by side along the sum. Which way to multiply is taken, and what for, is the caller's affair.

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
mod layout;

#[cfg(target_arch = "x86_64")]
pub use layout::{
    Part, along_rows, down_rows, write_panels_down_rows, write_strips, write_transposed_panels,
    write_transposed_strips,
};

/// Columns that a vectorised product works on at a time.
pub const PANEL: usize = 32;

/// A cache line of words.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub struct Words(#[allow(dead_code, reason = "read through pointers")] [u32; 16]);

/// The words of the memory.
pub fn words(memory: &[Words]) -> &[u32] {
    // SAFETY: as in `words_mut`.
    unsafe { std::slice::from_raw_parts(memory.as_ptr().cast(), 16 * memory.len()) }
}

/// `count` words of the memory, whatever was there.
pub fn words_mut(memory: &mut Vec<Words>, count: usize) -> &mut [u32] {
    let lines = count.div_ceil(16);
    if memory.len() < lines {
        memory.resize(lines, Words([0; 16]));
    }
    // SAFETY: a line is sixteen u32 and nothing else, so the first `lines` of them hold at least `count`; the borrow
    // of the memory is exclusive and goes on in what is returned.
    unsafe { std::slice::from_raw_parts_mut(memory.as_mut_ptr().cast(), count) }
}

/// Values that lie row by row, `stride` from one to the next.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub values: &'a [f32],
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
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

    pub fn row(self, row: usize) -> &'a [f32] {
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

    pub fn added_to(values: &'a mut [f32], stride: usize) -> Self {
        Self {
            values,
            stride,
            add: true,
        }
    }
}

/// The nearest bf16, ties to even. A NaN stays one.
#[inline(always)]
pub fn to_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    f32::from_bits(if x.is_nan() { bits } else { nearest })
}
