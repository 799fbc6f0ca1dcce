//! What stands for burn-cuda in a build without the feature `cuda`: there are no devices.

use burn::tensor::Device;

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
