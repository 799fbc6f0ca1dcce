//! Every isa at every precision against the definition in f64.

use pulp::{Simd, WithSimd};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::train::simd;

fn random(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// What a sum of so many products may be off by, for values up to 1: the rounding of the operands, and of f32 sums.
fn bound(precision: Precision, terms: usize) -> f64 {
    let operands = match precision {
        Precision::F32 => 0.0,
        Precision::Bf16x3 => 2.0_f64.powi(-15),
        Precision::Bf16 => 2.0_f64.powi(-7),
    };
    operands * (terms as f64).sqrt() + 2.0_f64.powi(-23) * terms as f64
}

pub const SHAPES: [[usize; 3]; 6] = [
    [1, 1, 1],
    [2, 3, 5],
    [8, 32, 64],
    [13, 33, 31],
    [67, 40, 100],
    [9, 97, 2],
];

/// Hold both products of the shapes against the definition in f64.
pub fn check_products(
    name: &str,
    precision: Precision,
    shapes: impl IntoIterator<Item = [usize; 3]>,
    similarities: impl Fn(Rows<f32>, Rows<f32>, &mut Grid<f32>, &mut Pack<f32>),
    add_gradients: impl Fn(&Grid<f32>, (Rows<f32>, Rows<f32>), (&mut [f32], &mut [f32]), &mut Pack<f32>),
) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    // One scratch for all, so that what an earlier square left cannot be seen.
    let (mut s, mut pack) = (Grid::default(), Pack::default());
    for [m, n, dim] in shapes {
        let (x, y) = (random(&mut rng, m * dim), random(&mut rng, n * dim));
        let (x, y) = (Rows::new(&x, dim), Rows::new(&y, dim));
        similarities(x, y, &mut s, &mut pack);
        let off = |value: f32, terms: usize, exact: f64| {
            let error = (f64::from(value) - exact).abs();
            assert!(
                error <= bound(precision, terms),
                "{name} {precision:?} {m}x{n}x{dim}: {value}, expected {exact}"
            );
        };
        let at = |rows: Rows<f32>, i: usize, k: usize| f64::from(rows.data[i * dim + k]);
        for i in 0..m {
            for j in 0..n {
                let exact = (0..dim).map(|k| at(x, i, k) * at(y, j, k)).sum();
                off(s.row(i)[j], dim, exact);
            }
        }
        for i in 0..m {
            let row = random(&mut rng, n);
            s.row_mut(i).copy_from_slice(&row);
        }
        let (mut dx, mut dy) = (vec![0.5; m * dim], vec![0.25; n * dim]);
        add_gradients(&s, (x, y), (&mut dx, &mut dy), &mut pack);
        for k in 0..dim {
            for i in 0..m {
                let sum: f64 = (0..n).map(|j| f64::from(s.row(i)[j]) * at(y, j, k)).sum();
                off(dx[i * dim + k], n, 0.5 + sum);
            }
            for j in 0..n {
                let sum: f64 = (0..m).map(|i| f64::from(s.row(i)[j]) * at(x, i, k)).sum();
                off(dy[j * dim + k], m, 0.25 + sum);
            }
        }
    }
}

#[test]
fn every_way_multiplies_as_defined() {
    let mut tried = 0;
    for isa in Isa::ALL {
        for precision in Precision::ALL {
            let Some(kernel) = Kernel::new(isa, precision) else {
                continue;
            };
            tried += 1;
            check_products(
                isa.name(),
                precision,
                SHAPES,
                |x, y, s, pack| similarities(kernel, x, y, s, pack),
                |g, sides, gradients, pack| add_gradients(kernel, g, sides, gradients, pack),
            );
        }
    }
    assert!(
        tried >= Precision::ALL.len(),
        "the portable isa is always there"
    );
}

#[test]
fn both_tails_are_exact() {
    let tail = 4.248_354_255_291_589e-18;
    for value in <[f64; 2]>::from(softplus_and_sigmoid(-40.0)) {
        assert!((value / tail - 1.0).abs() < 1e-14);
    }
    assert_eq!(softplus_and_sigmoid(1e38), (1e38, 1.0));
    assert_eq!(log_add_exp(f64::NEG_INFINITY, 3.0), 3.0);
    assert!((log_add_exp(1000.0, 1000.0) - (1000.0 + std::f64::consts::LN_2)).abs() < 1e-12);
}

/// The elementary functions of a line of numbers, in vectors and what is left of them.
struct Functions<'a, T> {
    x: &'a [T],
    out: &'a mut Vec<(f64, f64)>,
}

impl<T: Real> WithSimd for Functions<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for x in self.x.chunks(vector::width::<T, S>(simd)) {
            let (softplus, sigmoid) = vector::softplus_and_sigmoid::<T, S>(simd, T::load(simd, x));
            let mut values = [[T::zero(); vector::MOST_LANES]; 2];
            T::store(simd, &mut values[0][..x.len()], softplus);
            T::store(simd, &mut values[1][..x.len()], sigmoid);
            let pairs = values[0].iter().zip(&values[1]).take(x.len());
            self.out.extend(pairs.map(|(a, b)| (a.wide(), b.wide())));
        }
    }
}

#[test]
fn vectors_keep_the_digits_of_softplus_and_sigmoid() {
    let mut x: Vec<f32> = (-8700..=8700).map(|i| i as f32 / 100.0).collect();
    x.extend([1e38, -1e38, 0.0]);
    let mut out = Vec::new();
    simd::dispatch(Functions {
        x: &x,
        out: &mut out,
    });
    for (x, computed) in x.iter().zip(&out) {
        let exact = softplus_and_sigmoid(f64::from(*x));
        for (computed, exact) in [(computed.0, exact.0), (computed.1, exact.1)] {
            // What f32 has no number for counts as the least that it has.
            assert!(
                (computed - exact).abs() < 5e-7 * exact + 2e-38,
                "{x}: {computed}, expected {exact}"
            );
        }
    }
    let wide: Vec<f64> = x.iter().map(|x| f64::from(*x)).collect();
    out.clear();
    simd::dispatch(Functions {
        x: &wide,
        out: &mut out,
    });
    for (x, computed) in wide.iter().zip(&out) {
        let exact = softplus_and_sigmoid(*x);
        assert!((computed.0 - exact.0).abs() <= 1e-15 * exact.0, "{x}");
        assert!((computed.1 - exact.1).abs() <= 1e-15 * exact.1, "{x}");
    }
}
