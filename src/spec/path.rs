//! Settings as a document of tables and as a flat list of dotted keys: `get`, `set`, `flatten`, `diff`. It works on
//! any JSON value and knows nothing of what the keys mean.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Dotted key to value, sorted by key.
pub type Flat = BTreeMap<String, Value>;

pub fn get<'a>(document: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.')
        .try_fold(document, |value, segment| value.as_object()?.get(segment))
}

/// Replace what stands at `key`, making the tables on the way; a scalar on the way gives place to a table.
pub fn set(document: &mut Value, key: &str, value: Value) {
    let place = key.split('.').fold(document, |place, segment| {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        &mut place[segment]
    });
    *place = value;
}

/// Every leaf of `document`. A list is a leaf; so is an empty table, lest it vanish.
pub fn flatten(document: &Value) -> Flat {
    let mut flat = Flat::new();
    flatten_under("", document, &mut flat);
    flat
}

/// The leaves of `value` as they are called when it stands at `prefix`.
pub fn flatten_under(prefix: &str, value: &Value, flat: &mut Flat) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (name, value) in table {
                flatten_under(&join(prefix, name), value, flat);
            }
        }
        Value::Object(_) if prefix.is_empty() => {}
        leaf => {
            flat.insert(prefix.to_owned(), leaf.clone());
        }
    }
}

/// `prefix.name`, or `name` at the top.
pub fn join(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}.{name}")
    }
}

/// Whether `key` lies inside the table at `table`.
pub fn is_inside(key: &str, table: &str) -> bool {
    table.is_empty()
        || key
            .strip_prefix(table)
            .is_some_and(|rest| rest.starts_with('.'))
}

/// The table that `key` stands in: empty at the top.
pub fn parent(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// A key on which two documents differ; `None` where one of them lacks it.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub key: String,
    pub left: Option<Value>,
    pub right: Option<Value>,
}

pub fn diff(left: &Flat, right: &Flat) -> Vec<Difference> {
    let keys: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    keys.into_iter()
        .filter(|key| left.get(*key) != right.get(*key))
        .map(|key| Difference {
            key: key.clone(),
            left: left.get(key).cloned(),
            right: right.get(key).cloned(),
        })
        .collect()
}

/// A value as a person would say it in a column of a table: `softmax`, `-10`, `from pretrained`, `sigmoid bias.init=-10`.
pub fn label(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => {
            let words = flatten(value)
                .into_iter()
                .map(|(key, value)| match key.as_str() {
                    "kind" => (0, label(&value)),
                    "from" => (1, format!("from {}", label(&value))),
                    _ => (2, format!("{key}={}", label(&value))),
                });
            let mut words: Vec<_> = words.collect();
            words.sort();
            words
                .into_iter()
                .map(|(_, word)| word)
                .collect::<Vec<_>>()
                .join(" ")
        }
        Value::Array(values) => format!(
            "[{}]",
            values.iter().map(label).collect::<Vec<_>>().join(", ")
        ),
        Value::Number(number) if number.is_f64() => short(number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Six digits that count, whole numbers without a point: the file's `-10` and the settings' `-10.0` are one value.
fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    match rounded.abs() {
        0.0 | 1e-4..1e7 => rounded.to_string(),
        _ => format!("{rounded:e}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn set_then_get_and_flatten_agree() {
        let mut document = json!({"loss": "sigmoid"});
        set(&mut document, "loss.bias.init", json!(-10));
        set(&mut document, "seed", json!(3));
        assert_eq!(get(&document, "loss.bias.init"), Some(&json!(-10)));
        assert_eq!(get(&document, "loss.bias.init.deeper"), None);
        assert_eq!(
            flatten(&document).into_iter().collect::<Vec<_>>(),
            [
                ("loss.bias.init".into(), json!(-10)),
                ("seed".into(), json!(3))
            ]
        );
    }

    #[test]
    fn an_empty_table_is_kept_as_a_leaf() {
        assert_eq!(
            flatten(&json!({"a": {}})),
            Flat::from([("a".into(), json!({}))])
        );
        assert_eq!(flatten(&json!({})), Flat::new());
    }

    #[test]
    fn diff_names_each_side() {
        let found = diff(
            &flatten(&json!({"a": 1, "b": 2})),
            &flatten(&json!({"b": 3, "c": 4})),
        );
        let sides: Vec<_> = found
            .iter()
            .map(|d| (d.key.as_str(), d.left.is_some(), d.right.is_some()))
            .collect();
        assert_eq!(
            sides,
            [("a", true, false), ("b", true, true), ("c", false, true)]
        );
    }

    #[test]
    fn inside_means_a_whole_segment() {
        assert!(is_inside("loss.bias", "loss") && is_inside("loss", ""));
        assert!(!is_inside("losses.bias", "loss") && !is_inside("loss", "loss"));
    }

    #[test]
    fn labels_are_short() {
        assert_eq!(label(&json!("softmax")), "softmax");
        assert_eq!(
            label(&json!({"bias": {"init": -10}, "kind": "sigmoid"})),
            "sigmoid bias.init=-10"
        );
        assert_eq!(label(&json!({"from": "pretrained"})), "from pretrained");
        assert_eq!(
            label(&json!([std::f64::consts::LN_10, 3e-4, 1e-8, -10.0])),
            "[2.30259, 0.0003, 1e-8, -10]"
        );
    }
}
