//! One way of writing for sections that are written otherwise: one header, one line a key. An edit that has no place
//! in dotted, nested or inline tables first makes the section flat; comments of its entries stay with them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::EditError;
use super::layout::{Layout, Leaf, Statement};
use crate::spec::path;
use crate::spec::source;
use crate::spec::values::{quoted, segment, to_toml};

/// How the keys of a flat section are written.
#[derive(Clone, Copy, PartialEq)]
pub enum Keys {
    /// `optim.lr`
    Dotted,
    /// `"optim.lr"`, which keeps its place among the others whatever tables they are of.
    Quoted,
}

impl Keys {
    pub fn write(self, key: &str) -> String {
        match self {
            Self::Dotted => key.split('.').map(segment).collect::<Vec<_>>().join("."),
            Self::Quoted => quoted(key),
        }
    }
}

/// `text` with the section `name`, which is a table, flat.
pub fn table(text: &str, name: &str, keys: Keys) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let mut headers = layout.of(name).filter(|s| s.entry.is_none());
    let own = headers.find(|header| header.path.len() == 1);
    let mut section = match own {
        Some(header) => whole_lines(&text[header.block.clone()]),
        None => format!("[{name}]\n"),
    };
    let mut said = BTreeSet::new();
    for leaf in layout.leaves(name) {
        let Some(statement) = layout.statement_at(&leaf.value) else {
            continue;
        };
        let header = layout.statements.iter().rfind(|s| {
            s.entry.is_none() && s.lines.start < statement.lines.start && s.path.len() > 1
        });
        if let Some(header) = header.filter(|s| s.path[0] == name)
            && said.insert(header.lines.start)
        {
            section += &text[header.block.start..header.lines.start];
            section += &comment_line(text[header.lines.clone()].rsplit_once(']'));
        }
        let whole = is_whole(statement, &leaf);
        let tail = behind(text, statement);
        if said.insert(statement.lines.start) {
            section += &text[statement.block.start..statement.lines.start];
            if !whole && !tail.is_empty() {
                section += &format!("{tail}\n");
            }
        }
        let tail = if whole && !tail.is_empty() {
            format!(" {tail}")
        } else {
            String::new()
        };
        let value = &text[leaf.value.clone()];
        section += &format!("{} = {value}{tail}\n", keys.write(&leaf.key));
    }
    let gone = layout.of(name).map(|statement| statement.block.clone());
    let rest = layout.without(gone.collect());
    Ok(Layout::read(&rest)?.with_section(name, &section))
}

/// `text` with the section `name`, which is an array of tables, under double brackets and these flat.
pub fn array(text: &str, name: &str) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    if layout.is_plain(name) {
        return Ok(text.to_owned());
    }
    let elements = elements(text, name)?;
    let gone = layout.of(name).map(|statement| statement.block.clone());
    let mut text = layout.without(gone.collect());
    for element in elements {
        let mut section = format!("[[{name}]]\n");
        let mut entries = Vec::new();
        match name {
            "zip" => flatten("", &element, &mut entries),
            _ => entries.extend(
                element
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, value)| (segment(key), to_toml(value))),
            ),
        }
        for (key, value) in entries {
            section += &format!("{key} = {value}\n");
        }
        text = Layout::read(&text)?.with_section(name, &section);
    }
    Ok(text)
}

/// What each table of the section `name` says, an array of tables however it is written.
pub fn elements(text: &str, name: &str) -> Result<Vec<Value>, EditError> {
    match section(text, name)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(elements) if elements.iter().all(Value::is_object) => Ok(elements),
        _ => Err(EditError::Unfit {
            section: name.to_owned(),
            problem: format!("is not written as [[{name}]]"),
        }),
    }
}

/// What the section `name` says; null if it is not there.
pub fn section(text: &str, name: &str) -> Result<Value, EditError> {
    let document = source::parse(Path::new("line"), text).map_err(|e| EditError::Unfit {
        section: name.to_owned(),
        problem: e.to_string(),
    })?;
    Ok(document.to_value().get(name).cloned().unwrap_or_default())
}

fn flatten(prefix: &str, value: &Value, entries: &mut Vec<(String, String)>) {
    match value.as_object().filter(|table| !table.is_empty()) {
        Some(table) => table
            .iter()
            .for_each(|(name, value)| flatten(&path::join(prefix, name), value, entries)),
        None => entries.push((quoted(prefix), to_toml(value))),
    }
}

/// Whether the leaf is all that the statement says.
pub fn is_whole(statement: &Statement, leaf: &Leaf) -> bool {
    let entry = statement.entry.as_ref();
    entry.is_some_and(|entry| entry.value == leaf.value)
}

/// The comment behind an entry.
fn behind(text: &str, statement: &Statement) -> String {
    let end = statement.entry.as_ref().map(|entry| entry.value.end);
    let rest = &text[end.unwrap_or(statement.lines.end)..statement.lines.end];
    rest.trim().to_owned()
}

/// The comment behind a header, as a line of its own; `rest` is the header's line cut at its bracket.
pub fn comment_line(rest: Option<(&str, &str)>) -> String {
    let comment = rest.map_or("", |(_, comment)| comment.trim());
    if comment.starts_with('#') {
        format!("{comment}\n")
    } else {
        String::new()
    }
}

fn whole_lines(text: &str) -> String {
    format!("{}\n", text.trim_end_matches('\n'))
}
