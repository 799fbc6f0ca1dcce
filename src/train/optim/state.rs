//! What an optimiser remembers: flat vectors with a name, made of one piece a parameter. The names are those of a
//! checkpoint, so that it holds whatever an optimiser has.

use std::ops::Range;

use burn::tensor::{Device, Tensor};

use crate::train::model::params::Layout;

/// One of the vectors, such as all first moments.
#[derive(Clone, Debug)]
pub struct StateVector {
    /// What it is of each parameter: `m`, `v`.
    pub name: &'static str,
    pub pieces: Vec<Piece>,
    /// All pieces one after another.
    pub values: Tensor<1>,
}

/// One parameter's part of a vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Piece {
    /// The parameter's name.
    pub parameter: String,
    pub shape: Vec<usize>,
    /// Place in the vector.
    pub range: Range<usize>,
}

impl StateVector {
    /// Zeros, one for every parameter of `layout`, at its place.
    pub fn like(name: &'static str, layout: &Layout, device: &Device) -> Self {
        let entries = layout.entries().iter();
        Self::of(
            name,
            entries.map(|entry| (&entry.name[..], entry.shape.clone())),
            device,
        )
    }

    /// Zeros for the parameters of these names, each in a shape of its own.
    pub fn of<'a>(
        name: &'static str,
        parameters: impl Iterator<Item = (&'a str, Vec<usize>)>,
        device: &Device,
    ) -> Self {
        let mut length = 0;
        let pieces = parameters.map(|(parameter, shape)| {
            let start = length;
            length += shape.iter().product::<usize>();
            Piece {
                parameter: parameter.to_owned(),
                shape,
                range: start..length,
            }
        });
        let pieces = pieces.collect();
        Self {
            name,
            pieces,
            values: Tensor::zeros([length], device),
        }
    }
}
