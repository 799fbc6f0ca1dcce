//! The state of a run as checkpoint files: every parameter, and all that the optimiser remembers of it, under its name, in
//! safetensors, f32. It does
//! not know where checkpoints lie or when they are taken.

use std::ops::Range;

use anyhow::{Context, bail, ensure};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::device::{host, vector};
use super::model::params::Layout;
use super::optim::StateVector;
use super::step::State;
use crate::record::checkpoint::Checkpoint;

pub const MODEL: &str = "model.safetensors";
pub const OPTIMISER: &str = "optimiser.safetensors";

/// The files of a checkpoint of `state`.
pub fn files(state: &State) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let model = serialise(vec![(&state.flat, parameters(&state.layout))])?;
    let optimiser = state.optimiser.state().into_iter();
    let optimiser = serialise(optimiser.map(|v| (&v.values, remembered(v))).collect())?;
    Ok(vec![(MODEL, model), (OPTIMISER, optimiser)])
}

/// Put `state` where the run was when `checkpoint` was taken.
pub fn restore(state: &mut State, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let (model, optimiser) = (checkpoint.read(MODEL)?, checkpoint.read(OPTIMISER)?);
    let device = &state.device;
    let read_vector = |bytes: &[u8], file: &str, parts: &[Part]| -> anyhow::Result<Tensor<1>> {
        let place = || checkpoint.path.join(file).display().to_string();
        let tensors = SafeTensors::deserialize(bytes).with_context(place)?;
        let mut values = Vec::new();
        for Part { name, shape, .. } in parts {
            values.extend(read(&tensors, name, shape).with_context(place)?);
        }
        Ok(vector(values, device))
    };
    let flat = read_vector(&model, MODEL, &parameters(&state.layout))?;
    for vector in state.optimiser.state_mut() {
        vector.values = read_vector(&optimiser, OPTIMISER, &remembered(vector))?;
    }
    state.set(flat);
    Ok(())
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
    state.set(Tensor::from_data(
        TensorData::new(values, [state.layout.length()]),
        &state.device,
    ));
    Ok(())
}

fn serialise(vectors: Vec<(&Tensor<1>, Vec<Part>)>) -> anyhow::Result<Vec<u8>> {
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
    Ok(safetensors::serialize(views, None)?)
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
