//! How a fused operation meets burn: slices in, slices out, and a node on the tape whose backward pass is the
//! operation's own. Nothing here knows what is computed.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::train::profile::span;

/// A function of N matrices with a backward pass of its own. Matrices are `[rows, columns]`, row-major.
pub trait Fused<const N: usize>: Clone + Send + std::fmt::Debug + 'static {
    /// In a profile.
    const NAME: &str;

    /// What the backward pass needs besides the inputs.
    type Saved: Clone + Send + std::fmt::Debug + 'static;

    /// Of the result, which has the rows of the first input, from those of the inputs.
    fn columns(&self, inputs: [usize; N]) -> usize {
        inputs[0]
    }

    /// The result, and what to save if there will be a backward pass.
    fn forward(&self, inputs: [&[f32]; N], taped: bool) -> (Vec<f32>, Self::Saved);

    /// The gradient of every input from that of the result; one that is not wanted may be left out.
    fn backward(
        &self,
        inputs: [&[f32]; N],
        saved: &Self::Saved,
        gradient: &[f32],
        wanted: [bool; N],
    ) -> [Vec<f32>; N];

    /// The result by libtorch, which finds the gradients itself.
    #[cfg(feature = "tch")]
    fn on_torch(&self, inputs: [&tch::Tensor; N]) -> tch::Tensor;

    /// Whether libtorch keeps what its backward pass needs, rather than compute it again.
    #[cfg(feature = "tch")]
    fn keeps_graph(&self) -> bool {
        true
    }
}

/// Apply `op`, taped when an input is. None when the tensors are of a backend that it is not written for.
pub fn apply<const N: usize, O: Fused<N>>(op: O, inputs: [Tensor<2>; N]) -> Option<Tensor<2>> {
    #[cfg(feature = "tch")]
    if let Some(output) = crate::train::torch::tape::apply(&op, &inputs) {
        return Some(output);
    }
    if !inputs.iter().any(Tensor::is_autodiff) {
        let mut plain = Vec::with_capacity(N);
        for input in inputs {
            plain.push(contiguous(input.try_into_primitive::<Flex>().ok()?));
        }
        let (output, _) = span(O::NAME, || op.forward(slices(&plain), false));
        let shape = shape_of_result(&op, &plain);
        return Some(Tensor::from_primitive::<Flex>(flex(output, &shape)));
    }
    let (mut plain, mut guards) = (Vec::with_capacity(N), Vec::with_capacity(N));
    for input in inputs {
        let (primitive, guard) = input
            .autodiff()
            .try_into_primitive::<Autodiff<Flex>>()
            .ok()?
            .into_parts();
        plain.push(contiguous(primitive));
        guards.push(guard);
    }
    let guards = guards
        .try_into()
        .unwrap_or_else(|_| unreachable!("one guard an input"));
    let (output, saved) = span(O::NAME, || op.forward(slices(&plain), true));
    let output = flex(output, &shape_of_result(&op, &plain));
    let node = Node::<O, N>(op);
    let taped = match node
        .prepare::<NoCheckpointing>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((plain, saved), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    Some(Tensor::from_primitive::<Autodiff<Flex>>(taped))
}

#[derive(Clone, Debug)]
struct Node<O, const N: usize>(O);

impl<O: Fused<N>, const N: usize> Backward<Flex, N> for Node<O, N> {
    type State = (Vec<FlexTensor>, O::Saved);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(grads.consume::<Flex>(&ops.node));
        let (inputs, saved) = &ops.state;
        let wanted = std::array::from_fn(|i| ops.parents[i].is_some());
        let results = span(O::NAME, || {
            let inputs = slices(inputs);
            self.0.backward(inputs, saved, slice(&gradient), wanted)
        });
        for ((parent, result), input) in ops.parents.iter().zip(results).zip(inputs) {
            if let Some(parent) = parent {
                grads.register::<Flex>(parent.id, flex(result, &shape(input)));
            }
        }
    }
}

fn contiguous(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_contiguous() {
        tensor
    } else {
        tensor.to_contiguous()
    }
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous f32 tensor")
}

fn slices<const N: usize>(tensors: &[FlexTensor]) -> [&[f32]; N] {
    std::array::from_fn(|i| slice(&tensors[i]))
}

fn shape_of_result<O: Fused<N>, const N: usize>(op: &O, inputs: &[FlexTensor]) -> [usize; 2] {
    let columns = std::array::from_fn(|i| shape(&inputs[i])[1]);
    [shape(&inputs[0])[0], op.columns(columns)]
}

fn shape(tensor: &FlexTensor) -> Vec<usize> {
    tensor.layout().shape().to_vec()
}

fn flex(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.to_vec()))
}
