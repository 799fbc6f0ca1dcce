//! The leaves of a run's settings, key and value, read off their JSON text without building the tables that hold them:
//! a forecast is asked about a thousand runs after each keystroke. It reads what serde_json has just written, compact
//! and well formed, and nothing from files.

use serde::Serialize;

/// Bytes that the settings of a run take about.
const ROOM: usize = 4_096;

/// Call `see` with the dotted key and the text of each leaf of `settings`, as `spec::path::flatten` has them: a list is
/// a leaf, and so is an empty table. Numbers begin with a digit or a minus.
pub(super) fn leaves(
    settings: &impl Serialize,
    see: impl FnMut(&str, &str),
) -> serde_json::Result<()> {
    let mut bytes = Vec::with_capacity(ROOM);
    serde_json::to_writer(&mut bytes, settings)?;
    let mut scanner = Scanner {
        rest: str::from_utf8(&bytes).expect("serde_json writes UTF-8"),
        key: String::new(),
        see,
    };
    scanner.value();
    Ok(())
}

struct Scanner<'t, F> {
    /// What is not read yet.
    rest: &'t str,
    key: String,
    see: F,
}

impl<'t, F: FnMut(&str, &str)> Scanner<'t, F> {
    fn value(&mut self) {
        if self.rest.starts_with('{') && !self.rest.starts_with("{}") {
            return self.table();
        }
        let leaf = self.take(leaf_end(self.rest));
        (self.see)(&self.key, leaf);
    }

    fn table(&mut self) {
        let length = self.key.len();
        // The brace and then each comma.
        while !self.take(1).starts_with('}') {
            let name = self.take(string_end(self.rest));
            if length > 0 {
                self.key.push('.');
            }
            self.key.push_str(&name[1..name.len() - 1]);
            // The colon.
            self.take(1);
            self.value();
            self.key.truncate(length);
        }
    }

    fn take(&mut self, length: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}

/// Where the value that `text` begins with ends.
fn leaf_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes[0] {
        b'"' => string_end(text),
        b'[' | b'{' => {
            let (mut depth, mut at) = (0, 0);
            loop {
                match bytes[at] {
                    b'"' => at += string_end(&text[at..]) - 1,
                    b'[' | b'{' => depth += 1,
                    b']' | b'}' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
        }
        _ => {
            let end = bytes.iter().position(|b| matches!(b, b',' | b'}' | b']'));
            end.unwrap_or(bytes.len())
        }
    }
}

/// Where the quoted string that `text` begins with ends.
fn string_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;
    use crate::spec::path;
    use crate::train::TrainConfig;

    fn found(settings: &Value) -> BTreeMap<String, Value> {
        let mut found = BTreeMap::new();
        leaves(settings, |key, text| {
            let value = serde_json::from_str(text).unwrap();
            assert_eq!(
                found.insert(key.to_owned(), value),
                None,
                "{key} comes once"
            );
        })
        .unwrap();
        found
    }

    #[test]
    fn leaves_are_those_of_flattened_settings() {
        let config = serde_json::to_value(TrainConfig::default()).unwrap();
        assert!(found(&config).len() > 20);
        for document in [
            config,
            json!({
                "a": {"b": -1.5e-3, "c": {}, "d": [1, "]", {"x": "}\"\\"}, [2]]},
                "text": "a \"quoted, {brace}\" \\",
                "none": null, "yes": true, "é": "ü", "last": 7
            }),
            json!({"only": []}),
        ] {
            assert_eq!(found(&document), path::flatten(&document));
        }
    }
}
