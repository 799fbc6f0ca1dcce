//! How much memory a run is known to need: the most that its own attempts were seen to hold, or those of runs of the same
//! shape. A shape is the settings without those that change numbers and no sizes.

use std::collections::BTreeMap;

use crate::record::RunId;
use crate::spec::path;
use crate::store::Run;

/// Settings that memory does not depend on, whatever they are.
const IGNORED: [&str; 5] = [
    "seed",
    "train.examples",
    "train.log_every",
    "train.save_seconds",
    "eval.every",
];
/// Sections in which numbers are rates and weights.
const RATES: [&str; 2] = ["loss.", "optim."];

#[derive(Debug, Default)]
pub(super) struct Needs {
    shapes: BTreeMap<RunId, String>,
    /// Bytes, by shape.
    most: BTreeMap<String, u64>,
}

impl Needs {
    /// Remember what the last worker of `run` held.
    pub(super) fn learn(&mut self, run: &Run) {
        let Some(peak) = run.peak else { return };
        let shape = self.shapes.entry(run.id().clone());
        let shape = shape.or_insert_with(|| shape_of(run)).clone();
        let most = self.most.entry(shape).or_default();
        *most = (*most).max(peak);
    }

    /// Bytes that `run` is known to need, as far as [`Needs::expect`] was asked.
    pub(super) fn known(&self, run: &Run) -> Option<u64> {
        let shape = self.shapes.get(run.id());
        let of_shape = shape.and_then(|shape| self.most.get(shape)).copied();
        of_shape.max(run.peak)
    }

    /// Bytes that `run` is known to need.
    pub(super) fn expect(&mut self, run: &Run) -> Option<u64> {
        if !self.most.is_empty() && !self.shapes.contains_key(run.id()) {
            self.shapes.insert(run.id().clone(), shape_of(run));
        }
        self.known(run)
    }
}

fn shape_of(run: &Run) -> String {
    let config = serde_json::to_value(&run.spec.config).unwrap_or_default();
    let sized = path::flatten(&config).into_iter().filter(|(key, value)| {
        let rate = value.is_number() && RATES.iter().any(|section| key.starts_with(section));
        !rate && !IGNORED.contains(&key.as_str())
    });
    let words: Vec<String> = sized.map(|(key, value)| format!("{key}={value}")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunDir;
    use crate::spec::RunSpec;
    use crate::train::TrainConfig;

    fn run(change: impl FnOnce(&mut TrainConfig), peak: Option<u64>) -> Run {
        let mut config = TrainConfig::default();
        change(&mut config);
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(config));
        run.peak = peak;
        run
    }

    #[test]
    fn runs_of_one_shape_tell_what_the_next_will_need() {
        let mut needs = Needs::default();
        let first = run(|_| {}, Some(5 << 30));
        assert_eq!(needs.expect(&run(|_| {}, None)), None);
        needs.learn(&first);
        needs.learn(&run(|config| config.seed = 1, Some(4 << 30)));
        let other_rate = run(
            |config| {
                config.seed = 2;
                config.optim.lr *= 2.0;
                config.train.examples *= 10;
            },
            None,
        );
        assert_eq!(needs.expect(&other_rate), Some(5 << 30));
        let larger = |peak| run(|config| config.train.batch_size *= 2, peak);
        assert_eq!(needs.expect(&larger(None)), None);
        assert_eq!(needs.expect(&larger(Some(7))), Some(7), "its own attempts");
    }
}
