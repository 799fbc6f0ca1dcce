//! How a verb about the losses is told to multiply: by which instructions or on tensors, at which precision, and which way
//! texts go round the ring.

use std::collections::BTreeMap;

use crate::train::device;
use crate::train::loss::on_device::{self, contrastive_by_tensors};
use crate::train::loss::parity::Fixture;
use crate::train::loss::tile::{Isa, Kernel, Precision};
use crate::train::loss::{LossConfig, LossError, LossOutput, Pairs, Plan, Way, contrastive};
use crate::train::mesh::Mesh;

#[derive(clap::Args, Clone, Copy, Debug)]
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
    tensors: bool,
}

impl From<Plan> for Arithmetic {
    fn from(plan: Plan) -> Self {
        Self {
            plan,
            tensors: false,
        }
    }
}

impl Arithmetic {
    /// On tensors, in f32.
    pub fn on_tensors(plan: Plan) -> Self {
        Self {
            plan,
            tensors: true,
        }
    }

    /// The same way in another plan.
    pub fn in_plan(self, plan: Plan) -> Self {
        Self { plan, ..self }
    }

    pub fn name(self) -> &'static str {
        if self.tensors {
            TENSOR
        } else {
            self.plan.kernel.isa().name()
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

    /// This rank's share of a loss.
    pub fn share(
        self,
        config: &LossConfig,
        mesh: &Mesh,
        pairs: Pairs<f32>,
        log_t: f64,
        bias: f64,
    ) -> Result<LossOutput<f32>, LossError> {
        if self.tensors {
            let device = device::open(HOST).expect("the processor is always there");
            contrastive_by_tensors(&device, config, mesh, pairs, log_t, bias)
        } else {
            contrastive(config, mesh, pairs, log_t, bias)
        }
    }
}

const TENSOR: &str = "tensor";
const HOST: &str = "cpu";

/// The processor lacks what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("this processor cannot multiply {} by {name}: it has {}", precision.name(), served(*precision))]
pub struct NotServed {
    name: &'static str,
    precision: Precision,
}

impl Multiply {
    /// In squares of `side`.
    pub fn arithmetic(&self, side: usize) -> Result<Arithmetic, NotServed> {
        let precision = self.precision;
        let without = |name| NotServed { name, precision };
        let kernel = match self.implementation {
            Implementation::Auto => Kernel::best(precision),
            Implementation::Of(isa) => {
                Kernel::new(isa, precision).ok_or_else(|| without(isa.name()))?
            }
            Implementation::Tensor if !on_device::serves(precision) => {
                return Err(without(TENSOR));
            }
            Implementation::Tensor => Kernel::best(precision),
        };
        let way = if self.two_way {
            Way::TwoWay
        } else {
            Way::OneWay
        };
        Ok(Arithmetic {
            plan: Plan { side, kernel, way },
            tensors: matches!(self.implementation, Implementation::Tensor),
        })
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
