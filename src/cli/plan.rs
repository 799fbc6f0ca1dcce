//! `siglab plan FILE`: every cell of a grid, what a `run` would do about it and how long that will take. It starts and
//! writes nothing.

mod design;
mod time;
mod why;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{DONE, USAGE, print, tell, warn_of_changes};
use crate::export::align;
use crate::record::RunId;
use crate::spec::{Cell, CellKind, Experiment, Grid, RunSpec, path};
use crate::store::Store;
use crate::util::printable;
use crate::workbench::{View, absent, outlook, prospect};
use design::Chosen;
use time::Time;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// The experiment file.
    #[arg(required_unless_present = "why")]
    pub file: Option<PathBuf>,
    /// Set a key of the base settings, over the file's.
    #[arg(long, value_name = "KEY=VALUE", requires = "file", value_parser = super::parse_set)]
    pub set: Vec<(String, String)>,
    /// One JSON object on standard output.
    #[arg(long)]
    pub json: bool,
    /// Runs at a time to reckon with [default: as many as `siglab run` takes].
    #[arg(long, value_name = "N", requires = "file")]
    pub jobs: Option<usize>,
    /// Show the settings on which two runs differ, each given by the beginning of its id: of the workspace or, with
    /// a file, of its grid.
    #[arg(long, num_args = 2, value_names = ["RUN", "RUN"], conflicts_with = "json")]
    pub why: Option<Vec<String>>,
}

impl Args {
    pub fn of_file(file: PathBuf, set: Vec<(String, String)>) -> Self {
        Self {
            file: Some(file),
            set,
            json: false,
            why: None,
            jobs: None,
        }
    }
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let store = Store::open(workspace)?;
    let asked = match &args.file {
        Some(file) => {
            let experiment = Experiment::load(file, &args.set)?;
            let grid = experiment.expand()?;
            Some((experiment, grid))
        }
        None => None,
    };
    let of_grid = asked.iter().flat_map(|(_, grid)| grid.runs());
    if let Some([one, other]) = args.why.as_deref().and_then(|ids| ids.first_chunk()) {
        let specs: BTreeMap<&RunId, &RunSpec> = store
            .runs()
            .map(|run| &run.spec)
            .chain(of_grid)
            .map(|spec| (&spec.id, spec))
            .collect();
        print(&why::why(
            why::find(&specs, one, workspace)?,
            why::find(&specs, other, workspace)?,
        ))?;
        return Ok(DONE);
    }
    let view = prospect(&store, of_grid);
    let (experiment, grid) = asked.context("a plan needs an experiment file")?;
    let mut plan = Plan::new(&experiment, &grid, &view);
    plan.time = time::of(&store, &view, &grid, args.jobs);
    let text = if args.json {
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        plan.show(&experiment)
    };
    print(&text)?;
    for absent in absent(grid.runs()) {
        tell(format_args!("warning: {absent}"));
    }
    warn_of_changes(&grid, &store);
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
    /// Absent for the full product.
    #[serde(skip_serializing_if = "Option::is_none")]
    design: Option<Chosen>,
    /// Cells by state.
    counts: BTreeMap<&'static str, usize>,
    /// None where nothing is left to do.
    time: Option<Time>,
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
    fn new(experiment: &Experiment, grid: &Grid, view: &View) -> Self {
        let prerequisite = |(name, spec): &(String, RunSpec)| {
            let (state, reason) = outlook(view, &spec.id);
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
                CellKind::Run(spec) => outlook(view, &spec.id),
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
                settings: cell.settings().cloned().collect(),
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
            design: Chosen::of(experiment),
            counts,
            time: None,
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
        let mut text = printable(&self.file);
        if !self.question.is_empty() {
            text += &format!(": {}", printable(&self.question));
        }
        let cells = self.cells.len();
        let noun = if cells == 1 { "cell" } else { "cells" };
        text += &format!("\n{cells} {noun}: {}\n", counts.join(", "));
        text += &self.design.as_ref().map(Chosen::show).unwrap_or_default();
        if let Some(time) = &self.time {
            text += &format!("{time}\n");
        }
        text.push('\n');
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
        let shared = self.shared_reasons();
        let reason = |line: &Line| {
            let reason = line.reason.as_deref().unwrap_or_default();
            let note = shared.iter().position(|other| *other == reason);
            note.map_or_else(|| reason.to_owned(), |note| format!("[{}]", note + 1))
        };
        let row = |line: &Line| {
            let values = keys
                .iter()
                .map(|key| line.settings.get(*key).map(path::label).unwrap_or_default());
            let about = [line.seed.to_string(), reason(line)];
            [id(line), line.state.to_owned()]
                .into_iter()
                .chain(values)
                .chain(about)
                .collect()
        };
        text += &align(
            &std::iter::once(head)
                .chain(self.cells.iter().map(row))
                .collect::<Vec<_>>(),
        );
        for (note, reason) in (1..).zip(&shared) {
            text += &format!("\n[{note}] {}\n", printable(reason));
        }
        text
    }

    /// Why cells are invalid, where several share a reason: a mistake in the base is in every cell.
    fn shared_reasons(&self) -> Vec<&str> {
        let invalid = self.cells.iter().filter(|line| line.state == INVALID);
        let mut cells: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in invalid.filter_map(|line| line.reason.as_deref()) {
            *cells.entry(reason).or_insert(0) += 1;
        }
        cells.retain(|_, n| *n > 1);
        cells.into_keys().collect()
    }
}

fn id(line: &Line) -> String {
    line.id
        .as_ref()
        .map_or_else(|| "-".into(), RunId::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RunState;

    const TEXT: &str = r#"
        question = "Which?"
        [axes]
        "loss.kind" = ["sigmoid", "softmax"]
        "loss.bias.init" = [-10, 0, 1]
        [[exclude]]
        when = { "loss.kind" = "softmax", "loss.bias.init" = 0 }
    "#;

    fn nothing_run(grid: &Grid) -> View {
        let root = tempfile::tempdir().unwrap();
        prospect(&Store::open(root.path()).unwrap(), grid.runs())
    }

    #[test]
    fn cells_that_can_never_start_are_blocked() {
        let text = r#"
            [runs.p]
            loss.kind = "classify"
            [axes]
            model.image.init = ["random", { from = "p" }, { from = "0123456789" }]
        "#;
        let experiment = Experiment::parse(Path::new("x.toml"), text, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        let mut view = nothing_run(&grid);
        let states = |view: &View| {
            let plan = Plan::new(&experiment, &grid, view);
            plan.cells.iter().map(|line| line.state).collect::<Vec<_>>()
        };
        assert_eq!(states(&view), ["new", "new", "blocked"]);
        let source = grid.prerequisites[0].1.id.clone();
        view.tasks.get_mut(&source).unwrap().state = RunState::Diverged {
            step: 1,
            reason: String::new(),
        };
        assert_eq!(states(&view), ["new", "blocked", "blocked"]);
        let text = Plan::new(&experiment, &grid, &view).show(&experiment);
        assert!(text.starts_with("x.toml\n3 cells: "), "{text}");
        for part in [
            format!("needs {source}, which diverged"),
            "needs 0123456789, which is in".into(),
        ] {
            assert!(text.contains(&part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn a_design_is_shown_with_what_it_cannot_tell_apart() {
        let axes = "[axes]\noptim.lr = [1, 2]\noptim.eps = [1, 2]\noptim.beta1 = [0, 0.5]\n\
                    loss.kind = [\"sigmoid\", \"softmax\"]\n[design]\n";
        let shown = |design: &str| {
            let text = format!("{axes}{design}");
            let experiment = Experiment::parse(Path::new("x.toml"), &text, &[]).unwrap();
            let grid = experiment.expand().unwrap();
            let text = Plan::new(&experiment, &grid, &nothing_run(&grid)).show(&experiment);
            text.split("\n\n").next().unwrap().to_owned()
        };
        insta::assert_snapshot!(shown("kind = \"fractional\"\nfraction = 2"), @r"
        x.toml
        8 cells: 8 new
        design: fractional, 8 of 16 cells, resolution IV
          I = ABCD
          where A is optim.lr, B is optim.eps, C is optim.beta1, D is loss.kind
          cannot be told apart:
            optim.lr x optim.eps = optim.beta1 x loss.kind
            optim.lr x optim.beta1 = optim.eps x loss.kind
            optim.lr x loss.kind = optim.eps x optim.beta1
        ");
        insta::assert_snapshot!(shown("kind = \"one-factor\""), @r"
        x.toml
        5 cells: 5 new
        design: one factor at a time, 5 of 16 cells, around optim.lr = 1, optim.eps = 1, optim.beta1 = 0, loss.kind = sigmoid
        ");
        insta::assert_snapshot!(shown("kind = \"random\"\ncount = 3"), @r"
        x.toml
        3 cells: 3 new
        design: random, 3 of 16 cells, seed 0
        ");
        insta::assert_snapshot!(shown("kind = \"full\""), @r"
        x.toml
        16 cells: 16 new
        ");
    }

    #[test]
    fn a_reason_that_cells_share_is_told_once() {
        let text = "[base]\ntrain.ranks = 3\n[axes]\noptim.lr = [1e-3, 3e-4]";
        let experiment = Experiment::parse(Path::new("x.toml"), text, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        let text = Plan::new(&experiment, &grid, &nothing_run(&grid)).show(&experiment);
        assert_eq!(text.matches("do not divide").count(), 1, "{text}");
        assert_eq!(text.matches("[1]").count(), 3, "{text}");
    }

    #[test]
    fn each_cell_has_its_state_and_reason() {
        let experiment = Experiment::parse(Path::new("x.toml"), TEXT, &[]).unwrap();
        let grid = experiment.expand().unwrap();
        let runs: Vec<RunId> = grid.runs().iter().map(|spec| spec.id.clone()).collect();
        let mut view = nothing_run(&grid);
        view.tasks.get_mut(&runs[0]).unwrap().state = RunState::Completed;
        view.tasks.get_mut(&runs[1]).unwrap().state = RunState::Failed {
            reason: "no memory".into(),
        };
        let plan = Plan::new(&experiment, &grid, &view);
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
}
