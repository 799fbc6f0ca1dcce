//! The products of one square of the pair matrix, on slices: similarities in, gradients out. One interface, and under
//! it one file for each way to multiply; which is taken follows from the processor and the precision asked for. Which
//! pairs meet, and what becomes of a similarity, is the caller's affair.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod parts;
mod portable;
mod real;
pub mod vector;

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::words::{PANEL, Words};
pub use real::{Real, log_add_exp, softplus_and_sigmoid};

/// Of the products in the loss. The values that are multiplied are rounded, sums are f32 always, and so is all that is
/// not a product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// As the embeddings are.
    #[default]
    F32,
    /// Each value is the sum of two bf16, and three of their four products count: about 16 bits, for processors that
    /// multiply bf16 several times faster.
    Bf16x3,
    /// Each value is rounded to bf16, 8 bits.
    Bf16,
}

impl Precision {
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16x3, Self::Bf16];

    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16x3 => "bf16x3",
            Self::Bf16 => "bf16",
        }
    }
}

/// How products are formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// By the `gemm` crate, on any processor. What the others are held against.
    Portable,
    /// By AVX-512: f32 with its foundation, bf16 with AVX512_BF16.
    Avx512,
    /// By AMX, bf16 only.
    Amx,
}

impl Isa {
    /// From slow to fast.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx512, Self::Amx];

    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        }
    }

    /// Whether this processor can.
    pub fn serves(self, precision: Precision) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::serves(precision),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => amx::serves(precision),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx512 | Self::Amx => false,
        }
    }
}

/// A way to multiply that this processor has, at a precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel {
    isa: Isa,
    precision: Precision,
}

impl Kernel {
    /// None when this processor cannot.
    pub fn new(isa: Isa, precision: Precision) -> Option<Self> {
        isa.serves(precision).then_some(Self { isa, precision })
    }

    /// The fastest that this processor has.
    pub fn best(precision: Precision) -> Self {
        Isa::ALL
            .into_iter()
            .rev()
            .find_map(|isa| Self::new(isa, precision))
            .expect("the portable isa is always there")
    }

    /// Every way that this processor has, at every precision.
    pub fn all() -> impl Iterator<Item = Self> {
        let of = |precision| {
            Isa::ALL
                .into_iter()
                .filter_map(move |isa| Self::new(isa, precision))
        };
        Precision::ALL.into_iter().flat_map(of)
    }

    pub fn isa(self) -> Isa {
        self.isa
    }

    pub fn precision(self) -> Precision {
        self.precision
    }
}

/// Rows of equal width, row-major.
#[derive(Clone, Copy)]
pub struct Rows<'a, T> {
    pub data: &'a [T],
    pub dim: usize,
}

impl<'a, T> Rows<'a, T> {
    pub fn new(data: &'a [T], dim: usize) -> Self {
        assert!(
            dim > 0 && data.len().is_multiple_of(dim),
            "{} values are not rows of {dim}",
            data.len()
        );
        Self { data, dim }
    }

    pub fn count(&self) -> usize {
        self.data.len() / self.dim
    }

    pub fn range(&self, rows: Range<usize>) -> Rows<'a, T> {
        Rows {
            data: &self.data[rows.start * self.dim..rows.end * self.dim],
            dim: self.dim,
        }
    }
}

/// The values of one square, row-major with room between the rows.
#[derive(Debug, Default)]
pub struct Grid<T> {
    values: Vec<T>,
    rows: usize,
    columns: usize,
    /// From one row to the next: whole vectors, and not a power of two, so that the rows of a column do not meet in one
    /// set of the cache.
    stride: usize,
}

impl<T: Real> Grid<T> {
    /// Take another shape; the values are whatever they were.
    fn reshape(&mut self, rows: usize, columns: usize) {
        (self.rows, self.columns) = (rows, columns);
        self.stride = columns.next_multiple_of(PANEL) + 16;
        let length = rows * self.stride;
        if self.values.len() < length {
            self.values.resize(length, T::zero());
        }
    }

    /// Take these values, row-major, in lines of `columns`.
    pub fn fill(&mut self, columns: usize, values: &[T]) {
        self.reshape(values.len() / columns, columns);
        for (row, line) in values.chunks_exact(columns).enumerate() {
            self.row_mut(row).copy_from_slice(line);
        }
    }

    pub fn row(&self, row: usize) -> &[T] {
        &self.values[row * self.stride..][..self.columns]
    }

    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.values[row * self.stride..][..self.columns]
    }
}

/// Memory for operands as kernels like them, kept from square to square.
#[derive(Debug, Default)]
pub struct Pack<T> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    words: Vec<Words>,
    #[cfg(target_arch = "x86_64")]
    sides: amx::Sides,
    /// Rounded operands of the portable kernel.
    rounded: [Vec<T>; 6],
}

/// Rows of one side of a square, with what the kernel wants prepared of them: the same rows meet many others.
pub struct Operand<'a, T> {
    pub rows: Rows<'a, T>,
    prepared: Prepared,
}

/// What rows are multiplied for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// As the right side of similarities.
    pub similarities: bool,
    /// For the gradient of the rows that they meet.
    pub gradient: bool,
}

/// Panels of rows, by part of their values; empty where the kernel does without, or for what the rows are not used.
#[derive(Debug, Default)]
pub struct Prepared {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    across: [Vec<Words>; 2],
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
    down: [Vec<Words>; 2],
}

impl<'a, T: Real> Operand<'a, T> {
    pub fn new(kernel: Kernel, rows: Rows<'a, T>, uses: Uses) -> Self {
        Self {
            rows,
            prepared: T::prepare(kernel, rows, uses),
        }
    }
}

/// `s[i, j] = x_i · y_j`, shape `[x.count(), y.count()]`, in the place of what `s` was.
pub fn similarities<T: Real>(
    kernel: Kernel,
    x: &Operand<T>,
    y: &Operand<T>,
    s: &mut Grid<T>,
    pack: &mut Pack<T>,
) {
    assert_eq!(x.rows.dim, y.rows.dim, "rows of one width");
    s.reshape(x.rows.count(), y.rows.count());
    T::similarities(kernel, x, y, s, pack);
}

/// `dx_i += Σ_j g[i, j] y_j` and `dy_j += Σ_i g[i, j] x_i`; one that is empty is not wanted.
pub fn add_gradients<T: Real>(
    kernel: Kernel,
    g: &Grid<T>,
    (x, y): (&Operand<T>, &Operand<T>),
    (dx, dy): (&mut [T], &mut [T]),
    pack: &mut Pack<T>,
) {
    assert_eq!((g.rows, g.columns), (x.rows.count(), y.rows.count()));
    assert!(dx.is_empty() || dx.len() == x.rows.data.len());
    assert!(dy.is_empty() || dy.len() == y.rows.data.len());
    assert_eq!(x.rows.dim, y.rows.dim, "rows of one width");
    T::add_gradients(kernel, g, (x, y), (dx, dy), pack);
}

#[cfg(test)]
mod tests;
