//! What `[design]` says of axes, when these change.

use serde_json::{Map, Value, json};

use super::axes::Axes;
use super::layout::Layout;
use super::references::{conditions, leaves};
use super::sections::with_entries;
use super::{EditError, flat};
use crate::spec::design::LETTERS;

/// The generators of a fractional design.
pub fn generators(text: &str) -> Result<Vec<String>, EditError> {
    let layout = Layout::read(text)?;
    let leaves = layout.leaves("design");
    let words = leaves.iter().find(|leaf| leaf.key == "generators");
    let words = words
        .and_then(|leaf| layout.list(&leaf.value))
        .unwrap_or_default();
    Ok(words
        .iter()
        .filter_map(|word| Some(word.as_str()?.to_owned()))
        .collect())
}

/// The names in a generator.
pub fn names(word: &str) -> impl Iterator<Item = &str> {
    word.split(between_names)
}

fn between_names(c: char) -> bool {
    c.is_whitespace() || "=*+-".contains(c)
}

/// A generator with other names.
pub fn with_names(word: &str, to: impl Fn(&str) -> String) -> String {
    let parts = word.split_inclusive(between_names).map(|part| {
        let name = part.trim_end_matches(between_names);
        let gap = &part[name.len()..];
        if name.is_empty() {
            gap.to_owned()
        } else {
            to(name) + gap
        }
    });
    parts.collect()
}

/// `text` with the keys of axes for their letters in generators: letters follow the order of the axes, which is about
/// to change.
pub fn spell_out(text: &str) -> Result<String, EditError> {
    let words = generators(text)?;
    if words.is_empty() {
        return Ok(text.to_owned());
    }
    let flat = flat::array(text, "zip")?;
    let layout = Layout::read(&flat)?;
    let axes = Axes::of(&layout);
    let firsts = axes
        .plain
        .iter()
        .chain(axes.zips.iter().filter_map(|zip| zip.first()));
    let two = firsts.filter(|leaf| layout.list(&leaf.value).is_some_and(|list| list.len() == 2));
    let two: Vec<&str> = two.map(|leaf| leaf.key.as_str()).collect();
    let key = |letter: u8| {
        let upper = letter.to_ascii_uppercase();
        let place = LETTERS.iter().position(|other| *other == upper)?;
        two.get(place).copied()
    };
    let spelled = words.iter().map(|word| {
        with_names(word, |name| {
            let keys = name.bytes().map(key).collect::<Option<Vec<&str>>>();
            match keys.filter(|_| axes.find(name).is_none()) {
                Some(keys) => keys.join(" "),
                None => name.to_owned(),
            }
        })
    });
    with_design(text, spelled.collect(), |key| Some(key.to_owned()))
}

/// `text` with these generators, and `around` with other keys or without those that become none.
pub fn with_design(
    text: &str,
    words: Vec<String>,
    to: impl Fn(&str) -> Option<String>,
) -> Result<String, EditError> {
    let axes = Axes::of(&Layout::read(&flat::array(text, "zip")?)?);
    let document = flat::section(text, "design")?;
    let Some(table) = document.as_object() else {
        return Ok(text.to_owned());
    };
    let mut changed = table.clone();
    if let Some(around) = table.get("around") {
        let around = conditions(&axes, &json!({ "when": around }), "when");
        let around = around
            .into_iter()
            .filter_map(|(key, value)| Some((to(&key)?, value)));
        changed.insert("around".into(), around.collect());
        if changed["around"].as_object().is_some_and(Map::is_empty) {
            changed.remove("around");
        }
    }
    if table.contains_key("generators") {
        changed.insert("generators".into(), words.into_iter().collect());
    }
    let same = |a: &Value, b: &Value| {
        let leaves = |value: &Value| leaves(&vec![(String::from("design"), value.clone())]);
        leaves(a) == leaves(b)
    };
    if same(&document, &Value::Object(changed.clone())) {
        return Ok(text.to_owned());
    }
    let entries: Vec<(&str, Value)> = changed
        .iter()
        .map(|(key, value)| (key.as_str(), value.clone()))
        .collect();
    with_entries(text, "design", &entries)
}
