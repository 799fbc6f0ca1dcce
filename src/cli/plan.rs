//! `siglab plan FILE`: every cell of a grid and what a `run` would do about it. It starts and writes nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{DONE, USAGE, print};
use crate::export::align;
use crate::record::RunId;
use crate::spec::{Cell, CellKind, Experiment, Grid, RunSpec, path};
use crate::store::{RunState, Store};
use crate::util::printable;
use crate::workbench::FindError;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment file.
    pub file: PathBuf,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    /// Show the settings on which two runs differ, each given by the beginning of its id.
    #[arg(long, num_args = 2, value_names = ["RUN", "RUN"], conflicts_with = "json")]
    pub why: Option<Vec<String>>,
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let experiment = Experiment::load(&args.file, &args.set)?;
    let grid = experiment.expand()?;
    let store = Store::open(workspace)?;
    if let Some([one, other]) = args.why.as_deref().and_then(|ids| ids.first_chunk()) {
        let specs: BTreeMap<&RunId, &RunSpec> = store
            .runs()
            .map(|run| &run.spec)
            .chain(grid.runs())
            .map(|spec| (&spec.id, spec))
            .collect();
        print(&why(
            find(&specs, one, workspace)?,
            find(&specs, other, workspace)?,
        ))?;
        return Ok(DONE);
    }
    let plan = Plan::new(&experiment, &grid, |id| {
        store.get(id).map(|run| run.state.clone())
    });
    let text = if args.json {
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        plan.show(&experiment)
    };
    print(&text)?;
    Ok(if plan.counts.contains_key(INVALID) {
        USAGE
    } else {
        DONE
    })
}

const INVALID: &str = "invalid";

/// The grid as it stands with respect to what has been run.
#[derive(Debug, Serialize)]
struct Plan {
    file: String,
    question: String,
    /// Cells by state.
    counts: BTreeMap<&'static str, usize>,
    prerequisites: Vec<Line>,
    cells: Vec<Line>,
}

#[derive(Debug, Serialize)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    id: Option<RunId>,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Map::is_empty")]
    settings: Map<String, Value>,
    seed: u64,
}

impl Plan {
    fn new(
        experiment: &Experiment,
        grid: &Grid,
        state_of: impl Fn(&RunId) -> Option<RunState>,
    ) -> Self {
        let prerequisite = |(name, spec): &(String, RunSpec)| {
            let (state, reason) = standing(state_of(&spec.id));
            Line {
                name: Some(name.clone()),
                id: Some(spec.id.clone()),
                state,
                reason,
                settings: Map::new(),
                seed: spec.config.seed,
            }
        };
        let cell = |cell: &Cell| {
            let (state, reason) = match &cell.kind {
                CellKind::Run(spec) => standing(state_of(&spec.id)),
                CellKind::Excluded { by } => (
                    "excluded",
                    Some(format!("by {}", experiment.excludes[*by].label())),
                ),
                CellKind::Invalid { reason } => (INVALID, Some(reason.to_string())),
            };
            Line {
                name: None,
                id: cell.run().map(|spec| spec.id.clone()),
                state,
                reason,
                settings: cell.settings.iter().cloned().collect(),
                seed: cell.seed,
            }
        };
        let cells: Vec<Line> = grid.cells.iter().map(cell).collect();
        let mut counts = BTreeMap::new();
        for line in &cells {
            *counts.entry(line.state).or_insert(0) += 1;
        }
        Self {
            file: experiment.path.display().to_string(),
            question: experiment.question.clone(),
            counts,
            prerequisites: grid.prerequisites.iter().map(prerequisite).collect(),
            cells,
        }
    }

    fn show(&self, experiment: &Experiment) -> String {
        let counts: Vec<String> = self
            .counts
            .iter()
            .map(|(state, n)| format!("{n} {state}"))
            .collect();
        let mut text = format!(
            "{}: {}\n{} cells: {}\n\n",
            printable(&self.file),
            printable(&self.question),
            self.cells.len(),
            counts.join(", ")
        );
        if !self.prerequisites.is_empty() {
            let named = self.prerequisites.iter().map(|line| {
                vec![
                    id(line),
                    line.state.into(),
                    line.name.clone().unwrap_or_default(),
                    line.reason.clone().unwrap_or_default(),
                ]
            });
            text += &align(
                &std::iter::once(vec!["FIRST".into(), "STATE".into(), "NAME".into()])
                    .chain(named)
                    .collect::<Vec<_>>(),
            );
            text.push('\n');
        }
        let keys: Vec<&String> = experiment.axes.iter().flat_map(|axis| &axis.keys).collect();
        let head = ["RUN", "STATE"]
            .into_iter()
            .chain(keys.iter().map(|key| key.as_str()))
            .chain(["seed"])
            .map(str::to_owned)
            .collect();
        let row = |line: &Line| {
            let values = keys
                .iter()
                .map(|key| line.settings.get(*key).map(path::label).unwrap_or_default());
            let about = [
                line.seed.to_string(),
                line.reason.clone().unwrap_or_default(),
            ];
            [id(line), line.state.to_owned()]
                .into_iter()
                .chain(values)
                .chain(about)
                .collect()
        };
        text + &align(
            &std::iter::once(head)
                .chain(self.cells.iter().map(row))
                .collect::<Vec<_>>(),
        )
    }
}

fn id(line: &Line) -> String {
    line.id
        .as_ref()
        .map_or_else(|| "-".into(), RunId::to_string)
}

/// A run's state in the words of a plan, and what there is to say about it.
fn standing(state: Option<RunState>) -> (&'static str, Option<String>) {
    match state {
        None => ("new", None),
        Some(RunState::Completed) => ("cached", None),
        Some(state) => {
            let name = state.name();
            let reason = match state {
                RunState::Interrupted { cause } => cause,
                RunState::Diverged { reason, .. } | RunState::Failed { reason } => Some(reason),
                _ => None,
            };
            (name, reason)
        }
    }
}

/// The settings on which two runs differ, a line each.
fn why(one: &RunSpec, other: &RunSpec) -> String {
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

fn find<'s>(
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

    const TEXT: &str = r#"
        question = "Which?"
        [axes]
        "loss.kind" = ["sigmoid", "softmax"]
        "loss.bias.init" = [-10, 0, 1]
        [[exclude]]
        when = { "loss.kind" = "softmax", "loss.bias.init" = 0 }
    "#;

    #[test]
    fn each_cell_has_its_state_and_reason() {
        let experiment = Experiment::parse(Path::new("x.toml"), TEXT, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        let runs: Vec<RunId> = grid.runs().iter().map(|spec| spec.id.clone()).collect();
        let state_of = |id: &RunId| match runs.iter().position(|known| known == id) {
            Some(0) => Some(RunState::Completed),
            Some(1) => Some(RunState::Failed {
                reason: "no memory".into(),
            }),
            _ => None,
        };
        let plan = Plan::new(&experiment, &grid, state_of);
        let states: Vec<&str> = plan.cells.iter().map(|line| line.state).collect();
        assert_eq!(
            states,
            ["cached", "failed", "new", "invalid", "excluded", "invalid"]
        );
        let text = plan.show(&experiment);
        for part in [
            "6 cells: 1 cached, 1 excluded, 1 failed, 2 invalid, 1 new",
            "no memory",
            "by loss.kind = softmax and loss.bias.init = 0",
            "x.toml:5:",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn why_names_what_differs() {
        let experiment = Experiment::parse(Path::new("x.toml"), TEXT, &[]).unwrap();
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
