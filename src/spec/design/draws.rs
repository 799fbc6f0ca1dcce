//! Random draws that never change with a version of a library: the bytes of BLAKE3 as a stream. The runs of a design
//! are called by what they are, so the same file must choose the same cells for ever.

/// An endless stream of draws.
pub struct Draws(blake3::OutputReader);

impl Draws {
    /// The stream of `seed` for one purpose.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(purpose.as_bytes());
        hasher.update(&seed.to_le_bytes());
        Self(hasher.finalize_xof())
    }

    /// One of `0..n`. Some are more likely than others by n / 2^64, which nobody can measure.
    pub fn below(&mut self, n: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        ((u128::from(u64::from_le_bytes(bytes)) * n as u128) >> 64) as usize
    }

    /// Every order as likely as any other (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
