//! How fast this machine multiplies plain f32 matrices: what the products inside a loss cannot be faster than. It is
//! measured on the same library and threads as the loss, and is no part of it.

use std::time::Instant;

use gemm::Parallelism;

/// Side of the square that is formed.
pub const SIDE: usize = 4096;

/// Tries, of which the fastest counts.
pub const TRIES: usize = 4;

/// Operations a second of the product of `[SIDE, depth]` and `[depth, SIDE]`, both row-major.
pub fn rate(depth: usize) -> f64 {
    let (a, b) = (vec![0.5_f32; SIDE * depth], vec![0.25_f32; depth * SIDE]);
    let mut out = vec![0.0_f32; SIDE * SIDE];
    let mut time = || {
        let start = Instant::now();
        multiply(&a, &b, &mut out, depth);
        start.elapsed().as_secs_f64()
    };
    let least = (0..TRIES).map(|_| time()).fold(f64::INFINITY, f64::min);
    2.0 * (SIDE * SIDE * depth) as f64 / least
}

fn multiply(a: &[f32], b: &[f32], out: &mut [f32], depth: usize) {
    assert!(a.len() == SIDE * depth && b.len() == SIDE * depth && out.len() == SIDE * SIDE);
    let (side, row) = (SIDE as isize, depth as isize);
    // SAFETY: the slices have the sizes that shapes and strides address, as asserted, and `out` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            SIDE,
            SIDE,
            depth,
            out.as_mut_ptr(),
            1,
            side,
            false,
            a.as_ptr(),
            1,
            row,
            b.as_ptr(),
            1,
            side,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}
