//! What blocks are made of, in libtorch's own functions.

use tch::Kind;

use crate::train::ops::{Activation, Attention, Precision};

/// `x` is `[rows, width]`, `gain` and `bias` `[1, width]`.
pub fn layer_norm(
    x: &tch::Tensor,
    gain: &tch::Tensor,
    bias: &tch::Tensor,
    epsilon: f64,
) -> tch::Tensor {
    let [gain, bias] = [gain, bias].map(|t| t.reshape(-1));
    x.layer_norm(gain.size(), Some(&gain), Some(&bias), epsilon, false)
}

/// `x` is `[rows, inputs]`, `weight` `[inputs, outputs]`, `bias` `[1, outputs]`. The result has the numbers of the
/// precision.
pub fn linear(
    x: &tch::Tensor,
    weight: &tch::Tensor,
    bias: &tch::Tensor,
    precision: Precision,
) -> tch::Tensor {
    // As a vector it is added by the product itself on a GPU.
    let bias = bias.reshape(-1);
    match precision {
        Precision::F32 => bias.addmm(x, weight),
        Precision::Bf16 => {
            let [x, weight, bias] = [x, weight, &bias].map(|t| t.to_kind(Kind::BFloat16));
            bias.addmm(&x, &weight)
        }
    }
}

pub fn gelu(x: &tch::Tensor, activation: Activation) -> tch::Tensor {
    match activation {
        Activation::Erf => x.gelu("none"),
        Activation::Tanh => x.gelu("tanh"),
        Activation::Quick => x * (x * 1.702).sigmoid(),
    }
}

/// `q` is `[batch × queries, width]`, `k` and `v` `[batch × keys, width]`; the result is as `q`.
pub fn attention(inputs: [&tch::Tensor; 3], of: &Attention) -> tch::Tensor {
    let [queries, keys, heads, width] = [of.queries, of.keys, of.heads, of.width].map(|n| n as i64);
    let mut places = [queries, keys, keys].into_iter();
    let [q, k, v] = inputs.map(|x| {
        let places = places.next().unwrap_or(keys);
        x.reshape([-1, places, heads, width / heads])
            .transpose(1, 2)
    });
    let no_mask = None::<tch::Tensor>;
    tch::Tensor::scaled_dot_product_attention(&q, &k, &v, no_mask, 0.0, of.causal, None, false)
        .transpose(1, 2)
        .reshape([-1, width])
}
