//! A kernel earns its use: before the first product of a process, a small one is formed by the tile registers and by the
//! portable way. Registers that disagree count as not there, whatever the processor says of itself.

use std::sync::LazyLock;

use super::super::{Grid, Pack, Precision, Rows, portable};
use super::registers::Registers;
use super::{Tiles, add_gradients_by, similarities_by};

/// Whether this processor's registers may be used.
pub fn passed() -> bool {
    static PASSED: LazyLock<bool> =
        LazyLock::new(|| Registers::take().is_some_and(|mut registers| agrees(&mut registers)));
    *PASSED
}

/// Whether products by the tiles are the portable ones. Both round the operands alike, so they differ only by the order
/// in which f32 are added: far less than by a rounding to bf16, let alone by a row in the wrong place.
pub fn agrees(tiles: &mut impl Tiles) -> bool {
    const OFF: f32 = 1e-4;
    // More than one block each way, and edges in all.
    let [m, n, dim] = [37, 45, 70];
    let (x, y, g_values) = (values(1, m * dim), values(2, n * dim), values(3, m * n));
    let (x, y) = (Rows::new(&x, dim), Rows::new(&y, dim));
    let mut pack = Pack::default();
    [Precision::Bf16, Precision::Bf16x3]
        .into_iter()
        .all(|precision| {
            let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= OFF);
            let [mut s, mut expected] = [Grid::default(), Grid::default()];
            for grid in [&mut s, &mut expected] {
                grid.reshape(m, n);
            }
            similarities_by(tiles, precision, x, y, &mut s, &mut pack);
            portable::similarities(precision, x, y, &mut expected, &mut pack);
            let similarities = (0..m).all(|i| near(s.row(i), expected.row(i)));

            let mut g = s;
            for (i, values) in g_values.chunks_exact(n).enumerate() {
                g.row_mut(i).copy_from_slice(values);
            }
            let zeros = || (vec![0.0; m * dim], vec![0.0; n * dim]);
            let ((mut dx, mut dy), mut expected) = (zeros(), zeros());
            add_gradients_by(tiles, precision, &g, (x, y), (&mut dx, &mut dy), &mut pack);
            let into = (&mut expected.0[..], &mut expected.1[..]);
            portable::add_gradients(precision, &g, (x, y), into, &mut pack);
            similarities && near(&dx, &expected.0) && near(&dy, &expected.1)
        })
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
