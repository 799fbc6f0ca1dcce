//! A recorded case: this build's results beside those that another program wrote.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use safetensors::tensor::{Dtype, TensorView};

use crate::train::loss::parity::{Fixture, RESULTS, bound};

use super::super::{DONE, FAILED, print};
use super::{Args, Unusable};

pub fn run(args: &Args, path: &Path) -> anyhow::Result<u8> {
    let fixture = Fixture::read(path, args.kind.as_deref()).map_err(Unusable::from)?;
    let arithmetic = args.multiply.arithmetic(args.tile as usize)?;
    let computed = arithmetic.results(&fixture, args.ranks.into())?;
    let errors = fixture.errors(&computed);
    let stated = bound(arithmetic.precision(), &fixture.config, fixture.log_t);
    let tolerance = args.tolerance.unwrap_or(stated);
    // Before the verdict: an `ok` on the screen says that the results are in the file too.
    if let Some(path) = &args.output {
        write(path, &fixture, &computed)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let passed = errors.values().all(|&e| e <= tolerance);
    if args.json {
        let object = serde_json::json!({ "fixture": path, "ranks": args.ranks, "tile": args.tile, "impl": arithmetic.name(), "precision": arithmetic.precision().name(), "device": args.multiply.device, "tolerance": tolerance, "relative_error": errors, "passed": passed });
        print(&format!("{object}\n"))?;
    } else {
        let line = |name: &str| {
            let error = errors[name];
            let verdict = if error <= tolerance { "ok" } else { "OFF" };
            format!("{name:8} {error:.1e} {verdict}\n")
        };
        print(&RESULTS.map(line).concat())?;
    }
    Ok(if passed { DONE } else { FAILED })
}

fn write(
    path: &Path,
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
