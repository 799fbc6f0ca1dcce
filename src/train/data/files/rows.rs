//! Samples of one row group of a Parquet file.

use std::collections::BTreeMap;

use super::caption::{self, Caption};
use super::parquet::{Cell, Column, Columnar, Holds};
use super::table::Columns;
use crate::train::data::error::DataError;
use crate::train::data::fault::Fault;
use crate::train::data::skips::Skips;

#[derive(Clone, Debug)]
pub struct Rows {
    file: Columnar,
    group: usize,
    /// Number of the group's first row in the file.
    first: usize,
    image: Column,
    caption: Option<Column>,
    language: Option<Column>,
    /// Rows of the group that are samples, with their class.
    rows: Vec<(u32, u32)>,
    has_classes: bool,
    /// Classes by their number.
    classes: Vec<String>,
}

impl Rows {
    /// The row groups of a file, with what of them is no sample.
    ///
    /// # Errors
    /// A file that cannot be read, or a column that is not there or holds something else.
    pub fn open(file: &Columnar, columns: &Columns) -> Result<Vec<(Self, Skips)>, DataError> {
        let image = bytes(file, "data.image", &columns.image)?;
        let maybe = |key, name: &str| match name {
            "" => Ok(None),
            name => bytes(file, key, name).map(Some),
        };
        let caption = maybe("data.caption", &columns.caption)?;
        let language = maybe("data.language", &columns.language)?;
        let label = match columns.label.as_str() {
            "" => None,
            name => Some(file.column("data.label", name)?),
        };
        let mut first = 0;
        let mut opened = Vec::new();
        for group in 0..file.groups() {
            let mut rows = Self {
                file: file.clone(),
                group,
                first,
                image,
                caption,
                language,
                rows: Vec::new(),
                has_classes: label.is_some(),
                classes: Vec::new(),
            };
            first += file.rows(group);
            let skips = rows.index(label);
            opened.push((rows, skips));
        }
        Ok(opened)
    }

    /// Find the rows that are samples.
    fn index(&mut self, label: Option<Column>) -> Skips {
        let count = self.file.rows(self.group);
        let mut judged: Vec<Result<u32, Fault>> = vec![Ok(0); count];
        let unreadable = |judged: &mut Vec<Result<u32, Fault>>| judged.fill(Err(Fault::Unreadable));
        let mut known: BTreeMap<String, u32> = BTreeMap::new();
        if let Some(label) = label {
            let walked = self.file.walk(self.group, 0..count, label, |row, cell| {
                let next = known.len() as u32;
                judged[row] = class(cell).map(|class| *known.entry(class).or_insert(next));
            });
            if walked.is_err() {
                unreadable(&mut judged);
            }
        }
        if let Some(column) = self.caption {
            let walked = self.file.walk(self.group, 0..count, column, |row, cell| {
                if let Err(fault) = captions(cell) {
                    judged[row] = judged[row].and(Err(fault));
                }
            });
            if walked.is_err() {
                unreadable(&mut judged);
            }
        }
        let mut classes: Vec<(String, u32)> = known.into_iter().collect();
        classes.sort_by_key(|(_, number)| *number);
        self.classes = classes.into_iter().map(|(name, _)| name).collect();
        let mut skips = Skips::of(count as u64);
        for (row, judged) in judged.into_iter().enumerate() {
            match judged {
                Ok(class) => self.rows.push((row as u32, class)),
                Err(fault) => skips.add(fault, || self.row_name(row)),
            }
        }
        skips
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether some row has several captions.
    pub fn captions_vary(&self, templates: usize) -> bool {
        match self.caption {
            Some(column) => column.is_list,
            None => templates > 1,
        }
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    pub fn label(&self, index: usize) -> Option<u32> {
        self.has_classes.then_some(self.rows[index].1)
    }

    /// The bytes of the image file.
    pub fn image(&self, index: usize) -> Result<Vec<u8>, Fault> {
        match self.cell(index, self.image)? {
            Cell::Bytes(mut values) => values
                .pop()
                .filter(|bytes| !bytes.is_empty())
                .ok_or(Fault::NoImage),
            Cell::Numbers(_) => Err(Fault::NoImage),
        }
    }

    pub fn captions(&self, index: usize) -> Result<Vec<Caption>, Fault> {
        let Some(column) = self.caption else {
            return Ok(Vec::new());
        };
        let mut captions = captions(self.cell(index, column)?)?;
        if let Some(language) = self.language
            && let Cell::Bytes(values) = self.cell(index, language)?
        {
            let languages: Vec<_> = values
                .into_iter()
                .map(|value| String::from_utf8(value).ok())
                .collect();
            let one = |n: usize| if languages.len() == 1 { 0 } else { n };
            for (n, caption) in captions.iter_mut().enumerate() {
                caption.language = languages.get(one(n)).cloned().flatten();
            }
        }
        Ok(captions)
    }

    /// The file and the number of the row, from 0.
    pub fn name(&self, index: usize) -> String {
        self.row_name(self.rows[index].0 as usize)
    }

    fn row_name(&self, row: usize) -> String {
        let file = self
            .file
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        format!("{file} row {}", self.first + row)
    }

    fn cell(&self, index: usize, column: Column) -> Result<Cell, Fault> {
        self.file
            .cell(self.group, self.rows[index].0 as usize, column)
    }
}

fn bytes(file: &Columnar, key: &'static str, name: &str) -> Result<Column, DataError> {
    let column = file.column(key, name)?;
    match column.holds {
        Holds::Bytes => Ok(column),
        Holds::Numbers => {
            let hint = "data.kind = \"features\" reads vectors";
            let problem = format!(
                "column \"{name}\" of {} holds numbers; {hint}",
                file.path().display()
            );
            Err(DataError::setting(key, problem))
        }
    }
}

/// The captions of a row. Those of a list that are empty are none; a row in which all are is no sample.
pub fn captions(cell: Cell) -> Result<Vec<Caption>, Fault> {
    let Cell::Bytes(values) = cell else {
        return Err(Fault::NoCaption);
    };
    if values.is_empty() {
        return Err(Fault::NoCaption);
    }
    let texts: Result<Vec<String>, _> = values.into_iter().map(String::from_utf8).collect();
    caption::said(
        texts
            .map_err(|_| Fault::NotUtf8)?
            .into_iter()
            .map(Caption::new),
    )
}

fn class(cell: Cell) -> Result<String, Fault> {
    match cell {
        Cell::Bytes(values) => {
            let text = values
                .into_iter()
                .next()
                .and_then(|value| String::from_utf8(value).ok());
            text.map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
                .ok_or(Fault::NoClass)
        }
        Cell::Numbers(values) => values.first().map(f64::to_string).ok_or(Fault::NoClass),
    }
}
