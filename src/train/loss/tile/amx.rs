//! Products of bf16 by the tile registers of [`words::amx`](crate::train::words::amx).

use super::parts::{parts, products};
use super::{Grid, Pack, Precision, Rows};
use crate::train::words::amx::{self, Side, Tiles};
use crate::train::words::{Part, Sums, Words};

pub fn serves(precision: Precision) -> bool {
    precision != Precision::F32 && amx::passed()
}

pub fn similarities(
    precision: Precision,
    x: Rows<f32>,
    y: Rows<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    similarities_by(&mut amx::registers(), precision, x, y, s, pack);
}

pub fn add_gradients(
    precision: Precision,
    g: &Grid<f32>,
    sides: (Rows<f32>, Rows<f32>),
    gradients: (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    add_gradients_by(&mut amx::registers(), precision, g, sides, gradients, pack);
}

/// Operands by part, and room to pack them.
#[derive(Debug, Default)]
pub struct Sides {
    left: [Side; 2],
    right: [Side; 2],
    scratch: Vec<Words>,
}

impl Sides {
    fn pack(
        &mut self,
        precision: Precision,
        mut left: impl FnMut(Part, &mut Side, &mut Vec<Words>),
        mut right: impl FnMut(Part, &mut Side, &mut Vec<Words>),
    ) {
        for &part in parts(precision) {
            left(part, &mut self.left[part.place()], &mut self.scratch);
            right(part, &mut self.right[part.place()], &mut self.scratch);
        }
    }

    fn multiply(&self, tiles: &mut impl Tiles, precision: Precision, sums: Sums) {
        let terms: Vec<_> = products(precision)
            .iter()
            .map(|(a, b)| (&self.left[a.place()], &self.right[b.place()]))
            .collect();
        amx::multiply(tiles, &terms, None, sums);
    }
}

fn similarities_by(
    tiles: &mut impl Tiles,
    precision: Precision,
    x: Rows<f32>,
    y: Rows<f32>,
    s: &mut Grid<f32>,
    pack: &mut Pack<f32>,
) {
    pack.sides.pack(
        precision,
        |part, side, _| side.pack_left(part, x.into()),
        |part, side, scratch| side.pack_transposed_right(part, y.into(), scratch),
    );
    let sums = Sums::set(&mut s.values, s.stride);
    pack.sides.multiply(tiles, precision, sums);
}

fn add_gradients_by(
    tiles: &mut impl Tiles,
    precision: Precision,
    g: &Grid<f32>,
    (x, y): (Rows<f32>, Rows<f32>),
    (dx, dy): (&mut [f32], &mut [f32]),
    pack: &mut Pack<f32>,
) {
    let sides = &mut pack.sides;
    if !dx.is_empty() {
        sides.pack(
            precision,
            |part, side, _| side.pack_left(part, g.into()),
            |part, side, _| side.pack_right(part, y.into()),
        );
        sides.multiply(tiles, precision, Sums::added_to(dx, x.dim));
    }
    if !dy.is_empty() {
        sides.pack(
            precision,
            |part, side, scratch| side.pack_transposed_left(part, g.into(), scratch),
            |part, side, _| side.pack_right(part, x.into()),
        );
        sides.multiply(tiles, precision, Sums::added_to(dy, x.dim));
    }
}

/// On the model of the registers, so that every processor tests it.
#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::super::tests::{SHAPES, check_products};
    use super::*;
    use crate::train::words::amx::model::Model;

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
}
