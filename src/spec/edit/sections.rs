//! Changes to what is no axis: the base, conditions, seeds, the question, reports.

use serde_json::Value;

use super::flat::{self, Keys};
use super::layout::{Layout, replace};
use super::references;
use super::{EditError, Seeds, checked, list};
use crate::spec::values::{quoted, to_toml};
use crate::spec::{Conditions, Design, path};
use crate::util::printable;

pub fn set_base(text: &str, key: &str, value: &Value) -> Result<String, EditError> {
    checked(key)?;
    let layout = Layout::read(text)?;
    let whole = layout
        .of("base")
        .find(|statement| statement.path[1..].join(".") == key && statement.entry.is_some());
    let whole = whole.and_then(|statement| Some(statement.entry.as_ref()?.value.clone()));
    let leaves = layout.leaves("base");
    let leaf = leaves.iter().find(|leaf| leaf.key == key);
    if let Some(bytes) = whole.or_else(|| Some(leaf?.value.clone())) {
        if layout.value(&bytes) == *value {
            return Ok(text.to_owned());
        }
        return Ok(replace(text, vec![(bytes, to_toml(value))]));
    }
    if let Some(outer) = leaves.iter().find(|leaf| path::is_inside(key, &leaf.key)) {
        return Err(EditError::InsideBase {
            key: key.into(),
            outer: outer.key.clone(),
        });
    }
    let text = if leaves.iter().any(|leaf| path::is_inside(&leaf.key, key)) {
        unset_base(text, key)?
    } else {
        text.to_owned()
    };
    let layout = Layout::read(&text)?;
    let line = |keys: Keys| format!("{} = {}\n", keys.write(key), to_toml(value));
    if layout.of("base").next().is_none() {
        return Ok(layout.with_section("base", &format!("[base]\n{}", line(Keys::Dotted))));
    }
    let with_line = |text: &str| {
        let layout = Layout::read(text).ok()?;
        let inserted = |keys| {
            layout
                .with_lines_after(neighbour(&layout, key)?, &line(keys))
                .into()
        };
        // A dotted key cannot join a table that is written otherwise, a quoted one can.
        let both: [Option<String>; 2] = [inserted(Keys::Dotted), inserted(Keys::Quoted)];
        both.into_iter()
            .flatten()
            .find(|text| Layout::read(text).is_ok())
    };
    match with_line(&text) {
        Some(text) => Ok(text),
        None => {
            let flat = flat::table(&text, "base", Keys::Dotted)?;
            with_line(&flat).ok_or_else(|| EditError::Unwritable {
                problem: format!("`{key}` has no place in [base]"),
            })
        }
    }
}

/// The line of `[base]` that a new one for `key` goes under: the last that shares most of its tables.
fn neighbour<'l>(layout: &'l Layout, key: &str) -> Option<&'l super::layout::Statement> {
    let names: Vec<&str> = key.split('.').collect();
    let shared = |statement: &super::layout::Statement| {
        let other = statement.path[1..].join(".");
        let other = other.split('.').zip(&names);
        other.take_while(|(a, b)| a == *b).count()
    };
    let lines = layout.of("base").filter(|statement| statement.depth == 1);
    let best = lines.max_by_key(|statement| shared(statement))?;
    let last = layout
        .of("base")
        .filter(|statement| statement.depth == 1)
        .last()?;
    Some(if shared(best) == 0 { last } else { best })
}

pub fn unset_base(text: &str, key: &str) -> Result<String, EditError> {
    let mut text = text.to_owned();
    let mut found = false;
    loop {
        let layout = Layout::read(&text)?;
        let leaves = layout.leaves("base");
        let gone = |leaf: &&super::layout::Leaf| leaf.key == key || path::is_inside(&leaf.key, key);
        let Some(leaf) = leaves.iter().find(gone) else {
            break;
        };
        found = true;
        let Some(statement) = layout.statement_at(&leaf.value) else {
            break;
        };
        let stays = |leaf: &&super::layout::Leaf| {
            !gone(leaf)
                && layout
                    .statement_at(&leaf.value)
                    .is_some_and(|other| other.lines == statement.lines)
        };
        let Some(entry) = statement
            .entry
            .as_ref()
            .filter(|_| leaves.iter().any(|l| stays(&l)))
        else {
            text = layout.without(vec![statement.block.clone()]);
            continue;
        };
        let mut inline: toml_edit::Value = text[entry.value.clone()]
            .parse()
            .map_err(|_| EditError::NotSet { key: key.into() })?;
        if let Some(table) = inline.as_inline_table_mut() {
            cut(table, &statement.path[1..].join("."), key);
        }
        let inline = inline.to_string().trim().to_owned();
        text = replace(&text, vec![(entry.value.clone(), inline)]);
    }
    if !found {
        return Err(EditError::NotSet {
            key: printable(key),
        });
    }
    without_empty_headers(text)
}

/// Take `key` out of an inline table that stands at `prefix`.
fn cut(table: &mut toml_edit::InlineTable, prefix: &str, key: &str) {
    let full = |name: &str| path::join(prefix, name);
    table.retain(|name, _| full(name) != key && !path::is_inside(&full(name), key));
    for (name, value) in table.iter_mut() {
        let name = full(name.get());
        if path::is_inside(key, &name)
            && let Some(inner) = value.as_inline_table_mut()
        {
            cut(inner, &name, key);
        }
    }
    table.retain(|_, value| {
        value
            .as_inline_table()
            .is_none_or(|inner| !inner.is_empty())
    });
}

/// `text` without headers of tables inside `[base]` that have nothing under them: they would be settings.
fn without_empty_headers(mut text: String) -> Result<String, EditError> {
    loop {
        let layout = Layout::read(&text)?;
        let empty = layout.of("base").find(|header| {
            header.entry.is_none()
                && header.path.len() > 1
                && !layout.of("base").any(|other| {
                    other.path.len() > header.path.len() && other.path.starts_with(&header.path)
                })
        });
        let Some(header) = empty else {
            return Ok(text);
        };
        text = layout.without(vec![header.block.clone()]);
    }
}

pub fn add_exclude(text: &str, when: &Conditions) -> Result<String, EditError> {
    for (index, (key, _)) in when.iter().enumerate() {
        checked(key)?;
        if when[..index].iter().any(|(other, _)| other == key) {
            return Err(EditError::Twice { key: key.clone() });
        }
    }
    let wanted = references::leaves(when);
    if wanted.is_empty() {
        return Err(EditError::NoExclude {
            condition: "that is empty".into(),
            expected: "at least one KEY=VALUE in each".into(),
        });
    }
    let known = references::excludes(text)?;
    if known
        .iter()
        .any(|other| references::leaves(other) == wanted)
    {
        return Err(EditError::ExcludeThere {
            condition: references::label(when),
        });
    }
    let text = flat::array(text, "exclude")?;
    let section = format!("[[exclude]]\nwhen = {}\n", references::when(when));
    Ok(Layout::read(&text)?.with_section("exclude", &section))
}

pub fn remove_exclude(text: &str, when: &Conditions) -> Result<String, EditError> {
    let wanted = references::leaves(when);
    let known = references::excludes(text)?;
    let found = known
        .iter()
        .position(|other| references::leaves(other) == wanted);
    let Some(index) = found else {
        let labels: Vec<String> = known.iter().map(references::label).collect();
        return Err(EditError::NoExclude {
            condition: references::label(when),
            expected: if labels.is_empty() {
                "none".into()
            } else {
                labels.join("; ")
            },
        });
    };
    let text = flat::array(text, "exclude")?;
    let layout = Layout::read(&text)?;
    Ok(layout.without(layout.element_bytes("exclude", index).into_iter().collect()))
}

pub fn seeds(text: &str, seeds: &Seeds) -> Result<String, EditError> {
    let (key, value) = match seeds {
        Seeds::Count(count) => ("count", Value::from(*count)),
        Seeds::Values(values) => ("values", values.iter().copied().collect()),
    };
    let distinct = |values: &[u64]| (1..values.len()).all(|i| !values[..i].contains(&values[i]));
    match seeds {
        Seeds::Count(0) => Err(EditError::NoSeeds),
        Seeds::Values(values) if values.is_empty() || !distinct(values) => Err(EditError::NoSeeds),
        _ => with_entries(text, "seeds", &[(key, value)]),
    }
}

pub fn design(text: &str, design: &Design) -> Result<String, EditError> {
    if *design == Design::Full {
        let layout = Layout::read(text)?;
        let gone = layout.of("design").map(|statement| statement.block.clone());
        return Ok(layout.without(gone.collect()));
    }
    let kind = [("kind", Value::from(design.kind()))];
    let entries: Vec<(&str, Value)> = kind.into_iter().chain(design.entries()).collect();
    with_entries(text, "design", &entries)
}

/// `text` with a section that is a table and says just this.
pub fn with_entries(
    text: &str,
    name: &str,
    entries: &[(&str, Value)],
) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let new = |key: &str| entries.iter().find(|(other, _)| *other == key);
    let simple = layout.is_plain(name)
        && layout.of(name).next().is_some()
        && layout.of(name).all(|statement| statement.path.len() <= 2);
    if !simple {
        let gone = layout.of(name).map(|statement| statement.block.clone());
        let rest = layout.without(gone.collect());
        let lines = entries
            .iter()
            .map(|(key, value)| format!("{key} = {}\n", to_toml(value)));
        let section = format!("[{name}]\n{}", lines.collect::<String>());
        return Ok(Layout::read(&rest)?.with_section(name, &section));
    }
    let mut changes = Vec::new();
    let mut said = Vec::new();
    for statement in layout.of(name) {
        let (Some(entry), Some(key)) = (&statement.entry, statement.path.get(1)) else {
            continue;
        };
        if let Some((_, value)) = new(key) {
            said.push(key.clone());
            let old = &text[entry.value.clone()];
            let value = match value {
                Value::Array(values) => list::with_values(old, values),
                value if layout.value(&entry.value) == *value => old.to_owned(),
                value => to_toml(value),
            };
            changes.push((entry.value.clone(), value));
        }
    }
    let mut text = replace(text, changes);
    let missing = entries
        .iter()
        .filter(|(key, _)| said.iter().all(|said| said != key));
    let lines: String = missing
        .map(|(key, value)| format!("{key} = {}\n", to_toml(value)))
        .collect();
    let layout = Layout::read(&text)?;
    if let Some(last) = layout.of(name).last() {
        text = layout.with_lines_after(last, &lines);
    }
    let layout = Layout::read(&text)?;
    let other = layout.of(name).filter(|statement| {
        let key = statement.path.get(1);
        key.is_some_and(|key| new(key).is_none())
    });
    Ok(layout.without(other.map(|statement| statement.block.clone()).collect()))
}

pub fn question(text: &str, question: &str) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let said = layout
        .of("question")
        .find_map(|statement| statement.entry.as_ref());
    let Some(entry) = said else {
        let line = format!("question = {}\n", quoted(question));
        // A comment that opens the file stays in front, unless it is that of the first statement.
        let first = layout.statements.first();
        let comment = text
            .split_inclusive('\n')
            .take_while(|line| line.starts_with('#'))
            .map(str::len)
            .sum::<usize>();
        let at = match first {
            Some(first) if first.block.start < comment => 0,
            _ => comment,
        };
        let (before, after) = text.split_at(at);
        let gap = match first.map(|first| first.depth) {
            Some(1..) if !after.starts_with('\n') => "\n",
            _ => "",
        };
        return Ok(format!("{before}{line}{gap}{after}"));
    };
    let mut changes = vec![(entry.value.clone(), quoted(question))];
    // Our files open with their question for those who page through them.
    if let Value::String(old) = layout.value(&entry.value) {
        let first = text.lines().next().unwrap_or_default();
        if !old.is_empty() && first == format!("# {old}") {
            changes.push((2..first.len(), printable(question)));
        }
    }
    Ok(replace(text, changes))
}

pub fn add_report(text: &str, entries: &[(&str, Option<&str>)]) -> Result<String, EditError> {
    let said = entries
        .iter()
        .filter_map(|(key, value)| Some((*key, (*value)?)));
    let mut section = String::from("[[report]]\n");
    for (key, value) in said {
        if key == "metric" && value.trim().is_empty() {
            return Err(EditError::NoMetric);
        }
        section += &format!("{key} = {}\n", quoted(value));
    }
    let text = flat::array(text, "report")?;
    Ok(Layout::read(&text)?.with_section("report", &section))
}

pub fn remove_report(text: &str, index: usize) -> Result<String, EditError> {
    let text = flat::array(text, "report")?;
    let layout = Layout::read(&text)?;
    match layout.element_bytes("report", index) {
        Some(bytes) => Ok(layout.without(vec![bytes])),
        None => Err(EditError::NoReport {
            index,
            count: layout.elements("report").len(),
        }),
    }
}
