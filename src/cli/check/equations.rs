//! The self-test: every loss and variant that this build computes, beside its equations.

use serde_json::json;

use crate::train::loss::cases::{Variant, variants};
use crate::train::loss::{LossError, Plan};

use super::super::{DONE, FAILED, print};
use super::Args;

/// Rings and sides of tiles that each case is computed with.
const RANKS: [usize; 3] = [1, 2, 3];
const TILES: [usize; 4] = [5, 32, 64, 256];

/// How far off a variant is, at its worst.
struct Finding {
    variant: Variant,
    comparisons: usize,
    worst: Worst,
}

#[derive(Clone, Copy)]
struct Worst {
    error: f64,
    batch: usize,
    dim: usize,
    ranks: usize,
    tile: usize,
}

pub fn run(args: &Args) -> anyhow::Result<u8> {
    let found = variants().into_iter().map(compare);
    let found: Vec<Finding> = found.collect::<Result<_, _>>()?;
    let holds = |finding: &Finding| finding.worst.error <= args.tolerance;
    let passed = found.iter().all(holds);
    let text = if args.json {
        let checks = found.iter().map(|finding| {
            let Worst {
                error,
                batch,
                dim,
                ranks,
                tile,
            } = finding.worst;
            json!({
                "loss": finding.variant.name,
                "precision": "f32",
                "comparisons": finding.comparisons,
                "relative_error": error,
                "worst": { "batch": batch, "dim": dim, "ranks": ranks, "tile": tile },
                "passed": holds(finding),
            })
        });
        let checks: Vec<_> = checks.collect();
        let object = json!({ "tolerance": args.tolerance, "checks": checks, "passed": passed });
        format!("{object}\n")
    } else {
        table(&found, args.tolerance)
    };
    print(&text)?;
    Ok(if passed { DONE } else { FAILED })
}

fn compare(variant: Variant) -> Result<Finding, LossError> {
    let mut finding = Finding {
        comparisons: 0,
        worst: Worst {
            error: -1.0,
            batch: 0,
            dim: 0,
            ranks: 0,
            tile: 0,
        },
        variant,
    };
    for case in finding.variant.cases() {
        for ranks in RANKS {
            for tile in TILES {
                let error = case.error(ranks, Plan::in_squares_of(tile))?;
                finding.comparisons += 1;
                if error > finding.worst.error {
                    finding.worst = Worst {
                        error,
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

fn table(found: &[Finding], tolerance: f64) -> String {
    let names = found.iter().map(|finding| finding.variant.name.len());
    let width = names.max().unwrap_or(0);
    let mut text = format!("{:width$}  f32\n", "loss");
    for Finding { variant, worst, .. } in found {
        let verdict = if worst.error <= tolerance {
            "ok".into()
        } else {
            format!(
                "OFF: {} pairs of width {} on {} ranks in tiles of {}",
                worst.batch, worst.dim, worst.ranks, worst.tile
            )
        };
        text += &format!("{:width$}  {:.1e}  {verdict}\n", variant.name, worst.error);
    }
    let comparisons: usize = found.iter().map(|finding| finding.comparisons).sum();
    text + &format!(
        "largest relative error of value and gradients in {comparisons} comparisons with the equations in f64; {tolerance:e} is allowed\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_variant_is_what_its_equation_says() {
        for variant in variants() {
            let Finding {
                variant,
                worst,
                comparisons,
            } = compare(variant).unwrap();
            assert!(comparisons >= 36);
            assert!(worst.error < 2e-5, "{}: {:.1e}", variant.name, worst.error);
        }
    }

    #[test]
    fn what_is_off_says_where() {
        let variant = variants().into_iter().nth(1).unwrap();
        let found = [compare(variant).unwrap()];
        assert!(table(&found, 2e-5).contains(" ok\n"));
        let shown = table(&found, 1e-12);
        assert!(shown.contains("OFF: ") && shown.contains(" ranks in tiles of "));
    }
}
