//! What is drawn of an example each time training comes to it: which of its captions, which part of its picture. The
//! draws follow from numbers alone, so that ranks and resumed runs draw alike.

use crate::train::splitmix::scramble;

/// A stream of draws.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The stream that these numbers name.
    pub fn new(names: &[u64]) -> Self {
        let mix = |state: u64, name: &u64| scramble(state ^ name).wrapping_add(GOLDEN);
        let state = names.iter().fold(0, mix);
        Self { state }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        scramble(self.state)
    }

    /// Uniform in [0, 1).
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform among 0..n; 0 of none.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}

/// 2^64 over the golden ratio, made odd (Steele, Lea, Flood, OOPSLA 2014).
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_streams_differ() {
        let mut counts = [0; 10];
        let mut sum = 0.0;
        for name in 0..1_000 {
            let mut chance = Chance::new(&[7, name]);
            counts[chance.below(10) as usize] += 1;
            sum += chance.share();
        }
        assert!(
            counts.iter().all(|count| (60..140).contains(count)),
            "{counts:?}"
        );
        assert!((sum / 1_000.0 - 0.5).abs() < 0.03, "{sum}");
        let first = |names: &[u64]| Chance::new(names).next();
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[0]), first(&[0, 0]));
        assert_eq!(Chance::new(&[1]).below(0), 0);
    }
}
