//! Named tensors in the files of other programs: their shapes at once, their values one at a time, so that a checkpoint
//! is never in memory as a whole. What the names mean is not known here. A file may be broken or made to do harm: what
//! it claims is held against what it is before anything is read or allocated by it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::FileError;
use super::npz::Npz;
use super::safetensors::Safetensors;
use crate::util::printable;

/// What is kept of a tensor before its values are asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    pub shape: Vec<usize>,
    /// None where the values are no floating-point numbers.
    pub float: Option<Float>,
}

/// How floating-point numbers are stored, all little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Float {
    F64,
    F32,
    F16,
    BF16,
}

impl Float {
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }

    /// Append what `bytes`, a whole number of values, hold.
    pub fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F64 => values.extend(chunks(bytes).map(|b| f64::from_le_bytes(b) as f32)),
            Self::F32 => values.extend(chunks(bytes).map(f32::from_le_bytes)),
            Self::F16 => {
                values.extend(chunks(bytes).map(|b| half::f16::from_le_bytes(b).to_f32()));
            }
            Self::BF16 => {
                values.extend(chunks(bytes).map(|b| half::bf16::from_le_bytes(b).to_f32()));
            }
        }
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    bytes.as_chunks().0.iter().copied()
}

/// One file of tensors.
enum Container {
    Safetensors(Safetensors),
    Npz(Npz),
}

impl Container {
    fn open(path: &Path) -> Result<Self, FileError> {
        let is_zip = path.extension().is_some_and(|e| e == "npz");
        Ok(if is_zip {
            Self::Npz(Npz::open(path)?)
        } else {
            Self::Safetensors(Safetensors::open(path)?)
        })
    }

    fn headers(&self) -> &BTreeMap<String, Header> {
        match self {
            Self::Safetensors(file) => file.headers(),
            Self::Npz(file) => file.headers(),
        }
    }
}

/// All tensors of a checkpoint, in one file or several.
pub struct Archive {
    path: PathBuf,
    containers: Vec<Container>,
    /// Which container has a tensor.
    places: BTreeMap<String, usize>,
}

/// The names that a directory's weights go by, most telling first.
const INDEX: &str = "model.safetensors.index.json";
const WHOLE: [&str; 2] = ["model.safetensors", "open_clip_model.safetensors"];
const PICKLES: [&str; 5] = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
    "open_clip_model.pt",
    "flax_model.msgpack",
];

/// An index names a few files; more, or a longer one, is none.
const MOST_SHARDS: usize = 1_000;
const MOST_INDEX_BYTES: u64 = 32 << 20;

impl Archive {
    /// The checkpoint at `path`, a file or a directory.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let files = files_of(path)?;
        let mut archive = Self {
            path: path.to_owned(),
            containers: Vec::new(),
            places: BTreeMap::new(),
        };
        for file in files {
            let container = Container::open(&file)?;
            for name in container.headers().keys() {
                let twice = archive
                    .places
                    .insert(name.clone(), archive.containers.len())
                    .is_some();
                if twice {
                    return Err(FileError::new(
                        &file,
                        format!(
                            "`{}` stands in two files of the checkpoint",
                            printable(name)
                        ),
                    ));
                }
            }
            archive.containers.push(container);
        }
        Ok(archive)
    }

    /// What was asked for.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub fn has(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub fn header(&self, name: &str) -> Option<&Header> {
        self.containers[*self.places.get(name)?].headers().get(name)
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.header(name).map(|header| header.shape.as_slice())
    }

    /// The values of a tensor, row-major.
    pub fn read(&mut self, name: &str) -> Result<Vec<f32>, FileError> {
        let place = self.places.get(name).copied();
        let container = place.and_then(|place| self.containers.get_mut(place));
        match container {
            Some(Container::Safetensors(file)) => file.read(name),
            Some(Container::Npz(file)) => file.read(name),
            None => Err(FileError::new(
                &self.path,
                format!("there is no `{}`", printable(name)),
            )),
        }
    }

    /// The one value of a tensor of one element.
    pub fn read_scalar(&mut self, name: &str) -> Result<f64, FileError> {
        match self.read(name)?.as_slice() {
            [value] => Ok(f64::from(*value)),
            several => Err(FileError::new(
                &self.path,
                format!("`{name}` is one number, and has {} here", several.len()),
            )),
        }
    }
}

/// The files that hold the tensors of the checkpoint at `path`.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let problem = |text: String| Err(FileError::new(path, text));
    if !path.is_dir() {
        return match path.extension().and_then(|e| e.to_str()) {
            Some("safetensors" | "npz") => Ok(vec![path.to_owned()]),
            Some("json") => shards(path),
            _ if !path.exists() => problem("is not there".into()),
            _ => problem(
                "is neither a directory nor a .safetensors or .npz file; pickled checkpoints (.bin, .pt) are not read, for \
                 reading one runs what it says: save it with safetensors"
                    .into(),
            ),
        };
    }
    if let Some(file) = WHOLE
        .iter()
        .map(|name| path.join(name))
        .find(|f| f.exists())
    {
        return Ok(vec![file]);
    }
    let index = path.join(INDEX);
    if index.exists() {
        return shards(&index);
    }
    let entries = fs::read_dir(path).map_err(|e| FileError::new(path, e.to_string()))?;
    let found = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found = found.filter(|p| {
        p.extension()
            .is_some_and(|e| e == "safetensors" || e == "npz")
    });
    let mut found: Vec<PathBuf> = found.collect();
    found.sort();
    let names = |files: &[PathBuf]| {
        let names = files.iter().filter_map(|f| f.file_name());
        let names: Vec<String> = names.map(|n| printable(&n.to_string_lossy())).collect();
        names.join(", ")
    };
    match found.as_slice() {
        [one] => Ok(vec![one.clone()]),
        [] => {
            let pickle = PICKLES.iter().find(|name| path.join(name).exists());
            problem(match pickle {
                Some(name) => format!(
                    "has {name} and no safetensors; pickled checkpoints are not read, for reading one runs what it says: \
                     save it with safetensors"
                ),
                None => format!("has neither {}, {INDEX} nor an .npz file", WHOLE[0]),
            })
        }
        several => problem(format!(
            "has several checkpoints: name one of {}",
            names(several)
        )),
    }
}

/// The files that `index`, as Hugging Face writes it, names; all are beside it.
fn shards(index: &Path) -> Result<Vec<PathBuf>, FileError> {
    let error = |text: String| FileError::new(index, text);
    let size = fs::metadata(index).map_err(|e| error(e.to_string()))?.len();
    if size > MOST_INDEX_BYTES {
        return Err(error(format!(
            "is {size} bytes long, too long for an index"
        )));
    }
    let text = fs::read(index).map_err(|e| error(e.to_string()))?;
    let document: Value = serde_json::from_slice(&text).map_err(|e| error(e.to_string()))?;
    let map = document.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| error("has no table `weight_map`".into()))?;
    let mut names = BTreeSet::new();
    for value in map.values() {
        let name = value.as_str().unwrap_or_default();
        // A name that climbs out of the directory is no shard of it.
        let plain = !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref());
        if !plain || !name.ends_with(".safetensors") {
            return Err(error(format!(
                "`{}` is not the name of a safetensors file beside it",
                printable(name)
            )));
        }
        names.insert(name);
        if names.len() > MOST_SHARDS {
            return Err(error(format!("names more than {MOST_SHARDS} files")));
        }
    }
    let folder = index.parent().unwrap_or_else(|| Path::new("."));
    Ok(names.into_iter().map(|name| folder.join(name)).collect())
}
