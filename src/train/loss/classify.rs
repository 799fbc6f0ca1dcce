//! Supervised pretraining: softmax cross entropy of a linear head over the data set's classes,
//! L = −(1/B) Σ_i ln softmax_c(logits_i)[label_i]. The image tower trains alone.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {}

/// The sum over this rank's examples, divided by the global `batch`; `logits` is `[examples, classes]`.
pub fn classify(logits: Tensor<2>, labels: Tensor<1, Int>, batch: usize) -> Tensor<1> {
    log_softmax(logits, 1)
        .gather(1, labels.unsqueeze_dim(1))
        .sum()
        .neg()
        .div_scalar(batch as f64)
}
