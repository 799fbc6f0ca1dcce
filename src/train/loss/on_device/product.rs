//! Products of matrices on tensors, at each precision: factors are rounded, sums are f32. burn's own product of bf16 is
//! bf16 itself, 8 bits, which are too few for a similarity; libtorch has one whose result is f32, and elsewhere rounded
//! factors are multiplied as f32, which is the same.

use burn::tensor::{FloatDType, Tensor};

use crate::train::loss::tile::Precision;
use crate::train::torch;

/// A matrix, rounded for products: the sum of these, the greater first.
#[derive(Clone)]
pub struct Factor(Vec<Tensor<2>>);

impl Factor {
    pub fn new(matrix: Tensor<2>, precision: Precision) -> Self {
        Self(match precision {
            Precision::F32 => vec![matrix],
            Precision::Bf16 => vec![matrix.cast(FloatDType::BF16)],
            Precision::Bf16x3 => {
                let high = matrix.clone().cast(FloatDType::BF16);
                let low = matrix - high.clone().cast(FloatDType::F32);
                vec![high, low.cast(FloatDType::BF16)]
            }
        })
    }

    pub fn transpose(&self) -> Self {
        let parts = self.0.iter().cloned();
        Self(parts.map(Tensor::transpose).collect())
    }

    /// The product of the two, f32. What is of two lesser parts does not count.
    pub fn times(&self, other: &Self) -> Tensor<2> {
        let greatest = multiply(&self.0[0], &other.0[0]);
        let lesser = self.0[1..].iter().map(|low| (low, &other.0[0]));
        let lesser = lesser.chain(other.0[1..].iter().map(|low| (&self.0[0], low)));
        lesser.fold(greatest, |sum, (a, b)| sum + multiply(a, b))
    }
}

fn multiply(a: &Tensor<2>, b: &Tensor<2>) -> Tensor<2> {
    if let Some(product) = torch::tensors::product(a, b) {
        return product;
    }
    let [a, b] = [a, b].map(|factor| factor.clone().cast(FloatDType::F32));
    a.matmul(b)
}
