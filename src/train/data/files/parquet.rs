//! Parquet files: a row has an image's bytes and what is said of it, or lists of numbers. Of a row group only which rows are
//! samples is kept; a row is read when it is its turn, of the pages that hold it and no others.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{LogicalType, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedRowGroupReader;

use crate::train::data::error::DataError;
use crate::train::data::fault::Fault;

/// A file with its footer.
#[derive(Clone, Debug)]
pub struct Columnar {
    path: PathBuf,
    footer: Arc<ParquetMetaData>,
}

/// One column of numbers or bytes, which may be a list in each row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    leaf: usize,
    /// Definition level of values that are there.
    defined: i16,
    pub holds: Holds,
    /// Whether a row has several.
    pub is_list: bool,
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holds {
    Bytes,
    Numbers,
}

/// The values of a column in one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    Bytes(Vec<Vec<u8>>),
    Numbers(Vec<f64>),
}

/// Rows that are read at a time when a column is gone through.
const BATCH: usize = 1_024;
/// Bytes of a footer; one of a million row groups and columns has less.
const MOST_FOOTER: u64 = 256 << 20;

impl Columnar {
    /// # Errors
    /// A file that cannot be read or is no Parquet.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::file(path))?;
        let length = file.metadata().map_err(DataError::file(path))?.len();
        let footer = footer_length(&file, length).map_err(DataError::file(path))?;
        if footer.is_none_or(|footer| footer > MOST_FOOTER.min(length)) {
            return Err(DataError::content(
                path,
                "it is not a Parquet file, or one that was cut",
            ));
        }
        let read = guarded(|| {
            ParquetMetaDataReader::new()
                .with_page_index_policy(PageIndexPolicy::Optional)
                .parse_and_finish(&file)
        });
        let footer = read.map_err(|problem| DataError::said(path, &problem))?;
        Ok(Self {
            path: path.to_owned(),
            footer: Arc::new(footer),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn groups(&self) -> usize {
        self.footer.num_row_groups()
    }

    /// Rows of a group.
    pub fn rows(&self, group: usize) -> usize {
        usize::try_from(self.footer.row_group(group).num_rows()).unwrap_or(0)
    }

    /// The column `name`, whose values may lie deeper: in the `bytes` of a struct, as Hugging Face stores images, or in a
    /// list. `key` is the setting that names it.
    ///
    /// # Errors
    /// There is none, or it holds neither bytes nor numbers.
    pub fn column(&self, key: &'static str, name: &str) -> Result<Column, DataError> {
        let columns = self.footer.file_metadata().schema_descr().columns();
        let paths: Vec<String> = columns
            .iter()
            .map(|column| column.path().string())
            .collect();
        let below = format!("{name}.");
        let inside = || {
            paths
                .iter()
                .enumerate()
                .filter(|(_, path)| path.starts_with(&below))
        };
        let exact = paths.iter().position(|path| path == name);
        let bytes = || {
            paths
                .iter()
                .position(|path| *path == format!("{name}.bytes"))
        };
        let only = || match inside().count() {
            1 => inside().next().map(|(leaf, _)| leaf),
            _ => None,
        };
        let Some(leaf) = exact.or_else(bytes).or_else(only) else {
            let known: Vec<&str> = paths.iter().take(20).map(String::as_str).collect();
            let known = crate::util::printable(&known.join(", "));
            let problem = format!(
                "{} has no column \"{name}\"; its columns are {known}",
                self.path.display()
            );
            return Err(DataError::setting(key, problem));
        };
        let column = &columns[leaf];
        let half = matches!(column.logical_type_ref(), Some(LogicalType::Float16));
        let holds = match column.physical_type() {
            Physical::BYTE_ARRAY => Holds::Bytes,
            Physical::INT32 | Physical::INT64 | Physical::FLOAT | Physical::DOUBLE => {
                Holds::Numbers
            }
            Physical::FIXED_LEN_BYTE_ARRAY if half => Holds::Numbers,
            other => {
                let problem = format!(
                    "column \"{name}\" of {} holds {other}, neither bytes nor numbers",
                    self.path.display()
                );
                return Err(DataError::setting(key, problem));
            }
        };
        if column.max_rep_level() > 1 {
            let problem = format!(
                "column \"{name}\" of {} has lists in lists",
                self.path.display()
            );
            return Err(DataError::setting(key, problem));
        }
        Ok(Column {
            leaf,
            defined: column.max_def_level(),
            holds,
            is_list: column.max_rep_level() == 1,
        })
    }

    /// What one row of a group has in a column.
    ///
    /// # Errors
    /// [`Fault::Unreadable`].
    pub fn cell(&self, group: usize, row: usize, column: Column) -> Result<Cell, Fault> {
        let mut found = None;
        self.walk(group, row..row + 1, column, |_, cell| found = Some(cell))?;
        found.ok_or(Fault::Unreadable)
    }

    /// Call `each` with the cells of a range of rows of a group, in order.
    ///
    /// # Errors
    /// [`Fault::Unreadable`].
    pub fn walk(
        &self,
        group: usize,
        rows: std::ops::Range<usize>,
        column: Column,
        mut each: impl FnMut(usize, Cell),
    ) -> Result<(), Fault> {
        guarded(|| {
            let file = Arc::new(File::open(&self.path)?);
            let properties = Arc::new(ReaderProperties::builder().build());
            let (about, index) = (
                self.footer.row_group(group),
                self.footer.page_index_for_row_group(group),
            );
            let reader = SerializedRowGroupReader::new(file, about, index, properties)?;
            match reader.get_column_reader(column.leaf)? {
                ColumnReader::ByteArrayColumnReader(reader) => {
                    cells(reader, rows, column, |row, values| {
                        each(
                            row,
                            Cell::Bytes(
                                values
                                    .iter()
                                    .map(|value: &ByteArray| value.data().to_vec())
                                    .collect(),
                            ),
                        );
                    })
                }
                ColumnReader::FloatColumnReader(reader) => {
                    cells(reader, rows, column, |row, values| {
                        each(row, numbers(values, |x| f64::from(*x)))
                    })
                }
                ColumnReader::DoubleColumnReader(reader) => {
                    cells(reader, rows, column, |row, values| {
                        each(row, numbers(values, |x| *x))
                    })
                }
                ColumnReader::Int32ColumnReader(reader) => {
                    cells(reader, rows, column, |row, values| {
                        each(row, numbers(values, |x| f64::from(*x)))
                    })
                }
                ColumnReader::Int64ColumnReader(reader) => {
                    cells(reader, rows, column, |row, values| {
                        each(row, numbers(values, |x| *x as f64))
                    })
                }
                ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                    cells(reader, rows, column, |row, values| {
                        let half = |value: &FixedLenByteArray| match value.data() {
                            [low, high] => half::f16::from_le_bytes([*low, *high]).to_f64(),
                            _ => f64::NAN,
                        };
                        each(row, numbers(values, half));
                    })
                }
                _ => Err(parquet::errors::ParquetError::General(
                    "no bytes and no numbers".into(),
                )),
            }
        })
        .map_err(|_: String| Fault::Unreadable)
    }
}

fn numbers<T>(values: &[T], number: impl Fn(&T) -> f64) -> Cell {
    Cell::Numbers(values.iter().map(number).collect())
}

/// Call `each` with the values of every row of the range; of a row that has none there are none.
fn cells<T: DataType>(
    mut reader: ColumnReaderImpl<T>,
    rows: std::ops::Range<usize>,
    column: Column,
    mut each: impl FnMut(usize, &[T::T]),
) -> parquet::errors::Result<()> {
    let short =
        || parquet::errors::ParquetError::General("a column has fewer rows than its group".into());
    if reader.skip_records(rows.start)? != rows.start {
        return Err(short());
    }
    let (mut values, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    let mut row = rows.start;
    while row < rows.end {
        values.clear();
        defined.clear();
        repeated.clear();
        let most = BATCH.min(rows.end - row);
        let (records, count, levels) =
            reader.read_records(most, Some(&mut defined), Some(&mut repeated), &mut values)?;
        if records == 0 {
            return Err(short());
        }
        // Columns that must have a value have no levels: one value a row.
        let is_defined =
            |level: usize| column.defined == 0 || defined.get(level) == Some(&column.defined);
        let begins = |level: usize| !column.is_list || repeated.get(level) == Some(&0);
        let levels = if column.defined == 0 && !column.is_list {
            count
        } else {
            levels
        };
        let (mut first, mut next, mut level) = (0, 0, 0);
        for _ in 0..records {
            loop {
                next += usize::from(is_defined(level));
                level += 1;
                if level >= levels || begins(level) {
                    break;
                }
            }
            each(row, values.get(first..next).ok_or_else(short)?);
            first = next;
            row += 1;
        }
    }
    Ok(())
}

/// The length that a Parquet file says its footer has; none if it does not end as one.
fn footer_length(file: &File, length: u64) -> std::io::Result<Option<u64>> {
    use std::os::unix::fs::FileExt;
    let Some(at) = length.checked_sub(8) else {
        return Ok(None);
    };
    let mut end = [0; 8];
    file.read_exact_at(&mut end, at)?;
    let (footer, magic) = end.split_at(4);
    let footer = u32::from_le_bytes(footer.try_into().expect("half of eight"));
    Ok((magic == b"PAR1").then_some(footer.into()))
}

/// What damaged files make the reader say, and what it would panic with.
fn guarded<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("it is damaged".into()),
    }
}
