//! burn-cuda: the GPUs that burn computes on with kernels of its own, compiled when they are first used, and how much
//! memory it takes there. CUDA's libraries are loaded when somebody asks, and where there are none there is no device.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, DeviceType};

use crate::record::DeviceName;

/// The device of that name, where it is one of these and the machine has it.
pub fn open(name: DeviceName) -> Option<Device> {
    match name {
        DeviceName::Cuda(k) => (k < gpus()).then(|| Device::cuda(usize::from(k))),
        _ => None,
    }
}

/// The names of all that there are here.
pub fn devices() -> Vec<String> {
    let names = (0..gpus()).map(DeviceName::Cuda);
    names.map(|name| name.to_string()).collect()
}

/// The most bytes of GPU `k` that this process held at any time when it was asked.
pub fn peak_bytes(k: u16) -> Option<u64> {
    static PEAKS: Mutex<BTreeMap<u16, u64>> = Mutex::new(BTreeMap::new());
    let held = open(DeviceName::Cuda(k))?
        .memory_pool_usage()?
        .bytes_reserved;
    let mut peaks = PEAKS.lock().unwrap_or_else(PoisonError::into_inner);
    let peak = peaks.entry(k).or_default();
    *peak = held.max(*peak);
    Some(*peak)
}

fn gpus() -> u16 {
    let found = Device::enumerate(DeviceType::Cuda).into_vec();
    u16::try_from(found.len()).unwrap_or(u16::MAX)
}
