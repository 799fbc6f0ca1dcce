//! Several axes made one, and one made several.

use std::ops::Range;

use serde_json::Value;

use super::axes::{Axes, Place, append, in_order, line_of, stuck, without_bare_header};
use super::flat;
use super::layout::{Layout, replace};
use super::{EditError, list, references};
use crate::spec::values::quoted;
use crate::util::printable;

pub fn zip(text: &str, keys: &[String]) -> Result<String, EditError> {
    let text = &flat::array(text, "zip")?;
    let zipped = in_order(
        text,
        |text| zip_lines(text, keys),
        |other| Some(other.to_owned()).filter(|other| !keys.contains(other)),
    )?;
    references::mend(&zipped)
}

/// The lines of the axes of `keys` put into one zip.
fn zip_lines(text: &str, keys: &[String]) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let axes = Axes::of(&layout);
    let mut places: Vec<Place> = Vec::new();
    for key in keys {
        // One place stands for all keys of a zip.
        let place = match axes.require(key)? {
            Place::Zip(zip, _) => Place::Zip(zip, 0),
            plain => plain,
        };
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.len() < 2 {
        return Err(EditError::ZippedAlready {
            keys: printable(&keys.join(", ")),
        });
    }
    let length = |place: Place| {
        layout
            .list(&axes.leaf(place).value)
            .unwrap_or_default()
            .len()
    };
    if let Some(odd) = places
        .iter()
        .find(|place| length(**place) != length(places[0]))
    {
        return Err(EditError::Length {
            key: axes.leaf(*odd).key.clone(),
            count: length(*odd),
            other: axes.leaf(places[0]).key.clone(),
            length: length(places[0]),
        });
    }
    // The first zip takes the others in; without one a new zip comes last.
    let host = places
        .iter()
        .filter(|place| matches!(place, Place::Zip(..)))
        .min()
        .copied();
    let mut columns = String::new();
    let mut gone = Vec::new();
    for place in places.iter().filter(|place| Some(**place) != host) {
        let bytes = match *place {
            Place::Plain(index) => {
                let key = &axes.plain[index].key;
                let line = line_of(&layout, key).ok_or_else(|| stuck(key))?;
                columns += &whole(text, &line.block);
                line.block.clone()
            }
            Place::Zip(zip, _) => {
                columns += &column_lines(&layout, zip, |_, list| list)?;
                layout
                    .element_bytes("zip", zip)
                    .ok_or_else(|| stuck(&keys[0]))?
            }
        };
        gone.push(bytes);
    }
    let without = without_bare_header(layout.without(gone))?;
    let layout = Layout::read(&without)?;
    match host {
        None => Ok(layout.with_section("zip", &format!("[[zip]]\n{columns}"))),
        Some(host) => {
            let key = &axes.leaf(host).key;
            let Some(Place::Zip(zip, _)) = Axes::of(&layout).find(key) else {
                return Err(stuck(key));
            };
            let last = layout
                .of_element("zip", zip)
                .last()
                .ok_or_else(|| stuck(key))?;
            Ok(layout.with_lines_after(last, &columns))
        }
    }
}

pub fn unzip(text: &str, key: &str) -> Result<String, EditError> {
    let text = &flat::array(text, "zip")?;
    let layout = Layout::read(text)?;
    let Place::Zip(zip, _) = Axes::of(&layout).require(key)? else {
        return Err(EditError::NotZipped { key: key.into() });
    };
    let once = |values: Vec<Value>, list: String| {
        let mut distinct: Vec<Value> = Vec::new();
        for value in values {
            if !distinct.contains(&value) {
                distinct.push(value);
            }
        }
        list::with_values(&list, &distinct)
    };
    let columns = column_lines(&layout, zip, once)?;
    let bytes = layout.element_bytes("zip", zip).ok_or_else(|| stuck(key))?;
    append(&layout.without(vec![bytes]), &columns)
}

/// The entries of a zip with their comments, and those of its header, each list as `change` makes it of its values.
fn column_lines(
    layout: &Layout,
    zip: usize,
    change: impl Fn(Vec<Value>, String) -> String,
) -> Result<String, EditError> {
    let mut columns = String::new();
    for statement in layout.of_element("zip", zip) {
        let Some(entry) = &statement.entry else {
            columns += &layout.text[statement.block.start..statement.lines.start];
            let header = &layout.text[statement.lines.clone()];
            columns += &flat::comment_line(header.rsplit_once(']'));
            continue;
        };
        let list = &layout.text[entry.value.clone()];
        let values = layout.list(&entry.value).ok_or_else(|| stuck("zip"))?;
        let start = statement.block.start;
        let moved = |bytes: &Range<usize>| bytes.start - start..bytes.end - start;
        let line = whole(layout.text, &statement.block);
        // A dotted key would join the others of its table, wherever they are.
        let key = quoted(&statement.path[1..].join("."));
        let changes = [
            (moved(&entry.key), key),
            (moved(&entry.value), change(values, list.to_owned())),
        ];
        columns += &replace(&line, changes.into());
    }
    Ok(columns)
}

fn whole(text: &str, bytes: &Range<usize>) -> String {
    format!("{}\n", text[bytes.clone()].trim_end_matches('\n'))
}

/// `text` with rows that a zip has twice there once.
pub fn rows_once(text: &str, zip: usize) -> Result<String, EditError> {
    let layout = Layout::read(text)?;
    let columns = &Axes::of(&layout).zips[zip];
    let lists: Vec<Vec<Value>> = columns
        .iter()
        .map(|leaf| layout.list(&leaf.value).unwrap_or_default())
        .collect();
    let row = |index: usize| lists.iter().map(|list| list.get(index)).collect::<Vec<_>>();
    let count = lists.iter().map(Vec::len).max().unwrap_or(0);
    let kept: Vec<usize> = (0..count)
        .filter(|index| (0..*index).all(|earlier| row(earlier) != row(*index)))
        .collect();
    let changes = columns.iter().zip(&lists).map(|(leaf, list)| {
        let values: Vec<Value> = kept.iter().filter_map(|i| list.get(*i).cloned()).collect();
        let bytes = leaf.value.clone();
        (bytes.clone(), list::with_values(&text[bytes], &values))
    });
    Ok(replace(text, changes.collect()))
}
