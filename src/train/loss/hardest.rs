//! How much of the gradient comes from the few hardest negatives: a histogram of the gradients of negatives, from which
//! the share of the greatest 1 % is read. It sees some rows of the batch, so that it costs nothing to speak of; it does
//! not know which loss the gradients are of.

/// Pairs that are looked at, about: rows at even distances of a larger batch, every row of a smaller one.
const PAIRS: usize = 1 << 22;

/// Eight bins for each power of two.
const SHIFT: u32 = 20;
const BINS: usize = 1 << (31 - SHIFT);

/// Gradients of negatives by size. Those of one bin differ by an eighth at most.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hardest {
    /// How many, and their sum; empty until there is one.
    bins: Vec<(u64, f64)>,
}

/// Whether the row of `image` is one that is looked at in a batch of `batch` pairs.
pub fn is_looked_at(image: usize, batch: usize) -> bool {
    image.is_multiple_of(batch.saturating_mul(batch).div_ceil(PAIRS).max(1))
}

impl Hardest {
    /// Take in the gradients of a row: those of negatives, which are above zero.
    pub fn add(&mut self, row: impl Iterator<Item = f64>) {
        self.bins.resize(BINS, (0, 0.0));
        for gradient in row.filter(|gradient| *gradient > 0.0) {
            let (count, sum) = &mut self.bins[((gradient as f32).to_bits() >> SHIFT) as usize];
            *count += 1;
            *sum += gradient;
        }
    }

    pub fn merge(&mut self, other: &Self) {
        self.bins
            .resize(self.bins.len().max(other.bins.len()), (0, 0.0));
        for ((count, sum), (more, and)) in self.bins.iter_mut().zip(&other.bins) {
            *count += more;
            *sum += and;
        }
    }

    /// The share of all gradient that the `part` of the negatives has whose gradient is greatest. Within the bin where
    /// that part ends, gradients count as equal. None when there is no gradient.
    pub fn share(&self, part: f64) -> Option<f64> {
        let count: u64 = self.bins.iter().map(|(count, _)| count).sum();
        let all: f64 = self.bins.iter().map(|(_, sum)| sum).sum();
        let mut wanted = part * count as f64;
        let mut sum = 0.0;
        for (count, bin) in self.bins.iter().rev().filter(|(count, _)| *count > 0) {
            let taken = wanted.min(*count as f64);
            sum += bin * taken / *count as f64;
            wanted -= taken;
        }
        (all > 0.0).then(|| sum / all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_the_hardest_is_that_of_the_sorted_list() {
        let gradients: Vec<f64> = (0..10_000)
            .map(|i| (-0.002 * (i * 7919 % 10_000) as f64).exp())
            .collect();
        let mut sorted = gradients.clone();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let total: f64 = sorted.iter().sum();
        let (mut one, mut two) = (Hardest::default(), Hardest::default());
        let (left, right) = gradients.split_at(3_000);
        one.add(left.iter().copied().chain([0.0, -5.0]));
        two.add(right.iter().copied());
        one.merge(&two);
        for part in [0.01, 0.1, 0.5, 1.0] {
            let exact = sorted[..(part * 1e4) as usize].iter().sum::<f64>() / total;
            let share = one.share(part).unwrap();
            assert!(
                (share / exact - 1.0).abs() < 0.02,
                "{part}: {share}, expected {exact}"
            );
        }
        assert_eq!(Hardest::default().share(0.01), None);
    }

    #[test]
    fn few_pairs_are_all_looked_at_and_of_many_some() {
        assert!((0..2048).all(|row| is_looked_at(row, 2048)));
        let looked = (0..8192).filter(|row| is_looked_at(*row, 8192)).count();
        assert_eq!(looked * 8192, PAIRS);
    }
}
