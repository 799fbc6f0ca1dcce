//! How a verb about the losses is told to multiply: by which instructions, at which precision, and which way texts go
//! round the ring.

use crate::train::loss::tile::{Isa, Kernel, Precision};
use crate::train::loss::{Plan, Way};

#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Multiply {
    /// The code that multiplies: auto is the fastest that this processor has.
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
}

/// The processor lacks what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("this processor cannot multiply {} by {}: it has {}", precision.name(), isa.name(), served(*precision))]
pub struct NotServed {
    isa: Isa,
    precision: Precision,
}

impl Multiply {
    pub fn plan(&self, side: usize) -> Result<Plan, NotServed> {
        let precision = self.precision;
        let kernel = match self.implementation {
            Implementation::Auto => Kernel::best(precision),
            Implementation::Of(isa) => {
                Kernel::new(isa, precision).ok_or(NotServed { isa, precision })?
            }
        };
        let way = if self.two_way {
            Way::TwoWay
        } else {
            Way::OneWay
        };
        Ok(Plan { side, kernel, way })
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
        None => {
            let names = Isa::ALL.map(Isa::name).join(", ");
            Err(format!("expected auto, {names}"))
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
