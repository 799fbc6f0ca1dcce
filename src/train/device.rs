//! Device names and what they mean in this build: `cpu` is burn's flex backend on the cores that the worker was
//! given, `cpu:K` the K-th of several such devices.

use burn::tensor::{Device, Tensor};

/// A name that this build cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build has no device `{name}`: expected {}", AVAILABLE)]
pub struct UnknownDevice {
    pub name: String,
}

/// The forms of a device's name, for messages.
pub const AVAILABLE: &str = "`cpu`, or `cpu:K` with K from 0";

/// The device called `name`, without autodiff.
pub fn open(name: &str) -> Result<Device, UnknownDevice> {
    let index = name.strip_prefix("cpu").map(|rest| {
        rest.strip_prefix(':')
            .map_or(rest.is_empty(), |k| k.parse::<u16>().is_ok())
    });
    match index {
        Some(true) => Ok(Device::flex()),
        _ => Err(UnknownDevice {
            name: crate::util::printable(name),
        }),
    }
}

/// Whether tensors of the device lie in the memory of the process.
pub fn is_host(device: &Device) -> bool {
    *device == Device::flex()
}

/// The values of a tensor on the host, row-major; it must be f32.
pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor
        .into_data()
        .try_into_vec()
        .expect("parameters, embeddings and gradients are f32")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert!(open("cpu").is_ok() && open("cpu:3").is_ok());
        for wrong in ["cuda:0", "cpu:", "cpu:x", "cpus", ""] {
            assert_eq!(open(wrong).unwrap_err().name, wrong);
        }
    }
}
