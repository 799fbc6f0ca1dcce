//! What libtorch does with tensors in one pass where burn's operations take several, for the losses and for copies to a
//! GPU. None where tensors are not libtorch's.

use burn::backend::LibTorch;
use burn::tensor::{Device, Tensor, TensorData};
use burn_tch::TchTensor;
use tch::Kind;

use super::native;

/// The product of two matrices of bf16 with sums and result in f32, which only GPUs have.
pub fn product(a: &Tensor<2>, b: &Tensor<2>) -> Option<Tensor<2>> {
    let [a, b] = [inner(a.clone())?, inner(b.clone())?];
    let serves = |x: &TchTensor| x.tensor.kind() == Kind::BFloat16 && x.tensor.device().is_cuda();
    (serves(&a) && serves(&b)).then(|| outer(a.tensor.mm_dtype(&b.tensor, Kind::Float)))
}

/// ln(1 + eˣ); `x` becomes 1 / (1 + e⁻ˣ), where it lies if nobody else has that.
pub fn softplus_and_sigmoid(x: &mut Tensor<2>) -> Option<Tensor<2>> {
    inner(x.clone())?;
    let empty = Tensor::empty([0, 0], &x.device());
    let whole = inner(std::mem::replace(x, empty)).expect("it was of libtorch");
    let softplus = whole.tensor.softplus();
    let sigmoid = whole.unary_ops(|mut x| x.sigmoid_(), tch::Tensor::sigmoid);
    *x = Tensor::from_primitive::<LibTorch>(sigmoid);
    Some(outer(softplus))
}

/// The least and the greatest of each row, `[rows, 1]`.
pub fn extremes(x: &Tensor<2>) -> Option<[Tensor<2>; 2]> {
    let (least, greatest) = inner(x.clone())?.tensor.aminmax(1, true);
    Some([least, greatest].map(outer))
}

/// ln Σ eˣ along a dimension, which is kept.
pub fn log_sum_exp(x: &Tensor<2>, dim: usize) -> Option<Tensor<2>> {
    let x = inner(x.clone())?;
    Some(outer(x.tensor.logsumexp([dim as i64], true)))
}

/// `values` on a GPU of libtorch's, copied from memory that the system does not move, while the GPU computes; the thread
/// that asks waits for the copy, and for nothing else. None for other devices, and where there is no room: who needs them
/// there at once will hear of it.
pub fn upload<const D: usize>(values: &TensorData, device: &Device) -> Option<Tensor<D>> {
    let place = inner(Tensor::<1>::empty([0], device))?.tensor.device();
    let tch::Device::Cuda(index) = place else {
        return None;
    };
    let shape: Vec<i64> = values.shape().iter().map(|n| *n as i64).collect();
    let values = values.as_slice::<f32>().ok()?;
    native::upload(values, &shape, index).ok().map(outer)
}

pub(super) fn inner<const D: usize>(tensor: Tensor<D>) -> Option<TchTensor> {
    tensor.try_into_primitive::<LibTorch>().ok()
}

pub(super) fn outer<const D: usize>(tensor: tch::Tensor) -> Tensor<D> {
    Tensor::from_primitive::<LibTorch>(TchTensor::new(tensor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::device::{host, tested};

    /// Only GPUs are copied to ahead.
    #[test]
    fn what_is_copied_ahead_is_what_was_drawn() {
        let device = tested();
        let values: Vec<f32> = (0..3 * 1000).map(|i| i as f32).collect();
        for _ in 0..10 {
            let data = TensorData::new(values.clone(), [3, 1000]);
            match upload::<2>(&data, &device) {
                Some(there) => assert_eq!(host(there * 2.0 / 2.0), values),
                None => assert!(device == Device::flex() || device == Device::libtorch()),
            }
        }
    }

    #[test]
    fn one_pass_finds_what_several_find() {
        let x = Tensor::<2>::from_data([[-80.0, -1.0, 0.0], [0.5, 3.0, 80.0]], &Device::libtorch());
        let mut sigmoid = x.clone();
        let softplus = softplus_and_sigmoid(&mut sigmoid).unwrap();
        let near = |tensor: Tensor<2>, expected: [f64; 6]| {
            let found = host(tensor).into_iter().map(f64::from).zip(expected);
            found.for_each(|(a, b)| assert!((a - b).abs() <= 1e-6 * b.abs(), "{a} {b}"));
        };
        let values: [f64; 6] = [-80.0, -1.0, 0.0, 0.5, 3.0, 80.0];
        near(softplus, values.map(|x| x.exp().ln_1p()));
        near(sigmoid, values.map(|x| 1.0 / (1.0 + (-x).exp())));
        let [least, greatest] = extremes(&x).unwrap();
        assert_eq!(
            (host(least), host(greatest)),
            (vec![-80.0, 0.5], vec![0.0, 80.0])
        );
        let sum = |row: &[f64]| row.iter().map(|x| x.exp()).sum::<f64>().ln();
        let found = host(log_sum_exp(&x, 1).unwrap());
        for (a, row) in found.into_iter().zip(values.chunks_exact(3)) {
            assert!((f64::from(a) - sum(row)).abs() <= 1e-6 * sum(row).abs());
        }
    }
}
