//! Products by the `gemm` crate, on one thread: squares are many, and run side by side. Lower precisions round the
//! operands as the hardware would and multiply them in f32, so that a setting means the same on every processor.

use gemm::Parallelism;

use super::{Grid, Pack, Precision, Real, Rows};
use crate::train::words::to_bf16;

pub fn similarities(
    precision: Precision,
    x: Rows<f32>,
    y: Rows<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    let [x_high, x_low, y_high, y_low, ..] = &mut pack.rounded;
    let dim = x.dim;
    let (x, y) = (
        parts(precision, x.data, x_high, x_low),
        parts(precision, y.data, y_high, y_low),
    );
    for (first, (x, y)) in products(x, y).enumerate() {
        multiply_similarities(Rows::new(x, dim), Rows::new(y, dim), s, first > 0);
    }
}

pub fn add_gradients(
    precision: Precision,
    g: &Grid<f32>,
    (x, y): (Rows<f32>, Rows<f32>),
    (dx, dy): (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    let [x_high, x_low, y_high, y_low, g_high, g_low] = &mut pack.rounded;
    let dim = x.dim;
    let (x, y) = (
        parts(precision, x.data, x_high, x_low),
        parts(precision, y.data, y_high, y_low),
    );
    let values = parts(precision, &g.values[..g.rows * g.stride], g_high, g_low);
    for (g_part, y) in products(values, y) {
        add_product(g, g_part, Rows::new(y, dim), dx);
    }
    for (g_part, x) in products(values, x) {
        add_transposed_product(g, g_part, Rows::new(x, dim), dy);
    }
}

pub fn exact_similarities(x: Rows<f64>, y: Rows<f64>, s: &mut Grid<f64>) {
    multiply_similarities(x, y, s, false);
}

pub fn add_exact_gradients(
    g: &Grid<f64>,
    (x, y): (Rows<f64>, Rows<f64>),
    (dx, dy): (&mut [f64], &mut [f64]),
) {
    add_product(g, &g.values, y, dx);
    add_transposed_product(g, &g.values, x, dy);
}

/// A matrix as it is multiplied: one part, or a high and a low one that add up to it.
type Parts<'a> = (&'a [f32], Option<&'a [f32]>);

fn parts<'a>(
    precision: Precision,
    values: &'a [f32],
    high: &'a mut Vec<f32>,
    low: &'a mut Vec<f32>,
) -> Parts<'a> {
    if precision == Precision::F32 {
        return (values, None);
    }
    high.clear();
    high.extend(values.iter().map(|&v| to_bf16(v)));
    if precision == Precision::Bf16 {
        return (high, None);
    }
    low.clear();
    low.extend(values.iter().zip(&*high).map(|(v, high)| to_bf16(v - high)));
    (high, Some(low))
}

/// The products of parts that count: the one of two low parts is below what f32 resolves.
fn products<'a>(
    (a_high, a_low): Parts<'a>,
    (b_high, b_low): Parts<'a>,
) -> impl Iterator<Item = (&'a [f32], &'a [f32])> {
    let high = std::iter::once((a_high, b_high));
    let mixed = [
        b_low.map(|b_low| (a_high, b_low)),
        a_low.map(|a_low| (a_low, b_high)),
    ];
    high.chain(mixed.into_iter().flatten())
}

/// `s[i, j] = [s[i, j] +] x_i · y_j`.
fn multiply_similarities<T: Real>(x: Rows<T>, y: Rows<T>, s: &mut Grid<T>, accumulate: bool) {
    let (m, n, k) = (x.count(), y.count(), x.dim);
    product(
        [m, n, k],
        (&mut s.values, s.stride, accumulate),
        (x.data, k, 1),
        (y.data, 1, k),
    );
}

/// `dx_i += Σ_j g[i, j] y_j`, with the values of `g` given apart.
fn add_product<T: Real>(g: &Grid<T>, values: &[T], y: Rows<T>, dx: &mut [T]) {
    let dim = y.dim;
    if dx.is_empty() {
        return;
    }
    product(
        [g.rows, dim, g.columns],
        (dx, dim, true),
        (values, g.stride, 1),
        (y.data, dim, 1),
    );
}

/// `dy_j += Σ_i g[i, j] x_i`, with the values of `g` given apart.
fn add_transposed_product<T: Real>(g: &Grid<T>, values: &[T], x: Rows<T>, dy: &mut [T]) {
    let dim = x.dim;
    if dy.is_empty() {
        return;
    }
    product(
        [g.columns, dim, g.rows],
        (dy, dim, true),
        (values, 1, g.stride),
        (x.data, dim, 1),
    );
}

/// `out (m×n) = [out +] a (m×k) · b (k×n)`. `out` has a row stride and columns side by side; `a` and `b` a row stride and
/// a column stride.
fn product<T: Real>(
    [m, n, k]: [usize; 3],
    (out, out_stride, accumulate): (&mut [T], usize, bool),
    (a, a_rows, a_columns): (&[T], usize, usize),
    (b, b_rows, b_columns): (&[T], usize, usize),
) {
    let last = |rows: usize, by: usize, columns: usize, step: usize| {
        (rows.max(1) - 1) * by + (columns.max(1) - 1) * step
    };
    if m == 0 || n == 0 || k == 0 {
        assert!(accumulate, "an empty product has nothing to be added to");
        return;
    }
    assert!(last(m, out_stride, n, 1) < out.len() && n <= out_stride);
    assert!(last(m, a_rows, k, a_columns) < a.len());
    assert!(last(k, b_rows, n, b_columns) < b.len());
    let stride = |s: usize| isize::try_from(s).expect("a slice is shorter than isize::MAX");
    // SAFETY: every element that the shapes and strides address lies in its slice, as asserted above. `out` is borrowed
    // exclusively, so it overlaps neither input, and its rows do not overlap each other, since n is at most its stride.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(out_stride),
            accumulate,
            a.as_ptr(),
            stride(a_columns),
            stride(a_rows),
            b.as_ptr(),
            stride(b_columns),
            stride(b_rows),
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
