//! What a value of a loss means: how much of the mutual information of images and texts it proves, and what it is for
//! embeddings that know nothing. Pure functions of settings and numbers; nothing here is trained on.

use std::f64::consts::PI;

use super::logits::Line;
use super::tile::softplus_and_sigmoid;
use super::{LossConfig, Positives, SigmoidConfig};

/// A lower bound on the mutual information of image and text, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    pub nats: f64,
    /// What the bound is at a loss of 0: more it cannot prove in batches of this size.
    pub cap: f64,
}

/// The bound that a loss of `loss` in batches of `batch` pairs proves. It holds for the mean of the loss over batches;
/// a single batch's is about it.
///
/// Softmax: ln B − L (arXiv 1807.03748). Sigmoid with k negatives for each positive: a pair is a positive with
/// probability π = 1 / (k + 1), L is k + 1 times the mean cross entropy over pairs, and since (h(π) − cross entropy) ≤
/// JS_π(P‖Q) ≤ π KL(P‖Q) for the joint P and the product Q of the marginals, I ≥ (k + 1) h(π) − L, where h is the binary
/// entropy and (k + 1) h(π) = ln(k + 1) + k ln((k + 1) / k). With all negatives, k + 1 = B.
///
/// None where negatives are no sample of the product of the marginals: chosen by their loss, or matching by class; where
/// there is none; and for the supervised loss.
pub fn mutual_information(config: &LossConfig, batch: usize, loss: f64) -> Option<Bound> {
    if batch < 2 {
        return None;
    }
    let bound = |cap: f64, loss: f64| Bound {
        nats: cap - loss,
        cap,
    };
    match config {
        LossConfig::Softmax(_) => Some(bound((batch as f64).ln(), loss)),
        LossConfig::Sigmoid(c) => {
            let k = by_chance(c, batch)?;
            let cap = (k + 1.0).ln() + k * (1.0 / k).ln_1p();
            let over_batch = c.normalisation.divisor(batch) / batch as f64;
            Some(bound(cap, loss * over_batch))
        }
        LossConfig::Classify(_) => None,
    }
}

/// The mean loss of independent, uniformly distributed unit embeddings `[batch, dim]`: what the first step costs, unless
/// the towers start with something in common. `bias` counts where the loss has one.
///
/// With l the logit of a random cosine and E a mean over them, sigmoid with k negatives for each positive:
/// E softplus(−l) + k E softplus(l). Softmax: E ln Σ_j exp l_j over B of them, as E l = 0; it is near ln B + t² / 2 dim.
/// None where negatives are chosen by their loss or positives by class, and for the supervised loss.
pub fn expected_loss(
    config: &LossConfig,
    batch: usize,
    dim: usize,
    log_t: f64,
    bias: f64,
) -> Option<f64> {
    let cosines = Cosines::in_dimensions(dim);
    match config {
        LossConfig::Sigmoid(c) => {
            let k = by_chance(c, batch)?;
            let line = Line::new(log_t, bias, c.bias.relative);
            let sum = cosines.mean(|s| {
                let logit = line.scale * s + line.shift;
                softplus_and_sigmoid(-logit).0 + k * softplus_and_sigmoid(logit).0
            });
            Some(sum * batch as f64 / c.normalisation.divisor(batch))
        }
        LossConfig::Softmax(_) => Some(cosines.mean_log_sum_exp(log_t.exp(), batch)),
        LossConfig::Classify(_) => None,
    }
}

/// Negatives for each positive, if which they are is no matter of their loss.
fn by_chance(config: &SigmoidConfig, batch: usize) -> Option<f64> {
    let chance = config.positives == Positives::Pair && config.negatives.are_by_chance(batch);
    chance.then(|| config.negatives.per_positive(batch))
}

/// The cosine of the angle of two independent, uniformly distributed directions: points with weights that add up to 1.
struct Cosines(Vec<(f64, f64)>);

/// Points on the half circle, one each 0.0008: ten within a standard deviation of the cosine in 10,000 dimensions.
const POINTS: usize = 4096;

impl Cosines {
    /// The angle θ has density ∝ sin^(dim − 2) θ. The midpoint rule over it.
    fn in_dimensions(dim: usize) -> Self {
        if dim == 1 {
            return Self(vec![(-1.0, 0.5), (1.0, 0.5)]);
        }
        let angles = (0..POINTS).map(|i| PI * (i as f64 + 0.5) / POINTS as f64);
        let weighted = angles.map(|angle| (angle.cos(), angle.sin().powf(dim as f64 - 2.0)));
        let mut points: Vec<(f64, f64)> = weighted.filter(|(_, weight)| *weight > 0.0).collect();
        let total: f64 = points.iter().map(|(_, weight)| weight).sum();
        points.iter_mut().for_each(|(_, weight)| *weight /= total);
        Self(points)
    }

    fn mean(&self, f: impl Fn(f64) -> f64) -> f64 {
        self.0.iter().map(|(s, weight)| weight * f(*s)).sum()
    }

    /// E ln S, S = Σ exp(t s_j) over `count` independent cosines s_j.
    ///
    /// ln S = ∫ (exp(−u) − exp(−u S)) du / u over u > 0 (Frullani), so E ln S = ∫ (exp(−u) − φ(u)^count) du / u with
    /// φ(u) = E exp(−u exp(t s)). In v = ln u the integrand falls off on both sides, and the trapezoid rule is exact to
    /// rounding at this width.
    fn mean_log_sum_exp(&self, t: f64, count: usize) -> f64 {
        const WIDTH: f64 = 0.25;
        let count = count as f64;
        let powers = self.0.iter().map(|(s, weight)| ((t * s).exp(), *weight));
        let powers: Vec<(f64, f64)> = powers.collect();
        let below = -(count.ln() + t + 40.0);
        let steps = ((t + 5.0 - below) / WIDTH).ceil() as usize;
        let integrand = |step: usize| {
            let u = (below + WIDTH * step as f64).exp();
            let rest: f64 = powers.iter().map(|(x, w)| w * (-u * x).exp_m1()).sum();
            (-u).exp() - (count * rest.max(-1.0).ln_1p()).exp()
        };
        WIDTH * (0..=steps).map(integrand).sum::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{LN_2, LN_10};

    use super::*;
    use crate::train::loss::{
        BiasConfig, ClassifyConfig, Keep, NegativesConfig, Normalisation, SoftmaxConfig,
    };

    fn softmax() -> LossConfig {
        LossConfig::Softmax(SoftmaxConfig::default())
    }

    fn with(keep: Keep, ratio: f64) -> LossConfig {
        LossConfig::Sigmoid(SigmoidConfig {
            negatives: NegativesConfig { keep, ratio },
            ..SigmoidConfig::default()
        })
    }

    /// To the digits given, for cosines in 768 dimensions: the sigmoid loss at b = -10 with its gradient of b at t = 10, at
    /// t = 1, and at b = 0, t = 10; the softmax loss at t = 10.
    #[test]
    fn the_first_step_of_large_batches() {
        let cosines = Cosines::in_dimensions(768);
        for (batch, usual, d_bias, cool, even, of_softmax) in [
            (512, 10.02, -0.975, 10.02, 363.1, 6.30),
            (4_096, 10.20, -0.802, 10.19, 2_904.8, 8.38),
            (8_192, 10.40, -0.603, 10.37, 5_809.5, 9.08),
            (16_384, 10.79, -0.206, 10.74, 11_619.0, 9.77),
            (32_768, 11.59, 0.588, 11.49, 23_238.0, 10.46),
            (131_072, 16.35, 5.35, 15.95, 92_952.0, 11.85),
            (1_048_576, 60.81, 49.8, 57.6, 743_618.0, 13.93),
        ] {
            let near = |value: f64, expected: f64, digit: f64| {
                assert!(
                    (value - expected).abs() <= 0.5 * digit,
                    "{batch}: {value}, expected {expected}"
                );
            };
            let sigmoid = |log_t, bias| {
                expected_loss(&LossConfig::default(), batch, 768, log_t, bias).unwrap()
            };
            let million = batch == 1_048_576;
            near(sigmoid(LN_10, -10.0), usual, 0.01);
            near(sigmoid(0.0, -10.0), cool, if million { 0.1 } else { 0.01 });
            let digit = if batch < 16_384 { 0.1 } else { 1.0 };
            near(sigmoid(LN_10, 0.0), even, digit);
            let value = expected_loss(&softmax(), batch, 768, LN_10, 0.0).unwrap();
            near(value, of_softmax, 0.01);
            let p = |s: f64| softplus_and_sigmoid(10.0 * s - 10.0).1;
            let slope = cosines.mean(|s| p(s) - 1.0 + (batch as f64 - 1.0) * p(s));
            let digit = match batch {
                131_072 => 0.01,
                1_048_576 => 0.1,
                _ => 0.001,
            };
            near(slope, d_bias, digit);
        }
    }

    /// In 3 dimensions a cosine is uniform: all means are elementary.
    #[test]
    fn cosines_are_those_of_random_directions() {
        let cosines = Cosines::in_dimensions(3);
        assert!((cosines.mean(|s| s * s) - 1.0 / 3.0).abs() < 1e-6);
        assert!((cosines.mean(f64::exp) - 1.0_f64.sinh()).abs() < 1e-6);
        for dim in [1, 2, 5, 64, 4096] {
            let variance = Cosines::in_dimensions(dim).mean(|s| s * s);
            assert!((variance * dim as f64 - 1.0).abs() < 1e-6, "{dim}");
        }
        // In 1 dimension, two cosines are four equal cases.
        let t: f64 = 2.0;
        let exact = 0.5 * LN_2 + 0.5 * (t.exp() + (-t).exp()).ln();
        let found = Cosines::in_dimensions(1).mean_log_sum_exp(t, 2);
        assert!((found - exact).abs() < 1e-9, "{found} {exact}");
        assert!(cosines.mean_log_sum_exp(3.0, 1).abs() < 1e-6, "E[l] = 0");
    }

    #[test]
    fn variants_change_the_first_step_as_they_should() {
        let loss = |config: &LossConfig, bias| expected_loss(config, 65, 32, LN_10, bias);
        let all = loss(&LossConfig::default(), -3.0).unwrap();
        assert_eq!(loss(&with(Keep::Random, 64.0), -3.0), Some(all));
        assert_eq!(loss(&with(Keep::Hard, 64.0), -3.0), Some(all));
        let sixteen = loss(&with(Keep::Rolled, 16.0), -3.0);
        assert!(sixteen.unwrap() < all && sixteen == loss(&with(Keep::Random, 16.0), -3.0));
        for keep in [Keep::Hard, Keep::Easy, Keep::HardMatched] {
            assert_eq!(loss(&with(keep, 16.0), -3.0), None);
        }
        let relative = LossConfig::Sigmoid(SigmoidConfig {
            bias: BiasConfig {
                relative: true,
                ..BiasConfig::default()
            },
            normalisation: Normalisation::Pairs,
            ..SigmoidConfig::default()
        });
        assert!((loss(&relative, 0.3).unwrap() * 65.0 - all).abs() < 1e-9);
        let by_class = LossConfig::Sigmoid(SigmoidConfig {
            positives: Positives::Class,
            ..SigmoidConfig::default()
        });
        assert_eq!(loss(&by_class, -3.0), None);
        let supervised = LossConfig::Classify(ClassifyConfig::default());
        assert_eq!(loss(&supervised, 0.0), None);
    }

    /// I of K equally likely pairs that are matched with probability q, otherwise drawn at random, and the loss at the
    /// best logits, l = ln (p(x, y) / p(x) p(y)) − ln k.
    #[test]
    fn the_bound_is_below_the_information_of_a_toy_and_near_it_in_large_batches() {
        let (words, q) = (1024.0_f64, 0.9);
        let density_ratio = [1.0 - q + q * words, 1.0 - q];
        let of_joint = [
            density_ratio[0] / words,
            density_ratio[1] * (1.0 - 1.0 / words),
        ];
        let of_product = [1.0 / words, 1.0 - 1.0 / words];
        let information: f64 = (0..2).map(|i| of_joint[i] * density_ratio[i].ln()).sum();
        assert!((information - 5.914).abs() < 5e-4);
        let bound = |config: &LossConfig, batch: usize, k: f64| {
            let loss: f64 = (0..2)
                .map(|i| {
                    let logit = density_ratio[i].ln() - k.ln();
                    of_joint[i] * softplus_and_sigmoid(-logit).0
                        + k * of_product[i] * softplus_and_sigmoid(logit).0
                })
                .sum();
            mutual_information(config, batch, loss).unwrap().nats
        };
        for (batch, nats) in [(2, 1.044), (256, 5.059), (4_096, 5.820), (32_768, 5.902)] {
            let found = bound(&LossConfig::default(), batch, batch as f64 - 1.0);
            assert!((found - nats).abs() < 5e-4, "{batch}: {found}");
        }
        // As many negatives prove as much, whatever the batch.
        let few = bound(&with(Keep::Rolled, 255.0), 4_096, 255.0);
        assert!((few - 5.059).abs() < 5e-4, "{few}");
    }

    #[test]
    fn caps_are_what_a_loss_of_nothing_proves() {
        let cap = |config: &LossConfig, batch| mutual_information(config, batch, 0.0);
        let of_softmax = cap(&softmax(), 64).unwrap();
        assert_eq!(of_softmax.cap, 64.0_f64.ln());
        let of_sigmoid = cap(&LossConfig::default(), 64).unwrap();
        assert_eq!(of_sigmoid.nats, of_sigmoid.cap);
        let exact = 64.0_f64.ln() + 63.0 * (64.0_f64 / 63.0).ln();
        assert!((of_sigmoid.cap - exact).abs() < 1e-12);
        let balanced = cap(&with(Keep::Rolled, 1.0), 64).unwrap();
        assert!((balanced.cap - 2.0 * LN_2).abs() < 1e-12);
        let over_pairs = LossConfig::Sigmoid(SigmoidConfig {
            normalisation: Normalisation::Pairs,
            ..SigmoidConfig::default()
        });
        assert_eq!(
            mutual_information(&over_pairs, 64, 0.125),
            mutual_information(&LossConfig::default(), 64, 8.0)
        );
        assert_eq!(cap(&softmax(), 1), None);
        assert_eq!(cap(&LossConfig::default(), 1), None);
        assert_eq!(cap(&with(Keep::Hard, 5.0), 64), None);
        assert!(cap(&with(Keep::Hard, 63.0), 64).is_some());
    }
}
