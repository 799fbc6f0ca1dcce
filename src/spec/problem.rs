//! What is wrong with a document of settings, and what would be right: the key that does not fit, found by trying
//! each on its own, and the known key that an unknown one most likely means.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::path;
use super::reader::{self, Misfit};
use super::schema::{Kinds, Schema};
use crate::train::config::ConfigError;

/// What is wrong with one key of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub key: String,
    pub problem: String,
    pub expected: String,
}

impl From<ConfigError> for Problem {
    fn from(error: ConfigError) -> Self {
        Self {
            key: error.key.into(),
            problem: error.problem,
            expected: String::new(),
        }
    }
}

impl Schema {
    /// The key that makes `document` no run, found by trying each on its own.
    pub(super) fn diagnose(&self, document: &Value, misfit: &Misfit) -> Problem {
        let kinds = self.kinds(document);
        for (tag, known) in &self.tags {
            match path::get(document, tag) {
                Some(Value::String(kind)) if known.contains(kind) => {}
                Some(other) => {
                    return Problem {
                        key: tag.clone(),
                        problem: format!("`{}` is not one of the kinds", path::label(other)),
                        expected: one_of(known),
                    };
                }
                None => {}
            }
        }
        let leaves = path::flatten(document);
        for (key, value) in &leaves {
            if self.place(key).is_none() {
                return self.unknown(key);
            }
            if self
                .place(key)
                .is_some_and(|place| self.default(place, &kinds).is_none())
                && !self.is_table(key)
            {
                return self.foreign(key, &kinds);
            }
            let mut alone = json!({});
            let around = kinds
                .iter()
                .filter(|(tag, _)| path::is_inside(key, path::parent(tag)));
            around.for_each(|(tag, kind)| path::set(&mut alone, tag, json!(kind)));
            path::set(&mut alone, key, value.clone());
            if let Err(misfit) = reader::read(&alone) {
                return self.explain(key, &misfit);
            }
        }
        Problem {
            key: String::new(),
            problem: misfit.to_string(),
            expected: String::new(),
        }
    }

    fn explain(&self, key: &str, misfit: &Misfit) -> Problem {
        let (problem, expected) = match misfit {
            _ if self.is_table(key) => (
                "is a group of settings".into(),
                format!(
                    "its keys: {}",
                    list(self.keys().filter(|k| path::is_inside(k, key)))
                ),
            ),
            Misfit::Choice { choices, .. } => (misfit.to_string(), one_of(choices)),
            Misfit::Type { expected, .. } => (misfit.to_string(), in_words(expected)),
            Misfit::Field { .. } | Misfit::Other(_) => (misfit.to_string(), String::new()),
        };
        Problem {
            key: key.to_owned(),
            problem,
            expected,
        }
    }

    fn foreign(&self, key: &str, kinds: &Kinds) -> Problem {
        let variants = self
            .place(key)
            .and_then(|place| self.leaves.get(place))
            .into_iter()
            .flatten();
        let needed: BTreeSet<String> = variants
            .flat_map(|v| &v.kinds)
            .filter(|(tag, kind)| kinds.get(*tag) != Some(kind))
            .map(|(tag, kind)| format!("{tag} = \"{kind}\""))
            .collect();
        let wrong = kinds
            .iter()
            .filter(|(tag, _)| path::is_inside(key, path::parent(tag)));
        let wrong: Vec<String> = wrong
            .map(|(tag, kind)| format!("{tag} = \"{kind}\""))
            .collect();
        Problem {
            key: key.to_owned(),
            problem: format!("is not a setting of {}", wrong.join(", ")),
            expected: format!(
                "{}, or an [[exclude]] of these cells",
                list(needed.iter().map(String::as_str))
            ),
        }
    }

    pub(super) fn unknown(&self, key: &str) -> Problem {
        let expected = match self.nearest(key) {
            Some(near) => format!("`{near}`?"),
            None => format!(
                "a key of the settings, such as {}",
                list(self.keys().take(4))
            ),
        };
        Problem {
            key: key.to_owned(),
            problem: "is not a setting".into(),
            expected,
        }
    }

    /// The known key that `key` most likely means.
    pub fn nearest(&self, key: &str) -> Option<&str> {
        let last = key.rsplit('.').next().unwrap_or(key);
        let same_name = self.keys().find(|known| {
            path::is_inside(key, path::parent(known)) && known.ends_with(&format!(".{last}"))
        });
        let same_name = same_name.or_else(|| {
            self.keys()
                .find(|known| known.rsplit('.').next() == Some(last))
        });
        same_name.or_else(|| {
            let (distance, near) = self
                .keys()
                .map(|known| {
                    (
                        edits(key, known)
                            .min(edits(last, known.rsplit('.').next().unwrap_or(known)) + 1),
                        known,
                    )
                })
                .min()?;
            (distance <= 2 + last.len() / 4).then_some(near)
        })
    }
}

fn in_words(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0 up".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        other => other.to_owned(),
    }
}

fn one_of(choices: &[impl AsRef<str>]) -> String {
    choices
        .iter()
        .map(|choice| format!("\"{}\"", choice.as_ref()))
        .collect::<Vec<_>>()
        .join(" or ")
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

/// Insertions, deletions and replacements that turn one word into the other.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().take(200).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replace = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replace.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_the_key_and_what_would_be_right() {
        let schema = Schema::learn();
        let problem = |key: &str, value: Value| schema.check(key, &value).unwrap_err();
        assert_eq!(problem("optim.lrr", json!(1)).expected, "`optim.lr`?");
        assert_eq!(
            problem("batch_size", json!(1)).expected,
            "`train.batch_size`?"
        );
        assert_eq!(problem("optim.lr", json!("fast")).expected, "a number");
        assert_eq!(
            problem("train.batch_size", json!(0.5)).expected,
            "a whole number from 0 up"
        );
        assert_eq!(
            problem("loss.bias.mode", json!("froze")).expected,
            "\"learned\" or \"frozen\" or \"none\""
        );
        assert_eq!(
            problem("loss.kind", json!("hinge")).expected,
            "\"sigmoid\" or \"softmax\" or \"classify\""
        );
        assert_eq!(
            problem("loss", json!("sigmoid")).problem,
            "is a group of settings"
        );
        assert_eq!(
            problem("loss", json!({"kind": "softmax", "bias": {"init": 0}})).key,
            "loss.bias.init"
        );
        assert_eq!(
            problem("zzzzzzzzzzzz", json!({})).problem,
            "is not a setting"
        );
        for init in [json!(-3), json!(0.5), json!("prior")] {
            schema.check("loss.bias.init", &init).unwrap();
        }
        for wrong in [json!("prio"), json!(true), json!({"prior": 1})] {
            let problem = problem("loss.bias.init", wrong);
            assert_eq!(problem.expected, "a number, \"prior\" or \"file\"");
        }
        schema
            .check("model.image.init", &json!({"from": "0123456789"}))
            .unwrap();
    }

    #[test]
    fn a_key_of_another_kind_is_told_apart_from_an_unknown_one() {
        let problem = Schema::learn()
            .read(&json!({"loss": {"kind": "softmax", "bias": {"init": 0}}}))
            .unwrap_err();
        assert_eq!(
            (problem.key.as_str(), problem.problem.as_str()),
            (
                "loss.bias.init",
                "is not a setting of loss.kind = \"softmax\""
            )
        );
        assert!(problem.expected.contains("loss.kind = \"sigmoid\""));
    }

    #[test]
    fn edits_count() {
        assert_eq!(
            (
                edits("lr", "lrr"),
                edits("", "ab"),
                edits("kitten", "sitting")
            ),
            (1, 2, 3)
        );
    }
}
