//! An update by operations on tensors, for devices with a memory of their own: slices of flat vectors, and the change
//! that an update makes of the weights. What [`sweep`](super::sweep) is on the host.

use std::ops::Range;

use burn::tensor::Tensor;

use super::{Stretch, norm};

/// The values of `x` at `range`.
pub fn part(x: &Tensor<1>, range: &Range<usize>) -> Tensor<1> {
    x.clone().slice(range.clone())
}

/// `values` at `range` of `x`.
pub fn put(x: &mut Tensor<1>, range: &Range<usize>, values: Tensor<1>) {
    // Nobody else has it then, and it is written where it lies.
    let whole = std::mem::replace(x, Tensor::empty([0], &x.device()));
    *x = whole.slice_assign(range.clone(), values);
}

/// How far the weights go down in one update, `[parameters]`.
pub struct Change(Tensor<1>);

impl Change {
    /// None yet of the weights `flat`.
    pub fn of(flat: &Tensor<1>) -> Self {
        Self(Tensor::zeros_like(flat))
    }

    /// Along `direction` for the weights of `flat` at `range`, by the rate and the decay of `stretch`.
    pub fn along(
        &mut self,
        direction: Tensor<1>,
        range: &Range<usize>,
        stretch: &Stretch,
        flat: &Tensor<1>,
    ) {
        let decay = part(flat, range).mul_scalar(stretch.decay);
        put(&mut self.0, range, direction.mul_scalar(stretch.lr) + decay);
    }

    /// Make it. Returns its L2 norm.
    pub fn make(self, flat: &mut Tensor<1>) -> f64 {
        *flat = flat.clone() - self.0.clone();
        norm(&self.0)
    }
}
