//! The loops on the model of the registers, against the definition in f64; and the trial, of which a register that does
//! something else must fail.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::tests::{SHAPES, check_products};
use super::model::Model;
use super::*;

#[test]
fn tiles_multiply_as_defined() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let mut shapes = SHAPES.to_vec();
    shapes.extend((0..24).map(|_| [(); 3].map(|()| rng.random_range(1..=100))));
    for precision in [Precision::Bf16, Precision::Bf16x3] {
        check_products(
            "model",
            precision,
            shapes.iter().copied(),
            |x, y, s, pack| {
                s.reshape(x.count(), y.count());
                similarities_by(&mut Model::default(), precision, x, y, s, pack);
            },
            |g, sides, gradients, pack| {
                add_gradients_by(&mut Model::default(), precision, g, sides, gradients, pack);
            },
        );
    }
}

#[test]
fn a_side_without_rows_is_left_alone() {
    let (mut s, mut pack) = (Grid::default(), Pack::default());
    let (some, none) = (Rows::new(&[1.0_f32; 6], 3), Rows::new(&[], 3));
    for (x, y) in [(some, none), (none, some)] {
        s.reshape(x.count(), y.count());
        let tiles = &mut Model::default();
        similarities_by(tiles, Precision::Bf16x3, x, y, &mut s, &mut pack);
        let (mut dx, mut dy) = (vec![0.5; x.data.len()], vec![0.5; y.data.len()]);
        let gradients = (&mut dx[..], &mut dy[..]);
        add_gradients_by(tiles, Precision::Bf16x3, &s, (x, y), gradients, &mut pack);
        assert!(dx.iter().chain(&dy).all(|d| *d == 0.5));
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
