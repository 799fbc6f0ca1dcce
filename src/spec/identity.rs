//! The name of a run: a hash of what its settings change from the defaults. A field that is added later, with the
//! default that means the behaviour from before, changes no name. It does not know which experiment asks.

use std::fmt::Write;

use super::schema::Schema;
use crate::record::RunId;
use crate::train::TrainConfig;

/// The id of `config`.
pub fn run_id(config: &TrainConfig) -> RunId {
    run_id_in(&Schema::learn(), config)
}

/// [`run_id`] for those who ask often.
pub fn run_id_in(schema: &Schema, config: &TrainConfig) -> RunId {
    let mut changes = String::new();
    for (key, value) in schema.changes(config) {
        writeln!(changes, "{key}={value}").expect("a string takes all");
    }
    let digits = blake3::hash(changes.as_bytes()).to_hex();
    digits[..RunId::LENGTH]
        .parse()
        .expect("a hash in hexadecimal")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::loss::{LossConfig, SoftmaxConfig};

    /// These never change: runs on disk are called by them.
    #[test]
    fn golden_ids() {
        let mut config = TrainConfig::default();
        assert_eq!(
            run_id(&config).as_str(),
            "af1349b9f5",
            "the hash of no change at all"
        );
        config.loss = LossConfig::Softmax(SoftmaxConfig::default());
        config.train.batch_size = 64;
        config.seed = 2;
        assert_eq!(run_id(&config).as_str(), "5eb644a1d7");
    }

    #[test]
    fn the_seed_is_part_of_the_name() {
        let with = |seed| {
            run_id(&TrainConfig {
                seed,
                ..TrainConfig::default()
            })
        };
        assert_ne!(with(0), with(1));
    }
}
