//! numpy's npz: a zip of npy arrays, read by array. Nothing in it is ever unpickled.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use npyz::npz::{NpzArchive, array_name_from_file_name};
use npyz::{DType, NpyHeader, Order, TypeChar};

use super::FileError;
use super::archive::{Float, Header};
use super::axes::transposed;
use crate::train::npy;
use crate::util::printable;

/// A checkpoint has a few thousand.
const MOST_ARRAYS: usize = 100_000;

/// Bytes that are decoded at a time: a multiple of every number's size.
const BITE: usize = 1 << 16;

pub struct Npz {
    path: PathBuf,
    zip: NpzArchive<BufReader<File>>,
    headers: BTreeMap<String, Header>,
    members: BTreeMap<String, Member>,
}

/// Where an array is.
#[derive(Clone, Copy)]
struct Member {
    /// Its place in the zip.
    index: usize,
    /// Bytes before its values.
    skip: usize,
    order: Order,
}

impl Npz {
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let error = |text: String| FileError::new(path, text);
        let mut zip = NpzArchive::open(path)
            .map_err(|e| error(format!("is no npz file: {}", printable(&e.to_string()))))?;
        let (mut headers, mut members) = (BTreeMap::new(), BTreeMap::new());
        let count = zip.zip_archive().len();
        if count > MOST_ARRAYS {
            return Err(error(format!(
                "has {count} arrays, more than {MOST_ARRAYS}"
            )));
        }
        for index in 0..count {
            let mut file = zip
                .zip_archive()
                .by_index(index)
                .map_err(|e| error(printable(&e.to_string())))?;
            let Some(name) = array_name_from_file_name(file.name()).map(str::to_owned) else {
                continue;
            };
            let size = file.size();
            let array = |text: String| error(format!("`{}` {text}", printable(&name)));
            let text = npy::header(&mut file).map_err(array)?;
            let header = NpyHeader::from_reader(text.as_slice())
                .map_err(|e| array(format!("is no npy array: {}", printable(&e.to_string()))))?;
            if header.uses_pickled_array() {
                return Err(array("is pickled; nothing is ever unpickled".into()));
            }
            let shape: Vec<usize> = header.shape().iter().map(|&n| n as usize).collect();
            let float = float_of(&header.dtype());
            if let Some(float) = float {
                // The numbers of the header were checked not to overflow when multiplied.
                let needs = text.len() as u64 + header.len() * float.bytes() as u64;
                if needs != size {
                    return Err(array(format!(
                        "of shape {shape:?} needs {needs} bytes and has {size}"
                    )));
                }
            }
            let member = Member {
                index,
                skip: text.len(),
                order: header.order(),
            };
            members.insert(name.clone(), member);
            headers.insert(name, Header { shape, float });
        }
        Ok(Self {
            path: path.to_owned(),
            zip,
            headers,
            members,
        })
    }

    pub fn headers(&self) -> &BTreeMap<String, Header> {
        &self.headers
    }

    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, FileError> {
        let path = &self.path;
        let error = |text: String| FileError::new(path, format!("`{}` {text}", printable(name)));
        let known = self.headers.get(name).zip(self.members.get(name).copied());
        let Some((header, member)) = known else {
            return Err(error("is not there".into()));
        };
        let Some(float) = header.float else {
            return Err(error(
                "does not hold numbers of f64, f32, f16 or bf16".into(),
            ));
        };
        let io = |e: std::io::Error| error(e.to_string());
        let mut file = self
            .zip
            .zip_archive()
            .by_index(member.index)
            .map_err(|e| error(e.to_string()))?;
        file.read_exact(&mut vec![0; member.skip]).map_err(io)?;
        let mut left = header.shape.iter().product::<usize>() * float.bytes();
        // It grows with what is there and not with what is claimed: a zip may claim a thousandfold.
        let mut values = Vec::new();
        let mut bite = vec![0; BITE.min(left)];
        while left > 0 {
            let bite = &mut bite[..BITE.min(left)];
            file.read_exact(bite).map_err(io)?;
            float.decode(bite, &mut values);
            left -= bite.len();
        }
        Ok(match member.order {
            Order::C => values,
            Order::Fortran => {
                let stored: Vec<usize> = header.shape.iter().rev().copied().collect();
                let back: Vec<usize> = (0..stored.len()).rev().collect();
                transposed(&values, &stored, &back)
            }
        })
    }
}

/// How the numbers of an array are stored; big_vision writes bf16, which numpy does not know, as two bytes of nothing.
fn float_of(dtype: &DType) -> Option<Float> {
    let DType::Plain(plain) = dtype else {
        return None;
    };
    if plain.endianness() == npyz::Endianness::Big {
        return None;
    }
    match (plain.type_char(), plain.size_field()) {
        (TypeChar::Float, 8) => Some(Float::F64),
        (TypeChar::Float, 4) => Some(Float::F32),
        (TypeChar::Float, 2) => Some(Float::F16),
        (TypeChar::RawData, 2) => Some(Float::BF16),
        _ => None,
    }
}
