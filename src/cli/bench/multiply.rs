//! How a verb about the losses is told to multiply: by which instructions or on tensors, at which precision, and which way
//! texts go round the ring.

use std::collections::BTreeMap;

use super::product;
use crate::record::DeviceName;
use crate::train::config::LoopConfig;
pub use crate::train::device::UnknownDevice;
use crate::train::device::{self, Device};
use crate::train::loss::on_device::{
    self, TensorOutput, TensorPairs, contrastive_by_tensors, contrastive_on,
};
use crate::train::loss::parity::Fixture;
use crate::train::loss::tile::{Isa, Kernel, Precision};
use crate::train::loss::{LossConfig, LossError, LossOutput, Pairs, Plan, Way, contrastive};
use crate::train::mesh::Mesh;

#[derive(clap::Args, Clone, Debug)]
pub struct Multiply {
    /// The code that multiplies: auto is the fastest that this processor has, tensor what a device with a memory of its own
    /// would do, on this processor.
    #[arg(long = "impl", value_name = "IMPL", default_value = "auto", value_parser = implementation)]
    implementation: Implementation,
    /// What numbers are multiplied as: f32, bf16x3 or bf16.
    #[arg(long, default_value = "f32", value_parser = precision)]
    precision: Precision,
    /// Texts go round the ring of ranks both ways at once.
    #[arg(long)]
    two_way: bool,
    /// Where it is computed; a library's devices have tensors only.
    #[arg(long, value_name = "DEVICE", default_value = "cpu")]
    pub device: String,
}

#[derive(Clone, Copy, Debug)]
enum Implementation {
    Auto,
    Of(Isa),
    Tensor,
}

/// Values by name, as [`Fixture`] has them.
type Results = BTreeMap<&'static str, Vec<f64>>;

/// A way to compute one rank's share of a loss.
#[derive(Clone, Copy, Debug)]
pub struct Arithmetic {
    pub plan: Plan,
    /// The device that they are on, where it is by tensors.
    tensors: Option<DeviceName>,
}

impl From<Plan> for Arithmetic {
    fn from(plan: Plan) -> Self {
        Self {
            plan,
            tensors: None,
        }
    }
}

impl Arithmetic {
    /// On tensors of `device`.
    pub fn on_tensors(device: DeviceName, plan: Plan) -> Self {
        Self {
            plan,
            tensors: Some(device),
        }
    }

    /// The same way in another plan.
    pub fn in_plan(self, plan: Plan) -> Self {
        Self { plan, ..self }
    }

    pub fn name(self) -> String {
        match self.tensors {
            Some(DeviceName::Cpu(_)) => TENSOR.to_owned(),
            Some(device) => device.to_string(),
            None => self.plan.kernel.isa().name().to_owned(),
        }
    }

    /// Operations a second of plain products of this depth where it is computed: in f32 on slices, on a device of a library's in
    /// the precision of the loss.
    pub fn rate(self, depth: usize) -> f64 {
        match self.device() {
            Some(device) if !device::is_host(&device) => {
                let shape = [product::SIDE, depth];
                on_device::product_rate(&device, self.precision(), shape, product::TRIES)
            }
            _ => product::rate(depth),
        }
    }

    pub fn precision(self) -> Precision {
        self.plan.kernel.precision()
    }

    /// What a case's loss is on `ranks` ranks.
    pub fn results(self, case: &Fixture, ranks: usize) -> Result<Results, LossError> {
        let share = |config: &LossConfig, mesh: &Mesh, pairs: Pairs<'_, f32>, log_t, bias| {
            self.share(config, mesh, pairs, log_t, bias)
        };
        case.compute_by(share, ranks, self.plan)
    }

    /// `pairs` where it computes.
    pub fn place(self, pairs: Pairs<f32>) -> Placed {
        match self.device() {
            Some(device) => {
                let pairs = TensorPairs::of_slices(pairs, &device);
                pairs.wait();
                Placed::Tensors(Box::new(pairs))
            }
            None => Placed::Slices(pairs),
        }
    }

    /// The side of a tile at which it is fastest where that differs from machine to machine, and else that of a run.
    pub fn fastest_side(
        self,
        config: &LossConfig,
        shape: (usize, usize),
    ) -> Result<usize, LossError> {
        match self.device() {
            Some(device) if !device::is_host(&device) => {
                on_device::fastest_side(&device, config, shape, self.precision())
            }
            _ => Ok(LoopConfig::default().tile),
        }
    }

    /// That of its tensors.
    fn device(self) -> Option<Device> {
        let name = self.tensors?.to_string();
        Some(device::open(&name).expect("it was there before"))
    }

    /// This rank's share of a loss.
    pub fn share(
        self,
        config: &LossConfig,
        mesh: &Mesh,
        pairs: Pairs<f32>,
        log_t: f64,
        bias: f64,
    ) -> Result<LossOutput<f32>, LossError> {
        if let Some(device) = self.device() {
            contrastive_by_tensors(&device, config, mesh, pairs, log_t, bias)
        } else {
            contrastive(config, mesh, pairs, log_t, bias)
        }
    }
}

/// What a loss is computed of, where it is computed.
pub enum Placed<'a> {
    Slices(Pairs<'a, f32>),
    Tensors(Box<TensorPairs<'a>>),
}

/// One rank's share, where it was computed.
pub enum Share {
    Slices(LossOutput<f32>),
    Tensors(Box<TensorOutput>),
}

impl Placed<'_> {
    /// This rank's share of a loss, complete.
    pub fn share(
        self,
        config: &LossConfig,
        mesh: &Mesh,
        log_t: f64,
        bias: f64,
    ) -> Result<Share, LossError> {
        match self {
            Self::Slices(pairs) => contrastive(config, mesh, pairs, log_t, bias).map(Share::Slices),
            Self::Tensors(pairs) => {
                let out = contrastive_on(config, mesh, *pairs, log_t, bias)?;
                out.wait();
                Ok(Share::Tensors(Box::new(out)))
            }
        }
    }
}

impl Share {
    pub fn on_host(self) -> LossOutput<f32> {
        match self {
            Self::Slices(out) => out,
            Self::Tensors(out) => out.on_host(),
        }
    }
}

const TENSOR: &str = "tensor";

/// This machine lacks what was asked for.
#[derive(Debug, thiserror::Error)]
pub enum NotServed {
    #[error(transparent)]
    Device(#[from] UnknownDevice),
    #[error("this processor cannot multiply {} by {name}: it has {}", precision.name(), served(*precision))]
    Kernel {
        name: &'static str,
        precision: Precision,
    },
    #[error("{device} multiplies tensors: leave --impl out")]
    OnTensors { device: DeviceName },
}

impl Multiply {
    /// In squares of `side`.
    pub fn arithmetic(&self, side: usize) -> Result<Arithmetic, NotServed> {
        let precision = self.precision;
        let device = self.device()?;
        let by_slices = matches!(self.implementation, Implementation::Of(_));
        if device.library().is_some() && by_slices {
            return Err(NotServed::OnTensors { device });
        }
        let without = |name| NotServed::Kernel { name, precision };
        let kernel = match self.implementation {
            Implementation::Auto | Implementation::Tensor => Kernel::best(precision),
            Implementation::Of(isa) => {
                Kernel::new(isa, precision).ok_or_else(|| without(isa.name()))?
            }
        };
        let way = if self.two_way {
            Way::TwoWay
        } else {
            Way::OneWay
        };
        Ok(Arithmetic {
            plan: Plan { side, kernel, way },
            tensors: (device.library().is_some()
                || matches!(self.implementation, Implementation::Tensor))
            .then_some(device),
        })
    }

    /// Where it is computed.
    pub fn device(&self) -> Result<DeviceName, UnknownDevice> {
        device::open(&self.device)?;
        Ok(self.device.parse().expect("it was opened by that name"))
    }
}

/// The ways that serve a precision, in words.
fn served(precision: Precision) -> String {
    let isas = Isa::ALL.into_iter().filter(|isa| isa.serves(precision));
    isas.map(Isa::name).collect::<Vec<_>>().join(", ")
}

fn implementation(word: &str) -> Result<Implementation, String> {
    let known = Isa::ALL.into_iter().find(|isa| isa.name() == word);
    match known {
        Some(isa) => Ok(Implementation::Of(isa)),
        None if word == "auto" => Ok(Implementation::Auto),
        None if word == TENSOR => Ok(Implementation::Tensor),
        None => {
            let names = Isa::ALL.map(Isa::name).join(", ");
            Err(format!("expected auto, {names} or {TENSOR}"))
        }
    }
}

fn precision(word: &str) -> Result<Precision, String> {
    let known = Precision::ALL.into_iter().find(|p| p.name() == word);
    known.ok_or_else(|| {
        format!(
            "expected {}",
            Precision::ALL.map(Precision::name).join(", ")
        )
    })
}
