//! Products against sums in f64.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::train::words::to_bf16;

fn values(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    let at = |i| x[i % rows * columns + i / rows];
    (0..x.len()).map(at).collect()
}

/// All that this processor has.
fn ways() -> Vec<Way> {
    let all = [Way::Values, Way::Rounded, Way::Pairs, Way::Tiles];
    all.into_iter().filter(|way| way.is_there()).collect()
}

const SHAPES: [[usize; 3]; 6] = [
    [1, 1, 1],
    [2, 3, 5],
    [13, 7, 33],
    [30, 64, 64],
    [47, 129, 70],
    [96, 31, 200],
];

#[test]
fn products_are_sums_of_products() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut panels, mut room) = (Panels::default(), Room::default());
    for [rows, depth, columns] in SHAPES {
        let (a, b) = (
            values(&mut rng, rows * depth),
            values(&mut rng, depth * columns),
        );
        let (start, bias) = (values(&mut rng, rows * columns), values(&mut rng, columns));
        let (a_t, b_t) = (transposed(&a, depth), transposed(&b, columns));
        for way in ways() {
            let (a_exact, b_exact) = match way {
                Way::Values => (a.clone(), b.clone()),
                _ => [&a, &b]
                    .map(|x| x.iter().map(|x| to_bf16(*x)).collect())
                    .into(),
            };
            for case in 0..8 {
                let [left_is_transposed, right_is_transposed, add] =
                    [1, 2, 4].map(|bit| case & bit > 0);
                let left = if left_is_transposed {
                    Left::Transposed(Matrix::new(&a_t, rows))
                } else {
                    Left::Plain(Matrix::new(&a, depth))
                };
                let right = if right_is_transposed {
                    panels.pack_transposed_for(way, Matrix::new(&b_t, depth))
                } else {
                    panels.pack_for(way, Matrix::new(&b, columns))
                };
                let mut out = start.clone();
                let sums = Sums {
                    values: &mut out,
                    stride: columns,
                    add,
                };
                multiply(left, right, add.then_some(&bias), sums, &mut room);
                for (place, ours) in out.iter().enumerate() {
                    let (i, j) = (place / columns, place % columns);
                    let products = (0..depth).map(|k| {
                        f64::from(a_exact[i * depth + k]) * f64::from(b_exact[k * columns + j])
                    });
                    let before = f64::from(start[place]) + f64::from(bias[j]);
                    let exact = products.sum::<f64>() + if add { before } else { 0.0 };
                    assert!(
                        (f64::from(*ours) - exact).abs() < 1e-5,
                        "{rows} x {depth} x {columns}, {way:?}, case {case}: {ours}, {exact}"
                    );
                }
            }
        }
    }
}

/// What is kept of one example does not depend on which others it was computed with.
#[test]
fn a_row_is_the_same_alone_and_among_others() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut panels, mut room) = (Panels::default(), Room::default());
    let (rows, depth, columns) = (29, 50, 45);
    let (a, b) = (
        values(&mut rng, rows * depth),
        values(&mut rng, depth * columns),
    );
    for way in ways() {
        panels.pack_for(way, Matrix::new(&b, columns));
        let mut product = |a: &[f32]| {
            let mut out = vec![0.0; a.len() / depth * columns];
            let sums = Sums::set(&mut out, columns);
            multiply(
                Left::Plain(Matrix::new(a, depth)),
                &panels,
                None,
                sums,
                &mut room,
            );
            out
        };
        let rows = a.chunks(depth).flat_map(&mut product).collect::<Vec<_>>();
        assert_eq!(rows, product(&a));
    }
}

#[test]
fn columns_of_wider_rows_multiply_as_if_they_were_alone() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (mut panels, mut room) = (Panels::default(), Room::default());
    let (a, b) = (values(&mut rng, 6 * 10), values(&mut rng, 4 * 10));
    let narrow = |x: &[f32]| {
        x.chunks(10)
            .flat_map(|row| row[3..8].to_vec())
            .collect::<Vec<_>>()
    };
    let mut product = |a: Matrix, b: Matrix| {
        let mut out = vec![0.0; 6 * 9];
        let right = panels.pack_transposed(b, Precision::F32);
        multiply(
            Left::Plain(a),
            right,
            None,
            Sums::set(&mut out[2..], 9),
            &mut room,
        );
        out
    };
    let [wide_a, wide_b] = [&a, &b].map(|x| Matrix::new(x, 10).narrow(3, 5));
    let (alone_a, alone_b) = (narrow(&a), narrow(&b));
    let alone = product(Matrix::new(&alone_a, 5), Matrix::new(&alone_b, 5));
    assert_eq!(product(wide_a, wide_b), alone);
    assert!(alone[..2].iter().chain(&alone[6..11]).all(|&x| x == 0.0));
}

#[test]
fn terms_add_up_whether_they_waited_or_not() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (inputs, outputs) = (35, 40);
    let start = values(&mut rng, inputs * outputs);
    for precision in [Precision::F32, Precision::Bf16] {
        let (mut terms, mut scratch) = (Terms::default(), Scratch::default());
        let (mut sums, mut exact) = (
            start.clone(),
            start.iter().map(|x| f64::from(*x)).collect::<Vec<_>>(),
        );
        // More than wait at most, and not a multiple of it.
        for rows in 1..=21 {
            let (x, y) = (
                values(&mut rng, rows * inputs),
                values(&mut rng, rows * outputs),
            );
            let (left, right) = (Matrix::new(&x, inputs), Matrix::new(&y, outputs));
            terms.add(left, right, precision, &mut sums, &mut scratch);
            let value = |x: f32| match precision {
                Precision::F32 => f64::from(x),
                Precision::Bf16 => f64::from(to_bf16(x)),
            };
            for (x, y) in x.chunks(inputs).zip(y.chunks(outputs)) {
                for (place, sum) in exact.iter_mut().enumerate() {
                    *sum += value(x[place / outputs]) * value(y[place % outputs]);
                }
            }
        }
        terms.settle(&mut sums, outputs);
        for (ours, exact) in sums.iter().zip(exact) {
            assert!(
                (f64::from(*ours) - exact).abs() < 1e-4,
                "{precision:?}: {ours}, {exact}"
            );
        }
    }
}
