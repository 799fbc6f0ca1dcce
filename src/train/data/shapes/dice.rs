//! Random draws that never change: ChaCha8 addressed by seeds, stream and index, and our own few ways of turning
//! its words into numbers, so that no release of `rand` and no machine moves a pixel.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Which endless sequence of examples a draw belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Train,
    Eval,
    /// Second views of the examples of `Train`.
    TrainAgain,
    /// Second views of the examples of `Eval`.
    EvalAgain,
    /// The language of the examples of `Train`, and what is said in it.
    TrainWords,
    /// The same of `Eval`.
    EvalWords,
}

/// The draws of one example.
pub struct Dice(ChaCha8Rng);

impl Dice {
    pub fn new(data_seed: u64, run_seed: u64, stream: Stream, index: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&data_seed.to_le_bytes());
        key[8..16].copy_from_slice(&run_seed.to_le_bytes());
        key[16] = stream as u8;
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(index);
        Self(rng)
    }

    /// One of `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        debug_assert!(n > 0 && n <= u32::MAX as usize);
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Uniform in [0, 1), in steps of 2^-24.
    pub fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    pub fn fill(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_address_matters() {
        let first = |data, run, stream, index| Dice::new(data, run, stream, index).unit();
        let base = first(1, 2, Stream::Train, 3);
        assert_eq!(base, first(1, 2, Stream::Train, 3));
        for other in [
            first(0, 2, Stream::Train, 3),
            first(1, 0, Stream::Train, 3),
            first(1, 2, Stream::Eval, 3),
            first(1, 2, Stream::Train, 0),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn draws_stay_in_range_and_reach_its_ends() {
        let mut dice = Dice::new(0, 0, Stream::Train, 0);
        let mut seen = [false; 7];
        for _ in 0..1_000 {
            seen[dice.below(7)] = true;
            assert!((0.0..1.0).contains(&dice.unit()));
            assert!((-2.0..3.0).contains(&dice.between(-2.0, 3.0)));
        }
        assert_eq!(seen, [true; 7]);
    }
}
