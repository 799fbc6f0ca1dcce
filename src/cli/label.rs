//! A short name for a run from the settings that set it apart: `loss=sigmoid batch_size=64 seed=1`.

use serde_json::Value;

use crate::spec::{Schema, path};
use crate::store::Run;
use crate::util::printable;

/// Last segments of a key that say less than the one before them.
const GENERIC: [&str; 3] = ["kind", "init", "mode"];

/// One line for `settings`, in their order.
pub fn label<'a>(settings: impl IntoIterator<Item = (&'a str, &'a Value)>) -> String {
    let part = |(key, value): (&str, &Value)| format!("{}={}", short(key), path::label(value));
    printable(&settings.into_iter().map(part).collect::<Vec<_>>().join(" "))
}

/// What sets `run` apart from the defaults.
pub fn of_run(schema: &Schema, run: &Run) -> String {
    let changes = schema.changes(&run.spec.config);
    label(changes.iter().map(|(key, value)| (key.as_str(), value)))
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
            ("loss", json!({"kind": "softmax", "log_t": {"init": 2.5}})),
            ("seed", json!(1)),
        ];
        let text = label(settings.iter().map(|(key, value)| (*key, value)));
        assert_eq!(
            text,
            "loss=sigmoid bias=-10.0 batch_size=64 loss=softmax log_t.init=2.5 seed=1"
        );
    }
}
