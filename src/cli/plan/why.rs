//! `siglab plan --why`: the settings on which two runs differ.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::export::align;
use crate::record::RunId;
use crate::spec::{RunSpec, path};
use crate::util::printable;
use crate::workbench::FindError;

/// The settings on which two runs differ, a line each.
pub fn why(one: &RunSpec, other: &RunSpec) -> String {
    let flat =
        |spec: &RunSpec| path::flatten(&serde_json::to_value(&spec.config).unwrap_or_default());
    let differences = path::diff(&flat(one), &flat(other));
    let side = |value: Option<Value>| match value {
        Some(Value::String(word)) => word,
        // In full: values that differ must look different.
        Some(value) => value.to_string(),
        None => "-".into(),
    };
    let lines = differences.into_iter().map(|difference| {
        vec![
            difference.key,
            side(difference.left),
            side(difference.right),
        ]
    });
    align(
        &std::iter::once(vec![
            "SETTING".into(),
            one.id.to_string(),
            other.id.to_string(),
        ])
        .chain(lines)
        .collect::<Vec<_>>(),
    )
}

/// The run whose id begins with `prefix`.
pub fn find<'s>(
    specs: &BTreeMap<&RunId, &'s RunSpec>,
    prefix: &str,
    workspace: &Path,
) -> Result<&'s RunSpec, FindError> {
    let found: Vec<&RunSpec> = specs
        .values()
        .filter(|spec| spec.id.as_str().starts_with(prefix))
        .copied()
        .collect();
    match found.as_slice() {
        [spec] => Ok(spec),
        [] => Err(FindError::Unknown {
            prefix: printable(prefix),
            workspace: printable(&workspace.display().to_string()),
        }),
        several => Err(FindError::Ambiguous {
            prefix: printable(prefix),
            matches: several
                .iter()
                .map(|spec| spec.id.as_str())
                .collect::<Vec<_>>()
                .join(", "),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Experiment;

    #[test]
    fn why_names_what_differs() {
        let experiment = Experiment::parse(
            Path::new("x.toml"),
            "[axes]\nloss.bias.init = [-10, 0]",
            &[],
        )
        .unwrap();
        let grid = experiment.expand().unwrap();
        let text = why(grid.runs()[0], grid.runs()[1]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines, [["loss.bias.init", "-10.0", "0.0"]]);
    }
}
