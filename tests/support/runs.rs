//! Runs of about a second, as the workbench makes them, and what their directories tell afterwards.

use std::fs;
use std::path::Path;
use std::process::Command;

use siglab::record::checkpoint::{self, Manifest};
use siglab::record::{Event, Outcome, RunDir, read_events};
use siglab::spec::RunSpec;
use siglab::train::TrainConfig;

/// A run of about a second, with a checkpoint after every step.
pub fn small() -> TrainConfig {
    let mut config = TrainConfig::default();
    config.model.embed_dim = 16;
    for (width, heads) in [
        (&mut config.model.image.width, &mut config.model.image.heads),
        (&mut config.model.text.width, &mut config.model.text.heads),
    ] {
        (*width, *heads) = (16, 2);
    }
    (config.train.batch_size, config.train.examples) = (16, 16 * 60);
    config.train.save_seconds = 0.0;
    (config.eval.every, config.eval.images) = (320, 120);
    config
}

pub fn make(root: &Path, config: TrainConfig) -> RunDir {
    let spec = RunSpec::new(config);
    let dir = RunDir::new(root.join(spec.id.as_str()));
    fs::create_dir_all(dir.path()).unwrap();
    spec.write(&dir).unwrap();
    dir
}

/// `siglab worker DIR` with `args`.
pub fn command(dir: &RunDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_siglab"));
    command.arg("worker").arg(dir.path()).args(args);
    command
}

pub fn last(dir: &RunDir) -> Manifest {
    checkpoint::latest(dir)
        .unwrap()
        .0
        .expect("a checkpoint")
        .manifest
}

pub fn outcomes(dir: &RunDir) -> Vec<Outcome> {
    let events = read_events(dir).unwrap().into_iter();
    events
        .filter_map(|line| match line.event {
            Event::Finished { outcome, .. } => Some(outcome),
            _ => None,
        })
        .collect()
}
