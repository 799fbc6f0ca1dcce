//! Published numbers when the axes that they are for change.

use serde_json::Value;

use super::axes::Axes;
use super::layout::{Layout, replace};
use super::references::{conditions, met};
use super::{EditError, flat, list};

/// `text` without reported values that no cell has any more.
pub fn prune(text: &str) -> Result<String, EditError> {
    if flat::elements(text, "reported")?.is_empty() {
        return Ok(text.to_owned());
    }
    let text = flat::array(&flat::array(text, "zip")?, "reported")?;
    let layout = Layout::read(&text)?;
    let axes = Axes::of(&layout);
    let holds = met(&layout, &axes);
    let mut changes = Vec::new();
    for (index, leaves) in layout.elements("reported").iter().enumerate() {
        let Some(leaf) = leaves.iter().find(|leaf| leaf.key == "values") else {
            continue;
        };
        let values = layout.list(&leaf.value).unwrap_or_default();
        let kept: Vec<Value> = values
            .iter()
            .filter(|value| conditions(&axes, value, "when").iter().all(&holds))
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

/// `text` with other keys in the conditions of reported values.
pub fn rename(text: &str, renamed: impl Fn(&str) -> Option<String>) -> Result<String, EditError> {
    if flat::elements(text, "reported")?.is_empty() {
        return Ok(text.to_owned());
    }
    let text = flat::array(&flat::array(text, "zip")?, "reported")?;
    let layout = Layout::read(&text)?;
    let axes = Axes::of(&layout);
    let mut changes = Vec::new();
    for leaf in layout.elements("reported").iter().flatten() {
        if leaf.key != "values" {
            continue;
        }
        let mut values = layout.list(&leaf.value).unwrap_or_default();
        for value in &mut values {
            let all = conditions(&axes, value, "when");
            if all.iter().any(|(key, _)| renamed(key).is_some()) {
                let all = all
                    .into_iter()
                    .map(|(key, value)| (renamed(&key).unwrap_or(key), value));
                value["when"] = all.collect();
            }
        }
        let list = list::with_values(&text[leaf.value.clone()], &values);
        changes.push((leaf.value.clone(), list));
    }
    Ok(replace(&text, changes))
}
