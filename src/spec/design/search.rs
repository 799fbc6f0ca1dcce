//! Generators of minimum aberration: of all regular fractions 2^(k-p), one with the fewest words of length 3 in its
//! defining relation, then of length 4, and so on; so the resolution is the highest that there is. (Fries and Hunter,
//! Minimum aberration 2^(k-p) designs, Technometrics 22, 1980.)

use std::collections::BTreeSet;

/// Words that are counted before the best set so far is taken: some milliseconds. Up to twelve factors it takes less
/// than a million of them to rule out all other sets.
const PATIENCE: usize = 5_000_000;

/// For each of `p` generated factors, the product of the `m` basic ones that it is, as bits; `None` if there are fewer
/// products of two or more than `p`.
pub fn generators(m: usize, p: usize) -> Option<Vec<u64>> {
    let products = 1u128.checked_shl(m as u32)? - m as u128 - 1;
    if (p as u128) > products {
        return None;
    }
    let mut search = Search {
        m,
        p,
        seen: BTreeSet::new(),
        counted: 0,
        best: None,
    };
    search.go_on(&mut Vec::new(), &[0], &vec![0; m + p + 1]);
    search.best.map(|(_, chosen)| chosen)
}

struct Search {
    m: usize,
    p: usize,
    /// Sets that were looked at, each sorted: which of them was chosen first does not matter.
    seen: BTreeSet<Vec<u64>>,
    /// Words that were counted.
    counted: usize,
    best: Option<(Vec<usize>, Vec<u64>)>,
}

impl Search {
    /// Complete `chosen` in every way that may be better than the best. `group` is all words of the defining relation
    /// so far, with the empty one; `lengths` counts them by length.
    fn go_on(&mut self, chosen: &mut Vec<u64>, group: &[u64], lengths: &[usize]) {
        if chosen.len() == self.p {
            if self
                .best
                .as_ref()
                .is_none_or(|(best, _)| lengths < best.as_slice())
            {
                self.best = Some((lengths.to_vec(), chosen.clone()));
            }
            return;
        }
        let factor = 1 << (self.m + chosen.len());
        let candidates = self.candidates(chosen);
        self.counted += candidates.len() * group.len();
        let candidates = candidates.into_iter().map(|product| {
            let mut lengths = lengths.to_vec();
            for word in group {
                lengths[(word ^ product ^ factor).count_ones() as usize] += 1;
            }
            (lengths, product)
        });
        let mut candidates: Vec<_> = candidates.collect();
        // The most promising first, so that the best is good early and the rest is cut off.
        candidates.sort();
        for (lengths, product) in candidates {
            // Words are only ever added.
            let best = self.best.as_ref();
            if best.is_some_and(|(best, _)| lengths >= *best || self.counted >= PATIENCE) {
                return;
            }
            chosen.push(product);
            let mut set = chosen.clone();
            set.sort_unstable();
            if self.seen.insert(set) {
                let words = group.iter().map(|word| word ^ product ^ factor);
                let group: Vec<u64> = group.iter().copied().chain(words).collect();
                self.go_on(chosen, &group, &lengths);
            }
            chosen.pop();
        }
    }

    /// Products that may come next: no longer than the last one, for a set is sorted in one way, and one of those that
    /// differ only by basic factors which the chosen ones do not tell apart.
    fn candidates(&self, chosen: &[u64]) -> Vec<u64> {
        let signature = |factor: usize| -> Vec<bool> {
            chosen
                .iter()
                .map(|product| product >> factor & 1 == 1)
                .collect()
        };
        let mut classes: Vec<(Vec<bool>, Vec<usize>)> = Vec::new();
        for factor in 0..self.m {
            let signature = signature(factor);
            match classes.iter_mut().find(|(other, _)| *other == signature) {
                Some((_, factors)) => factors.push(factor),
                None => classes.push((signature, vec![factor])),
            }
        }
        // How many of each class, and then the first ones of it.
        let mut products = vec![0u64];
        for (_, factors) in &classes {
            let grown = products.iter().flat_map(|product| {
                (0..=factors.len()).map(move |count| {
                    let bits = factors[..count].iter().map(|factor| 1 << factor);
                    product | bits.sum::<u64>()
                })
            });
            products = grown.collect();
        }
        let longest = chosen
            .last()
            .map_or(u32::MAX, |product| product.count_ones());
        products.retain(|product| {
            (2..=longest).contains(&product.count_ones()) && !chosen.contains(product)
        });
        products
    }
}
