//! What the GPUs are and do, as NVIDIA's management library tells it and those that compute there. The library is loaded
//! when somebody asks, and where it is not there it tells nothing; nothing that is trained depends on it.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use super::{cuda, torch};
use crate::record::{Library, gauge, gpu as number, library};
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::{Device, Nvml};

/// As drivers name it; without a version it is there only where programs are built.
const LIBRARIES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];

fn nvml() -> Option<&'static Nvml> {
    static NVML: OnceLock<Option<Nvml>> = OnceLock::new();
    let load = |path: &&str| Nvml::builder().lib_path(path.as_ref()).init().ok();
    NVML.get_or_init(|| LIBRARIES.iter().find_map(load))
        .as_ref()
}

/// The GPU that CUDA counts as number `k`: the management library counts those too that CUDA is not shown. The order is
/// the same where all are of one kind, or CUDA_DEVICE_ORDER is PCI_BUS_ID.
fn gpu(k: u16) -> Option<Device<'static>> {
    let nvml = nvml()?;
    let Ok(visible) = std::env::var("CUDA_VISIBLE_DEVICES") else {
        return nvml.device_by_index(k.into()).ok();
    };
    let shown = visible.split(',').nth(k.into())?.trim();
    match shown.parse() {
        Ok(index) => nvml.device_by_index(index).ok(),
        Err(_) => nvml.device_by_uuid(shown).ok(),
    }
}

/// Model and memory.
pub fn about(k: u16) -> Option<String> {
    let gpu = gpu(k)?;
    let gib = gpu.memory_info().ok()?.total as f64 / (1u64 << 30) as f64;
    Some(format!("{}, {gib:.1} GiB", gpu.name().ok()?))
}

/// What the GPUs among `devices` do now: `gpu/0/busy` and so on, and the most memory that this process has taken of each
/// at one time.
pub fn gauges(devices: &[String]) -> Vec<(String, f64)> {
    // Ranks may share one.
    let gpus = devices
        .iter()
        .filter_map(|name| Some((number(name)?, library(name)?)));
    let gpus: BTreeSet<(u16, Library)> = gpus.collect();
    let of = |(k, library)| {
        let peak = match library {
            Library::Torch => torch::peak_bytes(k),
            Library::Cuda => cuda::peak_bytes(k),
        };
        let peak = peak.map(|bytes| ("peak", bytes as f64));
        let gauges = of_card(k).into_iter().chain(peak);
        gauges.map(move |(name, value)| (gauge(k, name), value))
    };
    gpus.into_iter().flat_map(of).collect()
}

/// What number `k` does now, by name: the share of the last moments in which it computed, bytes that are taken of its
/// memory by whoever, degrees Celsius, watts.
fn of_card(k: u16) -> Vec<(&'static str, f64)> {
    let Some(gpu) = gpu(k) else {
        return Vec::new();
    };
    let gauges = [
        (
            "busy",
            gpu.utilization_rates()
                .ok()
                .map(|u| f64::from(u.gpu) / 100.0),
        ),
        ("memory", gpu.memory_info().ok().map(|m| m.used as f64)),
        (
            "celsius",
            gpu.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        ),
        (
            "watts",
            gpu.power_usage().ok().map(|mw| f64::from(mw) / 1000.0),
        ),
    ];
    let known = gauges.into_iter();
    known
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
}
