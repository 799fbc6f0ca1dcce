//! Vectors that were made elsewhere, one a row: npy, a tensor of a safetensors file, or a column of lists in Parquet. The
//! header is read and held against the size of the file; rows are read when it is their turn.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::Dtype;

use super::parquet::{Cell, Column, Columnar, Holds};
use crate::train::data::error::DataError;
use crate::train::data::fault::Fault;
use crate::train::{npy, tensors};

/// Rows of one width.
#[derive(Clone, Debug)]
pub struct Vectors {
    kept: Kept,
    rows: u64,
    width: usize,
}

#[derive(Clone, Debug)]
enum Kept {
    /// Row after row in a file, from byte `at` on.
    Flat {
        path: PathBuf,
        at: u64,
        number: Number,
    },
    /// Lists in a column; the first row of each group.
    Lists {
        file: Columnar,
        column: Column,
        starts: Vec<u64>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    F16,
    Bf16,
    F32,
    F64,
}

impl Number {
    fn bytes(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Little-endian values as f32.
    fn read(self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f16::from_le_bytes(*b).to_f32())
                .collect(),
            Self::Bf16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| bf16::from_le_bytes(*b).to_f32())
                .collect(),
            Self::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            Self::F64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f64::from_le_bytes(*b) as f32)
                .collect(),
        }
    }
}

/// Bytes of a header: that of a file with ten thousand tensors has a megabyte.
const MOST_HEADER: u64 = 10 << 20;
/// Numbers of a row.
const MOST_WIDTH: u64 = 1 << 20;

impl Vectors {
    /// The vectors in a file of the kind that its suffix says; `name` is the tensor or column, which a file with one tensor
    /// need not say. `key` is the setting that names the file.
    ///
    /// # Errors
    /// A file that cannot be read or is not of its kind, and vectors that are none.
    pub fn open(key: &'static str, path: &Path, name: Option<&str>) -> Result<Self, DataError> {
        match path.extension().and_then(|suffix| suffix.to_str()) {
            Some("npy") => Self::npy(path),
            Some("safetensors") => Self::safetensors(path, name),
            Some("parquet") => Self::parquet(key, path, name),
            _ => Err(DataError::setting(
                key,
                format!("{} is no npy, safetensors or parquet file", path.display()),
            )),
        }
    }

    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Numbers of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// # Errors
    /// A row that cannot be read, or whose numbers are not all finite.
    pub fn row(&self, row: u64) -> Result<Vec<f32>, Fault> {
        let values = match &self.kept {
            Kept::Flat { path, at, number } => {
                let mut bytes = vec![0; self.width * number.bytes()];
                let at = at + row * bytes.len() as u64;
                let read = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, at));
                read.map_err(|_| Fault::Unreadable)?;
                number.read(&bytes)
            }
            Kept::Lists {
                file,
                column,
                starts,
            } => {
                let group = starts.partition_point(|start| *start <= row) - 1;
                match file.cell(group, (row - starts[group]) as usize, *column)? {
                    Cell::Numbers(values) if values.len() == self.width => {
                        values.into_iter().map(|x| x as f32).collect()
                    }
                    _ => return Err(Fault::BrokenRow),
                }
            }
        };
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => Err(Fault::NotFinite),
        }
    }

    fn npy(path: &Path) -> Result<Self, DataError> {
        let content = |problem: &str| DataError::content(path, problem);
        let mut file = File::open(path).map_err(DataError::file(path))?;
        let length = file.metadata().map_err(DataError::file(path))?.len();
        let text = npy::header(&mut file).map_err(|problem| content(&format!("it {problem}")))?;
        let header = npyz::NpyHeader::from_reader(text.as_slice());
        let header = header.map_err(|error| DataError::said(path, &error))?;
        let at = text.len() as u64;
        let number = match header.dtype().descr().as_str() {
            "'<f2'" => Number::F16,
            "'<f4'" => Number::F32,
            "'<f8'" => Number::F64,
            other => {
                return Err(content(&format!(
                    "its numbers are {other}, not f2, f4 or f8 in little-endian order"
                )));
            }
        };
        if header.order() != npyz::Order::C {
            return Err(content(
                "it is in Fortran's order: save numpy.ascontiguousarray of it",
            ));
        }
        Self::flat(path, header.shape(), number, at, length)
    }

    fn safetensors(path: &Path, name: Option<&str>) -> Result<Self, DataError> {
        let content = |problem: String| DataError::content(path, problem);
        let file = File::open(path).map_err(DataError::file(path))?;
        let length = file.metadata().map_err(DataError::file(path))?.len();
        let mut start = [0; 8];
        let cut = |_| DataError::content(path, "it is not a safetensors file, or one that was cut");
        file.read_exact_at(&mut start, 0).map_err(cut)?;
        let header = u64::from_le_bytes(start);
        if header > MOST_HEADER.min(length) {
            return Err(content(format!(
                "its header would be {header} bytes: it is damaged, or no safetensors file"
            )));
        }
        let mut bytes = vec![0; header as usize];
        file.read_exact_at(&mut bytes, 8).map_err(cut)?;
        let metadata = tensors::parse(&bytes).map_err(|error| DataError::said(path, &error))?;
        let mut names = metadata.offset_keys();
        names.sort();
        let name = match (name, names.as_slice()) {
            (Some(name), _) => name,
            (None, [only]) => only,
            (None, _) => {
                return Err(content(format!(
                    "say which tensor, as FILE:NAME: {}",
                    some(&names)
                )));
            }
        };
        let info = metadata.info(name);
        let info = info
            .ok_or_else(|| content(format!("it has no tensor \"{name}\", but {}", some(&names))))?;
        let number = match info.dtype {
            Dtype::F16 => Number::F16,
            Dtype::BF16 => Number::Bf16,
            Dtype::F32 => Number::F32,
            Dtype::F64 => Number::F64,
            other => {
                return Err(content(format!(
                    "tensor \"{name}\" is {other:?}, not F16, BF16, F32 or F64"
                )));
            }
        };
        let shape: Vec<u64> = info.shape.iter().map(|n| *n as u64).collect();
        let at = 8 + header + info.data_offsets.0 as u64;
        Self::flat(path, &shape, number, at, length)
    }

    /// `[rows, width]` numbers from byte `at` of a file of `length` bytes.
    fn flat(
        path: &Path,
        shape: &[u64],
        number: Number,
        at: u64,
        length: u64,
    ) -> Result<Self, DataError> {
        let &[rows, width] = shape else {
            let problem = format!("its shape is {shape:?}, not rows and the numbers of a row");
            return Err(DataError::content(path, problem));
        };
        let bytes = rows
            .checked_mul(width)
            .and_then(|count| count.checked_mul(number.bytes() as u64));
        let end = bytes.and_then(|bytes| bytes.checked_add(at));
        if end.is_none_or(|end| end > length) {
            let problem =
                format!("{rows} rows of {width} numbers are more than the file holds: it was cut");
            return Err(DataError::content(path, problem));
        }
        let path = path.to_owned();
        Self {
            kept: Kept::Flat {
                path: path.clone(),
                at,
                number,
            },
            rows,
            width: width as usize,
        }
        .checked(&path)
    }

    fn parquet(key: &'static str, path: &Path, name: Option<&str>) -> Result<Self, DataError> {
        let file = Columnar::open(path)?;
        let name = name.ok_or_else(|| {
            DataError::setting(key, format!("say which column, as {}:NAME", path.display()))
        })?;
        let column = file.column(key, name)?;
        if column.holds != Holds::Numbers || !column.is_list {
            let problem = format!(
                "column \"{name}\" of {} is not of lists of numbers",
                path.display()
            );
            return Err(DataError::setting(key, problem));
        }
        let mut starts = Vec::new();
        let mut rows = 0;
        for group in 0..file.groups() {
            starts.push(rows);
            rows += file.rows(group) as u64;
        }
        let group = (0..file.groups()).find(|group| file.rows(*group) > 0);
        let first = group.map(|group| file.cell(group, 0, column));
        let width = match first {
            Some(Ok(Cell::Numbers(values))) => values.len(),
            _ => {
                return Err(DataError::content(
                    path,
                    format!("no row of column \"{name}\" can be read"),
                ));
            }
        };
        Self {
            kept: Kept::Lists {
                file,
                column,
                starts,
            },
            rows,
            width,
        }
        .checked(path)
    }

    fn checked(self, path: &Path) -> Result<Self, DataError> {
        let width = self.width as u64;
        match self.rows > 0 && (1..=MOST_WIDTH).contains(&width) {
            true => Ok(self),
            false => Err(DataError::content(
                path,
                format!("{} rows of {width} numbers are no vectors", self.rows),
            )),
        }
    }
}

/// A few names, for a message.
fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(20).map(String::as_str).collect();
    let more = if names.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    crate::util::printable(&(shown.join(", ") + more))
}
