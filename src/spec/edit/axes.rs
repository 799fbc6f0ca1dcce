//! Changes of one axis, wherever it is: of `[axes]`, or a key of a zip. What makes and dissolves zips is [`super::zips`].

use std::collections::BTreeMap;

use serde_json::Value;

use super::flat::{self, Keys};
use super::layout::{Layout, Leaf, Statement, replace, swap};
use super::{EditError, checked, comparisons, list, references, reported, zips};
use crate::spec::values::quoted;
use crate::util::printable;

/// The axes of a file: those of `[axes]`, then the keys of each zip.
pub struct Axes {
    pub plain: Vec<Leaf>,
    pub zips: Vec<Vec<Leaf>>,
}

/// Where a key is an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Plain(usize),
    /// Which zip, which of its keys.
    Zip(usize, usize),
}

impl Axes {
    pub fn of(layout: &Layout) -> Self {
        Self {
            plain: layout.leaves("axes"),
            zips: layout.elements("zip"),
        }
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let all = self.plain.iter().chain(self.zips.iter().flatten());
        all.map(|leaf| leaf.key.as_str())
    }

    pub fn find(&self, key: &str) -> Option<Place> {
        let index = |leaves: &[Leaf]| leaves.iter().position(|leaf| leaf.key == key);
        let zipped = || {
            let mut zips = self.zips.iter().enumerate();
            zips.find_map(|(zip, leaves)| Some(Place::Zip(zip, index(leaves)?)))
        };
        index(&self.plain).map(Place::Plain).or_else(zipped)
    }

    pub fn require(&self, key: &str) -> Result<Place, EditError> {
        self.find(key).ok_or_else(|| {
            let known: Vec<&str> = self.keys().collect();
            let expected = if known.is_empty() {
                "none: it has no axes yet".to_owned()
            } else {
                format!("one of {}", known.join(", "))
            };
            EditError::NoAxis {
                key: printable(key),
                expected: printable(&expected),
            }
        })
    }

    pub fn leaf(&self, place: Place) -> &Leaf {
        match place {
            Place::Plain(index) => &self.plain[index],
            Place::Zip(zip, index) => &self.zips[zip][index],
        }
    }
}

pub fn add(text: &str, key: &str, values: &[Value]) -> Result<String, EditError> {
    checked(key)?;
    some(key, values)?;
    let text = &flat::array(text, "zip")?;
    if Axes::of(&Layout::read(text)?).find(key).is_some() {
        return Err(EditError::AxisThere { key: key.into() });
    }
    append(
        text,
        &format!("{} = {}\n", quoted(key), list::fresh(values)),
    )
}

/// Other values for one axis, or for several keys of one zip.
pub fn set(text: &str, columns: &[(String, Vec<Value>)]) -> Result<String, EditError> {
    let text = &flat::array(text, "zip")?;
    let layout = Layout::read(text)?;
    let axes = Axes::of(&layout);
    let mut new: BTreeMap<Place, &Vec<Value>> = BTreeMap::new();
    for (key, values) in columns {
        some(key, values)?;
        new.insert(axes.require(key)?, values);
    }
    let zip_of = |place: &Place| match place {
        Place::Plain(_) => None,
        Place::Zip(zip, _) => Some(*zip),
    };
    let Some(first) = new.keys().next() else {
        return Ok(text.clone());
    };
    let stray = |place: &&Place| zip_of(place).is_none() || zip_of(place) != zip_of(first);
    if let Some(other) = new.keys().skip(1).find(stray) {
        return Err(EditError::OtherZip {
            key: axes.leaf(*first).key.clone(),
            other: axes.leaf(*other).key.clone(),
        });
    }
    if let Some(zip) = zip_of(first) {
        let (set, length) = (axes.leaf(*first).key.clone(), new[first].len());
        for (index, leaf) in axes.zips[zip].iter().enumerate() {
            let count = match new.get(&Place::Zip(zip, index)) {
                Some(values) => values.len(),
                None => layout.list(&leaf.value).unwrap_or_default().len(),
            };
            if count != length {
                return Err(EditError::Length {
                    key: set,
                    count: length,
                    other: leaf.key.clone(),
                    length: count,
                });
            }
        }
    }
    let changes = new.into_iter().map(|(place, values)| {
        let bytes = axes.leaf(place).value.clone();
        let list = list::with_values(&text[bytes.clone()], values);
        (bytes, list)
    });
    comparisons::prune(&reported::prune(&replace(text, changes.collect()))?)
}

pub fn rename(text: &str, key: &str, to: &str) -> Result<String, EditError> {
    checked(to)?;
    let text = &flat::array(text, "zip")?;
    let axes = Axes::of(&Layout::read(text)?);
    axes.require(key)?;
    if key == to {
        return Ok(text.clone());
    }
    if axes.find(to).is_some() {
        return Err(EditError::AxisThere { key: to.into() });
    }
    let change = |text: &str| {
        let layout = Layout::read(text)?;
        let line = line_of(&layout, key).and_then(|statement| statement.entry.as_ref());
        let bytes = line.ok_or_else(|| stuck(key))?.key.clone();
        Ok(replace(text, vec![(bytes, quoted(to))]))
    };
    let renamed = in_order(text, change, |other| {
        Some(if other == key { to } else { other }.to_owned())
    })?;
    references::rename(&renamed, key, to)
}

/// One place earlier or later.
pub fn shift(text: &str, key: &str, later: bool) -> Result<String, EditError> {
    let text = &flat::array(text, "zip")?;
    let axes = Axes::of(&Layout::read(text)?);
    let (index, count, group) = match axes.require(key)? {
        Place::Plain(index) => (index, axes.plain.len(), "[axes]"),
        Place::Zip(zip, _) => (zip, axes.zips.len(), "the zips, which follow [axes]"),
    };
    let other = if later {
        index + 1
    } else {
        index.wrapping_sub(1)
    };
    if other >= count {
        return Err(EditError::Edge {
            key: key.into(),
            end: if later { "last" } else { "first" },
            group,
        });
    }
    if let Some(Place::Zip(..)) = axes.find(key) {
        let layout = Layout::read(text)?;
        let bytes = |zip| layout.element_bytes("zip", zip).ok_or_else(|| stuck(key));
        return Ok(swap(text, bytes(index)?, bytes(other)?));
    }
    // Lines move; a dotted key would take its place with the others of its table all the same.
    let layout = Layout::read(text)?;
    let mut statements = layout.of("axes");
    let text = &if layout.is_plain("axes") && statements.all(|s| s.path.len() <= 2) {
        text.clone()
    } else {
        flat::table(text, "axes", Keys::Quoted)?
    };
    let layout = Layout::read(text)?;
    let bytes = |index: usize| {
        let leaf = &axes.plain[index];
        let statement = line_of(&layout, &leaf.key);
        statement
            .map(|statement| statement.block.clone())
            .ok_or_else(|| stuck(key))
    };
    Ok(swap(text, bytes(index)?, bytes(other)?))
}

pub fn remove(text: &str, key: &str) -> Result<String, EditError> {
    let text = &flat::array(text, "zip")?;
    let axes = Axes::of(&Layout::read(text)?);
    let place = axes.require(key)?;
    references::free(text, key)?;
    let change = |text: &str| {
        let layout = Layout::read(text)?;
        let bytes = match place {
            Place::Zip(zip, _) if axes.zips[zip].len() == 1 => layout.element_bytes("zip", zip),
            _ => line_of(&layout, key).map(|statement| statement.block.clone()),
        };
        let without = layout.without(vec![bytes.ok_or_else(|| stuck(key))?]);
        match place {
            Place::Zip(zip, _) if axes.zips[zip].len() > 1 => zips::rows_once(&without, zip),
            _ => without_bare_header(without),
        }
    };
    let without = in_order(text, change, |other| {
        Some(other.to_owned()).filter(|other| other != key)
    })?;
    references::forget(&without, key)
}

/// `text` without an `[axes]` that has neither entries nor a comment.
pub fn without_bare_header(text: String) -> Result<String, EditError> {
    let layout = Layout::read(&text)?;
    let mut statements = layout.of("axes");
    let header = statements.next().filter(|header| {
        let line = text[header.block.clone()].trim_end();
        header.entry.is_none() && header.depth == 1 && line.ends_with(']') && !line.contains('#')
    });
    Ok(match (header, statements.next()) {
        (Some(header), None) => layout.without(vec![header.block.clone()]),
        _ => text.clone(),
    })
}

fn some(key: &str, values: &[Value]) -> Result<(), EditError> {
    if values.is_empty() {
        return Err(EditError::NoValues { key: key.into() });
    }
    Ok(())
}

pub fn stuck(key: &str) -> EditError {
    EditError::Unwritable {
        problem: format!("`{}` has no line of its own", printable(key)),
    }
}

/// `text` with `lines` as the last of `[axes]`.
pub fn append(text: &str, lines: &str) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let Some(last) = layout.of("axes").last() else {
        return Ok(layout.with_section("axes", &format!("[axes]\n{lines}")));
    };
    if layout.is_plain("axes") {
        let appended = layout.with_lines_after(last, lines);
        if Layout::read(&appended).is_ok() {
            return Ok(appended);
        }
    }
    let flat = flat::table(text, "axes", Keys::Quoted)?;
    let layout = Layout::read(&flat)?;
    let last = layout.of("axes").last().ok_or_else(|| stuck("axes"))?;
    Ok(layout.with_lines_after(last, lines))
}

/// What `change` makes of `text`; of its flat form where an axis has no line of its own, or where the others would
/// not be `kept` in their order, for a dotted key stands with the first of its table.
pub fn in_order(
    text: &str,
    change: impl Fn(&str) -> Result<String, EditError>,
    kept: impl Fn(&str) -> Option<String>,
) -> Result<String, EditError> {
    let plain = |text: &str| {
        let layout = Layout::read(text)?;
        let keys = layout.leaves("axes").into_iter().map(|leaf| leaf.key);
        Ok::<_, EditError>(keys.collect::<Vec<_>>())
    };
    let before = plain(text)?;
    let expected: Vec<String> = before.iter().filter_map(|key| kept(key)).collect();
    let changed = change(text);
    let good = |changed: &String| plain(changed).is_ok_and(|after| after == expected);
    if before.is_empty() || changed.as_ref().is_ok_and(good) {
        return changed;
    }
    change(&flat::table(text, "axes", Keys::Quoted)?)
}

/// The entry whose value is all the values of `key`, in `[axes]` itself or in a zip.
pub fn line_of<'l>(layout: &'l Layout, key: &str) -> Option<&'l Statement> {
    let axes = Axes::of(layout);
    let leaf = axes.leaf(axes.find(key)?);
    layout
        .statement_at(&leaf.value)
        .filter(|statement| statement.depth == 1 && flat::is_whole(statement, leaf))
}
