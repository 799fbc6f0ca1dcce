//! A short name for a run from the settings that set it apart: `loss=sigmoid batch_size=64 seed=1`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Schema, path};
use crate::train::TrainConfig;
use crate::util::printable;

/// Last segments of a key that say less than the one before them.
const GENERIC: [&str; 3] = ["kind", "init", "mode"];

/// One line for `settings`, in their order. Keys are cut to what tells them apart.
pub fn label<'a>(settings: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let settings: Vec<(&str, &Value)> = settings.into_iter().collect();
    let name = |key| {
        let name = short(key);
        let alike = settings
            .iter()
            .filter(|(other, _)| short(other) == name)
            .count();
        if alike > 1 { last_two(key) } else { name }
    };
    let parts = settings
        .iter()
        .map(|(key, value)| format!("{}={}", name(key), path::label(value)));
    printable(&parts.collect::<Vec<_>>().join(" "))
}

/// The same for a narrow place, which the reader knows the axes of: values alone, and which seed.
pub fn brief<'a>(settings: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let parts = settings.into_iter().map(|(key, value)| match key {
        "seed" => format!("seed {}", path::label(value)),
        _ => path::label(value),
    });
    printable(&parts.collect::<Vec<_>>().join(" "))
}

/// What sets a run apart from the defaults.
pub fn of_run(schema: &Schema, config: &TrainConfig) -> String {
    let changes = schema.changes(config);
    label(changes.iter().map(|(key, value)| (key.as_str(), value)))
}

/// For each run, told by its changes from the defaults, the settings in which they differ, the seed last. What comes
/// with the choice of a kind does not count, and a run whose kind lacks a setting says nothing of it.
pub fn distinguish(schema: &Schema, runs: &[&path::Flat]) -> Vec<Vec<(String, Value)>> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|changes| changes.keys()).collect();
    let differs = |key: &&String| {
        runs.windows(2)
            .any(|pair| pair[0].get(*key) != pair[1].get(*key))
    };
    let mut keys: Vec<&String> = keys.into_iter().filter(differs).collect();
    keys.sort_by_key(|key| *key == "seed");
    let told = |changes: &&path::Flat| {
        let setting = schema.settings(changes);
        let value = |key: &&String| Some(((*key).clone(), setting(key)?.clone()));
        keys.iter().filter_map(value).collect()
    };
    runs.iter().map(told).collect()
}

fn short(key: &str) -> &str {
    let mut segments = key.rsplit('.');
    let last = segments.next().unwrap_or(key);
    if GENERIC.contains(&last) {
        segments.next().unwrap_or(last)
    } else {
        last
    }
}

/// `model.image.depth` to `image.depth`.
fn last_two(key: &str) -> &str {
    key.rmatch_indices('.')
        .nth(1)
        .map_or(key, |(dot, _)| &key[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_label_is_short_and_still_tells_runs_apart() {
        let settings = [
            ("loss.kind", json!("sigmoid")),
            ("loss.bias.init", json!(-10.0)),
            ("train.batch_size", json!(64)),
            ("model.image.depth", json!(2)),
            ("model.text.depth", json!(3)),
            ("seed", json!(1)),
        ];
        let text = label(settings.iter().map(|(key, value)| (*key, value)));
        assert_eq!(
            text,
            "loss=sigmoid bias=-10 batch_size=64 image.depth=2 text.depth=3 seed=1"
        );
        let text = brief(settings.iter().map(|(key, value)| (*key, value)));
        assert_eq!(text, "sigmoid -10 64 2 3 seed 1");
    }

    #[test]
    fn only_what_differs_tells_runs_apart() {
        let schema = Schema::learn();
        let read = |document: Value| schema.changes(&schema.read(&document).unwrap());
        let (one, other) = (
            read(json!({"optim": {"lr": 3e-3}, "train": {"batch_size": 64}})),
            read(json!({"loss": {"kind": "softmax"}, "train": {"batch_size": 64}, "seed": 1})),
        );
        let labels: Vec<String> = distinguish(&schema, &[&one, &other])
            .iter()
            .map(|told| label(told.iter().map(|(key, value)| (key.as_str(), value))))
            .collect();
        assert_eq!(
            labels,
            [
                "loss=sigmoid lr=0.003 seed=0",
                "loss=softmax lr=0.001 seed=1"
            ]
        );
    }
}
