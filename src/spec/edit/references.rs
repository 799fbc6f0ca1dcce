//! What else in a file speaks of an axis: conditions and reports. A change of the axes takes these along or is refused.

use serde_json::Value;

use super::axes::{Axes, Place};
use super::designs::{generators, names, with_design, with_names};
use super::flat;
use super::layout::{Layout, replace};
use super::{EditError, comparisons, reported};
use crate::spec::Conditions;
use crate::spec::path::{self, Flat};
use crate::spec::values::{quoted, show_one, to_toml};
use crate::util::printable;

/// The conditions of each `[[exclude]]`.
pub fn excludes(text: &str) -> Result<Vec<Conditions>, EditError> {
    let axes = Axes::of(&Layout::read(&flat::array(text, "zip")?)?);
    let elements = flat::elements(text, "exclude")?;
    Ok(elements
        .iter()
        .map(|element| conditions(&axes, element, "when"))
        .collect())
}

/// The conditions that `element` says in `name`, down to the keys of axes.
pub fn conditions(axes: &Axes, element: &Value, name: &str) -> Conditions {
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
    if let Some(when) = element.get(name).filter(|when| when.is_object()) {
        collect(axes, "", when, &mut all);
    }
    all
}

/// Whether some cell of the file meets a condition, as far as its axis goes.
pub fn met<'l>(layout: &'l Layout, axes: &'l Axes) -> impl Fn(&(String, Value)) -> bool + 'l {
    |(key, wanted)| {
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
    }
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

pub fn speaks_of(conditions: &Conditions, key: &str) -> bool {
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
                text = with_conditions(&text, "exclude", index, "when", &all)?;
            }
        }
    }
    let text = replace_reports(&text, |axis| (axis == key).then(|| to.to_owned()))?;
    let text = reported::rename(&text, renamed)?;
    let text = comparisons::rename(&text, key, renamed)?;
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
    let text = comparisons::prune(&reported::prune(&layout.without(bytes.collect()))?)?;
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

/// `text` with other conditions under `name` in the element at `index` of a section, whose elements are all flat.
pub fn with_conditions(
    text: &str,
    section: &str,
    index: usize,
    name: &str,
    all: &Conditions,
) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let entries = || {
        let statements = layout.of_element(section, index);
        statements.filter(|s| s.entry.is_some() && s.path.get(1).is_some_and(|n| n == name))
    };
    let mut several = entries();
    let only = several.next().filter(|s| s.path.len() == 2);
    if let (Some(entry), None) = (only.and_then(|s| s.entry.as_ref()), several.next()) {
        return Ok(replace(text, vec![(entry.value.clone(), when(all))]));
    }
    // One line for the several of a dotted condition.
    let mut changes: Vec<_> = entries()
        .map(|statement| (statement.lines.clone(), String::new()))
        .collect();
    if let Some((_, first)) = changes.first_mut() {
        *first = format!("{name} = {}\n", when(all));
    }
    Ok(replace(text, changes))
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
