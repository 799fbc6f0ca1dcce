//! What else in a file speaks of an axis: conditions and reports. A change of the axes takes these along or is refused.

use serde_json::Value;

use super::axes::{Axes, Place};
use super::flat;
use super::layout::{Layout, replace};
use super::{EditError, list};
use crate::spec::design::LETTERS;
use crate::spec::path::{self, Flat};
use crate::spec::values::{quoted, show_one, to_toml};
use crate::util::printable;

/// A condition: keys of axes, or keys inside of their values, and what these must be.
pub type Conditions = Vec<(String, Value)>;

/// The conditions of each `[[exclude]]`.
pub fn excludes(text: &str) -> Result<Vec<Conditions>, EditError> {
    let axes = Axes::of(&Layout::read(&flat::array(text, "zip")?)?);
    let elements = flat::elements(text, "exclude")?;
    Ok(elements
        .iter()
        .map(|element| conditions(&axes, element))
        .collect())
}

/// The conditions that `element` says in `when`, down to the keys of axes.
fn conditions(axes: &Axes, element: &Value) -> Conditions {
    fn collect(axes: &Axes, key: &str, value: &Value, conditions: &mut Conditions) {
        match value.as_object() {
            Some(table) if !table.is_empty() && axes.find(key).is_none() => {
                for (name, value) in table {
                    collect(axes, &path::join(key, name), value, conditions);
                }
            }
            _ => conditions.push((key.to_owned(), value.clone())),
        }
    }
    let mut all = Vec::new();
    if let Some(when) = element.get("when") {
        collect(axes, "", when, &mut all);
    }
    all
}

/// A condition as its leaves: two that mean one thing are equal.
pub fn leaves(conditions: &Conditions) -> Flat {
    let mut leaves = Flat::new();
    for (key, value) in conditions {
        path::flatten_under(key, value, &mut leaves);
    }
    leaves
}

/// A condition in words.
pub fn label(conditions: &Conditions) -> String {
    let parts = conditions
        .iter()
        .map(|(key, value)| format!("{key} = {}", show_one(value)));
    printable(&parts.collect::<Vec<_>>().join(" and "))
}

/// `{ "loss.kind" = "softmax" }`
pub fn when(conditions: &Conditions) -> String {
    let parts = conditions
        .iter()
        .map(|(key, value)| format!("{} = {}", quoted(key), to_toml(value)));
    format!("{{ {} }}", parts.collect::<Vec<_>>().join(", "))
}

fn speaks_of(conditions: &Conditions, key: &str) -> bool {
    conditions
        .iter()
        .any(|(other, _)| other == key || path::is_inside(other, key))
}

/// Refuse while an exclude speaks of `key`, which would leave out more without it, or a generator.
pub fn free(text: &str, key: &str) -> Result<(), EditError> {
    if let Some(all) = excludes(text)?.iter().find(|all| speaks_of(all, key)) {
        return Err(EditError::InUse {
            key: printable(key),
            condition: label(all),
        });
    }
    match generators(text)?
        .into_iter()
        .find(|word| names(word).any(|name| name == key))
    {
        Some(word) => Err(EditError::Generates {
            key: printable(key),
            word: printable(&word),
        }),
        None => Ok(()),
    }
}

/// `text` with `to` where it spoke of the axis `key`, which has been renamed.
pub fn rename(text: &str, key: &str, to: &str) -> Result<String, EditError> {
    let renamed = |other: &str| {
        let inside = other == key || path::is_inside(other, key);
        inside.then(|| format!("{to}{}", &other[key.len()..]))
    };
    let mut text = text.to_owned();
    if excludes(&text)?.iter().any(|all| speaks_of(all, key)) {
        text = flat::array(&text, "exclude")?;
        for (index, mut all) in excludes(&text)?.into_iter().enumerate() {
            if speaks_of(&all, key) {
                for (other, _) in &mut all {
                    *other = renamed(other).unwrap_or_else(|| other.clone());
                }
                text = with_condition(&text, index, &all)?;
            }
        }
    }
    let text = replace_reports(&text, |axis| (axis == key).then(|| to.to_owned()))?;
    let words = generators(&text)?;
    let words = words
        .iter()
        .map(|word| with_names(word, |name| if name == key { to } else { name }.to_owned()));
    with_design(&text, words.collect(), |other| {
        renamed(other).or_else(|| Some(other.to_owned()))
    })
}

/// `text` without what spoke of the axis `key`, which has been removed.
pub fn forget(text: &str, key: &str) -> Result<String, EditError> {
    let text = flat::array(text, "report")?;
    let layout = Layout::read(&text)?;
    let lines = report_axes(&layout).into_iter();
    let gone = lines.filter(|(_, _, axis, _)| axis == key);
    let bytes = gone.map(|(.., statement)| layout.statements[statement].block.clone());
    let text = prune(&layout.without(bytes.collect()))?;
    let gone = |other: &str| other == key || path::is_inside(other, key);
    let words = generators(&text)?;
    with_design(&text, words, |other| {
        (!gone(other)).then(|| other.to_owned())
    })
}

/// `text` without columns of reports whose rows have become the same axis.
pub fn mend(text: &str) -> Result<String, EditError> {
    let text = flat::array(text, "report")?;
    let layout = Layout::read(&text)?;
    let axes = Axes::of(&layout);
    let axis = |key: &str| match axes.find(key)? {
        Place::Zip(zip, _) => Some(Place::Zip(zip, 0)),
        plain => Some(plain),
    };
    let all = report_axes(&layout);
    let of = |report: usize, name: &str| {
        let mut lines = all.iter();
        lines.find(|(index, other, ..)| *index == report && other == name)
    };
    let mut gone = Vec::new();
    for (report, name, key, statement) in &all {
        let rows = of(*report, "rows").filter(|_| name == "columns");
        if rows.is_some_and(|(_, _, rows, _)| axis(rows) == axis(key)) {
            gone.push(layout.statements[*statement].block.clone());
        }
    }
    Ok(layout.without(gone))
}

/// `text` without reported values that no cell has any more.
pub fn prune(text: &str) -> Result<String, EditError> {
    if flat::elements(text, "reported")?.is_empty() {
        return Ok(text.to_owned());
    }
    let text = flat::array(&flat::array(text, "zip")?, "reported")?;
    let layout = Layout::read(&text)?;
    let axes = Axes::of(&layout);
    let holds = |(key, wanted): &(String, Value)| {
        let axis = axes
            .keys()
            .find(|axis| *axis == key || path::is_inside(key, axis));
        let Some(place) = axis.and_then(|axis| axes.find(axis)) else {
            return false;
        };
        let leaf = axes.leaf(place);
        let rest = key[leaf.key.len()..].trim_start_matches('.');
        let values = layout.list(&leaf.value).unwrap_or_default();
        values.iter().any(|value| {
            let inside = if rest.is_empty() {
                Some(value)
            } else {
                path::get(value, rest)
            };
            inside == Some(wanted)
        })
    };
    let mut changes = Vec::new();
    for (index, leaves) in layout.elements("reported").iter().enumerate() {
        let Some(leaf) = leaves.iter().find(|leaf| leaf.key == "values") else {
            continue;
        };
        let values = layout.list(&leaf.value).unwrap_or_default();
        let kept: Vec<Value> = values
            .iter()
            .filter(|value| conditions(&axes, value).iter().all(&holds))
            .cloned()
            .collect();
        if kept.is_empty() {
            changes.extend(
                layout
                    .element_bytes("reported", index)
                    .map(|bytes| (bytes, String::new())),
            );
        } else if kept != values {
            let list = list::with_values(&text[leaf.value.clone()], &kept);
            changes.push((leaf.value.clone(), list));
        }
    }
    Ok(replace(&text, changes))
}

/// `text` with another condition for the exclude at `index`, all excludes being flat.
fn with_condition(text: &str, index: usize, all: &Conditions) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let mut entries = layout
        .of_element("exclude", index)
        .filter(|s| s.entry.is_some());
    let only = entries.next().filter(|s| s.path.len() == 2);
    if let (Some(entry), None) = (only.and_then(|s| s.entry.as_ref()), entries.next()) {
        return Ok(replace(text, vec![(entry.value.clone(), when(all))]));
    }
    // One line for the several of a dotted condition.
    let lines: Vec<_> = layout
        .of_element("exclude", index)
        .filter(|s| s.entry.is_some())
        .map(|s| s.lines.clone())
        .collect();
    let mut changes: Vec<_> = lines
        .into_iter()
        .map(|line| (line, String::new()))
        .collect();
    if let Some((_, first)) = changes.first_mut() {
        *first = format!("when = {}\n", when(all));
    }
    Ok(replace(text, changes))
}

/// The generators of a fractional design.
fn generators(text: &str) -> Result<Vec<String>, EditError> {
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
fn names(word: &str) -> impl Iterator<Item = &str> {
    word.split(between_names)
}

fn between_names(c: char) -> bool {
    c.is_whitespace() || "=*+-".contains(c)
}

/// A generator with other names.
fn with_names(word: &str, to: impl Fn(&str) -> String) -> String {
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
fn with_design(
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
        let around = conditions(&axes, &serde_json::json!({ "when": around }));
        let around = around
            .into_iter()
            .filter_map(|(key, value)| Some((to(&key)?, value)));
        changed.insert("around".into(), around.collect());
        if changed["around"]
            .as_object()
            .is_some_and(serde_json::Map::is_empty)
        {
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
    super::sections::with_entries(text, "design", &entries)
}

/// Which report, `rows` or `columns`, the axis, and the statement that says so; all reports being flat.
fn report_axes(layout: &Layout) -> Vec<(usize, String, String, usize)> {
    let statements = layout.statements.iter().enumerate();
    let lines = statements.filter_map(|(index, statement)| {
        let [section, name] = statement.path.as_slice() else {
            return None;
        };
        let entry = statement.entry.as_ref()?;
        let key = layout.value(&entry.value).as_str()?.to_owned();
        let axis = section == "report" && (name == "rows" || name == "columns");
        axis.then(|| Some((statement.element?, name.clone(), key, index)))?
    });
    lines.collect()
}

fn replace_reports(text: &str, to: impl Fn(&str) -> Option<String>) -> Result<String, EditError> {
    let text = flat::array(text, "report")?;
    let layout = Layout::read(&text)?;
    let lines = report_axes(&layout).into_iter();
    let changes = lines.filter_map(|(_, _, axis, statement)| {
        let entry = layout.statements[statement].entry.as_ref()?;
        Some((entry.value.clone(), quoted(&to(&axis)?)))
    });
    Ok(replace(&text, changes.collect()))
}
