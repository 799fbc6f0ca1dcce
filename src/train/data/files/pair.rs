//! Two sides in two files, row by row: vectors that were made elsewhere on one side or both, texts or images on the other.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::caption::{self, Caption};
use super::parquet::{Cell, Column, Columnar, Holds};
use super::rows;
use super::table::{Columns, Table};
use super::usual_separator;
use super::vectors::Vectors;
use crate::train::data::error::DataError;
use crate::train::data::fault::Fault;

#[derive(Clone, Debug)]
pub struct Pair {
    image: Side,
    caption: Side,
    rows: u64,
}

#[derive(Clone, Debug)]
enum Side {
    Vectors(Vectors),
    /// Texts, or images, in a column of Parquet; the first row of each group.
    Cells {
        file: Columnar,
        column: Column,
        starts: Vec<u64>,
    },
    Table(Table),
    Lines(Lines),
}

impl Pair {
    /// The sides that `image` and `caption` name, below the folder `root`: `FILE`, or `FILE:NAME` of a tensor or column.
    ///
    /// # Errors
    /// Files that cannot be read or hold no side, or sides of another number of rows.
    pub fn open(root: &Path, image: &str, caption: &str) -> Result<Self, DataError> {
        let (left, right) = (
            Side::open("data.image", root, image)?,
            Side::open("data.caption", root, caption)?,
        );
        if let Side::Lines(_) = left {
            return Err(DataError::setting(
                "data.image",
                format!("{image} has lines of text, which are no images"),
            ));
        }
        if left.rows() != right.rows() {
            let (a, b) = (left.rows(), right.rows());
            let problem = format!(
                "{caption} has {b} rows and {image} has {a}: row by row they are the pairs"
            );
            return Err(DataError::setting("data.caption", problem));
        }
        Ok(Self {
            rows: left.rows(),
            image: left,
            caption: right,
        })
    }

    pub fn len(&self) -> usize {
        self.rows as usize
    }

    /// Whether some row has several captions.
    pub fn captions_vary(&self) -> bool {
        matches!(&self.caption, Side::Cells { column, .. } if column.is_list)
    }

    /// Numbers of a vector, for each side that is one.
    pub fn widths(&self) -> [Option<usize>; 2] {
        [&self.image, &self.caption].map(|side| match side {
            Side::Vectors(vectors) => Some(vectors.width()),
            _ => None,
        })
    }

    /// The vector of the image side, or of the other.
    pub fn vector(&self, row: usize, of_image: bool) -> Result<Vec<f32>, Fault> {
        match if of_image { &self.image } else { &self.caption } {
            Side::Vectors(vectors) => vectors.row(row as u64),
            _ => Err(Fault::BrokenRow),
        }
    }

    /// The bytes of the image file.
    pub fn image(&self, row: usize) -> Result<Vec<u8>, Fault> {
        match &self.image {
            Side::Cells {
                file,
                column,
                starts,
            } => match cell(file, *column, starts, row)? {
                Cell::Bytes(mut values) => values
                    .pop()
                    .filter(|bytes| !bytes.is_empty())
                    .ok_or(Fault::NoImage),
                Cell::Numbers(_) => Err(Fault::NoImage),
            },
            Side::Table(table) => table.image(row),
            Side::Vectors(_) | Side::Lines(_) => Err(Fault::NoImage),
        }
    }

    pub fn captions(&self, row: usize) -> Result<Vec<Caption>, Fault> {
        match &self.caption {
            Side::Cells {
                file,
                column,
                starts,
            } => rows::captions(cell(file, *column, starts, row)?),
            Side::Table(table) => table.captions(row),
            Side::Lines(lines) => lines.captions(row),
            Side::Vectors(_) => Err(Fault::NoCaption),
        }
    }
}

fn cell(file: &Columnar, column: Column, starts: &[u64], row: usize) -> Result<Cell, Fault> {
    let group = starts.partition_point(|start| *start <= row as u64) - 1;
    file.cell(group, row - starts[group] as usize, column)
}

impl Side {
    fn open(key: &'static str, root: &Path, said: &str) -> Result<Self, DataError> {
        let (file, name) = match said.rsplit_once(':') {
            Some((file, name)) => (file, Some(name)),
            None => (said, None),
        };
        let path = root.join(file);
        let suffix = path
            .extension()
            .and_then(|suffix| suffix.to_str())
            .unwrap_or_default();
        match (suffix, name) {
            ("txt", _) => Ok(Self::Lines(Lines::open(&path)?)),
            ("csv" | "tsv", Some(name)) => {
                let mut columns = Columns {
                    image: String::new(),
                    caption: String::new(),
                    language: String::new(),
                    label: String::new(),
                };
                match key {
                    "data.image" => columns.image = name.to_owned(),
                    _ => columns.caption = name.to_owned(),
                }
                Table::whole(&path, usual_separator(&path)?, &columns).map(Self::Table)
            }
            ("csv" | "tsv", None) => Err(DataError::setting(
                key,
                format!("say which column, as {said}:NAME"),
            )),
            ("parquet", Some(name)) => {
                let columnar = Columnar::open(&path)?;
                let column = columnar.column(key, name)?;
                if column.holds == Holds::Numbers {
                    return Vectors::open(key, &path, Some(name)).map(Self::Vectors);
                }
                let mut starts = Vec::new();
                let mut rows = 0;
                for group in 0..columnar.groups() {
                    starts.push(rows);
                    rows += columnar.rows(group) as u64;
                }
                starts.push(rows);
                Ok(Self::Cells {
                    file: columnar,
                    column,
                    starts,
                })
            }
            _ => Vectors::open(key, &path, name).map(Self::Vectors),
        }
    }

    fn rows(&self) -> u64 {
        match self {
            Self::Vectors(vectors) => vectors.rows(),
            Self::Cells { starts, .. } => starts.last().copied().unwrap_or(0),
            Self::Table(table) => table.len() as u64,
            Self::Lines(lines) => lines.starts.len() as u64 - 1,
        }
    }
}

/// A text with one caption a line.
#[derive(Clone, Debug)]
struct Lines {
    path: PathBuf,
    /// Byte at which each line begins, and the end.
    starts: Vec<u64>,
}

/// Bytes of a line.
const MOST_LINE: u64 = 1 << 20;

impl Lines {
    fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::file(path))?;
        let mut reader = BufReader::new(file);
        let mut starts = vec![0];
        let mut at = 0;
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader)
                .take(MOST_LINE)
                .read_until(b'\n', &mut line)
                .map_err(DataError::file(path))?;
            if read == 0 {
                break;
            }
            if read as u64 == MOST_LINE && !line.ends_with(b"\n") {
                return Err(DataError::content(
                    path,
                    format!("line {} is longer than 1 MiB", starts.len()),
                ));
            }
            at += read as u64;
            starts.push(at);
        }
        let path = path.to_owned();
        Ok(Self { path, starts })
    }

    fn captions(&self, row: usize) -> Result<Vec<Caption>, Fault> {
        let (at, end) = (self.starts[row], self.starts[row + 1]);
        let mut bytes = vec![0; (end - at) as usize];
        let read = File::open(&self.path).and_then(|file| file.read_exact_at(&mut bytes, at));
        read.map_err(|_| Fault::Unreadable)?;
        caption::plain(&bytes)
    }
}
