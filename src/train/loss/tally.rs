//! What a loss adds up over pairs, whichever loss it is: its value, the gradient of its logits, and the similarities of
//! positives and negatives. It knows neither the loss nor where the pairs are.

use pulp::Simd;

use super::extent::Extent;
use super::hardest::Hardest;
use super::tile::Real;
use super::tile::vector::MOST_LANES;

/// Sums over some pairs. g_ij = ∂L/∂l_ij is up to the factor that the loss applies at the end.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub loss: f64,
    /// Σ |g| over positives, where g < 0, and over negatives, where g > 0.
    pub positive_pull: f64,
    pub negative_pull: f64,
    /// Σ g_ij s_ij.
    pub gs: f64,
    /// Similarities.
    pub positive: Extent,
    pub negative: Extent,
    /// Of the rows that were looked at.
    pub hardest: Hardest,
}

impl Tally {
    /// Σ g_ij.
    pub fn g(&self) -> f64 {
        self.negative_pull - self.positive_pull
    }

    pub fn merge(&mut self, other: &Self) {
        self.loss += other.loss;
        self.positive_pull += other.positive_pull;
        self.negative_pull += other.negative_pull;
        self.gs += other.gs;
        self.positive.merge(&other.positive);
        self.negative.merge(&other.negative);
        self.hardest.merge(&other.hardest);
    }
}

/// A sum of many terms: short ones in vectors, carried over into f64 before small terms are lost on them.
#[derive(Clone, Copy)]
pub struct Sum<T: Real, S: Simd> {
    now: T::V<S>,
    total: f64,
}

impl<T: Real, S: Simd> Sum<T, S> {
    #[inline(always)]
    pub fn new(simd: S) -> Self {
        Self {
            now: T::splat(simd, T::zero()),
            total: 0.0,
        }
    }

    #[inline(always)]
    pub fn add(&mut self, simd: S, x: T::V<S>) {
        self.now = T::vadd(simd, self.now, x);
    }

    #[inline(always)]
    pub fn add_product(&mut self, simd: S, a: T::V<S>, b: T::V<S>) {
        self.now = T::vfma(simd, a, b, self.now);
    }

    /// Call after a line of a square.
    #[inline(always)]
    pub fn carry(&mut self, simd: S) {
        self.total += T::sum(simd, self.now);
        self.now = T::splat(simd, T::zero());
    }

    /// Of what was carried.
    pub fn total(&self) -> f64 {
        self.total
    }
}

/// Similarities of some pairs, in vectors.
#[derive(Clone, Copy)]
pub struct Similarities<T: Real, S: Simd> {
    count: Sum<T, S>,
    sum: Sum<T, S>,
    least: T::V<S>,
    greatest: T::V<S>,
}

impl<T: Real, S: Simd> Similarities<T, S> {
    #[inline(always)]
    pub fn new(simd: S) -> Self {
        Self {
            count: Sum::new(simd),
            sum: Sum::new(simd),
            least: T::splat(simd, T::infinity()),
            greatest: T::splat(simd, T::neg_infinity()),
        }
    }

    #[inline(always)]
    pub fn add(&mut self, simd: S, s: T::V<S>) {
        self.count.add(simd, T::splat(simd, T::one()));
        self.sum.add(simd, s);
        self.least = T::vmin(simd, self.least, s);
        self.greatest = T::vmax(simd, self.greatest, s);
    }

    #[inline(always)]
    pub fn add_all(&mut self, simd: S, s: &[T]) {
        let (whole, rest) = T::split::<S>(s);
        for s in whole {
            self.add(simd, *s);
        }
        let here = T::load(simd, &[T::one(); MOST_LANES][..rest.len()]);
        self.add_weighted(simd, T::load(simd, rest), here);
    }

    /// Add those whose `weight` is 1; of the others it is 0.
    #[inline(always)]
    pub fn add_weighted(&mut self, simd: S, s: T::V<S>, weight: T::V<S>) {
        self.count.add(simd, weight);
        self.sum.add_product(simd, s, weight);
        let least = T::if_positive(simd, weight, s, self.least);
        let greatest = T::if_positive(simd, weight, s, self.greatest);
        self.least = T::vmin(simd, self.least, least);
        self.greatest = T::vmax(simd, self.greatest, greatest);
    }

    #[inline(always)]
    pub fn carry(&mut self, simd: S) {
        self.count.carry(simd);
        self.sum.carry(simd);
    }

    #[inline(always)]
    pub fn extent(&self, simd: S) -> Extent {
        Extent {
            count: self.count.total() as u64,
            sum: self.sum.total(),
            min: T::least(simd, self.least),
            max: T::greatest(simd, self.greatest),
        }
    }
}
