//! The losses against three things that we did not write: recorded values of another framework, finite
//! differences in f64, and the expected loss of independent embeddings.

use std::path::PathBuf;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::parity::{Fixture, RESULTS, relative_error};
use super::*;

/// `count` independent unit vectors of width `dim`.
pub(super) fn unit_rows(rng: &mut ChaCha8Rng, count: usize, dim: usize) -> Vec<f64> {
    let mut rows: Vec<f64> = (0..count * dim)
        .map(|_| StandardNormal.sample(rng))
        .collect();
    for row in rows.chunks_exact_mut(dim) {
        let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
        row.iter_mut().for_each(|x| *x /= norm);
    }
    rows
}

/// What another program recorded, with where it stands.
pub(super) fn recorded() -> impl Iterator<Item = (PathBuf, Fixture)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/loss");
    std::fs::read_dir(directory).unwrap().map(|entry| {
        let path = entry.unwrap().path();
        let fixture = Fixture::read(&path, None).unwrap();
        (path, fixture)
    })
}

fn alone<T: Real>(
    config: &LossConfig,
    image: &[T],
    text: &[T],
    dim: usize,
    tile: usize,
    log_t: f64,
    bias: f64,
) -> LossOutput<T> {
    let pairs = Pairs {
        image,
        text: text.to_vec(),
        dim,
        batch: image.len() / dim,
        plan: Plan::in_squares_of(tile),
        labels: Labels::Partners,
        learns: [true; 2],
        draw: Draw::default(),
        look: false,
    };
    contrastive(config, &Mesh::alone(), pairs, log_t, bias).unwrap()
}

#[test]
fn every_recorded_case_on_every_ring_and_tile() {
    let mut cases = 0;
    for (path, fixture) in recorded() {
        let batch = fixture.image.len() / fixture.dim;
        for ranks in 1..=4 {
            for tile in [1, 7, 64, batch] {
                let computed = fixture.compute(ranks, Plan::in_squares_of(tile)).unwrap();
                for name in RESULTS {
                    let error = relative_error(&computed[name], &fixture.expected[name]);
                    assert!(
                        error < 2e-5,
                        "{}: {name} is off by {error:.1e} on {ranks} ranks in tiles of {tile}",
                        path.display()
                    );
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 16 * 16);
}

#[test]
fn gradients_are_finite_differences() {
    let (batch, dim, h) = (5, 4, 1e-6);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let kept = |keep, ratio| {
        LossConfig::Sigmoid(SigmoidConfig {
            negatives: NegativesConfig { keep, ratio },
            ..SigmoidConfig::default()
        })
    };
    let relative = || {
        let mut config = SigmoidConfig::default();
        config.bias.relative = true;
        LossConfig::Sigmoid(config)
    };
    let over_pairs = || {
        LossConfig::Sigmoid(SigmoidConfig {
            normalisation: Normalisation::Pairs,
            ..SigmoidConfig::default()
        })
    };
    for config in [
        LossConfig::Sigmoid(SigmoidConfig::default()),
        LossConfig::Softmax(SoftmaxConfig::default()),
        kept(Keep::Random, 2.0),
        kept(Keep::Hard, 1.6),
        kept(Keep::Easy, 1.6),
        relative(),
        over_pairs(),
    ] {
        for (log_t, bias) in [(1.0, -2.0), (3.0, 1.5)] {
            let (image, text) = (
                unit_rows(&mut rng, batch, dim),
                unit_rows(&mut rng, batch, dim),
            );
            let loss = |image: &[f64], text: &[f64], log_t, bias| {
                alone(&config, image, text, dim, 3, log_t, bias).loss
            };
            let out = alone(&config, &image, &text, dim, 2, log_t, bias);
            let close = |analytic: f64, plus: f64, minus: f64| {
                let numeric = (plus - minus) / (2.0 * h);
                assert!(
                    (analytic - numeric).abs() < 1e-8 + 1e-6 * numeric.abs(),
                    "{config:?}: {analytic} against {numeric}"
                );
            };
            let nudged = |v: &[f64], i: usize, by: f64| {
                let mut v = v.to_vec();
                v[i] += by;
                v
            };
            for i in 0..batch * dim {
                close(
                    out.d_image[i],
                    loss(&nudged(&image, i, h), &text, log_t, bias),
                    loss(&nudged(&image, i, -h), &text, log_t, bias),
                );
                close(
                    out.d_text[i],
                    loss(&image, &nudged(&text, i, h), log_t, bias),
                    loss(&image, &nudged(&text, i, -h), log_t, bias),
                );
            }
            close(
                out.d_log_t,
                loss(&image, &text, log_t + h, bias),
                loss(&image, &text, log_t - h, bias),
            );
            close(
                out.d_bias,
                loss(&image, &text, log_t, bias + h),
                loss(&image, &text, log_t, bias - h),
            );
        }
    }
}

/// Independent unit embeddings in d dimensions have cosines of variance 1/d, from which the loss of a first step
/// follows: about E[softplus(l)] (B − 1) + E[softplus(−l)] for the sigmoid, ln B + t²/2d for the softmax.
#[test]
fn the_first_step_costs_what_chance_says() {
    let dim = 768;
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (image, text) = (unit_rows(&mut rng, 512, dim), unit_rows(&mut rng, 512, dim));
    let sigmoid = |log_t, bias| {
        alone(
            &LossConfig::Sigmoid(SigmoidConfig::default()),
            &image,
            &text,
            dim,
            128,
            log_t,
            bias,
        )
    };
    let ln10 = std::f64::consts::LN_10;
    let near = |value: f64, expected: f64| {
        assert!(
            (value / expected - 1.0).abs() < 0.01,
            "{value}, expected {expected}"
        )
    };
    let usual = sigmoid(ln10, -10.0);
    near(usual.loss, 10.03);
    near(usual.d_bias, -0.975);
    near(sigmoid(0.0, -10.0).loss, 10.02);
    near(sigmoid(ln10, 0.0).loss, 363.1);
    near(
        alone(
            &LossConfig::Softmax(SoftmaxConfig::default()),
            &image,
            &text,
            dim,
            128,
            ln10,
            0.0,
        )
        .loss,
        6.30,
    );
}

#[test]
fn over_pairs_it_is_the_same_divided_by_the_batch() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (image, text) = (unit_rows(&mut rng, 8, 4), unit_rows(&mut rng, 8, 4));
    let [batch, pairs] = [Normalisation::Batch, Normalisation::Pairs].map(|normalisation| {
        let config = LossConfig::Sigmoid(SigmoidConfig {
            normalisation,
            ..SigmoidConfig::default()
        });
        alone(&config, &image, &text, 4, 3, 1.0, -2.0)
    });
    // 8 is a power of two: dividing by it is exact.
    assert_eq!(pairs.loss, batch.loss / 8.0);
    let eighth: Vec<f64> = batch.d_text.iter().map(|d| d / 8.0).collect();
    assert_eq!(pairs.d_text, eighth);
    assert_eq!(
        (pairs.positive, pairs.negative),
        (batch.positive, batch.negative)
    );
}

#[test]
fn logit_extents_cover_every_pair_once() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (image, text) = (unit_rows(&mut rng, 9, 4), unit_rows(&mut rng, 9, 4));
    for config in [
        LossConfig::Sigmoid(SigmoidConfig::default()),
        LossConfig::Softmax(SoftmaxConfig::default()),
    ] {
        let out = alone(&config, &image, &text, 4, 4, 0.0, 0.0);
        assert_eq!((out.positive.count, out.negative.count), (9, 72));
        let dot = |i: usize, j: usize| {
            (0..4)
                .map(|k| image[4 * i + k] * text[4 * j + k])
                .sum::<f64>()
        };
        let mean = (0..9).map(|i| dot(i, i)).sum::<f64>() / 9.0;
        assert!((out.positive.mean().unwrap() - mean).abs() < 1e-12);
        let greatest = (0..81)
            .filter(|p| p / 9 != p % 9)
            .map(|p| dot(p / 9, p % 9))
            .fold(f64::MIN, f64::max);
        assert!((out.negative.max - greatest).abs() < 1e-12);
    }
}

mod on_device;
mod promises;
