//! Device names and what they mean in this build: `cpu` is burn's flex backend on the cores that the worker was
//! given, `cpu:K` the K-th of several such devices; with the feature `tch`, `tch:cpu` and `tch:cuda:K` are libtorch's; with
//! the feature `cuda`, `cuda:K` are burn-cuda's.

use burn::backend::Flex;
pub use burn::tensor::Device;
use burn::tensor::{Tensor, TensorData};

use super::mesh::{Mesh, RankLost};
use super::{cuda, gpu, torch};
use crate::record::{self, DeviceName, Lack, Library};

/// A name that this build, on this machine, cannot serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this build has no device `{name}`: expected {}", available())]
pub struct UnknownDevice {
    pub name: String,
}

/// The devices of this build on this machine, for messages.
pub fn available() -> String {
    let own = "`cpu`, or `cpu:K` with K from 0".to_owned();
    let others = Library::ALL.into_iter().flat_map(of_library);
    let all = std::iter::once(own).chain(others.map(|name| format!("`{name}`")));
    all.collect::<Vec<_>>().join("; ")
}

/// The device called `name`, without autodiff.
pub fn open(name: &str) -> Result<Device, UnknownDevice> {
    let device = match name.parse() {
        Ok(DeviceName::Cpu(_)) => Some(Device::flex()),
        Ok(name) => torch::open(name).or_else(|| cuda::open(name)),
        Err(_) => None,
    };
    device.ok_or_else(|| UnknownDevice {
        name: crate::util::printable(name),
    })
}

/// Whether this build has devices of that kind, on some machine.
pub fn is_known(name: &str) -> bool {
    let name = name.parse::<DeviceName>();
    name.is_ok_and(|name| name.library().is_none_or(Library::is_built_in))
}

/// The names of all devices that a library has here; none where it is not built in.
pub fn of_library(library: Library) -> Vec<String> {
    match library {
        Library::Torch => torch::devices(),
        Library::Cuda => cuda::devices(),
    }
}

/// The file that a library was loaded from, if it is one.
pub fn file_of(library: Library) -> Option<String> {
    match library {
        Library::Torch => torch::library(),
        Library::Cuda => None,
    }
}

/// What the device of that name is.
pub fn about(name: &str) -> String {
    match record::gpu(name) {
        Some(k) => gpu::about(k).unwrap_or_else(|| "a GPU".into()),
        None => "the processor".into(),
    }
}

/// Let what is computed take so many threads of the process in all, shared by `ranks` that compute at the same time.
///
/// # Errors
/// Where threads were started before.
pub fn set_threads(threads: usize, ranks: usize) -> Result<(), rayon::ThreadPoolBuildError> {
    torch::set_threads(threads / ranks.max(1));
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
}

/// Where tests compute: the device that SIGLAB_TEST_DEVICE names, or `cpu`.
#[cfg(test)]
pub fn tested() -> Device {
    let name = std::env::var("SIGLAB_TEST_DEVICE");
    open(name.as_deref().unwrap_or("cpu")).expect("SIGLAB_TEST_DEVICE is a device of this build")
}

/// Whether the same work gives the same bits there: libtorch's products round by their sizes and threads.
#[cfg(test)]
pub fn keeps_bits() -> bool {
    is_host(&tested())
}

/// What libraries say when memory, of the machine or of a device, is out.
const MEMORY: [&str; 5] = [
    "out of memory",
    "out_of_memory",
    "can't allocate memory",
    "memory allocation failed",
    "cublas_status_alloc_failed",
];
/// What drivers say when a device does not answer any more.
const LOST: [&str; 9] = [
    "device lost",
    "device is lost",
    "has no device",
    "no cuda-capable device",
    "fallen off the bus",
    "uncorrectable ecc error",
    "busy or unavailable",
    "invalid device ordinal",
    "cuda error: unknown error",
];

/// What an attempt on `devices` that ended with this error or panic lacked; none if it was not for a lack. A lost device
/// is one that the error names, or the only one.
pub fn lack(error: &str, devices: &[String]) -> Option<Lack> {
    let error = error.to_lowercase();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| error.contains(phrase));
    if says(&MEMORY) {
        return Some(Lack::Memory);
    }
    let mut all = devices.iter();
    let named = all.find(|name| names(&error, name));
    // Ranks may share one.
    let only = devices
        .first()
        .filter(|first| devices.iter().all(|name| name == *first));
    let device = named.or(only)?;
    says(&LOST).then(|| Lack::Device {
        name: device.clone(),
    })
}

/// Whether `text` has the device of this name in it, and not only one whose name begins alike.
fn names(text: &str, name: &str) -> bool {
    let goes_on = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let mut places = text.match_indices(name);
    places.any(|(at, _)| !goes_on(&text[at + name.len()..]))
}

/// What libraries in C++ say, without the list of calls that follows it.
pub fn without_calls(error: &str) -> &str {
    let ends = ["Exception raised from", "frame #0"];
    let ends = ends.iter().filter_map(|mark| error.find(mark));
    let said = &error[..ends.min().unwrap_or(error.len())];
    said.trim_end_matches(['(', ' ', '\n'])
        .trim_end_matches("\\n")
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

/// What `look` makes of the values of a vector, which it sees where they lie if that is the host's memory.
pub fn read<R>(tensor: &Tensor<1>, look: impl FnOnce(&[f32]) -> R) -> R {
    match tensor.clone().try_into_primitive::<Flex>() {
        Ok(primitive) => match primitive.as_slice() {
            Some(values) => look(values),
            None => look(&host(tensor.clone())),
        },
        Err(_) => look(&host(tensor.clone())),
    }
}

/// The values of a vector, which is empty from then on. On the host they are not copied unless somebody else has them.
pub fn take(tensor: &mut Tensor<1>) -> Vec<f32> {
    let device = tensor.device();
    host(std::mem::replace(tensor, Tensor::empty([0], &device)))
}

/// The sum of `vector` over all ranks, added in order of rank and so bit-equal on all of them. What is on a device goes
/// from device to device.
pub fn all_reduce(mesh: &Mesh, vector_of_rank: Tensor<1>) -> Result<Tensor<1>, RankLost> {
    let device = vector_of_rank.device();
    if is_host(&device) {
        return Ok(vector(mesh.all_reduce(host(vector_of_rank))?, &device));
    }
    let bytes = vector_of_rank.shape().num_elements() * size_of::<f32>();
    let parts = mesh.gather_sized(vector_of_rank, bytes)?.into_iter();
    let here = parts.map(|part| part.to_device(&device));
    Ok(here
        .reduce(|sum, part| sum + part)
        .expect("a rank of its own"))
}

/// `values` as a vector on `device`.
pub fn vector(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_did_is_told_from_what_the_run_did() {
        let two = ["cuda:0".to_owned(), "cuda:1".to_owned()];
        let lost = |name: &str| Some(Lack::Device { name: name.into() });
        let cases = [
            ("CUDA error: out of memory", Some(Lack::Memory)),
            (
                "DefaultCPUAllocator: can't allocate memory",
                Some(Lack::Memory),
            ),
            ("cuda:1: Device lost", lost("cuda:1")),
            ("Device lost", None),
            ("on cuda:10: Device lost", None),
            (
                "this build has no device `cuda:1`: expected",
                lost("cuda:1"),
            ),
            ("the disk is full", None),
        ];
        for (error, expected) in cases {
            assert_eq!(lack(error, &two), expected, "{error}");
        }
        let twice = [two[0].clone(), two[0].clone()];
        for one in [&two[..1], &twice] {
            assert_eq!(lack("GPU has fallen off the bus", one), lost("cuda:0"));
        }
        let said = "CUDA out of memory.\nException raised from malloc at x.cpp:1\nframe #0: y";
        assert_eq!(without_calls(said), "CUDA out of memory.");
        assert_eq!(without_calls("no calls"), "no calls");
    }

    #[test]
    fn names_are_checked() {
        assert!(open("cpu").is_ok() && open("cpu:3").is_ok());
        for wrong in ["gpu:0", "cpu:", "cpu:x", "cpus", ""] {
            assert_eq!(open(wrong).unwrap_err().name, wrong);
        }
    }
}
