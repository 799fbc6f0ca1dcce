//! The classes of a set: the names that its parts know, each once, or those that a `classnames.txt` beside shards gives
//! to numbers, as CLIP_benchmark writes it.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Part, read_file};
use crate::train::data::error::DataError;

/// Classes that numbers may name.
const MOST: usize = 1 << 17;

/// All names, and for each part what its own numbers are among them.
///
/// # Errors
/// Numbers that have no name.
pub fn of(parts: &[Part]) -> Result<(Vec<String>, Vec<Vec<u32>>), DataError> {
    let all = parts
        .iter()
        .flat_map(Part::classes)
        .map(|name| (name.as_str(), 0));
    let mut numbers: BTreeMap<&str, u32> = all.collect();
    for (number, place) in numbers.values_mut().zip(0..) {
        *number = place;
    }
    let own = |part: &Part| {
        part.classes()
            .iter()
            .map(|name| numbers[name.as_str()])
            .collect()
    };
    let renumbered = parts.iter().map(own).collect();
    let names: Vec<String> = numbers.into_keys().map(str::to_owned).collect();
    match numbered(parts)? {
        Some(named) if names.is_empty() => Ok((named, renumbered)),
        _ => Ok((names, renumbered)),
    }
}

/// The names of classes that shards have by number, if they have any.
fn numbered(parts: &[Part]) -> Result<Option<Vec<String>>, DataError> {
    let mut greatest = None;
    let mut path = None;
    for part in parts {
        if let Part::Shard(shard) = part {
            greatest = greatest.max(shard.greatest_label());
            path = path.or(Some(shard.path()));
        }
    }
    let (Some(greatest), Some(path)) = (greatest, path) else {
        return Ok(None);
    };
    let count = greatest as usize + 1;
    if count > MOST {
        let problem = format!("class {greatest} of {MOST} at most");
        return Err(DataError::content(path, problem));
    }
    let mut beside = path
        .ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join("classnames.txt"));
    let Some(file) = beside.find(|file| file.is_file()) else {
        return Ok(Some((0..count).map(|number| number.to_string()).collect()));
    };
    let names = lines(&file)?;
    if names.len() < count {
        let problem = format!(
            "it names {} classes, and there is a class {greatest}",
            names.len()
        );
        return Err(DataError::content(&file, problem));
    }
    Ok(Some(names))
}

/// The lines of a short text.
///
/// # Errors
/// A file that cannot be read, is over 16 MiB or is not UTF-8.
pub fn lines(path: &Path) -> Result<Vec<String>, DataError> {
    let bytes = read_file(path, 16 << 20);
    let bytes = bytes.map_err(|fault| DataError::content(path, fault.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| DataError::content(path, "it is not UTF-8"))?;
    Ok(text
        .lines()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
        .collect())
}
