//! The names of devices: what an experiment is run on, a lease notes and a worker opens. Whether a device is there, and
//! what it can do, is for others to say.

use std::fmt;
use std::str::FromStr;

/// A device as people call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceName {
    /// `cpu`, or `cpu:K`, the K-th of several shares of the processor: siglab's own operations.
    Cpu(Option<u16>),
    /// `tch:cpu`: libtorch on the processor.
    TorchCpu,
    /// `tch:cuda:K`: libtorch on the K-th GPU.
    TorchCuda(u16),
    /// `cuda:K`: burn's own kernels on the K-th GPU.
    Cuda(u16),
}

/// What computes in the place of siglab's own operations, in a programme of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Library {
    Torch,
    /// burn-cuda, with CUDA's libraries.
    Cuda,
}

impl Library {
    pub const ALL: [Self; 2] = [Self::Torch, Self::Cuda];

    /// As people and errors call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Torch => "libtorch",
            Self::Cuda => "burn-cuda",
        }
    }

    /// Whether this programme has it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Torch => cfg!(feature = "tch"),
            Self::Cuda => cfg!(feature = "cuda"),
        }
    }
}

impl DeviceName {
    /// What computes there; none for siglab's own operations.
    pub fn library(self) -> Option<Library> {
        match self {
            Self::Cpu(_) => None,
            Self::TorchCpu | Self::TorchCuda(_) => Some(Library::Torch),
            Self::Cuda(_) => Some(Library::Cuda),
        }
    }
}

/// What computes on the device of that name; none for siglab's own operations.
pub fn library(name: &str) -> Option<Library> {
    name.parse().ok().and_then(DeviceName::library)
}

/// The number of the GPU that the device of that name is.
pub fn gpu(name: &str) -> Option<u16> {
    match name.parse() {
        Ok(DeviceName::TorchCuda(k) | DeviceName::Cuda(k)) => Some(k),
        _ => None,
    }
}

/// What a GPU does, as rows call it: `gpu/0/busy`.
pub fn gauge(gpu: u16, name: &str) -> String {
    format!("gpu/{gpu}/{name}")
}

/// A text that is no device's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDeviceName;

impl FromStr for DeviceName {
    type Err = NoDeviceName;

    fn from_str(text: &str) -> Result<Self, NoDeviceName> {
        let index = |text: &str| index(text).ok_or(NoDeviceName);
        match text {
            "cpu" => Ok(Self::Cpu(None)),
            "tch:cpu" => Ok(Self::TorchCpu),
            _ => {
                let (kind, k) = text.rsplit_once(':').ok_or(NoDeviceName)?;
                match kind {
                    "cpu" => Ok(Self::Cpu(Some(index(k)?))),
                    "tch:cuda" => Ok(Self::TorchCuda(index(k)?)),
                    "cuda" => Ok(Self::Cuda(index(k)?)),
                    _ => Err(NoDeviceName),
                }
            }
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu(None) => f.write_str("cpu"),
            Self::Cpu(Some(k)) => write!(f, "cpu:{k}"),
            Self::TorchCpu => f.write_str("tch:cpu"),
            Self::TorchCuda(k) => write!(f, "tch:cuda:{k}"),
            Self::Cuda(k) => write!(f, "cuda:{k}"),
        }
    }
}

/// Decimal digits only: `parse` alone would take `+1`.
fn index(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// `names` one by one: `tch:cuda:0-3` and `cpu:0-3` are four devices each. What is no such range stays as it is.
pub fn each_device(names: &[String]) -> Vec<String> {
    let range = |name: &str| {
        let (kind, range) = name.rsplit_once(':')?;
        let (first, last) = range.split_once('-')?;
        let indices = index(first)?..=index(last)?;
        let is_device = format!("{kind}:0").parse::<DeviceName>().is_ok();
        let names = indices.map(|k| format!("{kind}:{k}")).collect::<Vec<_>>();
        (is_device && !names.is_empty()).then_some(names)
    };
    let one = |name: &String| range(name).unwrap_or_else(|| vec![name.clone()]);
    names.iter().flat_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for (text, name) in [
            ("cpu", DeviceName::Cpu(None)),
            ("cpu:3", DeviceName::Cpu(Some(3))),
            ("tch:cpu", DeviceName::TorchCpu),
            ("tch:cuda:0", DeviceName::TorchCuda(0)),
            ("cuda:1", DeviceName::Cuda(1)),
        ] {
            assert_eq!(text.parse(), Ok(name));
            assert_eq!(name.to_string(), text);
        }
        for wrong in [
            "",
            "CPU",
            "cpus",
            "cpu:",
            "cpu:x",
            "cpu:+1",
            "cpu:99999",
            "cuda",
            "cuda:-1",
            "tch",
            "tch:cuda",
            "tch:cuda:",
            "tch:cpu:0",
            "tch:cuda:0-1",
        ] {
            assert_eq!(wrong.parse::<DeviceName>(), Err(NoDeviceName), "{wrong}");
        }
    }

    #[test]
    fn a_range_is_its_devices() {
        let each = |name: &str| each_device(&[name.to_owned()]);
        assert_eq!(
            each("tch:cuda:1-3"),
            ["tch:cuda:1", "tch:cuda:2", "tch:cuda:3"]
        );
        assert_eq!(each("cpu:0-1"), ["cpu:0", "cpu:1"]);
        for whole in [
            "tch:cuda:2",
            "tch:cuda:3-1",
            "tch:cpu:0-1",
            "gpu:0-1",
            "cpu:0-x",
            "cpu",
        ] {
            assert_eq!(each(whole), [whole]);
        }
    }
}
