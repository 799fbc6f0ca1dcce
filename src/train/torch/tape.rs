//! The fused operations by libtorch: each is one node on burn's tape, and what is inside of it libtorch's own autograd
//! differentiates, so that forward and backward pass are those of PyTorch. What is computed is not known here.

use burn::backend::{Autodiff, LibTorch};
use burn::tensor::Tensor;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::checkpoint::strategy::NoCheckpointing;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_tch::TchTensor;

use crate::train::ops::Fused;
use crate::train::profile::span;

/// Apply `op`, taped when an input is. None when the tensors are of another backend than libtorch.
pub fn apply<const N: usize, O: Fused<N>>(op: &O, inputs: &[Tensor<2>; N]) -> Option<Tensor<2>> {
    if !inputs.iter().any(Tensor::is_autodiff) {
        let mut plain = Vec::with_capacity(N);
        for input in inputs {
            plain.push(input.clone().try_into_primitive::<LibTorch>().ok()?);
        }
        let output = span(O::NAME, || compute(op, &plain));
        return Some(Tensor::from_primitive::<LibTorch>(output));
    }
    let (mut plain, mut guards) = (Vec::with_capacity(N), Vec::with_capacity(N));
    for input in inputs {
        let (primitive, guard) = input
            .clone()
            .autodiff()
            .try_into_primitive::<Autodiff<LibTorch>>()
            .ok()?
            .into_parts();
        plain.push(primitive);
        guards.push(guard);
    }
    let guards = guards
        .try_into()
        .unwrap_or_else(|_| unreachable!("one guard an input"));
    let node = Node::<O, N>(op.clone());
    let taped = match node
        .prepare::<NoCheckpointing>(guards)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) if op.keeps_graph() => {
            let (graph, output) = span(O::NAME, || trace(op, plain));
            prep.finish(State::Graph(graph), output)
        }
        OpsKind::Tracked(prep) => {
            let output = span(O::NAME, || compute(op, &plain));
            prep.finish(State::Inputs(plain), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(span(O::NAME, || compute(op, &plain))),
    };
    Some(Tensor::from_primitive::<Autodiff<LibTorch>>(taped))
}

/// That a product of two vectors takes on a GPU, in one pass where others need two.
const LONGEST: usize = i32::MAX as usize;

#[derive(Clone, Debug)]
struct Node<O, const N: usize>(O);

/// What the backward pass begins with.
#[derive(Clone, Debug)]
enum State {
    Graph(Graph),
    /// The graph is made again of them.
    Inputs(Vec<TchTensor>),
}

/// A result and what it was computed of, as libtorch's autograd has it. burn writes into the memory of a tensor that
/// nobody else holds, so the graph holds its inputs and its result as burn counts it.
#[derive(Clone, Debug)]
struct Graph {
    leaves: Vec<TchTensor>,
    output: TchTensor,
}

fn compute<const N: usize, O: Fused<N>>(op: &O, inputs: &[TchTensor]) -> TchTensor {
    let inputs = std::array::from_fn(|i| &inputs[i].tensor);
    TchTensor::new(tch::no_grad(|| op.on_torch(inputs)))
}

/// The graph of `op`, and its result without a graph.
fn trace<const N: usize, O: Fused<N>>(op: &O, inputs: Vec<TchTensor>) -> (Graph, TchTensor) {
    let leaf = |input: TchTensor| TchTensor {
        tensor: input.tensor.detach().set_requires_grad(true),
        storage: input.storage,
    };
    let leaves: Vec<TchTensor> = inputs.into_iter().map(leaf).collect();
    let result = tch::with_grad(|| op.on_torch(std::array::from_fn(|i| &leaves[i].tensor)));
    let output = TchTensor::new(result.detach());
    let held = TchTensor {
        tensor: result,
        storage: output.storage.clone(),
    };
    let graph = Graph {
        leaves,
        output: held,
    };
    (graph, output)
}

impl<O: Fused<N>, const N: usize> Backward<LibTorch, N> for Node<O, N> {
    type State = State;

    fn backward(self, ops: Ops<State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<LibTorch>(&ops.node).tensor;
        let found = span(O::NAME, || {
            let graph = match ops.state {
                State::Graph(graph) => graph,
                State::Inputs(inputs) => trace(&self.0, inputs).0,
            };
            let wanted: Vec<&tch::Tensor> = (ops.parents.iter().zip(&graph.leaves))
                .filter_map(|(parent, leaf)| parent.as_ref().map(|_| &leaf.tensor))
                .collect();
            // Whose gradient by the result is the one that arrived; its value nobody reads.
            let pull = tch::with_grad(|| {
                let [result, gradient] = [&graph.output.tensor, &gradient].map(|t| t.reshape(-1));
                match gradient.numel() <= LONGEST {
                    true => result.dot(&gradient),
                    false => (result * gradient).sum(None),
                }
            });
            tch::Tensor::run_backward(&[pull], &wanted, false, false)
        });
        let parents = ops.parents.iter().flatten();
        for (parent, gradient) in parents.zip(found) {
            grads.register::<LibTorch>(parent.id, TchTensor::new(gradient));
        }
    }
}
