//! An experiment file as statements: each header and each entry with the bytes that it takes, so that an edit can
//! replace one and leave every other byte as it is. What the statements mean is not its affair.

use std::ops::Range;

use serde_json::Value;
use toml_edit::{Document, Item, Table, TableLike};

use super::EditError;
use crate::spec::path;
use crate::spec::source;
use crate::util::{line_of, printable};

/// The sections of a file in the order in which new ones are put.
const ORDER: [&str; 12] = [
    "question",
    "prediction",
    "base",
    "runs",
    "axes",
    "zip",
    "exclude",
    "seeds",
    "design",
    "claim",
    "report",
    "reported",
];

pub struct Layout<'t> {
    pub text: &'t str,
    /// In the order of the file.
    pub statements: Vec<Statement>,
    document: Document<&'t str>,
}

/// A header, or a key with its value.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The names of the header, then those of the entry's key.
    pub path: Vec<String>,
    /// How many of these names are the header's; 0 in front of all headers.
    pub depth: usize,
    /// Which one of an array of tables the header is.
    pub element: Option<usize>,
    /// None for the header itself.
    pub entry: Option<Entry>,
    /// Its lines, whole.
    pub lines: Range<usize>,
    /// Its lines and those of the comment right above, which goes where it goes.
    pub block: Range<usize>,
}

#[derive(Clone, Debug)]
pub struct Entry {
    pub key: Range<usize>,
    pub value: Range<usize>,
}

/// A value at the end of a path of tables, however these are written.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// Dotted, without the section.
    pub key: String,
    /// The bytes of its value.
    pub value: Range<usize>,
}

impl<'t> Layout<'t> {
    pub fn read(text: &'t str) -> Result<Self, EditError> {
        let document = Document::parse(text).map_err(|e| EditError::Syntax {
            line: e.span().map_or(1, |span| line_of(text, span.start)),
            problem: printable(e.message()),
        })?;
        let mut statements = Vec::new();
        collect(text, document.as_table(), &[], None, &mut statements);
        statements.sort_by_key(|statement| statement.lines.start);
        let mut end = 0;
        for statement in &mut statements {
            statement.block.start = above(text, end..statement.lines.start);
            end = statement.lines.end;
        }
        Ok(Self {
            text,
            statements,
            document,
        })
    }

    /// The statements of a section.
    pub fn of<'l>(&'l self, section: &'l str) -> impl Iterator<Item = &'l Statement> {
        self.statements
            .iter()
            .filter(move |statement| statement.path[0] == section)
    }

    /// The statements of one table of an array of tables, the header first.
    pub fn of_element<'l>(
        &'l self,
        section: &'l str,
        index: usize,
    ) -> impl Iterator<Item = &'l Statement> {
        self.of(section)
            .filter(move |statement| statement.element == Some(index))
    }

    /// Whether the section is written under headers of its own name and no other, or is not there.
    pub fn is_plain(&self, section: &str) -> bool {
        let mut headers = 0;
        let plain = self.of(section).all(|statement| {
            headers += usize::from(statement.entry.is_none() && statement.element.is_none());
            statement.depth == 1
        });
        plain && headers <= 1
    }

    /// The leaves of a section that is a table, in the order that the experiment file's reader sees.
    pub fn leaves(&self, section: &str) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        let section = self.document.get(section);
        if let Some(table) = section.and_then(Item::as_table_like) {
            leaves_in("", table, &mut leaves);
        }
        leaves
    }

    /// The leaves of each table of a section that is an array of tables.
    pub fn elements(&self, section: &str) -> Vec<Vec<Leaf>> {
        let tables = self
            .document
            .get(section)
            .and_then(Item::as_array_of_tables);
        let tables = tables.into_iter().flat_map(|tables| tables.iter());
        tables
            .map(|table| {
                let mut leaves = Vec::new();
                leaves_in("", table, &mut leaves);
                leaves
            })
            .collect()
    }

    /// The statement whose value holds these bytes.
    pub fn statement_at(&self, value: &Range<usize>) -> Option<&Statement> {
        self.statements.iter().find(|statement| {
            let entry = statement.entry.as_ref();
            entry.is_some_and(|e| e.value.start <= value.start && value.end <= e.value.end)
        })
    }

    /// What the bytes of a value say.
    pub fn value(&self, bytes: &Range<usize>) -> Value {
        let text = &self.text[bytes.clone()];
        match source::parse_value("", text) {
            Ok(Some(value)) => value,
            // No setting can be this; that is for the reader of the file to say.
            _ => Value::String(text.to_owned()),
        }
    }

    /// The values of a list, or None if the bytes are no list.
    pub fn list(&self, bytes: &Range<usize>) -> Option<Vec<Value>> {
        match self.value(bytes) {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }

    /// The text with a new section where sections of its name belong; `section` opens with its header.
    pub fn with_section(&self, name: &str, section: &str) -> String {
        let rank = |name: &str| ORDER.iter().position(|other| *other == name);
        let earlier = self
            .statements
            .iter()
            .filter(|statement| rank(&statement.path[0]) <= rank(name))
            .max_by_key(|statement| (rank(&statement.path[0]), statement.lines.end));
        // Entries in front of all headers would become the section's.
        let root = self
            .statements
            .iter()
            .rfind(|statement| statement.depth == 0);
        let ends = [earlier, root].into_iter().flatten();
        let at = match ends.map(|statement| statement.lines.end).max() {
            Some(end) => self.below(end),
            None => self
                .statements
                .first()
                .map_or(self.text.len(), |first| first.block.start),
        };
        let (before, after) = self.text.split_at(at);
        let mut text = before.to_owned();
        while !(text.is_empty() || text.ends_with("\n\n")) {
            text.push('\n');
        }
        text += section;
        if !(after.is_empty() || after.starts_with('\n')) {
            text.push('\n');
        }
        text + after
    }

    /// The end of a comment that goes on right below `end` and is of no other statement.
    fn below(&self, end: usize) -> usize {
        let next = self
            .statements
            .iter()
            .map(|statement| statement.block.start)
            .find(|start| *start >= end)
            .unwrap_or(self.text.len());
        let mut at = end;
        for line in self.text[end..next].split_inclusive('\n') {
            if !line.trim_start().starts_with('#') {
                break;
            }
            at += line.len();
        }
        at
    }

    /// The text with `lines` after the last of `statements`.
    pub fn with_lines_after(&self, statement: &Statement, lines: &str) -> String {
        let (before, after) = self.text.split_at(statement.lines.end);
        let gap = if before.ends_with('\n') { "" } else { "\n" };
        format!("{before}{gap}{lines}{after}")
    }

    /// The bytes of one table of an array of tables: header, comment above it and entries.
    pub fn element_bytes(&self, section: &str, index: usize) -> Option<Range<usize>> {
        let mut statements = self.of_element(section, index);
        let first = statements.next()?.block.clone();
        let end = statements.map(|statement| statement.lines.end).max();
        Some(first.start..end.unwrap_or(first.end).max(first.end))
    }

    /// The text without some whole lines, and without the double gaps that this would leave.
    pub fn without(&self, mut ranges: Vec<Range<usize>>) -> String {
        ranges.sort_by_key(|range| range.start);
        let mut text = String::new();
        let mut at = 0;
        for range in ranges {
            text += &self.text[at..range.start.max(at)];
            at = range.end.max(at);
            if text.is_empty() || text.ends_with("\n\n") {
                let rest = &self.text[at..];
                at += rest.len() - rest.trim_start_matches('\n').len();
            }
        }
        text += &self.text[at..];
        let ended = text.trim_end_matches('\n').len();
        if at == self.text.len() && ended > 0 {
            text.truncate(ended);
            text.push('\n');
        }
        text
    }
}

/// `text` with each range replaced.
pub fn replace(text: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(range, _)| range.start);
    let mut replaced = String::new();
    let mut at = 0;
    for (range, new) in changes {
        replaced += &text[at..range.start];
        replaced += &new;
        at = range.end;
    }
    replaced + &text[at..]
}

/// `text` with two pieces of whole lines in each other's place.
pub fn swap(text: &str, one: Range<usize>, other: Range<usize>) -> String {
    let (first, second) = if one.start < other.start {
        (one, other)
    } else {
        (other, one)
    };
    let whole = |range: &Range<usize>| {
        let lines = text[range.clone()].trim_end_matches('\n');
        format!("{lines}\n")
    };
    let between = &text[first.end..second.start];
    format!(
        "{}{}{between}{}{}",
        &text[..first.start],
        whole(&second),
        whole(&first),
        &text[second.end..]
    )
}

/// Every header and entry of `table`, which stands at `path`, and of the tables in it.
fn collect(
    text: &str,
    table: &Table,
    path: &[String],
    element: Option<usize>,
    statements: &mut Vec<Statement>,
) {
    let depth = path.len();
    let statement = |names: Vec<String>, entry: Option<Entry>, bytes: Range<usize>| {
        let lines = lines_of(text, bytes);
        Statement {
            path: names,
            depth,
            element,
            entry,
            block: lines.clone(),
            lines,
        }
    };
    if !table.is_dotted() {
        if let Some(span) = table.span().filter(|_| depth > 0 && !table.is_implicit()) {
            statements.push(statement(path.to_vec(), None, span));
        }
        for (keys, value) in table.get_values() {
            let last = keys.last().and_then(|key| key.span());
            let (Some(last), Some(value)) = (last, value.span()) else {
                continue;
            };
            let names = path.iter().cloned();
            let names = names.chain(keys.iter().map(|key| key.get().to_owned()));
            let start = lines_of(text, last.clone()).start;
            let indent = text[start..].len() - text[start..].trim_start().len();
            let entry = Entry {
                key: start + indent..last.end,
                value: value.clone(),
            };
            let bytes = start..value.end;
            statements.push(statement(names.collect(), Some(entry), bytes));
        }
    }
    for (name, item) in table.iter() {
        let mut inner = path.to_vec();
        inner.push(name.to_owned());
        match item {
            Item::Table(table) => collect(text, table, &inner, element, statements),
            Item::ArrayOfTables(tables) => {
                for (index, table) in tables.iter().enumerate() {
                    let index = element.or(Some(index));
                    collect(text, table, &inner, index, statements);
                }
            }
            _ => {}
        }
    }
}

/// The whole lines that hold these bytes.
fn lines_of(text: &str, bytes: Range<usize>) -> Range<usize> {
    let start = text[..bytes.start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[bytes.end..].find('\n');
    start..end.map_or(text.len(), |at| bytes.end + at + 1)
}

/// Where the comment begins that ends at the end of `gap`.
fn above(text: &str, gap: Range<usize>) -> usize {
    let mut start = gap.end;
    for line in text[gap.clone()].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        start -= line.len();
    }
    start
}

fn leaves_of(prefix: &str, item: &Item, leaves: &mut Vec<Leaf>) {
    match item.as_table_like().filter(|table| !table.is_empty()) {
        Some(table) => leaves_in(prefix, table, leaves),
        None => leaves.extend(item.span().map(|value| Leaf {
            key: prefix.to_owned(),
            value,
        })),
    }
}

fn leaves_in(prefix: &str, table: &dyn TableLike, leaves: &mut Vec<Leaf>) {
    let mut entries: Vec<(&str, &Item)> = table.iter().collect();
    // As the reader of experiment files sorts them.
    entries.sort_by_key(|(name, _)| {
        let span = table.key(name).and_then(|key| key.span());
        span.map(|span| span.start)
    });
    for (name, item) in entries {
        leaves_of(&path::join(prefix, name), item, leaves);
    }
}
