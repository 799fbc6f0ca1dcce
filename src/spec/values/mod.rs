//! Values as people type them, and as they are shown for changing: `sigmoid, softmax`, `16..256 x2`,
//! `1e-4..1e-2 log 5`. What comes out is plain values; whether a setting takes them is [`super::Schema`]'s affair.

mod range;
mod show;
mod split;

use serde_json::Value;

use super::source;
use crate::util::printable;
pub use show::{quoted, segment, show, show_one, to_toml};
pub use split::{pairs, parts};

/// What cannot be read as values, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` {problem}")]
pub struct ValuesError {
    /// The part of the text that is at fault.
    pub part: String,
    pub problem: String,
}

impl ValuesError {
    fn new(part: &str, problem: impl Into<String>) -> Self {
        Self {
            part: printable(part),
            problem: problem.into(),
        }
    }
}

/// The values that `text` lists. Items are separated by commas, with or without brackets around all; each is a bare
/// word, a TOML value, or a range of numbers:
///
/// | text | values |
/// |---|---|
/// | `sigmoid, softmax` | two strings |
/// | `random, { from = "pretrained" }` | a string and a table |
/// | `16..256 x2` | 16, 32, 64, 128, 256: each twice the one before |
/// | `0..1 5` | 0, 0.25, 0.5, 0.75, 1: five in equal steps |
/// | `0..10 step 2` | 0, 2, 4, 6, 8, 10 |
/// | `1e-4..1e-2 log 5` | 1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2: five at equal ratios |
pub fn parse(text: &str) -> Result<Vec<Value>, ValuesError> {
    let mut items = split::items(text)?;
    let only = items.first().copied().filter(|_| items.len() == 1);
    let list = only.and_then(|list| list.strip_prefix('[')?.strip_suffix(']'));
    if let (Some(list), Some(inside)) = (only, list) {
        // A whole TOML list may hold comments and line breaks, which nobody types but a file has.
        match toml(list)? {
            Some(Value::Array(values)) if !values.is_empty() => return Ok(values),
            _ => items = split::items(inside)?,
        }
    }
    let mut values = Vec::new();
    for item in items {
        match range::parse(item)? {
            Some(points) => values.extend(points),
            None => values.push(parse_one(item)?),
        }
    }
    if values.is_empty() {
        return Err(ValuesError::new(
            text,
            "has no values; type a list such as 16, 32, 64 or a range such as 16..256 x2",
        ));
    }
    Ok(values)
}

/// One value: TOML, or a bare word.
pub fn parse_one(text: &str) -> Result<Value, ValuesError> {
    let text = text.trim();
    if let Some(value) = toml(text)? {
        return Ok(value);
    }
    // TOML wants digits on both sides of a point and no zeros in front.
    let like_a_number = text.starts_with(|c: char| c.is_ascii_digit() || ".+-".contains(c));
    if like_a_number && let Some(x) = text.parse().ok().filter(|x: &f64| x.is_finite()) {
        return Ok(source::number_of(x));
    }
    if is_word(text) {
        return Ok(Value::String(text.to_owned()));
    }
    Err(ValuesError::new(
        text,
        "is not one value; separate values by commas and put text with spaces in double quotes",
    ))
}

fn toml(text: &str) -> Result<Option<Value>, ValuesError> {
    source::parse_value("", text).map_err(|_| {
        ValuesError::new(
            text,
            "is not a setting; type a finite number, a word, true or false, a list or a table",
        )
    })
}

/// What needs no quotes to be read as text.
fn is_word(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-./:+@~%".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Value {
        Value::Array(parse(text).unwrap_or_else(|e| panic!("{text}: {e}")))
    }

    fn refusal(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn lists_are_words_numbers_tables_or_toml() {
        assert_eq!(read("1, 2, 3"), json!([1, 2, 3]));
        assert_eq!(read("sigmoid,softmax"), json!(["sigmoid", "softmax"]));
        assert_eq!(read("[1e-3, 3e-4,]"), json!([1e-3, 3e-4]));
        assert_eq!(read("[ # why\n 1,\n 2 # two\n]"), json!([1, 2]));
        assert_eq!(read("[sigmoid, \"a b\"]"), json!(["sigmoid", "a b"]));
        assert_eq!(
            read("random, { from = \"pretrained\", x = [1, 2] }"),
            json!(["random", { "from": "pretrained", "x": [1, 2] }])
        );
        assert_eq!(read("true, 10.0, -10, 1_000"), json!([true, 10, -10, 1000]));
        assert_eq!(read(".5, 5., 007"), json!([0.5, 5, 7]));
        assert_eq!(read("\"1\", '2'"), json!(["1", "2"]));
        assert_eq!(read("../data/x, a..b"), json!(["../data/x", "a..b"]));
        assert_eq!(read("[[1, 2], [3]]"), json!([[1, 2], [3]]));
    }

    #[test]
    fn what_is_no_value_says_what_would_be_right() {
        for (text, part, words) in [
            ("", "``", "has no values"),
            ("[]", "`[]`", "has no values"),
            ("1 2", "`1 2`", "separate values by commas"),
            ("1,,2", "`1,,2`", "nothing between two commas"),
            ("\"a", "`\"a`", "closing"),
            ("{ a = 1", "`{ a = 1`", "closing"),
            ("[1, 2", "`[1, 2`", "closing"),
            ("nan", "`nan`", "a finite number"),
            ("1, 2026-01-01", "`2026-01-01`", "a finite number"),
        ] {
            let refusal = refusal(text);
            assert!(
                refusal.starts_with(part) && refusal.contains(words),
                "{text}: {refusal}"
            );
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>()
                .prop_filter("finite", |x| x.is_finite())
                .prop_map(source::number_of),
            "\\PC{0,8}".prop_map(Value::from),
            "[a-z0-9.]{1,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(2, 12, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec(("[a-z .]{0,5}", inner), 0..4)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_shown_is_read_back(values in prop::collection::vec(value(), 1..5)) {
            prop_assert_eq!(parse(&show(&values)), Ok(values.clone()));
            let list: Vec<String> = values.iter().map(to_toml).collect();
            prop_assert_eq!(parse(&format!("[{}]", list.join(", "))), Ok(values.clone()));
            prop_assert_eq!(parse_one(&show_one(&values[0])), Ok(values[0].clone()));
        }

        #[test]
        fn nothing_that_is_typed_breaks_it(text in "\\PC*") {
            if let Ok(values) = parse(&text) {
                prop_assert_eq!(parse(&show(&values)), Ok(values));
            }
        }
    }
}
