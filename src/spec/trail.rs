//! What a run changes from the defaults, found in one walk over its settings. Every run of a grid is named by its
//! changes, so the walk makes no text and looks up almost nothing: a run has the leaves that some defaults have, in
//! their order, and which default counts is told by bits. What the defaults are is the [schema](super::schema)'s affair.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use serde_json::Value;

use super::leaves::{Leaf, leaves};
use super::path::Flat;
use super::schema::{Kinds, Variant};
use crate::train::TrainConfig;

/// A bit for each kind that some tag can choose.
type Choices = u128;

#[derive(Clone, Debug)]
pub(super) struct Trail {
    /// Where each key stands in `steps`.
    places: HashMap<String, usize, FxBuildHasher>,
    steps: Vec<Step>,
    first: usize,
}

#[derive(Clone, Debug)]
struct Step {
    key: String,
    /// With the choices that each is the default under.
    defaults: Vec<(Choices, Value)>,
    /// What the leaf itself chooses, if it is a tag.
    kinds: Vec<(String, Choices)>,
    /// The leaf that came next when this one came last: a guess.
    next: usize,
}

impl Trail {
    /// `leaves` are all there are, `orders` some in which their keys come.
    pub fn new<'s>(
        leaves: impl Iterator<Item = (&'s String, &'s Vec<Variant>)>,
        tags: &[(String, Vec<String>)],
        orders: &[Vec<String>],
    ) -> Self {
        let pairs = tags.iter().flat_map(|(tag, kinds)| {
            let pair = move |kind| (tag.as_str(), kind);
            kinds.iter().map(String::as_str).map(pair)
        });
        let pairs: Vec<(&str, &str)> = pairs.collect();
        let most = Choices::BITS as usize;
        assert!(pairs.len() <= most, "more than {most} kinds of settings");
        let bit = |tag: &str, kind: &str| -> Choices {
            let place = pairs.iter().position(|pair| *pair == (tag, kind));
            place.map_or(0, |place| 1 << place)
        };
        let all = |kinds: &Kinds| {
            let bits = kinds.iter().map(|(tag, kind)| bit(tag, kind));
            bits.fold(0, |all, bit| all | bit)
        };
        let step = |(key, variants): (&String, &Vec<Variant>)| {
            let own = tags.iter().find(|(tag, _)| tag == key);
            let kinds = own.into_iter().flat_map(|(_, kinds)| kinds);
            Step {
                defaults: (variants.iter())
                    .map(|variant| (all(&variant.kinds), variant.default.clone()))
                    .collect(),
                kinds: kinds.map(|kind| (kind.clone(), bit(key, kind))).collect(),
                key: key.clone(),
                next: 0,
            }
        };
        let mut trail = Self {
            places: HashMap::default(),
            steps: leaves.map(step).collect(),
            first: 0,
        };
        let keys = trail.steps.iter().map(|step| step.key.clone());
        trail.places = keys.zip(0..).collect();
        for order in orders {
            let mut places = order.iter().filter_map(|key| trail.places.get(key));
            let Some(&(mut last)) = places.next() else {
                continue;
            };
            trail.first = last;
            for &place in places {
                trail.steps[last].next = place;
                last = place;
            }
        }
        trail
    }

    /// What `config` changes from the defaults of the kinds it chose, those choices included where they differ.
    pub fn changes(&self, config: &TrainConfig) -> Flat {
        let (mut changes, mut chosen, mut guess) = (Flat::new(), 0, self.first);
        let see = |key: &str, leaf: Leaf| {
            let known = self.step(key, guess);
            // The kind of a table comes before what is in it.
            if let (Some(step), Leaf::Text(word)) = (known, &leaf) {
                let kind = step.kinds.iter().find(|(kind, _)| kind == word);
                chosen |= kind.map_or(0, |(_, bit)| *bit);
            }
            let default = known.and_then(|step| {
                guess = step.next;
                let mut defaults = step.defaults.iter();
                defaults.find(|(under, _)| under & !chosen == 0)
            });
            if !default.is_some_and(|(_, default)| leaf.is(default)) {
                changes.insert(key.to_owned(), leaf.value());
            }
        };
        leaves(config, see).expect("settings are plain data with string keys");
        changes
    }

    fn step(&self, key: &str, guess: usize) -> Option<&Step> {
        let guessed = self.steps.get(guess).filter(|step| step.key == key);
        guessed.or_else(|| Some(&self.steps[*self.places.get(key)?]))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::path;
    use crate::spec::schema::Schema;

    /// The same by looking up every leaf, and the kinds around it, by name.
    fn looked_up(schema: &Schema, config: &TrainConfig) -> Flat {
        let (mut changes, mut kinds) = (Flat::new(), Kinds::new());
        let see = |key: &str, leaf: Leaf| {
            if let Leaf::Text(kind) = leaf
                && schema.tags.iter().any(|(tag, _)| tag == key)
            {
                kinds.insert(key.to_owned(), kind.to_owned());
            }
            if !schema
                .default(key, &kinds)
                .is_some_and(|default| leaf.is(default))
            {
                changes.insert(key.to_owned(), leaf.value());
            }
        };
        leaves(config, see).unwrap();
        changes
    }

    #[test]
    fn changes_are_those_that_are_looked_up() {
        let schema = Schema::learn();
        let blind = Trail::new(schema.leaves.iter(), &schema.tags, &[]);
        let mut seen = 0;
        for (tag, kinds) in &schema.tags {
            for kind in kinds {
                let mut document = json!({"seed": 7, "optim": {"lr": 0.5}, "train": {"tile": 32}});
                path::set(&mut document, tag, json!(kind));
                // Some kinds are there in the company of another alone.
                let Ok(config) = schema.read(&document) else {
                    continue;
                };
                let expected = looked_up(&schema, &config);
                assert!(expected.len() >= 3, "{tag} = {kind}: {expected:?}");
                assert_eq!(schema.changes(&config), expected, "{tag} = {kind}");
                assert_eq!(blind.changes(&config), expected, "{tag} = {kind}");
                seen += 1;
            }
        }
        assert!(seen > schema.tags.len(), "{seen}");
    }
}
