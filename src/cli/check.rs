//! `siglab check loss`: holds the losses of this build against recorded values of another program, on this machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use safetensors::tensor::{Dtype, TensorView};

use crate::train::device;
use crate::train::loss::parity::{Fixture, RESULTS, relative_error};
use crate::train::loss::tile::{Kernel, Precision};

use super::{DONE, FAILED, print};

#[derive(clap::Subcommand, Debug)]
pub enum Check {
    /// Value and gradients of a loss against those in a safetensors file.
    ///
    /// The file holds `image` and `text` [batch, dim], `log_t`, `bias`, and the results to compare with: `loss`,
    /// `d_image`, `d_text`, `d_log_t`, `d_bias`. Exit code 1 when one is further off than the tolerance.
    Loss(Args),
}

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The recorded case.
    #[arg(long, value_name = "FILE")]
    fixture: PathBuf,
    /// The loss; read from the file's name when not given.
    #[arg(long, value_name = "LOSS", value_parser = ["sigmoid", "softmax"])]
    kind: Option<String>,
    /// Ranks of the ring that share the batch.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    ranks: u16,
    /// Side of a tile of the pair matrix.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    tile: u32,
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Largest difference allowed, relative to the largest magnitude of each result.
    #[arg(long, default_value_t = 2e-5)]
    tolerance: f64,
    /// Write the results as they were computed here, f64.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// One JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// A recorded case or a device that this check cannot work with. The words are those of the cause, all of them.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct Unusable(anyhow::Error);

pub fn run(check: Check) -> anyhow::Result<u8> {
    let Check::Loss(args) = check;
    device::open(&args.device).map_err(|e| Unusable(e.into()))?;
    let fixture = Fixture::read(&args.fixture, args.kind.as_deref()).map_err(Unusable)?;
    let computed = fixture.compute(
        args.ranks.into(),
        args.tile as usize,
        Kernel::best(Precision::F32),
    )?;
    let errors: BTreeMap<&str, f64> = RESULTS
        .iter()
        .map(|&name| {
            (
                name,
                relative_error(&computed[name], &fixture.expected[name]),
            )
        })
        .collect();
    // Before the verdict: an `ok` on the screen says that the results are in the file too.
    if let Some(path) = &args.output {
        write(path, &fixture, &computed)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let passed = errors.values().all(|&e| e <= args.tolerance);
    if args.json {
        let object = serde_json::json!({ "fixture": args.fixture, "ranks": args.ranks, "tile": args.tile, "device": args.device, "tolerance": args.tolerance, "relative_error": errors, "passed": passed });
        print(&format!("{object}\n"))?;
    } else {
        let line = |name: &str| {
            let error = errors[name];
            let verdict = if error <= args.tolerance { "ok" } else { "OFF" };
            format!("{name:8} {error:.1e} {verdict}\n")
        };
        print(&RESULTS.map(line).concat())?;
    }
    Ok(if passed { DONE } else { FAILED })
}

fn write(
    path: &std::path::Path,
    fixture: &Fixture,
    computed: &BTreeMap<&'static str, Vec<f64>>,
) -> anyhow::Result<()> {
    let matrix = vec![fixture.image.len() / fixture.dim, fixture.dim];
    let bytes: Vec<(&str, Vec<u8>)> = computed
        .iter()
        .map(|(name, values)| (*name, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let mut views = Vec::new();
    for (name, bytes) in &bytes {
        let shape = if matches!(*name, "d_image" | "d_text") {
            matrix.clone()
        } else {
            vec![1]
        };
        views.push((*name, TensorView::new(Dtype::F64, shape, bytes)?));
    }
    crate::util::write_atomic(path, &safetensors::serialize(views, None)?)?;
    Ok(())
}
