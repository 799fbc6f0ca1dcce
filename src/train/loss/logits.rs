//! How a similarity becomes a logit, l = scale · s + shift, from the scalars t' and b, and how the gradients of both
//! come out of sums over pairs. Where b starts is here too; what is made of the logits is the losses' affair.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Where t' starts: a number, or the word `"file"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogTInit {
    /// As in the checkpoint that a tower starts from.
    File,
    #[serde(untagged)]
    Number(f64),
}

impl LogTInit {
    /// Where t' starts; none while it is for a file to say.
    pub fn number(self) -> Option<f64> {
        match self {
            Self::Number(log_t) => Some(log_t),
            Self::File => None,
        }
    }
}

/// Where b starts: a number, or the word `"prior"` or `"file"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BiasInit {
    /// Where the loss is least while all similarities are near 0: every logit starts at the log odds of a positive, -ln k
    /// for k negatives that count for each positive, which are B - 1 of a global batch of B pairs, or `negatives.ratio`.
    Prior,
    /// As in the checkpoint that a tower starts from.
    File,
    #[serde(untagged)]
    Number(f64),
}

/// The line from similarities to logits: l = t s + b, or l = t (s - b) with a relative bias; t = exp t'.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    pub scale: f64,
    pub shift: f64,
    /// b, when it is relative.
    relative: Option<f64>,
}

impl Line {
    pub fn new(log_t: f64, bias: f64, relative: bool) -> Self {
        let scale = log_t.exp();
        Self {
            scale,
            shift: if relative { -scale * bias } else { bias },
            relative: relative.then_some(bias),
        }
    }

    /// ∂L/∂t' and ∂L/∂b from Σ g_ij and Σ g_ij s_ij, where g_ij = ∂L/∂l_ij.
    ///
    /// l = t s + b: t Σ g s and Σ g. l = t (s - b): t (Σ g s - b Σ g) and -t Σ g. Both are linear in the sums: what
    /// ranks find of their parts of the pairs adds up.
    pub fn gradients(self, sum_g: f64, sum_gs: f64) -> (f64, f64) {
        match self.relative {
            None => (self.scale * sum_gs, sum_g),
            Some(b) => (self.scale * (sum_gs - b * sum_g), -self.scale * sum_g),
        }
    }

    /// The b whose shift is `shift`: what a logit is while its similarity is 0.
    pub fn bias_of(log_t: f64, shift: f64, relative: bool) -> f64 {
        if relative {
            -shift / log_t.exp()
        } else {
            shift
        }
    }
}

impl<'de> Deserialize<'de> for LogTInit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let forms = NumberOrWord {
            number: Self::Number,
            words: &[("file", Self::File)],
            expected: "a number or \"file\"",
        };
        deserializer.deserialize_any(forms)
    }
}

impl<'de> Deserialize<'de> for BiasInit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let forms = NumberOrWord {
            number: Self::Number,
            words: &[("prior", Self::Prior), ("file", Self::File)],
            expected: "a number, \"prior\" or \"file\"",
        };
        deserializer.deserialize_any(forms)
    }
}

/// By hand, for an error that names all forms.
struct NumberOrWord<T: 'static> {
    number: fn(f64) -> T,
    words: &'static [(&'static str, T)],
    expected: &'static str,
}

impl<T: Copy> Visitor<'_> for NumberOrWord<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_f64<E>(self, x: f64) -> Result<T, E> {
        Ok((self.number)(x))
    }

    fn visit_i64<E>(self, x: i64) -> Result<T, E> {
        Ok((self.number)(x as f64))
    }

    fn visit_u64<E>(self, x: u64) -> Result<T, E> {
        Ok((self.number)(x as f64))
    }

    fn visit_str<E: de::Error>(self, word: &str) -> Result<T, E> {
        let known = self.words.iter().find(|(name, _)| *name == word);
        match known {
            Some((_, value)) => Ok(*value),
            None => Err(E::invalid_value(de::Unexpected::Str(word), &self)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainConfig;
    use crate::train::loss::{
        BiasConfig, Keep, LossConfig, NegativesConfig, Positives, SigmoidConfig,
    };

    fn starting_at(init: BiasInit, negatives: NegativesConfig) -> LossConfig {
        LossConfig::Sigmoid(SigmoidConfig {
            bias: BiasConfig {
                init,
                ..BiasConfig::default()
            },
            negatives,
            ..SigmoidConfig::default()
        })
    }

    /// -ln(B - 1) is -6.24 at 512 and -13.86 at a million.
    #[test]
    fn the_prior_follows_the_negatives_that_count() {
        let prior = |batch, negatives| {
            let loss = starting_at(BiasInit::Prior, negatives);
            loss.bias_init(batch).unwrap()
        };
        let all = NegativesConfig::default;
        for (batch, b) in [(512, -6.24), (16_384, -9.70), (1 << 20, -13.86)] {
            assert!((prior(batch, all()) - b).abs() < 0.005);
        }
        let few = NegativesConfig {
            keep: Keep::Hard,
            ratio: 16.0,
        };
        assert_eq!(prior(512, few.clone()), -16.0_f64.ln());
        assert_eq!(prior(9, few), -8.0_f64.ln());
    }

    #[test]
    fn a_relative_prior_is_the_same_logit() {
        let mut loss = SigmoidConfig::default();
        (loss.bias.init, loss.bias.relative) = (BiasInit::Prior, true);
        let b = LossConfig::Sigmoid(loss).bias_init(65).unwrap();
        assert!((b - 64.0_f64.ln() / 10.0).abs() < 1e-12);
        let line = Line::new(std::f64::consts::LN_10, b, true);
        assert!((line.shift + 64.0_f64.ln()).abs() < 1e-12);
    }

    /// L = Σ w_i ln(1 + exp l_i) over some similarities, in both forms, by finite differences.
    #[test]
    fn gradients_of_the_scalars_are_finite_differences() {
        let pairs = [(0.9, -1.0), (-0.3, 0.5), (0.1, 2.0), (-0.8, 0.25)];
        let loss = |log_t, bias, relative| -> f64 {
            let line = Line::new(log_t, bias, relative);
            let logit = |s: f64| line.scale * s + line.shift;
            let terms = pairs.map(|(s, w)| w * logit(s).exp().ln_1p());
            terms.iter().sum()
        };
        for relative in [false, true] {
            for (log_t, bias) in [(0.0, 0.0), (1.2, -2.0), (2.0, 0.3)] {
                let line = Line::new(log_t, bias, relative);
                let (mut sum_g, mut sum_gs) = (0.0, 0.0);
                for (s, w) in pairs {
                    let g = w / (1.0 + (-(line.scale * s + line.shift)).exp());
                    sum_g += g;
                    sum_gs += g * s;
                }
                let (d_log_t, d_bias) = line.gradients(sum_g, sum_gs);
                let h = 1e-6;
                let slope = |plus: f64, minus: f64| (plus - minus) / (2.0 * h);
                let numeric = (
                    slope(
                        loss(log_t + h, bias, relative),
                        loss(log_t - h, bias, relative),
                    ),
                    slope(
                        loss(log_t, bias + h, relative),
                        loss(log_t, bias - h, relative),
                    ),
                );
                assert!((d_log_t - numeric.0).abs() < 1e-7, "{d_log_t} {numeric:?}");
                assert!((d_bias - numeric.1).abs() < 1e-7, "{d_bias} {numeric:?}");
            }
        }
    }

    #[test]
    fn positives_by_class_have_no_prior_and_leave_out_no_negatives() {
        let problem = |init, keep| {
            let config = LossConfig::Sigmoid(SigmoidConfig {
                bias: BiasConfig {
                    init,
                    ..BiasConfig::default()
                },
                negatives: NegativesConfig { keep, ratio: 4.0 },
                positives: Positives::Class,
                ..SigmoidConfig::default()
            });
            config.validate(256).map_err(|error| error.key)
        };
        assert_eq!(problem(BiasInit::Number(0.0), Keep::All), Ok(()));
        assert_eq!(problem(BiasInit::Prior, Keep::All), Err("loss.bias.init"));
        assert_eq!(
            problem(BiasInit::Number(0.0), Keep::Hard),
            Err("loss.positives")
        );
    }

    #[test]
    fn a_start_is_a_number_or_a_word() {
        for (json, init) in [
            ("-10.0", BiasInit::Number(-10.0)),
            ("\"prior\"", BiasInit::Prior),
            ("\"file\"", BiasInit::File),
        ] {
            assert_eq!(serde_json::to_string(&init).unwrap(), json);
            assert_eq!(serde_json::from_str::<BiasInit>(json).unwrap(), init);
        }
        assert_eq!(
            serde_json::from_str::<BiasInit>("3").unwrap(),
            BiasInit::Number(3.0)
        );
        let error = serde_json::from_str::<BiasInit>("\"prio\"").unwrap_err();
        assert!(
            error
                .to_string()
                .contains("a number, \"prior\" or \"file\"")
        );
    }

    #[test]
    fn a_batch_of_one_has_no_prior() {
        let mut config = TrainConfig {
            loss: starting_at(BiasInit::Prior, NegativesConfig::default()),
            ..TrainConfig::default()
        };
        config.validate().unwrap();
        config.train.batch_size = 1;
        let error = config.validate().unwrap_err();
        assert_eq!(error.key, "loss.bias.init");
        assert!(error.problem.contains("batch of 1"), "{error}");
    }
}
