//! libtorch: its devices, and how towers compute on them. burn has deprecated its backend for libtorch in favour of
//! burn-cuda; this folder is all that names it, behind [`device`](super::device) and [`ops`](super::ops).

pub mod functions;
mod nvml;
pub mod tape;

use std::collections::BTreeSet;

use burn::tensor::Device;

use crate::record::{DeviceName, gauge, gpu};

/// The device of that name, where it is one of libtorch's and the machine has it.
pub fn open(name: DeviceName) -> Option<Device> {
    match name {
        DeviceName::Cpu(_) => None,
        DeviceName::TorchCpu => Some(Device::libtorch()),
        DeviceName::TorchCuda(k) => (k < gpus()).then(|| Device::libtorch_cuda(usize::from(k))),
    }
}

/// The names of all that it has here.
pub fn devices() -> Vec<String> {
    let gpus = (0..gpus()).map(DeviceName::TorchCuda);
    let all = std::iter::once(DeviceName::TorchCpu).chain(gpus);
    all.map(|name| name.to_string()).collect()
}

/// What the device of that name is.
pub fn about(name: &str) -> String {
    match name.parse() {
        Ok(DeviceName::TorchCuda(k)) => nvml::about(k).unwrap_or_else(|| "a GPU".into()),
        _ => "the processor".into(),
    }
}

/// What the GPUs among `devices` do now: `gpu/0/busy` and so on.
pub fn gauges(devices: &[String]) -> Vec<(String, f64)> {
    // Ranks may share one.
    let gpus: BTreeSet<u16> = devices.iter().filter_map(|name| gpu(name)).collect();
    let of = |k| {
        let gauges = nvml::gauges(k).into_iter();
        gauges.map(move |(name, value)| (gauge(k, name), value))
    };
    gpus.into_iter().flat_map(of).collect()
}

/// GPUs that it can compute on.
fn gpus() -> u16 {
    let count = if tch::Cuda::is_available() {
        tch::Cuda::device_count()
    } else {
        0
    };
    u16::try_from(count).unwrap_or(u16::MAX)
}

/// The file that it was loaded from.
pub fn library() -> Option<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let paths = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]));
    let mut libraries = paths.filter(|path| path.contains("/libtorch_cpu.so"));
    libraries.next().map(str::to_owned)
}

/// Threads that it computes with for each thread that asks it to.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads.max(1)).unwrap_or(i32::MAX));
}
