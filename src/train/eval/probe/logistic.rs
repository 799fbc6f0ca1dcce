//! Multinomial logistic regression with an L2 penalty, by L-BFGS in f64: over n rows x_i of class y_i,
//!
//! min over W, b of −(1/n) Σ_i ln softmax(W x_i + b)[y_i] + |W|² / (2 C n),
//!
//! which is 1/(C n) times what scikit-learn's `LogisticRegression(C=C)` minimises. The intercept b is free. The problem is
//! convex: where it stops does not depend on where it starts, and it starts at 0.

use anyhow::ensure;
use burn::tensor::{DType, Device, Tensor, TensorData};
use rayon::prelude::*;

use super::lbfgs::minimise;

/// Rows to learn from.
pub struct Rows {
    /// `[rows, dim + 1]`, f64; the last column is 1, for the intercept.
    x: Tensor<2>,
    labels: Vec<usize>,
    classes: usize,
}

impl Rows {
    /// `values` is `[rows, dim]`, row-major.
    ///
    /// # Panics
    /// When a label is not below `classes`, or there is not one a row.
    pub fn new(values: &[f32], labels: &[usize], classes: usize) -> Self {
        assert!(labels.iter().all(|label| *label < classes));
        Self {
            x: with_ones(values, labels.len()),
            labels: labels.to_vec(),
            classes,
        }
    }

    /// The regression with penalty `c`, the inverse of its weight as scikit-learn has it.
    ///
    /// # Errors
    /// Rows that are not finite.
    pub fn fit(&self, c: f64) -> anyhow::Result<Regression> {
        let [_, width] = self.x.dims();
        let finite = self.x.clone().is_finite().all().into_scalar::<bool>();
        ensure!(finite, "a linear probe wants embeddings that are numbers");
        let problem = Problem {
            rows: self,
            penalty: 1.0 / (c * self.labels.len() as f64),
        };
        let start = vec![0.0; self.classes * width];
        let weights = minimise(|w| problem.loss(w), start, TOLERANCE, MOST_STEPS);
        Ok(Regression {
            weights: tensor(weights, [self.classes, width]),
        })
    }
}

/// L2 norm of the gradient that is taken for none.
const TOLERANCE: f64 = 1e-6;
const MOST_STEPS: usize = 1_000;

/// What came of it.
#[derive(Clone, Debug)]
pub struct Regression {
    /// `[classes, dim + 1]`, f64; the last column is the intercept.
    weights: Tensor<2>,
}

impl Regression {
    /// Scores `[rows, classes]` of `rows` rows `values`, `[rows, dim]`.
    pub fn scores(&self, values: &[f32], rows: usize) -> Vec<f32> {
        let scores = with_ones(values, rows).matmul(self.weights.clone().transpose());
        numbers(scores).into_iter().map(|x| x as f32).collect()
    }
}

/// What is minimised.
struct Problem<'a> {
    rows: &'a Rows,
    penalty: f64,
}

impl Problem<'_> {
    /// The loss and its gradient.
    fn loss(&self, weights: &[f64]) -> (f64, Vec<f64>) {
        let Rows { x, labels, classes } = self.rows;
        let shape = [*classes, x.dims()[1]];
        let logits = x
            .clone()
            .matmul(tensor(weights.to_vec(), shape).transpose());
        let mut logits = numbers(logits);
        let n = labels.len() as f64;
        let rows = logits.par_chunks_mut(*classes).zip(labels);
        let losses: Vec<f64> = rows
            .map(|(row, &label)| {
                let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|logit| (logit - most).exp()).sum();
                let loss = most + sum.ln() - row[label];
                for logit in row.iter_mut() {
                    *logit = (*logit - most).exp() / (sum * n);
                }
                row[label] -= 1.0 / n;
                loss
            })
            .collect();
        let squares: f64 = self.penalised(weights).map(|w| w * w).sum();
        let loss = losses.into_iter().sum::<f64>() / n + 0.5 * self.penalty * squares;
        let by_logits = tensor(logits, [labels.len(), *classes]);
        let mut gradient = numbers(by_logits.transpose().matmul(x.clone()));
        for (gradient, weight) in gradient.iter_mut().zip(self.penalised(weights)) {
            *gradient += self.penalty * weight;
        }
        (loss, gradient)
    }

    /// All weights, with the intercepts at 0.
    fn penalised<'a>(&self, weights: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let width = self.rows.x.dims()[1];
        let weights = weights.iter().enumerate();
        weights.map(move |(at, w)| if at % width == width - 1 { 0.0 } else { *w })
    }
}

/// `[rows, dim]` with a column of ones, f64, on the host whatever the towers are on: it is little work, and not every device
/// has f64.
fn with_ones(values: &[f32], rows: usize) -> Tensor<2> {
    let dim = values.len() / rows.max(1);
    let mut all = Vec::with_capacity(rows * (dim + 1));
    for row in values.chunks_exact(dim.max(1)) {
        all.extend(row.iter().map(|&x| f64::from(x)));
        all.push(1.0);
    }
    tensor(all, [rows, dim + 1])
}

fn tensor(values: Vec<f64>, shape: [usize; 2]) -> Tensor<2> {
    let data = TensorData::new(values, shape);
    Tensor::from_data(data, (&Device::flex(), DType::F64))
}

fn numbers(tensor: Tensor<2>) -> Vec<f64> {
    let data = tensor.into_data();
    data.try_into_vec().expect("the probe computes in f64")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use safetensors::SafeTensors;

    /// scikit-learn's weights for the same rows, see `tests/fixtures/probe/make.py`.
    #[test]
    fn the_minimum_is_that_of_scikit_learn() {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/probe/logistic.safetensors");
        let bytes = std::fs::read(file).unwrap();
        let tensors = SafeTensors::deserialize(&bytes).unwrap();
        let words = |name: &str| tensors.tensor(name).unwrap().data().as_chunks::<4>().0;
        let floats = |name: &str| -> Vec<f32> {
            words(name).iter().map(|b| f32::from_le_bytes(*b)).collect()
        };
        let labels = words("labels").iter();
        let labels: Vec<usize> = labels.map(|b| i32::from_le_bytes(*b) as usize).collect();
        let rows = Rows::new(&floats("x"), &labels, 5);
        for (name, c) in [("0.1", 0.1), ("10", 10.0), ("10000", 1e4)] {
            let found = rows.fit(c).unwrap();
            let expected = floats(&format!("weights.{name}"));
            let weights = numbers(found.weights.clone());
            // One number added to all intercepts changes no probability: scikit-learn's add up to 0, as ours do.
            for (ours, theirs) in weights.iter().zip(&expected) {
                let off = (ours - f64::from(*theirs)).abs();
                assert!(off < 1e-3 * (1.0 + ours.abs()), "C = {c}: {ours}, {theirs}");
            }
            let value = Problem {
                rows: &rows,
                penalty: 1.0 / (c * 200.0),
            };
            let expected = f64::from(floats(&format!("loss.{name}"))[0]);
            let loss = value.loss(&weights).0;
            assert!(
                (loss / expected - 1.0).abs() < 1e-6,
                "C = {c}: {loss}, {expected}"
            );
            let hits = found.scores(&floats("x"), 200);
            let predicted = hits
                .chunks(5)
                .map(|row| (0..5).max_by(|a, b| row[*a].total_cmp(&row[*b])));
            let right = predicted
                .zip(&labels)
                .filter(|(a, b)| a.as_ref() == Some(*b))
                .count();
            let expected = floats(&format!("accuracy.{name}"))[0];
            assert!((right as f32 / 200.0 - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let values = [0.3, -0.2, 0.1, 0.5, -0.7, 0.2, 0.4, 0.4];
        let rows = Rows::new(&values, &[0, 2, 1, 2], 3);
        let problem = Problem {
            rows: &rows,
            penalty: 0.3,
        };
        let weights: Vec<f64> = (0..9).map(|i| (i as f64).sin()).collect();
        let gradient = problem.loss(&weights).1;
        for (at, d) in gradient.into_iter().enumerate() {
            let nudged = |by: f64| {
                let mut weights = weights.clone();
                weights[at] += by;
                problem.loss(&weights).0
            };
            let numeric = (nudged(1e-6) - nudged(-1e-6)) / 2e-6;
            assert!((d - numeric).abs() < 1e-8, "{at}: {d}, {numeric}");
        }
    }

    #[test]
    fn rows_that_are_not_finite_are_refused() {
        let rows = Rows::new(&[f32::NAN, 1.0], &[0, 1], 2);
        let error = rows.fit(1.0).unwrap_err().to_string();
        assert!(error.contains("numbers"), "{error}");
    }
}
