//! The loops on the model of the registers, against the definition in f64; and the trial, of which a register that does
//! something else must fail.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::model::Model;
use super::*;
use crate::train::words::to_bf16;

fn random(rng: &mut ChaCha8Rng, count: usize) -> Vec<f32> {
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn transposed(x: &[f32], columns: usize) -> Vec<f32> {
    let rows = x.len() / columns;
    (0..x.len())
        .map(|i| x[i % rows * columns + i / rows])
        .collect()
}

#[test]
fn tiles_multiply_as_defined() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut shapes = vec![[1, 1, 1], [2, 3, 5], [32, 64, 32], [33, 31, 65], [9, 97, 2]];
    shapes.extend((0..24).map(|_| [(); 3].map(|()| rng.random_range(1..=100))));
    let mut scratch = Vec::new();
    // One memory for all, so that what an earlier product left cannot be seen.
    let mut sides: [Side; 4] = Default::default();
    for [rows, depth, columns] in shapes {
        let (a, b) = (
            random(&mut rng, rows * depth),
            random(&mut rng, depth * columns),
        );
        let (start, bias) = (random(&mut rng, rows * columns), random(&mut rng, columns));
        let (a_t, b_t) = (transposed(&a, depth), transposed(&b, columns));
        let [high, low, right, turned] = &mut sides;
        high.pack_left(Part::High, Matrix::new(&a, depth));
        low.pack_transposed_left(Part::Low, Matrix::new(&a_t, rows), &mut scratch);
        right.pack_right(Part::High, Matrix::new(&b, columns));
        turned.pack_transposed_right(Part::High, Matrix::new(&b_t, depth), &mut scratch);
        for add in [false, true] {
            let mut out = start.clone();
            let sums = Sums {
                values: &mut out,
                stride: columns,
                add,
            };
            // High and low parts of the left together are its values to 16 bits.
            let terms = [(&*high, &*right), (&*low, &*turned)];
            multiply(&mut Model::default(), &terms, add.then_some(&bias), sums);
            for (place, sum) in out.iter().enumerate() {
                let (i, j) = (place / columns, place % columns);
                let products = (0..depth)
                    .map(|k| f64::from(a[i * depth + k]) * f64::from(to_bf16(b[k * columns + j])));
                let before = f64::from(start[place]) + f64::from(bias[j]);
                let exact = products.sum::<f64>() + if add { before } else { 0.0 };
                assert!(
                    (f64::from(*sum) - exact).abs() < 2e-4,
                    "{rows} x {depth} x {columns}, add {add}: {sum}, {exact}"
                );
            }
        }
    }
}

/// The model with one thing amiss.
struct Amiss {
    model: Model,
    /// What it does to a tile that it stores.
    harm: fn(&mut [f32]),
}

impl Tiles for Amiss {
    fn zero<const TILE: u8>(&mut self) {
        self.model.zero::<TILE>();
    }

    fn load<const TILE: u8>(&mut self, words: &[u32], stride: usize) {
        self.model.load::<TILE>(words, stride);
    }

    fn multiply<const SUMS: u8, const A: u8, const B: u8>(&mut self) {
        self.model.multiply::<SUMS, A, B>();
    }

    fn store<const TILE: u8>(&self, values: &mut [f32], stride: usize) {
        self.model.store::<TILE>(values, stride);
        (self.harm)(values);
    }
}

#[test]
fn registers_earn_their_use() {
    let passes = |harm| {
        trial::agrees(&mut Amiss {
            model: Model::default(),
            harm,
        })
    };
    assert!(passes(|_| {}));
    assert!(!passes(|values| values[..16].fill(0.0)), "a row is lost");
    assert!(!passes(|values| values.swap(0, 1)), "columns are exchanged");
    assert!(!passes(|values| values[3] *= 1.01), "too few digits");
    assert!(!passes(|values| values[5] = f32::NAN), "not a number");
}
