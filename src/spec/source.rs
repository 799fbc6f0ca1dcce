//! TOML text as a tree in which every key and value knows its line. It refuses what no setting can be (dates, NaN,
//! infinities) and makes whole floats integers, so that 10 and 10.0 are one value; it knows no section or key.

use std::cell::Cell;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use serde_json::{Number, Value};
use toml::de::{DeTable, DeValue};

use super::error::{SpecError, said};
use crate::util::printable;

/// Larger than any file somebody wrote, smaller than what would make us slow.
const LARGEST_FILE: u64 = 2 << 20;
/// Deeper than any setting lies.
const DEEPEST: usize = 32;
/// Floats count exactly up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// What the TOML reader says of a key or table that is there twice; it names neither.
const DUPLICATE: &str = "duplicate key";

/// Where something was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// Line and column, from 1.
    Line(usize, usize),
    /// In the file, but at no line of it.
    File,
    /// `--set` on the command line.
    Flag,
}

impl Place {
    pub(super) fn show(self, file: &Path) -> String {
        let file = printable(&file.display().to_string());
        match self {
            Self::Line(line, column) => format!("{file}:{line}:{column}"),
            Self::File => file,
            Self::Flag => "--set".into(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub tree: Tree,
    pub at: Place,
}

#[derive(Clone, Debug)]
pub enum Tree {
    /// In the order of the file.
    Table(Vec<(String, Place, Node)>),
    List(Vec<Node>),
    Leaf(Value),
}

impl Node {
    /// The value without its places.
    pub fn to_value(&self) -> Value {
        match &self.tree {
            Tree::Table(entries) => entries
                .iter()
                .map(|(name, _, node)| (name.clone(), node.to_value()))
                .collect(),
            Tree::List(nodes) => nodes.iter().map(Node::to_value).collect(),
            Tree::Leaf(value) => value.clone(),
        }
    }

    /// What a person calls this sort of value.
    pub fn sort(&self) -> &'static str {
        match &self.tree {
            Tree::Table(_) => "a table",
            Tree::List(_) => "a list",
            Tree::Leaf(Value::String(_)) => "a string",
            Tree::Leaf(Value::Bool(_)) => "true or false",
            Tree::Leaf(_) => "a number",
        }
    }
}

/// The file's text, without a byte order mark.
pub fn read_text(file: &Path) -> Result<String, SpecError> {
    let unreadable = |problem: String| SpecError::Unreadable {
        file: printable(&file.display().to_string()),
        problem: printable(&problem),
    };
    let mut bytes = Vec::new();
    // A limit on what is read, not on the length on record: a pipe or a device has none.
    let read =
        File::open(file).and_then(|open| open.take(LARGEST_FILE + 1).read_to_end(&mut bytes));
    read.map_err(|e| unreadable(format!("cannot read the experiment file: {e}")))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(unreadable(format!(
            "too large for an experiment file; expected at most {LARGEST_FILE} bytes"
        )));
    }
    let text = String::from_utf8(bytes).map_err(|e| {
        let valid = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = 1 + valid.iter().filter(|&&byte| byte == b'\n').count();
        unreadable(format!(
            "line {line} is not UTF-8 text; save the file as UTF-8"
        ))
    })?;
    Ok(text
        .strip_prefix('\u{feff}')
        .map(str::to_owned)
        .unwrap_or(text))
}

/// The tree of `text`, which came from `file`.
pub fn parse(file: &Path, text: &str) -> Result<Node, SpecError> {
    let reading = Reading::new(file, text);
    let table = DeTable::parse(text).map_err(|e| SpecError::Syntax {
        place: e
            .span()
            .map_or(Place::File, |span| reading.place(&span))
            .show(file),
        problem: match e.span().filter(|_| e.message() == DUPLICATE) {
            Some(span) => said(&format!(
                "`{}` is there already; keep one of the two",
                key_at(text, &span)
            )),
            None => said(e.message()),
        },
    })?;
    reading.table(table.get_ref(), Place::Line(1, 1), &mut Vec::new())
}

/// The key that ends at `span`, with the path in front of it: `optim.lr` where the span is that of `lr`.
fn key_at<'t>(text: &'t str, span: &Range<usize>) -> &'t str {
    let around = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '"' | '\''));
    let before = text.get(..span.start).unwrap_or_default();
    let start = before.trim_end_matches(|c| !around(c)).len();
    text.get(start..span.end).unwrap_or_default()
}

/// The value of a `--set key=value`: TOML if it reads as TOML, else the bare words.
pub fn parse_flag(key: &str, text: &str) -> Result<Value, SpecError> {
    Ok(parse_value(key, text)?.unwrap_or_else(|| Value::String(text.to_owned())))
}

/// A value of the command line that is called `key`; `None` if it does not read as TOML.
pub fn parse_value(key: &str, text: &str) -> Result<Option<Value>, SpecError> {
    let Ok(value) = DeValue::parse(text) else {
        return Ok(None);
    };
    let reading = Reading {
        file: Path::new(""),
        lines: None,
        counted: Cell::default(),
    };
    let node = reading.value(value.get_ref(), Place::Flag, &mut vec![key.to_owned()])?;
    Ok(Some(node.to_value()))
}

struct Reading<'a> {
    file: &'a Path,
    /// The text and the byte at which each of its lines starts; `None` on the command line.
    lines: Option<(&'a str, Vec<usize>)>,
    /// The last byte that a place was asked of, and its column: a line may be all of the file.
    counted: Cell<(usize, usize)>,
}

impl<'a> Reading<'a> {
    fn new(file: &'a Path, text: &'a str) -> Self {
        let starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self {
            file,
            lines: Some((text, starts)),
            counted: Cell::new((0, 1)),
        }
    }

    fn place(&self, span: &Range<usize>) -> Place {
        let Some((text, starts)) = &self.lines else {
            return Place::Flag;
        };
        let line = starts.partition_point(|&start| start <= span.start);
        let start = starts[line - 1];
        let (from, before) = match self.counted.get() {
            (at, column) if (start..=span.start).contains(&at) => (at, column),
            _ => (start, 1),
        };
        let between = text.get(from..span.start);
        let column = before + between.map_or(0, |between| between.chars().count());
        self.counted.set((span.start, column));
        Place::Line(line, column)
    }

    fn table(&self, table: &DeTable, at: Place, path: &mut Vec<String>) -> Result<Node, SpecError> {
        if path.len() > DEEPEST {
            return Err(SpecError::setting(
                self.file,
                at,
                &path[0],
                "tables are nested too deep",
                format!("at most {DEEPEST} levels"),
            ));
        }
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut read = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            path.push(key.get_ref().to_string());
            // In the order of the file, in which columns are counted.
            let at = self.place(&key.span());
            let node = self.value(value.get_ref(), self.place(&value.span()), path)?;
            path.pop();
            read.push((key.get_ref().to_string(), at, node));
        }
        Ok(Node {
            tree: Tree::Table(read),
            at,
        })
    }

    fn value(&self, value: &DeValue, at: Place, path: &mut Vec<String>) -> Result<Node, SpecError> {
        let refuse = |path: &[String], problem: String, expected: &str| {
            Err(SpecError::setting(
                self.file,
                at,
                path.join("."),
                problem,
                expected,
            ))
        };
        let leaf = match value {
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(integer) => {
                match i128::from_str_radix(integer.as_str(), integer.radix())
                    .ok()
                    .and_then(Number::from_i128)
                {
                    Some(number) => Value::Number(number),
                    None => {
                        return refuse(
                            path,
                            format!("{integer} is too large"),
                            "a number of at most 64 bits",
                        );
                    }
                }
            }
            DeValue::Float(float) => {
                match float.as_str().parse::<f64>().ok().filter(|x| x.is_finite()) {
                    Some(number) => number_of(number),
                    None => {
                        return refuse(
                            path,
                            format!("{float} is not a setting"),
                            "a finite number",
                        );
                    }
                }
            }
            DeValue::Datetime(date) => {
                return refuse(
                    path,
                    format!("{date} is a date"),
                    "a string, a number, true or false",
                );
            }
            DeValue::Table(table) => return self.table(table, at, path),
            DeValue::Array(values) => {
                if path.len() > DEEPEST {
                    return refuse(
                        &path[..1],
                        "lists are nested too deep".into(),
                        &format!("at most {DEEPEST} levels"),
                    );
                }
                let mut nodes = Vec::with_capacity(values.len());
                for (index, value) in values.iter().enumerate() {
                    path.push(index.to_string());
                    nodes.push(self.value(value.get_ref(), self.place(&value.span()), path)?);
                    path.pop();
                }
                return Ok(Node {
                    tree: Tree::List(nodes),
                    at,
                });
            }
        };
        Ok(Node {
            tree: Tree::Leaf(leaf),
            at,
        })
    }
}

/// A whole number as an integer, so that 10 and 10.0 are one value.
pub fn number_of(x: f64) -> Value {
    if x.fract() == 0.0 && x.abs() <= EXACT {
        Value::from(x as i64)
    } else {
        Value::from(x)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tree(text: &str) -> Result<Value, String> {
        parse(Path::new("x.toml"), text)
            .map(|node| node.to_value())
            .map_err(|e| e.to_string())
    }

    #[test]
    fn whole_floats_and_integers_are_one_value() {
        assert_eq!(
            tree("a = [10, 10.0, 1e1, 0xA, 1_0, -0.0, 0.5]").unwrap(),
            json!({"a": [10, 10, 10, 10, 10, 0, 0.5]})
        );
        assert_eq!(
            tree("seed = 18446744073709551615").unwrap(),
            json!({"seed": u64::MAX})
        );
    }

    #[test]
    fn what_no_setting_can_be_is_refused_with_its_line() {
        for (text, place) in [
            ("a = 1\nb = nan", "x.toml:2:5: b: "),
            ("[a]\nb = [1, inf]", "x.toml:2:9: a.b.1: "),
            ("a = 2026-01-01", "x.toml:1:5: a: "),
            ("a = 99999999999999999999", "x.toml:1:5: "),
        ] {
            let error = tree(text).unwrap_err();
            assert!(error.starts_with(place), "{error}");
        }
    }

    #[test]
    fn bad_toml_has_its_line() {
        for (text, place) in [
            ("a = 1\na = 2", "x.toml:2:1: `a` is there already; keep"),
            ("[b]\no.lr = 1\no.lr = 2", "x.toml:3:3: `o.lr` is"),
            ("a = { b = 1, \"b\" = 2 }", "x.toml:1:14: `\"b\"` is"),
            ("a = ", "x.toml:1:"),
            ("[t]\nx=1\n[t]\ny=1", "x.toml:3:2: `t` is there already"),
        ] {
            let error = tree(text).unwrap_err();
            assert!(error.starts_with(place), "{error}");
        }
    }

    #[test]
    fn nesting_bombs_are_refused() {
        let bombs = [
            format!("a = {}", "[".repeat(100_000)),
            format!("{}x = 1", "a.".repeat(100_000)),
            format!("a = {}1{}", "{a=".repeat(60), "}".repeat(60)),
            format!("[{}x]", "a.".repeat(60)),
        ];
        for bomb in bombs {
            assert!(tree(&bomb).is_err());
        }
    }

    #[test]
    fn tables_keep_the_order_of_the_file() {
        let node = parse(Path::new("x.toml"), "z = 1\na = 2\nm.y = 3\nm.b = 4").unwrap();
        let Tree::Table(entries) = node.tree else {
            panic!("a document is a table")
        };
        assert_eq!(
            entries
                .iter()
                .map(|(name, ..)| name.as_str())
                .collect::<Vec<_>>(),
            ["z", "a", "m"]
        );
    }
}
