//! The leaves of a run's settings, key and value. A value is known by a hash, for it is only ever compared.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde::Serialize;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub is_number: bool,
    /// Of the value and its type.
    pub hash: u64,
}

/// Call `see` with the dotted key and the value of each leaf; a list is a leaf.
pub(super) fn leaves(
    settings: &impl Serialize,
    see: &mut dyn FnMut(&str, Leaf),
) -> serde_json::Result<()> {
    walk(&mut String::new(), &serde_json::to_value(settings)?, see);
    Ok(())
}

fn walk(key: &mut String, value: &Value, see: &mut dyn FnMut(&str, Leaf)) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            let outer = key.len();
            for (name, value) in table {
                if outer > 0 {
                    key.push('.');
                }
                key.push_str(name);
                walk(key, value, see);
                key.truncate(outer);
            }
        }
        leaf => {
            let mut hasher = DefaultHasher::new();
            leaf.to_string().hash(&mut hasher);
            let (is_number, hash) = (leaf.is_number(), hasher.finish());
            see(key, Leaf { is_number, hash });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::spec::path;
    use crate::train::TrainConfig;

    fn keys(settings: &impl Serialize) -> BTreeMap<String, Leaf> {
        let mut found = BTreeMap::new();
        leaves(settings, &mut |key, leaf| {
            assert_eq!(found.insert(key.to_owned(), leaf), None, "{key} comes once");
        })
        .unwrap();
        found
    }

    #[test]
    fn leaves_are_those_of_flattened_settings() {
        let config = TrainConfig::default();
        let flat = path::flatten(&serde_json::to_value(&config).unwrap());
        assert!(flat.len() > 20);
        let found = keys(&config);
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            flat.keys().collect::<Vec<_>>()
        );
        for (key, value) in flat {
            assert_eq!(found[&key].is_number, value.is_number(), "{key}");
        }
    }

    #[test]
    fn values_that_differ_have_other_hashes() {
        let values = [
            json!(1),
            json!(1.5),
            json!(-1),
            json!("1"),
            json!(true),
            json!(null),
            json!([1, 2]),
            json!([2, 1]),
            json!([[1], 2]),
            json!([{"a": 1}, 2]),
        ];
        let hashes = values.map(|value| keys(&json!({ "x": value }))["x"].hash);
        let distinct: std::collections::BTreeSet<u64> = hashes.into_iter().collect();
        assert_eq!(distinct.len(), 10);
    }
}
