//! The self-test: every loss and variant that this build computes, by every way to multiply that the processor has, beside
//! its equations.

use serde_json::{Value, json};

use crate::record::DeviceName;
use crate::train::loss::cases::{Variant, variants};
use crate::train::loss::parity::bound;
use crate::train::loss::tile::{Kernel, Precision};
use crate::train::loss::{LossError, Plan, Way};

use super::super::bench::multiply::Arithmetic;
use super::super::{DONE, FAILED, print};
use super::Args;

/// Rings and sides of tiles that each case is computed with.
const RINGS: [(usize, Way); 4] = [
    (1, Way::OneWay),
    (2, Way::OneWay),
    (3, Way::OneWay),
    (3, Way::TwoWay),
];
const TILES: [usize; 4] = [5, 32, 64, 256];

/// How far off a variant is, at its worst, by one way to multiply.
struct Finding {
    /// Of any plan.
    arithmetic: Arithmetic,
    comparisons: usize,
    worst: Worst,
}

#[derive(Clone, Copy, Default)]
struct Worst {
    error: f64,
    /// The error in units of what is allowed.
    excess: f64,
    batch: usize,
    dim: usize,
    ranks: usize,
    tile: usize,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let device = args.multiply.device()?;
    let mut found = Vec::new();
    for variant in variants() {
        let all = ways(device).map(|arithmetic| compare(&variant, arithmetic, args.tolerance));
        let all: Vec<Finding> = all.collect::<Result<_, _>>()?;
        found.push((variant, all));
    }
    let passed = found
        .iter()
        .flat_map(|(_, findings)| findings)
        .all(Finding::holds);
    let text = if args.json {
        let checks = found.iter();
        let checks =
            checks.flat_map(|(variant, findings)| findings.iter().map(|f| f.object(variant)));
        let checks: Vec<Value> = checks.collect();
        format!("{}\n", json!({ "checks": checks, "passed": passed }))
    } else {
        table(&found)
    };
    print(&text)?;
    Ok(if passed { DONE } else { FAILED })
}

/// All that there are on `device`, in any plan.
fn ways(device: DeviceName) -> impl Iterator<Item = Arithmetic> {
    let plan = |kernel| Plan {
        kernel,
        ..Plan::in_squares_of(TILES[0])
    };
    let tensors = Precision::ALL
        .into_iter()
        .map(move |precision| Arithmetic::on_tensors(device, plan(Kernel::best(precision))));
    let slices = Kernel::all().filter(move |_| device.library().is_none());
    tensors.chain(slices.map(move |kernel| Arithmetic::from(plan(kernel))))
}

fn compare(
    variant: &Variant,
    arithmetic: Arithmetic,
    tolerance: Option<f64>,
) -> Result<Finding, LossError> {
    let mut finding = Finding {
        arithmetic,
        comparisons: 0,
        worst: Worst::default(),
    };
    for case in variant.cases() {
        let allowed = bound(arithmetic.precision(), &case.config, case.log_t);
        let allowed = tolerance.unwrap_or(allowed);
        for (ranks, way) in RINGS {
            for tile in TILES {
                let plan = Plan {
                    side: tile,
                    way,
                    ..arithmetic.plan
                };
                let computed = arithmetic.in_plan(plan).results(&case, ranks)?;
                let errors = case.errors(&computed);
                let error = errors.values().copied().fold(0.0, f64::max);
                finding.comparisons += 1;
                if error / allowed > finding.worst.excess {
                    finding.worst = Worst {
                        error,
                        excess: error / allowed,
                        batch: case.image.len() / case.dim,
                        dim: case.dim,
                        ranks,
                        tile,
                    };
                }
            }
        }
    }
    Ok(finding)
}

impl Finding {
    fn holds(&self) -> bool {
        self.worst.excess <= 1.0
    }

    fn object(&self, variant: &Variant) -> Value {
        let worst = self.worst;
        json!({
            "loss": variant.name,
            "impl": self.arithmetic.name(),
            "precision": self.arithmetic.precision().name(),
            "comparisons": self.comparisons,
            "relative_error": worst.error,
            "of_allowed": worst.excess,
            "worst": { "batch": worst.batch, "dim": worst.dim, "ranks": worst.ranks, "tile": worst.tile },
            "passed": self.holds(),
        })
    }
}

/// A row a variant, a column a way to multiply; what is off says where below.
fn table(found: &[(Variant, Vec<Finding>)]) -> String {
    let width = found.iter().map(|(variant, _)| variant.name.len()).max();
    let width = width.unwrap_or(0);
    let mut text = format!("{:width$}", "loss");
    let mut second = format!("{:width$}", "");
    let columns = || found.first().into_iter().flat_map(|(_, findings)| findings);
    let names = columns().map(|finding| finding.arithmetic.name().len());
    let column = names.max().unwrap_or(0).max(8);
    for finding in columns() {
        text += &format!("  {:>column$}", finding.arithmetic.precision().name());
        second += &format!("  {:>column$}", finding.arithmetic.name());
    }
    text = format!("{text}\n{second}\n");
    let mut off = String::new();
    for (variant, findings) in found {
        text += &format!("{:width$}", variant.name);
        for finding in findings {
            let Worst {
                error,
                excess,
                batch,
                dim,
                ranks,
                tile,
            } = finding.worst;
            text += &format!("  {:>column$}", format!("{error:.1e}"));
            if !finding.holds() {
                let arithmetic = finding.arithmetic;
                off += &format!(
                    "OFF: {}, {} by {}: {excess:.1} times what is allowed, with {batch} pairs of width {dim} on {ranks} ranks in tiles of {tile}\n",
                    variant.name,
                    arithmetic.precision().name(),
                    arithmetic.name(),
                );
            }
        }
        text += "\n";
    }
    let comparisons = found.iter().flat_map(|(_, findings)| findings);
    let comparisons: usize = comparisons.map(|finding| finding.comparisons).sum();
    let verdict = if off.is_empty() { "ok: " } else { &off };
    format!(
        "{text}{verdict}largest relative errors of value and gradients in {comparisons} comparisons with the equations in f64\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_is_what_its_equation_says() {
        for variant in variants() {
            for arithmetic in ways(DeviceName::Cpu(None)) {
                let found = compare(&variant, arithmetic, None).unwrap();
                assert!(found.comparisons >= 48);
                let Worst { error, .. } = found.worst;
                assert!(
                    found.holds(),
                    "{} {arithmetic:?}: {error:.1e}",
                    variant.name
                );
            }
        }
    }

    #[test]
    fn what_is_off_says_where() {
        let variant = || variants().into_iter().nth(1).unwrap();
        let found = |tolerance| {
            let arithmetic = ways(DeviceName::Cpu(None)).next().unwrap();
            let finding = compare(&variant(), arithmetic, tolerance).unwrap();
            table(&[(variant(), vec![finding])])
        };
        assert!(found(None).contains("ok: "));
        let shown = found(Some(1e-12));
        assert!(
            shown.contains("OFF: ") && shown.contains(" ranks in tiles of "),
            "{shown}"
        );
    }
}
