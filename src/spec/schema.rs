//! Which keys a run has, learnt from the settings' own types: the defaults of every kind, flattened. A new field or
//! a new kind of loss or data is known here without another word. It judges single documents; grids are elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;
use serde_json::{Value, json};

use super::leaves::leaves;
use super::path::{self, Flat};
use super::prerequisite::stand_in;
use super::problem::Problem;
use super::reader::{self, Misfit};
use super::trail::Trail;
use crate::train::TrainConfig;

/// The last segment of a key that chooses which settings its table has.
const TAG: &str = "kind";

/// Tag to the kind it is set to: `loss.kind` to `sigmoid`.
pub(super) type Kinds = BTreeMap<String, String>;

#[derive(Clone, Debug)]
pub struct Schema {
    /// Each leaf, with its default under each choice of the tags around it; sorted by key. Every cell of a grid looks up
    /// all of them.
    pub(super) leaves: IndexMap<String, Vec<Variant>, FxBuildHasher>,
    /// Each tag and all its kinds, outer tags before inner ones.
    pub(super) tags: Vec<(String, Vec<String>)>,
    trail: Trail,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Variant {
    pub kinds: Kinds,
    pub default: Value,
}

impl Schema {
    pub fn learn() -> Self {
        let mut schema = Self {
            leaves: IndexMap::default(),
            tags: Vec::new(),
            trail: Trail::new(std::iter::empty(), &[], &[]),
        };
        let (mut choices, mut orders) = (vec![Kinds::new()], Vec::new());
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
            orders.push(defaults.into_iter().map(|(key, _)| key).collect());
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
        schema.leaves.sort_unstable_keys();
        schema
            .tags
            .sort_by_key(|(tag, _)| (tag.matches('.').count(), tag.clone()));
        schema.trail = Trail::new(schema.leaves.iter(), &schema.tags, &orders);
        schema
    }

    /// Every leaf key of every kind.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.leaves.keys().map(String::as_str)
    }

    /// What `config` changes from the defaults of the kinds it chose, those choices included where they differ.
    pub fn changes(&self, config: &TrainConfig) -> Flat {
        self.trail.changes(config)
    }

    /// The value of `key` in a run with these changes; none when its kinds have no such setting.
    pub fn setting<'s>(&'s self, changes: &'s Flat, key: &str) -> Option<&'s Value> {
        self.settings(changes)(key)
    }

    /// [`setting`](Self::setting) for those who ask one run for many.
    pub fn settings<'s>(&'s self, changes: &'s Flat) -> impl Fn(&str) -> Option<&'s Value> {
        let mut kinds = Kinds::new();
        for (tag, _) in &self.tags {
            let said = changes.get(tag).or_else(|| self.default(tag, &kinds));
            if let Some(kind) = said.and_then(Value::as_str) {
                kinds.insert(tag.clone(), kind.to_owned());
            }
        }
        move |key| changes.get(key).or_else(|| self.default(key, &kinds))
    }

    /// The settings that `document` describes.
    pub fn read(&self, document: &Value) -> Result<TrainConfig, Problem> {
        let mut complete = Cow::Borrowed(document);
        for (tag, _) in &self.tags {
            let inside = path::parent(tag);
            if path::get(&complete, inside).is_some_and(Value::is_object)
                && path::get(&complete, tag).is_none()
                && let Some(kind) = self.default(tag, &self.kinds(&complete))
            {
                path::set(complete.to_mut(), tag, kind.clone());
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

    /// Why `value` cannot stand at `key` in any run, in words; none when it can.
    pub fn problem_with(&self, key: &str, value: &Value) -> Option<String> {
        let Problem {
            problem, expected, ..
        } = self.check(key, &stand_in(key, value)).err()?;
        let label = path::label(value);
        Some(match expected.is_empty() {
            true => format!("{key} = {label}: {problem}"),
            false => format!("{key} = {label}: {problem}; expected {expected}"),
        })
    }

    /// The kinds that `document` chooses, defaults where it is silent.
    pub(super) fn kinds(&self, document: &Value) -> Kinds {
        let mut kinds = Kinds::new();
        for (tag, _) in &self.tags {
            let said = path::get(document, tag).and_then(Value::as_str);
            if let Some(kind) = said.or_else(|| self.default(tag, &kinds).and_then(Value::as_str)) {
                kinds.insert(tag.clone(), kind.to_owned());
            }
        }
        kinds
    }

    pub(super) fn default(&self, key: &str, kinds: &Kinds) -> Option<&Value> {
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
    pub(super) fn place<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        let leaf = self
            .keys()
            .find(|leaf| *leaf == key || path::is_inside(key, leaf));
        leaf.or_else(|| self.is_table(key).then_some(key))
    }

    pub(super) fn is_table(&self, key: &str) -> bool {
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

/// In the order of their fields.
fn defaults_of(kinds: &Kinds) -> Vec<(String, Value)> {
    let config = reader::read(&document_of(kinds))
        .expect("every setting has a default, so a kind alone makes a run");
    let mut defaults = Vec::new();
    leaves(&config, |key, leaf| {
        defaults.push((key.to_owned(), leaf.value()))
    })
    .expect("settings are plain data with string keys");
    defaults
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
}
