//! A kernel earns its use: before the first product of a process, small ones are formed by the tile registers and by
//! their definition. Registers that disagree count as not there, whatever the processor says of itself.

use std::sync::LazyLock;

use super::{Matrix, Part, Registers, Side, Sums, Tiles, multiply};
use crate::train::words::to_bf16;

/// Whether there are the instructions, the kernel lets this process use them, and they multiply as they should.
pub fn passed() -> bool {
    static PASSED: LazyLock<bool> =
        LazyLock::new(|| Registers::take().is_some_and(|mut registers| agrees(&mut registers)));
    *PASSED
}

/// Whether products by the tiles are what they are defined as. Both round the operands alike, so they differ only by the
/// order and the precision in which products are added: far less than by a rounding to bf16, let alone by a row in the
/// wrong place.
pub fn agrees(tiles: &mut impl Tiles) -> bool {
    const OFF: f64 = 1e-4;
    // More than one block each way, and edges in all.
    let [rows, columns, depth] = [37, 45, 70];
    let (a, b) = (values(1, rows * depth), values(2, columns * depth));
    let (mut left, mut right) = (Side::default(), Side::default());
    left.pack_left(Part::High, Matrix::new(&a, depth));
    right.pack_transposed_right(Part::High, Matrix::new(&b, depth), &mut Vec::new());
    let mut sums = vec![0.5; rows * columns];
    let terms = [(&left, &right), (&left, &right)];
    multiply(tiles, &terms, None, Sums::added_to(&mut sums, columns));
    let exact = |(a, b): (&[f32], &[f32])| {
        let products = a.iter().zip(b);
        let rounded = |x: &f32| f64::from(to_bf16(*x));
        0.5 + 2.0 * products.map(|(a, b)| rounded(a) * rounded(b)).sum::<f64>()
    };
    let pairs = a
        .chunks_exact(depth)
        .flat_map(|a| b.chunks_exact(depth).map(move |b| (a, b)));
    sums.iter()
        .zip(pairs.map(exact))
        .all(|(sum, exact)| (f64::from(*sum) - exact).abs() <= OFF)
}

/// Numbers in [-1, 1) without a pattern.
fn values(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    std::iter::repeat_with(next).take(count).collect()
}
