//! The arithmetic inside one tile of the pair matrix, on slices, for f32 and f64: products by `gemm`, and the
//! stable elementary functions of both losses. Which pairs meet, and where results go, is the caller's affair.

use gemm::Parallelism;
use num_traits::Float;

/// A floating-point type that `gemm` multiplies.
pub trait Real: Float + Send + Sync + 'static {
    fn of(x: f64) -> Self;
    fn wide(self) -> f64;
}

impl Real for f32 {
    fn of(x: f64) -> Self {
        x as f32
    }
    fn wide(self) -> f64 {
        self.into()
    }
}

impl Real for f64 {
    fn of(x: f64) -> Self {
        x
    }
    fn wide(self) -> f64 {
        self
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

    pub fn range(&self, rows: std::ops::Range<usize>) -> Rows<'a, T> {
        Rows {
            data: &self.data[rows.start * self.dim..rows.end * self.dim],
            dim: self.dim,
        }
    }
}

/// `out[i, j] = x_i · y_j`, shape `[x.len(), y.len()]`.
pub fn similarities<T: Real>(x: Rows<T>, y: Rows<T>, out: &mut [T]) {
    let (m, n, k) = (x.count(), y.count(), x.dim);
    assert_eq!((out.len(), y.dim), (m * n, k));
    product(
        Shape { m, n, k },
        out,
        false,
        x.data,
        (k, 1),
        y.data,
        (1, k),
    );
}

/// `out_i += Σ_j g[i, j] y_j`, with `g` of shape `[out rows, y.len()]`.
pub fn add_product<T: Real>(g: &[T], y: Rows<T>, out: &mut [T]) {
    let (m, n, k) = (out.len() / y.dim, y.dim, y.count());
    assert_eq!(g.len(), m * k);
    product(Shape { m, n, k }, out, true, g, (k, 1), y.data, (n, 1));
}

/// `out_j += Σ_i g[i, j] x_i`, with `g` of shape `[x.len(), out rows]`.
pub fn add_transposed_product<T: Real>(g: &[T], x: Rows<T>, out: &mut [T]) {
    let (m, n, k) = (out.len() / x.dim, x.dim, x.count());
    assert_eq!(g.len(), m * k);
    product(Shape { m, n, k }, out, true, g, (1, m), x.data, (n, 1));
}

#[derive(Clone, Copy)]
struct Shape {
    m: usize,
    n: usize,
    k: usize,
}

/// `out (m×n, row-major) = [out +] a (m×k) · b (k×n)`; strides are (row, column).
fn product<T: Real>(
    Shape { m, n, k }: Shape,
    out: &mut [T],
    accumulate: bool,
    a: &[T],
    a_stride: (usize, usize),
    b: &[T],
    b_stride: (usize, usize),
) {
    assert!(out.len() == m * n && a.len() == m * k && b.len() == k * n);
    let stride = |s: usize| isize::try_from(s).expect("a slice is shorter than isize::MAX");
    // SAFETY: the three slices have exactly the sizes that the shapes and strides address (asserted above and by
    // the callers' strides, which are those of row-major matrices and their transposes), and `out` is borrowed
    // exclusively, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride(n),
            accumulate,
            a.as_ptr(),
            stride(a_stride.1),
            stride(a_stride.0),
            b.as_ptr(),
            stride(b_stride.1),
            stride(b_stride.0),
            T::one(),
            T::one(),
            false,
            false,
            false,
            Parallelism::Rayon(0),
        );
    }
}

/// ln(1 + eˣ) without overflow, and 1 / (1 + e⁻ˣ), from one exponential.
pub fn softplus_and_sigmoid<T: Real>(x: T) -> (T, T) {
    let e = (-x.abs()).exp();
    let softplus = x.max(T::zero()) + e.ln_1p();
    let small = e / (T::one() + e);
    (
        softplus,
        if x >= T::zero() {
            T::one() - small
        } else {
            small
        },
    )
}

/// ln(eᵃ + eᵇ); minus infinity is the neutral element.
pub fn log_add_exp<T: Real>(a: T, b: T) -> T {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == T::neg_infinity() {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

/// Count, sum, least and greatest of some logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Extent {
    pub fn add(&mut self, x: f64) {
        self.count += 1;
        self.sum += x;
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// None when nothing was added.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tails_are_exact() {
        let (low, p) = softplus_and_sigmoid(-40.0_f32);
        assert!((low.wide() / 4.248_354_255_291_589e-18 - 1.0).abs() < 1e-5);
        assert!((p.wide() / 4.248_354_255_291_589e-18 - 1.0).abs() < 1e-5);
        assert_eq!(softplus_and_sigmoid(1e38_f32), (1e38, 1.0));
        assert_eq!(log_add_exp(f64::NEG_INFINITY, 3.0), 3.0);
        assert!(
            (log_add_exp(1000.0_f64, 1000.0) - (1000.0 + std::f64::consts::LN_2)).abs() < 1e-12
        );
    }

    #[test]
    fn products_match_their_definition() {
        let (x, y) = ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, -1.0, 0.5, 2.0]);
        let (x, y) = (Rows::new(&x, 2), Rows::new(&y, 2));
        let mut s = [0.0; 6];
        similarities(x, y, &mut s);
        assert_eq!(s, [-1.0, 4.5, -1.0, 9.5, -1.0, 14.5]);
        let mut dx = [1.0; 6];
        add_product(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], y, &mut dx);
        assert_eq!(dx, [2.0, 0.0, 1.5, 3.0, 2.5, 2.0]);
        let mut dy = [0.0; 4];
        add_transposed_product(&[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], x, &mut dy);
        assert_eq!(dy, [6.0, 8.0, 8.0, 10.0]);
    }
}
