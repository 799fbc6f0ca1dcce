//! What stands for libtorch in a build without the feature `tch`: there are no devices of its, and it does nothing.

use burn::tensor::{Device, Tensor};

use super::optim::Stretch;
use crate::record::DeviceName;

pub fn open(_: DeviceName) -> Option<Device> {
    None
}

pub fn devices() -> Vec<String> {
    Vec::new()
}

pub fn peak_bytes(_: u16) -> Option<u64> {
    None
}

pub fn forget_peaks() {}

pub fn library() -> Option<String> {
    None
}

pub fn set_threads(_: usize) {}

pub fn allow_tf32(_: bool) {}

pub fn adamw(
    _: &[Stretch],
    _: ([f64; 2], f64, f64),
    _: [&mut Tensor<1>; 3],
    _: &Tensor<1>,
) -> Option<Tensor<1>> {
    None
}

pub mod tensors {
    use burn::tensor::{Device, Tensor, TensorData};

    pub fn product(_: &Tensor<2>, _: &Tensor<2>) -> Option<Tensor<2>> {
        None
    }

    pub fn softplus_and_sigmoid(_: &mut Tensor<2>) -> Option<Tensor<2>> {
        None
    }

    pub fn extremes(_: &Tensor<2>) -> Option<[Tensor<2>; 2]> {
        None
    }

    pub fn log_sum_exp(_: &Tensor<2>, _: usize) -> Option<Tensor<2>> {
        None
    }

    pub fn upload<const D: usize>(_: &TensorData, _: &Device) -> Option<Tensor<D>> {
        None
    }
}
