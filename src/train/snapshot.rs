//! The state of a run as checkpoint files: every parameter, and all that the optimiser remembers of it, under its name, in
//! safetensors, f32. It does
//! not know where checkpoints lie or when they are taken.

use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Context, bail, ensure};
use burn::tensor::Tensor;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

use super::data::DataConfig;
use super::device::{host, vector};
use super::loss::LossConfig;
use super::model::params::Layout;
use super::model::{Inputs, ModelConfig};
use super::optim::StateVector;
use super::step::State;
use crate::record::checkpoint::Checkpoint;

pub const MODEL: &str = "model.safetensors";
pub const OPTIMISER: &str = "optimiser.safetensors";
/// What a spike of the loss is told by: numbers of 8 bytes.
const WATCH: &str = "watch.bin";

/// Where [`Settings`] are noted in the file of parameters.
const SETTINGS: &str = "siglab";

/// What a checkpoint says of the model whose parameters it holds: enough to make it without the run's files. Nothing in
/// it is for another file to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    pub model: ModelConfig,
    pub loss: LossConfig,
    pub inputs: Inputs,
    /// What its pictures and texts were prepared by.
    pub data: DataConfig,
}

/// What `checkpoint` says of its model.
pub fn settings(checkpoint: &Checkpoint) -> anyhow::Result<Settings> {
    let bytes = checkpoint.read(MODEL)?;
    let place = || checkpoint.path.join(MODEL).display().to_string();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).with_context(place)?;
    let notes = metadata.metadata().as_ref();
    let text = notes.and_then(|notes| notes.get(SETTINGS));
    let text = text.with_context(|| {
        format!("{}: an older siglab wrote it, without the settings of its model: let the run that it is of train again", place())
    })?;
    serde_json::from_str(text).with_context(place)
}

/// The files of a checkpoint of `state`.
pub fn files(state: &State) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let notes = [(SETTINGS.to_owned(), serde_json::to_string(&state.settings)?)];
    let parameters = vec![(&state.flat, parameters(&state.layout))];
    let model = serialise(parameters, Some(notes.into()))?;
    let optimiser = state.optimiser.state().into_iter();
    let optimiser = optimiser.map(|v| (&v.values, remembered(v)));
    let optimiser = serialise(optimiser.collect(), None)?;
    let watch = state.watch.iter().map(|watch| (WATCH, watch.to_bytes()));
    Ok([(MODEL, model), (OPTIMISER, optimiser)]
        .into_iter()
        .chain(watch)
        .collect())
}

/// Put `state` where the run was when `checkpoint` was taken.
pub fn restore(state: &mut State, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let optimiser = checkpoint.read(OPTIMISER)?;
    let flat = vector(values_of(&state.layout, checkpoint)?, &state.device);
    for kept in state.optimiser.state_mut() {
        let values = read_parts(checkpoint, OPTIMISER, &optimiser, &remembered(kept))?;
        kept.values = vector(values, &state.device);
    }
    state.set(flat);
    if let Some(watch) = &mut state.watch {
        watch.restore(&checkpoint.read(WATCH)?);
    }
    Ok(())
}

/// All parameters in `checkpoint`, in the order of `layout`.
pub fn values_of(layout: &Layout, checkpoint: &Checkpoint) -> anyhow::Result<Vec<f32>> {
    let bytes = checkpoint.read(MODEL)?;
    read_parts(checkpoint, MODEL, &bytes, &parameters(layout))
}

/// `parts` of the file `file` of `checkpoint`, whose content is `bytes`, one after another.
fn read_parts(
    checkpoint: &Checkpoint,
    file: &str,
    bytes: &[u8],
    parts: &[Part],
) -> anyhow::Result<Vec<f32>> {
    let place = || checkpoint.path.join(file).display().to_string();
    let tensors = SafeTensors::deserialize(bytes).with_context(place)?;
    let mut values = Vec::new();
    for Part { name, shape, .. } in parts {
        values.extend(read(&tensors, name, shape).with_context(place)?);
    }
    Ok(values)
}

/// A named part of a flat vector.
struct Part<'a> {
    name: String,
    shape: &'a [usize],
    range: &'a Range<usize>,
}

fn parameters(layout: &Layout) -> Vec<Part<'_>> {
    let parts = layout.entries().iter().map(|entry| Part {
        name: entry.name.clone(),
        shape: &entry.shape,
        range: &entry.range,
    });
    parts.collect()
}

/// What an optimiser remembers has its own name before the parameter's.
fn remembered(vector: &StateVector) -> Vec<Part<'_>> {
    let parts = vector.pieces.iter().map(|piece| Part {
        name: format!("{}.{}", vector.name, piece.parameter),
        shape: &piece.shape,
        range: &piece.range,
    });
    parts.collect()
}

/// Start the tower `tower` (`image` or `text`) of `state` with the weights of another run's; its projection, which
/// belongs to the other run's task, stays as it is.
pub fn import_tower(state: &mut State, tower: &str, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let bytes = checkpoint.read(MODEL)?;
    let place = || checkpoint.path.join(MODEL).display().to_string();
    let tensors = SafeTensors::deserialize(&bytes).with_context(place)?;
    let mut values = host(state.flat.clone());
    let prefix = format!("{tower}.");
    let mut taken = 0;
    for entry in state.layout.entries() {
        let Some(rest) = entry.name.strip_prefix(&prefix) else {
            continue;
        };
        if !rest.starts_with("projection.") {
            values[entry.range.clone()]
                .copy_from_slice(&read(&tensors, &entry.name, &entry.shape).with_context(place)?);
            taken += 1;
        }
    }
    ensure!(
        taken > 0,
        "this run has no {tower} tower to start from another run's"
    );
    let offered = tensors
        .names()
        .into_iter()
        .filter(|n| {
            n.strip_prefix(&prefix)
                .is_some_and(|rest| !rest.starts_with("projection."))
        })
        .count();
    ensure!(
        offered == taken,
        "{}: the {tower} tower there has {offered} parameters, here {taken}: give both runs the same tower",
        place()
    );
    state.set(vector(values, &state.device));
    Ok(())
}

fn serialise(
    vectors: Vec<(&Tensor<1>, Vec<Part>)>,
    notes: Option<HashMap<String, String>>,
) -> anyhow::Result<Vec<u8>> {
    let bytes_of = |vector: &Tensor<1>| -> Vec<u8> {
        let values = host(vector.clone());
        values.iter().flat_map(|x| x.to_le_bytes()).collect()
    };
    let vectors: Vec<_> = vectors
        .into_iter()
        .map(|(vector, parts)| (bytes_of(vector), parts))
        .collect();
    let mut views = Vec::new();
    for (bytes, parts) in &vectors {
        for Part { name, shape, range } in parts {
            let slice = &bytes[4 * range.start..4 * range.end];
            views.push((name, TensorView::new(Dtype::F32, shape.to_vec(), slice)?));
        }
    }
    Ok(safetensors::serialize(views, notes)?)
}

fn read(tensors: &SafeTensors, name: &str, shape: &[usize]) -> anyhow::Result<Vec<f32>> {
    let view = tensors
        .tensor(name)
        .with_context(|| format!("no parameter `{name}`"))?;
    if view.dtype() != Dtype::F32 || view.shape() != shape {
        bail!(
            "`{name}` is {:?} {:?}, expected F32 {shape:?}",
            view.dtype(),
            view.shape()
        );
    }
    Ok(view
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect())
}
