//! Supervised pretraining: cross entropy of a linear head over the data set's classes. The image tower trains alone.
//!
//! With softmax, L = −(1/B) Σ_i ln softmax_c(logits_i)[label_i]. With sigmoid every class is a binary decision,
//! L = (1/B) Σ_i Σ_c softplus(−z_ic logits_ic), z_ic = +1 for the label and −1 for every other class
//! (as in arXiv 2006.07159).

use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{Int, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ClassifyConfig {
    /// What makes probabilities of the logits.
    pub activation: Activation,
}

/// What makes probabilities of the logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// The classes compete: their probabilities add up to 1.
    #[default]
    Softmax,
    /// Each class is a binary decision of its own; the loss is their sum.
    Sigmoid,
}

/// The sum over this rank's examples, divided by the global `batch`; `logits` is `[examples, classes]`.
pub fn classify(
    config: &ClassifyConfig,
    logits: Tensor<2>,
    labels: Tensor<1, Int>,
    batch: usize,
) -> Tensor<1> {
    let labels: Tensor<2, Int> = labels.unsqueeze_dim(1);
    let log_likelihood = match config.activation {
        Activation::Softmax => log_softmax(logits, 1).gather(1, labels).sum(),
        Activation::Sigmoid => {
            // ln σ(l) − ln σ(−l) = l: all classes as negatives, and the label's logit on top.
            let own = logits.clone().gather(1, labels).sum();
            log_sigmoid(logits.neg()).sum() + own
        }
    };
    log_likelihood.neg().div_scalar(batch as f64)
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;
    use crate::train::device::{host, tested};

    const LOGITS: [[f64; 3]; 2] = [[2.0, -1.0, 0.5], [-30.0, 4.0, 40.0]];
    const LABELS: [usize; 2] = [2, 1];
    /// More than the rank's own examples.
    const BATCH: f64 = 4.0;

    fn exact(activation: Activation, logits: &[[f64; 3]; 2]) -> f64 {
        let of_row = |(row, label): (&[f64; 3], usize)| match activation {
            Activation::Softmax => row.iter().map(|l| l.exp()).sum::<f64>().ln() - row[label],
            Activation::Sigmoid => {
                let sign = |class| if class == label { -1.0 } else { 1.0 };
                let terms = row.iter().enumerate();
                terms
                    .map(|(class, l)| (sign(class) * l).exp().ln_1p())
                    .sum()
            }
        };
        logits.iter().zip(LABELS).map(of_row).sum::<f64>() / BATCH
    }

    #[test]
    fn value_and_gradient_are_those_of_the_equation() {
        let tape = tested().autodiff();
        for activation in [Activation::Softmax, Activation::Sigmoid] {
            let logits: Vec<f32> = LOGITS.as_flattened().iter().map(|&x| x as f32).collect();
            let logits =
                Tensor::<2>::from_data(TensorData::new(logits, [2, 3]), &tape).require_grad();
            let labels = Tensor::from_data(TensorData::from(LABELS.map(|l| l as i64)), &tape);
            let config = ClassifyConfig { activation };
            let loss = classify(&config, logits.clone(), labels, BATCH as usize);
            let value = f64::from(loss.clone().into_scalar::<f32>());
            assert!((value / exact(activation, &LOGITS) - 1.0).abs() < 1e-6);

            let gradients = loss.backward();
            let gradient = host(logits.grad(&gradients).unwrap());
            let h = 1e-6;
            for (place, d) in gradient.into_iter().enumerate() {
                let nudged = |by: f64| {
                    let mut logits = LOGITS;
                    logits.as_flattened_mut()[place] += by;
                    exact(activation, &logits)
                };
                let numeric = (nudged(h) - nudged(-h)) / (2.0 * h);
                assert!(
                    (f64::from(d) - numeric).abs() < 1e-6,
                    "{activation:?} {place}: {d}"
                );
            }
        }
    }
}
