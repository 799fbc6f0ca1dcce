//! Evaluations: each is a file with a function from the model to named numbers. When they run is the loop's affair.

mod classify;
mod knn;
mod zeroshot;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{ConfigError, check};
use super::data::{DataError, Source};
use super::device::host;
use super::inputs;
use super::model::Model;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// Evaluate each time this many examples were seen, and at the end; 0 only at the end.
    pub every: u64,
    /// Pictures of an evaluation.
    pub images: usize,
    /// Training pictures, the first of the run, among which kNN looks for the nearest of each; used only when data.views
    /// is "image_image".
    pub bank: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self {
            every: 10_000,
            images: 1_024,
            bank: 4_096,
        }
    }
}

impl EvalConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        for (key, pictures) in [("eval.images", self.images), ("eval.bank", self.bank)] {
            check(key, (1..=1 << 20).contains(&pictures), || {
                format!("{pictures} is not between 1 and {}", 1 << 20)
            })?;
        }
        Ok(())
    }

    /// Whether the update from `before` to `after` examples passes the next evaluation.
    pub fn is_due(&self, before: u64, after: u64) -> bool {
        self.every > 0 && before / self.every < after / self.every
    }
}

/// Every evaluation that fits the model, by name. `model` is without autodiff.
pub fn evaluate(
    config: &EvalConfig,
    model: &Model,
    source: &Source,
    device: &Device,
) -> Result<BTreeMap<String, f64>, DataError> {
    if source.class_count() == 0 || source.eval(0..1)?.is_empty() {
        return Ok(BTreeMap::new());
    }
    if model.text.is_some() {
        zeroshot::run(config, model, source, device)
    } else if model.log_t.is_some() {
        // Pairs were compared, and no text was one of them.
        knn::run(config, model, source, device)
    } else {
        classify::run(config, model, source, device)
    }
}

/// Images embedded at a time.
const CHUNK: usize = 256;

/// Hits among the evaluation's pictures by `scores` of a chunk of them, `[images, sets * classes]`: by each of so many sets
/// of scores.
fn score(
    config: &EvalConfig,
    source: &Source,
    device: &Device,
    sets: usize,
    scores: impl Fn(Tensor<4>) -> Tensor<2>,
) -> Result<Vec<Hits>, DataError> {
    let mut hits = vec![Hits::default(); sets];
    let held_out: Vec<bool> = source.classes().iter().map(|c| c.held_out).collect();
    for start in (0..config.images).step_by(CHUNK) {
        let examples = source.eval(start as u64..(start + CHUNK).min(config.images) as u64)?;
        let rows: Vec<f32> = host(scores(inputs::images(source, &examples, device)?));
        let labels = source.labels(&examples)?;
        // A row for each set of each picture in turn.
        let labels = labels
            .into_iter()
            .flat_map(|label| (0..sets).map(move |set| (set, label)));
        for (row, (set, label)) in rows.chunks_exact(held_out.len()).zip(labels) {
            let label = label as usize;
            // The rank of the right class. Ties count against it, and so does a score that is no number: a model
            // that says the same of everything, or nothing, hits nothing.
            let beaten = |score: f32| score < row[label];
            let others = row.iter().enumerate().filter(|(class, _)| *class != label);
            let better = others.filter(|(_, score)| !beaten(**score)).count();
            hits[set].add(better, held_out[label]);
        }
    }
    Ok(hits)
}

/// How often the right class came first, or among the first five.
#[derive(Clone, Debug, Default)]
struct Hits {
    seen: Count,
    held_out: Count,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    total: u64,
    top1: u64,
    top5: u64,
}

impl Count {
    fn merge(&mut self, other: Self) {
        self.total += other.total;
        self.top1 += other.top1;
        self.top5 += other.top5;
    }
}

impl Hits {
    fn add(&mut self, better: usize, held_out: bool) {
        let count = if held_out {
            &mut self.held_out
        } else {
            &mut self.seen
        };
        count.total += 1;
        count.top1 += u64::from(better < 1);
        count.top5 += u64::from(better < 5);
    }

    fn merge(&mut self, other: &Self) {
        self.seen.merge(other.seen);
        self.held_out.merge(other.held_out);
    }

    /// `PREFIX/top1`, `PREFIX/top5` over all classes; `PREFIX/top1_seen` and `PREFIX/top1_held_out` over those
    /// whose combination training showed and did not show. Fractions in [0, 1].
    fn metrics(&self, prefix: &str) -> BTreeMap<String, f64> {
        let Self { seen, held_out } = self;
        let fractions = [
            (
                "top1",
                seen.top1 + held_out.top1,
                seen.total + held_out.total,
            ),
            (
                "top5",
                seen.top5 + held_out.top5,
                seen.total + held_out.total,
            ),
            ("top1_seen", seen.top1, seen.total),
            ("top1_held_out", held_out.top1, held_out.total),
        ];
        fractions
            .into_iter()
            .filter(|(_, _, total)| *total > 0)
            .map(|(name, hits, total)| (format!("{prefix}/{name}"), hits as f64 / total as f64))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_are_fractions_of_what_was_shown() {
        let mut hits = Hits::default();
        for (better, held_out) in [(0, false), (3, false), (9, false), (0, true)] {
            hits.add(better, held_out);
        }
        let metrics = hits.metrics("zeroshot");
        assert_eq!(metrics["zeroshot/top1"], 0.5);
        assert_eq!(metrics["zeroshot/top5"], 0.75);
        assert_eq!(metrics["zeroshot/top1_held_out"], 1.0);
        assert!((metrics["zeroshot/top1_seen"] - 1.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn scores_that_are_no_numbers_hit_nothing() {
        let config = EvalConfig {
            every: 0,
            images: 60,
            ..EvalConfig::default()
        };
        let source = Source::open(&crate::train::data::DataConfig::default(), 16, 0).unwrap();
        for score_of_all in [f32::NAN, 1.0] {
            let device = Device::flex();
            let hits = score(&config, &source, &device, 1, |pixels| {
                Tensor::full(
                    [pixels.dims()[0], source.class_count()],
                    score_of_all,
                    &device,
                )
            });
            assert_eq!(hits.unwrap()[0].metrics("zeroshot")["zeroshot/top1"], 0.0);
        }
    }

    #[test]
    fn an_evaluation_is_due_when_its_mark_is_passed() {
        let config = EvalConfig {
            every: 100,
            ..EvalConfig::default()
        };
        assert!(config.is_due(90, 110) && config.is_due(90, 100));
        assert!(!config.is_due(100, 190));
        assert!(
            !EvalConfig {
                every: 0,
                ..EvalConfig::default()
            }
            .is_due(90, 110)
        );
    }
}
