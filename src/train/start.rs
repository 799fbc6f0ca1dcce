//! Where a run starts: settings that a file is asked for become numbers, and towers get the weights of files and of other
//! runs. A run that goes on from a checkpoint of its own finds all of that there, and asks nobody again.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};

use super::config::TrainConfig;
use super::model::weights::Weights;
use super::model::{Size, TowerInit};
use super::snapshot;
use super::step::State;
use crate::record::RunId;
use crate::record::checkpoint::Checkpoint;

/// `config` with nothing left for a file to say. `runs` holds the last checkpoint of every run that a tower starts from,
/// `resume` the run's own.
pub fn resolved(
    config: &TrainConfig,
    runs: &BTreeMap<RunId, Checkpoint>,
    resume: Option<&Checkpoint>,
) -> anyhow::Result<TrainConfig> {
    let mut config = config.clone();
    if !config.model.asks_another() {
        return Ok(config);
    }
    if let Some(checkpoint) = resume {
        let settings = snapshot::settings(checkpoint)?;
        (config.model, config.loss) = (settings.model, settings.loss);
    } else {
        take_shapes(&mut config, runs)?;
        let mut weights = Weights::open(&config.model, config.has_text_tower())?;
        config = weights.resolve(&config)?;
    }
    config.validate()?;
    Ok(config)
}

/// Put the weights of files and of other runs into `state`, which is at the run's start; `config` is resolved. What was
/// made to fit comes back in sentences.
pub fn fill(
    config: &TrainConfig,
    runs: &BTreeMap<RunId, Checkpoint>,
    state: &mut State,
) -> anyhow::Result<Vec<String>> {
    let model = &config.model;
    for (tower, init) in [("image", &model.image.init), ("text", &model.text.init)] {
        if let TowerInit::From(id) = init {
            snapshot::import_tower(state, tower, checkpoint(runs, tower, id)?)?;
        }
    }
    let has_file = [&model.image.init, &model.text.init]
        .into_iter()
        .any(|i| i.file().is_some());
    if !has_file {
        return Ok(Vec::new());
    }
    let mut weights = Weights::open(model, config.has_text_tower())?;
    state.fill(|layout, values| Ok(weights.fill(values, layout, config)?))
}

fn checkpoint<'a>(
    runs: &'a BTreeMap<RunId, Checkpoint>,
    tower: &str,
    id: &RunId,
) -> anyhow::Result<&'a Checkpoint> {
    runs.get(id)
        .with_context(|| format!("model.{tower}.init: run {id} has no checkpoint to start from"))
}

/// Towers whose size is for another run to say become as they are there.
fn take_shapes(config: &mut TrainConfig, runs: &BTreeMap<RunId, Checkpoint>) -> anyhow::Result<()> {
    let other = |tower: &str, size: Size, init: &TowerInit| match init.run() {
        Some(id) if size == Size::File => {
            snapshot::settings(checkpoint(runs, tower, id)?).map(|s| Some(s.model))
        }
        _ => Ok(None),
    };
    let has_text = config.has_text_tower();
    let (image, text) = (&mut config.model.image, &mut config.model.text);
    if let Some(there) = other("image", image.size, &image.init)? {
        let init = image.init.clone();
        *image = there.image;
        image.init = init;
    }
    if has_text && let Some(there) = other("text", text.size, &text.init)? {
        let init = text.init.clone();
        ensure!(
            there.text.size != Size::File,
            "model.text.size: the run that model.text.init names has no text tower"
        );
        *text = there.text;
        text.init = init;
    }
    Ok(())
}
