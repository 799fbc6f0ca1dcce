//! The state of a run as checkpoint files: every parameter and moment under its name, in safetensors, f32. It does
//! not know where checkpoints lie or when they are taken.

use anyhow::{Context, bail, ensure};
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::device::host;
use super::model::params::Layout;
use super::step::State;
use crate::record::checkpoint::Checkpoint;

pub const MODEL: &str = "model.safetensors";
pub const OPTIMISER: &str = "optimiser.safetensors";

/// The files of a checkpoint of `state`.
pub fn files(state: &State) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
    let model = serialise(&state.layout, &[("", &state.flat)])?;
    let optimiser = serialise(
        &state.layout,
        &[("m.", &state.moments.m), ("v.", &state.moments.v)],
    )?;
    Ok(vec![(MODEL, model), (OPTIMISER, optimiser)])
}

/// Put `state` where the run was when `checkpoint` was taken.
pub fn restore(state: &mut State, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let (model, optimiser) = (checkpoint.read(MODEL)?, checkpoint.read(OPTIMISER)?);
    let vector = |bytes: &[u8], file: &str, prefix: &str| -> anyhow::Result<Tensor<1>> {
        let tensors = SafeTensors::deserialize(bytes)
            .with_context(|| checkpoint.path.join(file).display().to_string())?;
        let mut values = Vec::with_capacity(state.layout.length());
        for entry in state.layout.entries() {
            values.extend(
                read(&tensors, &format!("{prefix}{}", entry.name), &entry.shape)
                    .with_context(|| checkpoint.path.join(file).display().to_string())?,
            );
        }
        Ok(Tensor::from_data(
            TensorData::new(values, [state.layout.length()]),
            &state.device,
        ))
    };
    let (flat, m, v) = (
        vector(&model, MODEL, "")?,
        vector(&optimiser, OPTIMISER, "m.")?,
        vector(&optimiser, OPTIMISER, "v.")?,
    );
    (state.moments.m, state.moments.v) = (m, v);
    state.set(flat);
    Ok(())
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

fn serialise(layout: &Layout, vectors: &[(&str, &Tensor<1>)]) -> anyhow::Result<Vec<u8>> {
    let bytes: Vec<(&str, Vec<u8>)> = vectors
        .iter()
        .map(|(prefix, vector)| {
            let values = host((*vector).clone());
            (
                *prefix,
                values.iter().flat_map(|x| x.to_le_bytes()).collect(),
            )
        })
        .collect();
    let mut views = Vec::new();
    for (prefix, bytes) in &bytes {
        for entry in layout.entries() {
            let slice = &bytes[4 * entry.range.start..4 * entry.range.end];
            views.push((
                format!("{prefix}{}", entry.name),
                TensorView::new(Dtype::F32, entry.shape.clone(), slice)?,
            ));
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
