//! The order in which a finite training set is gone through: for each epoch a permutation of 0..length that is computed
//! one place at a time, so that it takes no memory, a resumed run no state, and each rank only its own places. It is a
//! Feistel network over the next power of four, walked until it lands inside (Black and Rogaway, CT-RSA 2002).

use crate::train::splitmix::scramble;

/// The permutation of one epoch.
#[derive(Clone, Debug)]
pub struct Order {
    length: u64,
    /// Bits of half a place.
    half: u32,
    keys: [u64; ROUNDS],
}

const ROUNDS: usize = 6;

impl Order {
    /// `seeds` are whatever tells this order from those of other runs.
    pub fn new(length: u64, seeds: [u64; 2], epoch: u64) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("siglab 2026 order of an epoch");
        for part in [seeds[0], seeds[1], epoch] {
            hash.update(&part.to_le_bytes());
        }
        let mut bytes = [0; 8 * ROUNDS];
        hash.finalize_xof().fill(&mut bytes);
        let mut keys = [0; ROUNDS];
        for (key, bytes) in keys.iter_mut().zip(bytes.as_chunks().0) {
            *key = u64::from_le_bytes(*bytes);
        }
        let bits = u64::BITS - length.saturating_sub(1).leading_zeros();
        Self {
            length,
            half: bits.div_ceil(2).max(1),
            keys,
        }
    }

    /// The example at `place` of the epoch; both are in 0..length.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.length);
        let mut index = self.permute(place);
        while index >= self.length {
            index = self.permute(index);
        }
        index
    }

    /// A permutation of all numbers of twice `half` bits.
    fn permute(&self, x: u64) -> u64 {
        let mask = (1 << self.half) - 1;
        let (mut left, mut right) = (x >> self.half, x & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (scramble(right ^ key) & mask));
        }
        left << self.half | right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(length: u64, epoch: u64) -> Vec<u64> {
        let order = Order::new(length, [0, 0], epoch);
        (0..length).map(|place| order.at(place)).collect()
    }

    #[test]
    fn every_epoch_visits_each_once() {
        for length in (1..40).chain([63, 64, 65, 1000, 4096, 10_007]) {
            for epoch in 0..3 {
                let mut visited = order(length, epoch);
                visited.sort_unstable();
                assert!(visited.into_iter().eq(0..length), "{length}");
            }
        }
    }

    #[test]
    fn epochs_and_seeds_have_orders_of_their_own() {
        let place = |seeds, epoch| Order::new(1 << 32, seeds, epoch).at(12_345);
        let base = place([1, 2], 3);
        assert_eq!(base, place([1, 2], 3));
        for other in [place([0, 2], 3), place([1, 0], 3), place([1, 2], 0)] {
            assert_ne!(base, other);
        }
    }

    /// Where an example stands in one epoch says nothing of where it stands in the next: the correlation of two
    /// random orders of n has deviation 1 / √(n − 1).
    #[test]
    fn orders_are_not_correlated() {
        let length = 5_000;
        let middle = (length - 1) as f64 / 2.0;
        let orders: Vec<_> = (0..6).map(|epoch| order(length, epoch)).collect();
        for (a, b) in (0..6).flat_map(|a| (0..a).map(move |b| (a, b))) {
            let pairs = orders[a].iter().zip(&orders[b]);
            let product: f64 = pairs
                .map(|(&x, &y)| (x as f64 - middle) * (y as f64 - middle))
                .sum();
            let variance = (length * length - 1) as f64 / 12.0;
            let correlation = product / length as f64 / variance;
            assert!(
                correlation.abs() < 5.0 / (length as f64).sqrt(),
                "{correlation}"
            );
        }
        let fixed = (0..length).zip(&orders[0]).filter(|(a, b)| a == *b).count();
        assert!(fixed < 10, "{fixed} stay where they are");
    }
}
