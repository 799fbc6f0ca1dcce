//! What stands for libtorch's devices in a build without the feature `tch`: there are none.

use burn::tensor::Device;

use crate::record::DeviceName;

pub fn open(_: DeviceName) -> Option<Device> {
    None
}

pub fn devices() -> Vec<String> {
    Vec::new()
}

pub fn about(_: &str) -> String {
    String::new()
}

pub fn gauges(_: &[String]) -> Vec<(String, f64)> {
    Vec::new()
}

pub fn library() -> Option<String> {
    None
}

pub fn set_threads(_: usize) {}
