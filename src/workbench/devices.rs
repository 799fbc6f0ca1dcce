//! What runs can be placed on here: siglab's own devices, and those of libtorch, for which another programme is started.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::exec::{DeviceError, Slot, Torch, TorchError, device, torch as programme};
pub use crate::record::each_device;

/// Room on `devices` for `jobs` runs at a time or, if nobody says, for as many as is sensible when `startable` are
/// waiting: one a device and, on the CPU, one a core, since a small run uses one core well and several badly.
pub fn slots(
    devices: &[String],
    jobs: Option<usize>,
    startable: usize,
) -> Result<Vec<Slot>, DeviceError> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let sensible = match devices {
        [cpu] if !programme::is_gpu(cpu) => cores.min(startable).max(1),
        devices => devices.len(),
    };
    device::slots(devices, jobs.unwrap_or(sensible), cores, torch)
}

/// What libtorch has on this machine; it is asked once.
pub fn torch() -> Result<Torch, TorchError> {
    static ANSWER: OnceLock<Result<Torch, TorchError>> = OnceLock::new();
    ANSWER.get_or_init(|| programme::ask(&own())).clone()
}

/// The programme that computes on `devices` in the place of this one; none where this one does.
pub fn instead(devices: &[&str]) -> Result<Option<PathBuf>, DeviceError> {
    let mut names = devices.iter().filter(|name| programme::is_torch(name));
    let Some(name) = names.next().filter(|_| !cfg!(feature = "tch")) else {
        return Ok(None);
    };
    let program = programme::program(&own());
    if program.exists() {
        return Ok(Some(program));
    }
    Err(DeviceError::NoTorch {
        name: (*name).to_owned(),
        source: TorchError::Missing { program },
    })
}

/// A system that does not say where this programme lies has nothing beside it.
fn own() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| Path::new("siglab").to_owned())
}
