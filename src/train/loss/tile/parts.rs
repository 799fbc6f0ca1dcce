//! What a precision takes the values of an operand apart into, and which products of such parts count.

use super::{Grid, Precision, Rows};
use crate::train::words::{Matrix, Part};

/// The parts of an operand.
pub fn parts(precision: Precision) -> &'static [Part] {
    match precision {
        Precision::F32 => &[Part::Whole],
        Precision::Bf16 => &[Part::High],
        Precision::Bf16x3 => &[Part::High, Part::Low],
    }
}

/// The parts of two operands that are multiplied.
pub fn products(precision: Precision) -> &'static [(Part, Part)] {
    match precision {
        Precision::F32 => &[(Part::Whole, Part::Whole)],
        Precision::Bf16 => &[(Part::High, Part::High)],
        // That of two low parts is below what f32 resolves.
        Precision::Bf16x3 => &[
            (Part::High, Part::High),
            (Part::High, Part::Low),
            (Part::Low, Part::High),
        ],
    }
}

impl<'a> From<Rows<'a, f32>> for Matrix<'a> {
    fn from(rows: Rows<'a, f32>) -> Self {
        Self::new(rows.data, rows.dim)
    }
}

impl<'a> From<&'a Grid<f32>> for Matrix<'a> {
    fn from(grid: &'a Grid<f32>) -> Self {
        Self {
            values: &grid.values,
            rows: grid.rows,
            columns: grid.columns,
            stride: grid.stride,
        }
    }
}
