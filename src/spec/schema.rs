//! Which keys a run has, learnt from the settings' own types: the defaults of every kind, flattened. A new field or
//! a new kind of loss or data is known here without another word. It judges single documents; grids are elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::path::{self, Flat};
use super::reader::{self, Misfit};
use crate::train::TrainConfig;

/// The last segment of a key that chooses which settings its table has.
const TAG: &str = "kind";

/// Tag to the kind it is set to: `loss.kind` to `sigmoid`.
type Kinds = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Schema {
    /// Each leaf, with its default under each choice of the tags around it.
    leaves: BTreeMap<String, Vec<Variant>>,
    /// Each tag and all its kinds, outer tags before inner ones.
    tags: Vec<(String, Vec<String>)>,
}

#[derive(Clone, Debug, PartialEq)]
struct Variant {
    kinds: Kinds,
    default: Value,
}

/// What is wrong with one key of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub key: String,
    pub problem: String,
    pub expected: String,
}

impl Schema {
    pub fn learn() -> Self {
        let mut schema = Self {
            leaves: BTreeMap::new(),
            tags: Vec::new(),
        };
        let mut choices = vec![Kinds::new()];
        while let Some(chosen) = choices.pop() {
            let defaults = defaults_of(&chosen);
            let kinds: Kinds = defaults
                .iter()
                .filter(|(key, _)| is_tag(key))
                .filter_map(|(key, kind)| Some((key.clone(), kind.as_str()?.to_owned())))
                .collect();
            for (key, default) in &defaults {
                let around: Kinds = kinds
                    .iter()
                    .filter(|(tag, _)| tag != &key && path::is_inside(key, path::parent(tag)))
                    .map(|(tag, kind)| (tag.clone(), kind.clone()))
                    .collect();
                let variant = Variant {
                    kinds: around,
                    default: default.clone(),
                };
                let variants = schema.leaves.entry(key.clone()).or_default();
                if !chosen.contains_key(key) && !variants.contains(&variant) {
                    variants.push(variant);
                }
            }
            for tag in kinds.keys().filter(|tag| !chosen.contains_key(*tag)) {
                // Tables that do not enclose each other vary one at a time: their defaults do not interact.
                if !chosen
                    .keys()
                    .all(|outer| path::is_inside(tag, path::parent(outer)))
                {
                    continue;
                }
                let known = kinds_of(tag, &chosen);
                choices.extend(known.iter().map(|kind| {
                    chosen
                        .iter()
                        .chain([(tag, kind)])
                        .map(|(tag, kind)| (tag.clone(), kind.clone()))
                        .collect()
                }));
                match schema.tags.iter_mut().find(|(name, _)| name == tag) {
                    Some((_, all)) => all.extend(
                        known
                            .into_iter()
                            .filter(|kind| !all.contains(kind))
                            .collect::<Vec<_>>(),
                    ),
                    None => schema.tags.push((tag.clone(), known)),
                }
            }
        }
        schema
            .tags
            .sort_by_key(|(tag, _)| (tag.matches('.').count(), tag.clone()));
        schema
    }

    /// Every leaf key of every kind.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().map(String::as_str)
    }

    /// What `config` changes from the defaults of the kinds it chose, those choices included where they differ.
    pub fn changes(&self, config: &TrainConfig) -> Flat {
        let document =
            serde_json::to_value(config).expect("settings are plain data with string keys");
        let kinds = self.kinds(&document);
        let mut flat = path::flatten(&document);
        flat.retain(|key, value| self.default(key, &kinds) != Some(value));
        flat
    }

    /// The settings that `document` describes.
    pub fn read(&self, document: &Value) -> Result<TrainConfig, Problem> {
        let mut complete = document.clone();
        for (tag, _) in &self.tags {
            let inside = path::parent(tag);
            if path::get(&complete, inside).is_some_and(Value::is_object)
                && path::get(&complete, tag).is_none()
            {
                if let Some(kind) = self.default(tag, &self.kinds(&complete)) {
                    path::set(&mut complete, tag, kind.clone());
                }
            }
        }
        reader::read(&complete).map_err(|misfit| self.diagnose(&complete, &misfit))
    }

    /// Whether `value` can stand at `key` in some run, whatever the other settings.
    pub fn check(&self, key: &str, value: &Value) -> Result<(), Problem> {
        let mut document = json!({});
        let mut leaves = Flat::new();
        path::flatten_under(key, value, &mut leaves);
        for leaf in leaves.keys() {
            let place = self.place(leaf).ok_or_else(|| self.unknown(leaf))?;
            // Any kind that has the key will do.
            for (tag, kind) in self
                .leaves
                .get(place)
                .and_then(|variants| variants.first())
                .iter()
                .flat_map(|variant| &variant.kinds)
            {
                path::set(&mut document, tag, json!(kind));
            }
        }
        path::set(&mut document, key, value.clone());
        self.read(&document).map(drop)
    }

    /// The key that makes `document` no run, found by trying each on its own.
    fn diagnose(&self, document: &Value, misfit: &Misfit) -> Problem {
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

    fn unknown(&self, key: &str) -> Problem {
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

    /// The kinds that `document` chooses, defaults where it is silent.
    fn kinds(&self, document: &Value) -> Kinds {
        let mut kinds = Kinds::new();
        for (tag, _) in &self.tags {
            let said = path::get(document, tag).and_then(Value::as_str);
            if let Some(kind) = said.or_else(|| self.default(tag, &kinds).and_then(Value::as_str)) {
                kinds.insert(tag.clone(), kind.to_owned());
            }
        }
        kinds
    }

    fn default(&self, key: &str, kinds: &Kinds) -> Option<&Value> {
        let applies = |variant: &&Variant| {
            variant
                .kinds
                .iter()
                .all(|(tag, kind)| kinds.get(tag) == Some(kind))
        };
        self.leaves
            .get(key)?
            .iter()
            .find(applies)
            .map(|variant| &variant.default)
    }

    /// The known leaf or table that `key` is, or the leaf that it goes on from (`model.image.init.from`).
    fn place<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        let leaf = self
            .keys()
            .find(|leaf| *leaf == key || path::is_inside(key, leaf));
        leaf.or_else(|| self.is_table(key).then_some(key))
    }

    fn is_table(&self, key: &str) -> bool {
        self.keys().any(|leaf| path::is_inside(leaf, key))
    }
}

fn is_tag(key: &str) -> bool {
    key.rsplit('.').next() == Some(TAG)
}

fn document_of(kinds: &Kinds) -> Value {
    let mut document = json!({});
    kinds
        .iter()
        .for_each(|(tag, kind)| path::set(&mut document, tag, json!(kind)));
    document
}

fn defaults_of(kinds: &Kinds) -> Flat {
    let config = reader::read(&document_of(kinds))
        .expect("every setting has a default, so a kind alone makes a run");
    path::flatten(&serde_json::to_value(config).expect("settings are plain data with string keys"))
}

/// The kinds that `tag` can choose, as serde lists them when asked for one that is none.
fn kinds_of(tag: &str, around: &Kinds) -> Vec<String> {
    let mut document = document_of(around);
    path::set(&mut document, tag, json!("?"));
    match reader::read(&document) {
        Err(Misfit::Choice { choices, .. }) => {
            choices.iter().map(|kind| (*kind).to_owned()).collect()
        }
        _ => Vec::new(),
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
    fn every_kind_is_found_without_being_listed() {
        let schema = Schema::learn();
        let (_, losses) = schema
            .tags
            .iter()
            .find(|(tag, _)| tag == "loss.kind")
            .unwrap();
        assert_eq!(losses, &["sigmoid", "softmax", "classify"]);
        assert!(
            schema.keys().any(|key| key == "loss.bias.init")
                && schema.keys().any(|key| key == "data.image_size")
        );
    }

    #[test]
    fn a_kind_has_its_own_defaults() {
        let schema = Schema::learn();
        let read = |document: Value| schema.changes(&schema.read(&document).unwrap());
        assert!(read(json!({})).is_empty());
        assert_eq!(
            read(json!({"loss": {"kind": "softmax"}})),
            Flat::from([("loss.kind".into(), json!("softmax"))])
        );
        assert_eq!(
            read(json!({"loss": {"log_t": {"init": 0}}})),
            Flat::from([("loss.log_t.init".into(), json!(0.0))])
        );
    }

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
        schema.check("loss.bias.init", &json!(-3)).unwrap();
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
