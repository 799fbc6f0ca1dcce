//! The tile registers in plain arithmetic, after Intel's description of the instructions. Everything but the
//! instructions themselves is tested on it, on any processor.

use super::Tiles;

type Tile = [[u32; 16]; 16];

/// A register that nothing has been written to is None.
#[derive(Default)]
pub struct Model([Option<Box<Tile>>; 8]);

impl Model {
    fn tile(&self, tile: u8) -> &Tile {
        self.0[usize::from(tile)]
            .as_ref()
            .expect("a register is written before it is read")
    }
}

impl Tiles for Model {
    fn zero<const TILE: u8>(&mut self) {
        self.0[usize::from(TILE)] = Some(Box::default());
    }

    fn load<const TILE: u8>(&mut self, words: &[u32], stride: usize) {
        let rows = std::array::from_fn(|row| {
            let (line, _) = words[row * stride..]
                .split_first_chunk()
                .expect("a whole row");
            *line
        });
        self.0[usize::from(TILE)] = Some(Box::new(rows));
    }

    fn multiply<const SUMS: u8, const A: u8, const B: u8>(&mut self) {
        assert!(SUMS != A && SUMS != B && A != B, "the instruction faults");
        let mut sums = *self.tile(SUMS);
        let halves = |word: u32| [value(word << 16), value(word & 0xffff_0000)];
        for (sums, a) in sums.iter_mut().zip(self.tile(A)) {
            for (a, b) in a.iter().zip(self.tile(B)) {
                let [a_low, a_high] = halves(*a);
                for (sum, b) in sums.iter_mut().zip(b) {
                    let [b_low, b_high] = halves(*b);
                    let result = a_low.mul_add(b_low, value(*sum));
                    *sum = a_high.mul_add(b_high, result).to_bits();
                }
            }
        }
        self.0[usize::from(SUMS)] = Some(Box::new(sums));
    }

    fn store<const TILE: u8>(&self, values: &mut [f32], stride: usize) {
        for (row, words) in self.tile(TILE).iter().enumerate() {
            for (value, word) in values[row * stride..][..16].iter_mut().zip(words) {
                *value = f32::from_bits(*word);
            }
        }
    }
}

/// Numbers below the normal ones count as zero.
fn value(bits: u32) -> f32 {
    let value = f32::from_bits(bits);
    if value.is_subnormal() { 0.0 } else { value }
}
