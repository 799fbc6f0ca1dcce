//! A safetensors file, read by tensor. Its header is [`tensors`]'s; its length, and that the file holds what it
//! claims, are checked here.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::tensor::Dtype;

use super::FileError;
use super::archive::{Float, Header};
use crate::train::tensors;
use crate::util::{abridged, printable};

/// A header is 100 to 200 bytes a tensor, and a checkpoint has a few thousand.
const MOST_HEADER_BYTES: u64 = 10 << 20;

/// Characters that are told of what is wrong with it, which may repeat much of it.
const MOST_SAID: usize = 200;

/// Bytes that are decoded at a time.
const BITE: usize = 1 << 20;

pub struct Safetensors {
    path: PathBuf,
    file: File,
    headers: BTreeMap<String, Header>,
    /// First byte of each tensor in the file.
    starts: BTreeMap<String, u64>,
}

impl Safetensors {
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let error = |text: String| FileError::new(path, text);
        let io = |e: std::io::Error| FileError::new(path, e.to_string());
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        let mut length = [0; 8];
        file.read_exact(&mut length)
            .map_err(|_| error("is too short for a safetensors file".into()))?;
        let length = u64::from_le_bytes(length);
        if length > MOST_HEADER_BYTES || length.saturating_add(8) > size {
            return Err(error(format!(
                "is no safetensors file: it claims a header of {length} bytes, and is {size} bytes long (a header has at most {MOST_HEADER_BYTES})"
            )));
        }
        let mut text = vec![0; length as usize];
        file.read_exact(&mut text).map_err(io)?;
        let metadata = tensors::parse(&text).map_err(|e| {
            error(format!(
                "has a header that is not of safetensors: {}",
                abridged(&e, MOST_SAID)
            ))
        })?;
        drop(text);
        let data = size - 8 - length;
        if metadata.data_len() as u64 != data {
            return Err(error(format!(
                "is damaged or was cut off: its tensors need {} bytes after the header, and {data} are there",
                metadata.data_len()
            )));
        }
        let (mut headers, mut starts) = (BTreeMap::new(), BTreeMap::new());
        for (name, info) in metadata.tensors() {
            let float = match info.dtype {
                Dtype::F64 => Some(Float::F64),
                Dtype::F32 => Some(Float::F32),
                Dtype::F16 => Some(Float::F16),
                Dtype::BF16 => Some(Float::BF16),
                _ => None,
            };
            starts.insert(name.clone(), 8 + length + info.data_offsets.0 as u64);
            let shape = info.shape.clone();
            headers.insert(name, Header { shape, float });
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            headers,
            starts,
        })
    }

    pub fn headers(&self) -> &BTreeMap<String, Header> {
        &self.headers
    }

    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, FileError> {
        let error = |text: String| FileError::new(&self.path, text);
        let known = self.headers.get(name).zip(self.starts.get(name));
        let Some((header, start)) = known else {
            return Err(error(format!("there is no `{}`", printable(name))));
        };
        let Some(float) = header.float else {
            return Err(error(format!(
                "`{}` does not hold numbers of f64, f32, f16 or bf16",
                printable(name)
            )));
        };
        // The crate has checked that the product does not overflow.
        let count: usize = header.shape.iter().product();
        let io = |e: std::io::Error| error(format!("`{}`: {e}", printable(name)));
        self.file.seek(SeekFrom::Start(*start)).map_err(io)?;
        let mut values = Vec::with_capacity(count);
        let mut left = count * float.bytes();
        let mut bite = vec![0; BITE.min(left)];
        while left > 0 {
            let bite = &mut bite[..BITE.min(left)];
            self.file.read_exact(bite).map_err(io)?;
            float.decode(bite, &mut values);
            left -= bite.len();
        }
        Ok(values)
    }
}
