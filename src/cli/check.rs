//! `siglab check loss`: holds the losses of this build, on this machine, against what they should be: the plain equations
//! in f64, or what another program recorded.

mod equations;
mod recorded;

use std::path::PathBuf;

use super::bench::multiply::Multiply;
use crate::train::loss::parity::FixtureError;

#[derive(clap::Subcommand, Debug)]
pub enum Check {
    /// Value and gradients of the losses against their equations, or against recorded values.
    ///
    /// Without a file, every loss and variant of it is computed on seeded cases by every way to multiply that this processor
    /// has and on tensors, on rings of 1 to 3 ranks, one way and both ways round, and in tiles of several sizes, and compared
    /// with the sum over the whole matrix of pairs in f64. With --fixture, a safetensors file holds `image` and `text` [batch,
    /// dim], `log_t`, `bias`, and the results to compare with: `loss`, `d_image`, `d_text`, `d_log_t`, `d_bias`. Exit code 1
    /// when one is further off than the tolerance.
    Loss(Args),
}

#[derive(clap::Args, Debug)]
pub struct Args {
    /// A recorded case.
    #[arg(long, value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// The loss of the recorded case; read from the file's name when not given.
    #[arg(long, value_name = "LOSS", value_parser = ["sigmoid", "softmax"], requires = "fixture")]
    kind: Option<String>,
    /// Ranks of the ring that share the batch of the recorded case.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), requires = "fixture")]
    ranks: u16,
    /// Side of a tile of the pair matrix of the recorded case.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..), requires = "fixture")]
    tile: u32,
    #[command(flatten)]
    multiply: Multiply,
    /// Largest difference allowed, relative to the largest magnitude of each result [default: 2e-5 in f32, and more for lower
    /// precisions and a logit scale above 20].
    #[arg(long)]
    tolerance: Option<f64>,
    /// Write the results of the recorded case as they were computed here, f64.
    #[arg(long, value_name = "FILE", requires = "fixture")]
    output: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// A recorded case that this check cannot work with.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Unusable(#[from] FixtureError);

impl Check {
    pub fn device(&self) -> &str {
        let Self::Loss(args) = self;
        &args.multiply.device
    }
}

pub fn run(check: Check) -> anyhow::Result<u8> {
    let Check::Loss(args) = check;
    match &args.fixture {
        Some(fixture) => recorded::run(&args, fixture),
        None => equations::run(&args),
    }
}
