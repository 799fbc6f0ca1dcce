//! How a similarity becomes a logit: where the bias starts. What is made of the logits is the losses' affair.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{self, Deserialize, Deserializer, Visitor};

/// Where b starts: a number, or the word `"prior"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BiasInit {
    /// Where the loss is least while all similarities are near 0: the log odds of a positive, -ln k for k negatives that
    /// count for each positive, which are B - 1 of a global batch of B pairs, or `negatives.ratio`.
    Prior,
    #[serde(untagged)]
    Number(f64),
}

impl BiasInit {
    /// The number, when `negatives` count for each positive.
    pub fn value(self, negatives: f64) -> f64 {
        match self {
            Self::Prior => -negatives.ln(),
            Self::Number(b) => b,
        }
    }
}

/// By hand, for an error that names both forms.
impl<'de> Deserialize<'de> for BiasInit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = BiasInit;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number or \"prior\"")
            }

            fn visit_f64<E>(self, x: f64) -> Result<BiasInit, E> {
                Ok(BiasInit::Number(x))
            }

            fn visit_i64<E>(self, x: i64) -> Result<BiasInit, E> {
                Ok(BiasInit::Number(x as f64))
            }

            fn visit_u64<E>(self, x: u64) -> Result<BiasInit, E> {
                Ok(BiasInit::Number(x as f64))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<BiasInit, E> {
                match word {
                    "prior" => Ok(BiasInit::Prior),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::TrainConfig;
    use crate::train::loss::{BiasConfig, Keep, LossConfig, NegativesConfig, SigmoidConfig};

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
    fn a_start_is_a_number_or_a_word() {
        for (json, init) in [
            ("-10.0", BiasInit::Number(-10.0)),
            ("\"prior\"", BiasInit::Prior),
        ] {
            assert_eq!(serde_json::to_string(&init).unwrap(), json);
            assert_eq!(serde_json::from_str::<BiasInit>(json).unwrap(), init);
        }
        assert_eq!(
            serde_json::from_str::<BiasInit>("3").unwrap(),
            BiasInit::Number(3.0)
        );
        let error = serde_json::from_str::<BiasInit>("\"prio\"").unwrap_err();
        assert!(error.to_string().contains("a number or \"prior\""));
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
