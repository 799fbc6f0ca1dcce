//! `siglab spikes [RUN…]`: the loss spikes of runs, by the rule that the screens use, with what preceded each. A run
//! that diverged is named, and its divergence is no spike.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{DONE, FAILED, parse_set, print, tell};
use crate::analysis::spikes::{End, Spike, SpikeConfig, Spikes};
use crate::export::align;
use crate::record::RunId;
use crate::spec::Experiment;
use crate::store::{Run, RunState};
use crate::tui::{Preferences, PreferencesError};
use crate::util::{human_count, printable};
use crate::workbench::Workbench;

/// List the loss spikes of runs, and what preceded each. Exit code 0: there are none; 1: there are some.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Ids, or enough of their beginnings; every run of the workspace if none is given.
    #[arg(value_name = "RUN")]
    pub runs: Vec<String>,
    /// The runs of this experiment.
    #[arg(long, value_name = "FILE", conflicts_with = "runs")]
    pub file: Option<PathBuf>,
    /// Set a key of the experiment's base settings.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_set, requires = "file")]
    pub set: Vec<(String, String)>,
    /// One JSON object a run.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub thresholds: Thresholds,
}

/// Over those of the user's preferences, and the defaults of [`SpikeConfig`].
#[derive(clap::Args, Debug)]
pub struct Thresholds {
    /// Score of the loss that is a spike whatever the gradient does: deviations above the level before [default: 25].
    #[arg(long, value_name = "Z")]
    pub z: Option<f64>,
    /// Score of the loss that is a spike if the gradient norm rises too [default: 5].
    #[arg(long, value_name = "Z")]
    pub z_with_gradient: Option<f64>,
    /// Score of the gradient norm that counts as rising too [default: 7].
    #[arg(long, value_name = "Z")]
    pub gradient_z: Option<f64>,
    /// Rows that the scores are taken over [default: 64].
    #[arg(long, value_name = "ROWS")]
    pub window: Option<usize>,
    /// Rows at the beginning of a run that are no spikes [default: 50].
    #[arg(long, value_name = "ROWS")]
    pub warm_up: Option<usize>,
}

impl Thresholds {
    /// These, over what the user's preferences say.
    fn config(&self) -> Result<SpikeConfig, PreferencesError> {
        let default = Preferences::load()?.spikes;
        Ok(SpikeConfig {
            alone: self.z.unwrap_or(default.alone),
            with_gradient: self.z_with_gradient.unwrap_or(default.with_gradient),
            gradient: self.gradient_z.unwrap_or(default.gradient),
            window: self.window.unwrap_or(default.window),
            warm_up: self.warm_up.unwrap_or(default.warm_up),
            ..default
        })
    }
}

pub fn run(workspace: &Path, args: Args) -> anyhow::Result<u8> {
    let workbench = Workbench::open(workspace)?;
    let config = args.thresholds.config()?;
    let found: Vec<(&Run, Spikes)> = runs(&workbench, &args)?
        .into_iter()
        .map(|run| (run, Spikes::of(&run.series, config.clone())))
        .collect();
    let any = found.iter().any(|(_, spikes)| !spikes.found().is_empty());
    if args.json {
        let objects = found.iter().map(|(run, spikes)| object(run, spikes));
        let objects: Vec<String> = objects.collect::<Result<_, _>>()?;
        print(&objects.concat())?;
    } else if any {
        let lines = found
            .iter()
            .flat_map(|(run, spikes)| spikes.found().iter().map(|spike| line(run.id(), spike)));
        print(&align(
            &[heading()].into_iter().chain(lines).collect::<Vec<_>>(),
        ))?;
    } else {
        let (n, noun) = (found.len(), if found.len() == 1 { "run" } else { "runs" });
        tell(format_args!("no loss spikes in {n} {noun}"));
    }
    for (run, _) in &found {
        if let RunState::Diverged { step, reason } = &run.state {
            let (id, reason) = (run.id(), printable(reason));
            tell(format_args!(
                "{id}  diverged at step {step}, which is no spike: {reason}"
            ));
        }
    }
    Ok(if any { FAILED } else { DONE })
}

fn runs<'w>(workbench: &'w Workbench, args: &Args) -> anyhow::Result<Vec<&'w Run>> {
    let store = workbench.store();
    if let Some(file) = &args.file {
        let grid = Experiment::load(file, &args.set)?.expand()?;
        let specs = grid.runs();
        return Ok(specs
            .iter()
            .filter_map(|spec| store.get(&spec.id))
            .collect());
    }
    if args.runs.is_empty() {
        return Ok(store.runs().collect());
    }
    let named = args.runs.iter().map(|prefix| workbench.find(prefix));
    Ok(named.collect::<Result<_, _>>()?)
}

fn heading() -> Vec<String> {
    [
        "RUN",
        "STEP",
        "EXAMPLES",
        "LOSS",
        "Z",
        "GRADIENT",
        "LASTS",
        "PRECEDED BY",
    ]
    .map(str::to_owned)
    .to_vec()
}

fn line(id: &RunId, spike: &Spike) -> Vec<String> {
    let steps = match spike.steps() {
        1 => "1 step".to_owned(),
        n => format!("{n} steps"),
    };
    vec![
        id.to_string(),
        spike.onset.step.to_string(),
        human_count(spike.onset.examples as f64),
        format!("×{:.2}", spike.height),
        format!("{:.1}", spike.z),
        spike
            .gradient_ratio
            .map_or_else(|| "-".into(), |ratio| format!("×{ratio:.1}")),
        match spike.end {
            End::Recovered => steps,
            End::Open => format!("{steps}, open"),
            End::NewLevel => format!("{steps}, then a new level"),
        },
        spike.preceding.to_string(),
    ]
}

/// A run as a line for a script.
fn object(run: &Run, spikes: &Spikes) -> serde_json::Result<String> {
    #[derive(Serialize)]
    struct Object<'r> {
        run: &'r RunId,
        state: &'r str,
        rows: usize,
        spikes: Vec<Lasting<'r>>,
    }
    #[derive(Serialize)]
    struct Lasting<'r> {
        #[serde(flatten)]
        spike: &'r Spike,
        steps: u64,
        examples: u64,
    }
    let lasting = |spike| Lasting {
        spike,
        steps: spike.steps(),
        examples: spike.examples(),
    };
    let object = Object {
        run: run.id(),
        state: run.state.name(),
        rows: run.series.len(),
        spikes: spikes.found().iter().map(lasting).collect(),
    };
    Ok(serde_json::to_string(&object)? + "\n")
}
