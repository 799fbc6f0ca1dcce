//! Count, sum, least and greatest of some numbers, such as the logits of a batch.

/// Count, sum, least and greatest of some logits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Extent {
    pub count: u64,
    pub sum: f64,
    pub min: f64,
    pub max: f64,
}

impl Default for Extent {
    fn default() -> Self {
        Self {
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
        }
    }
}

impl Extent {
    pub fn add(&mut self, x: f64) {
        self.count += 1;
        self.sum += x;
        self.min = self.min.min(x);
        self.max = self.max.max(x);
    }

    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// None when nothing was added.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The extent of `scale · x + shift`, for a scale above zero.
    pub fn on_line(&self, scale: f64, shift: f64) -> Self {
        Self {
            count: self.count,
            sum: scale * self.sum + shift * self.count as f64,
            min: scale * self.min + shift,
            max: scale * self.max + shift,
        }
    }
}
