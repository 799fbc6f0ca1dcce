//! libtorch: its devices, and what is computed there by its own functions, which the rest of the engine asks for first
//! and does without where tensors are of another kind. burn has deprecated its backend for libtorch in favour of burn-cuda;
//! this folder is all that names it, but for the fused operations of [`ops`](super::ops).

mod adamw;
pub mod functions;
mod native;
pub mod tape;
pub mod tensors;

use burn::tensor::Device;

pub use adamw::adamw;
pub use native::{allow_tf32, peak_bytes};

use crate::record::DeviceName;

/// The device of that name, where it is one of libtorch's and the machine has it.
pub fn open(name: DeviceName) -> Option<Device> {
    match name {
        DeviceName::Cpu(_) | DeviceName::Cuda(_) => None,
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

/// Let the peaks of all GPUs begin again.
pub fn forget_peaks() {
    (0..gpus()).for_each(native::forget_peak);
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
