//! `siglab ls`: the runs of the workspace, or of one experiment, and how each of them stands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{DONE, parse_set, print, tell};
use crate::record::RunId;
use crate::spec::{Experiment, Schema, label};
use crate::store::{Query, Run, Store};
use crate::util::{human_count, printable};
use crate::workbench::{View, Workbench, why};

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Only the runs of this experiment.
    pub file: Option<PathBuf>,
    /// Set a key of the experiment's base settings.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set, requires = "file")]
    pub set: Vec<(String, String)>,
    /// Only runs that fit: `state=running top1<0.3 loss.kind=sigmoid -seed=0 words`.
    #[arg(long = "where", value_name = "QUERY")]
    pub query: Option<Query>,
    /// One JSON object a run.
    #[arg(long)]
    pub json: bool,
}

impl Args {
    /// All runs, or those of `file`.
    pub fn of_file(file: Option<PathBuf>, set: Vec<(String, String)>) -> Self {
        Self {
            file,
            set,
            query: None,
            json: false,
        }
    }
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let wanted: Option<BTreeSet<RunId>> = match &args.file {
        None => None,
        Some(file) => {
            let grid = Experiment::load(file, &args.set)?.expand()?;
            Some(
                grid.runs()
                    .into_iter()
                    .map(|spec| spec.id.clone())
                    .collect(),
            )
        }
    };
    let workbench = Workbench::open(workspace)?;
    let (store, schema) = (workbench.store(), Schema::learn());
    let view = workbench.view();
    let is_wanted = |id: &RunId| wanted.as_ref().is_none_or(|wanted| wanted.contains(id));
    let query = args.query.unwrap_or_default();
    query.require_fields(&store.runs().collect::<Vec<_>>())?;
    let fits = |run: &&Run| {
        is_wanted(run.id()) && query.fits(run, &label::of_run(&schema, &run.spec.config))
    };
    let runs: Vec<&Run> = store.runs().filter(fits).collect();
    if args.json {
        print(
            &runs
                .iter()
                .map(|run| format!("{}\n", object(store, run, &view)))
                .collect::<String>(),
        )?;
    } else if runs.is_empty() {
        let place = workspace.display();
        match &args.file {
            None => tell(format_args!("no runs in {place}")),
            Some(file) => {
                let file = file.display();
                tell(format_args!(
                    "none of the runs of {file} is in {place}; `siglab run {file}` trains them"
                ));
            }
        }
    } else {
        let heading = columns([
            "RUN", "STATE", "DONE", "EXAMPLES", "LOSS", "TOP-1", "SETTINGS",
        ]);
        let lines = runs.iter().map(|run| line(store, run, &view, &schema));
        print(&[heading].into_iter().chain(lines).collect::<String>())?;
    }
    if let Some(full) = store.full() {
        tell(full);
    }
    for (id, why) in store.unreadable().iter().filter(|(id, _)| is_wanted(id)) {
        tell(format_args!("{id}  unreadable: {}", printable(why)));
    }
    Ok(DONE)
}

fn columns([run, state, done, examples, loss, top1, settings]: [&str; 7]) -> String {
    format!("{run:10}  {state:11}  {done:>5}  {examples:>8}  {loss:>8}  {top1:>6}  {settings}\n")
}

fn line(store: &Store, run: &Run, view: &View, schema: &Schema) -> String {
    let number = |value: Option<f64>, show: fn(f64) -> String| value.map_or("-".into(), show);
    let mut settings = label::of_run(schema, &run.spec.config);
    let damaged = (run.damaged > 0).then(|| format!("{} damaged lines", run.damaged));
    for words in why(store, run, view).into_iter().chain(damaged) {
        settings = format!("{settings}  ({words})");
    }
    columns([
        run.id().as_str(),
        run.state.name(),
        &format!("{:.0} %", (100.0 * run.progress()).floor()),
        &human_count(run.examples as f64),
        &number(run.latest("loss"), |loss| format!("{loss:.4}")),
        &number(run.top1(), |top1| format!("{:.1} %", 100.0 * top1)),
        &settings,
    ])
}

fn object(store: &Store, run: &Run, view: &View) -> Value {
    json!({
        "run": run.id(),
        "state": run.state.name(),
        "why": why(store, run, view),
        "attempt": run.attempt,
        "progress": run.progress(),
        "examples": run.examples,
        "of": run.spec.config.examples(),
        "examples_per_second": run.speed(),
        "loss": run.latest("loss"),
        "top1": run.top1(),
        "top1_of": run.top1_key(),
        "waits_for_room": run.waits,
        "damaged_lines": run.damaged,
        "siglab": run.siglab,
        "host": run.host,
        "devices": run.devices,
        "threads": run.threads,
        "provenance": run.provenance,
        "config": run.spec.config,
    })
}
