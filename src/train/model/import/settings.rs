//! The JSON files beside weights: config.json and the like. They are small, flat and written by others; what is asked
//! for is there, of the right type, or not.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::FileError;
use crate::train::data::{Augment, Filter, Preparation, Resize};

/// They are a few kilobytes.
const MOST_BYTES: u64 = 1 << 20;

/// A table of one of these files.
#[derive(Clone, Debug)]
pub struct Settings {
    path: PathBuf,
    value: Value,
}

/// How a picture becomes what a tower reads, apart from its size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pixels {
    pub resize: Resize,
    pub filter: Filter,
    /// Of values in [0, 1], by channel.
    pub mean: [f64; 3],
    pub std: [f64; 3],
}

impl Pixels {
    /// To [-1, 1], whatever the ratio of the sides: SigLIP's way.
    pub const SIGLIP: Self = Self {
        resize: Resize::Squash,
        filter: Filter::Bicubic,
        mean: [0.5; 3],
        std: [0.5; 3],
    };

    /// The same at a size.
    pub fn preparation(self, size: usize) -> Preparation {
        let Self {
            resize,
            filter,
            mean,
            std,
        } = self;
        Preparation {
            size,
            resize,
            filter,
            augment: Augment::None,
            mean,
            std,
        }
    }
}

/// The file at `path`; none if it is not there.
pub fn read(path: &Path) -> Result<Option<Settings>, FileError> {
    let error = |text: String| FileError::new(path, text);
    let size = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(error(e.to_string())),
    };
    if size > MOST_BYTES {
        return Err(error(format!(
            "is {size} bytes long, more than {MOST_BYTES}"
        )));
    }
    let bytes = fs::read(path).map_err(|e| error(e.to_string()))?;
    let value = serde_json::from_slice(&bytes).map_err(|e| error(e.to_string()))?;
    Ok(Some(Settings {
        path: path.to_owned(),
        value,
    }))
}

impl Settings {
    pub fn error(&self, problem: String) -> FileError {
        FileError::new(&self.path, problem)
    }

    pub fn value(&self, key: &str) -> Option<&Value> {
        self.value.get(key)
    }

    pub fn table(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key)?;
        value.is_object().then(|| Self {
            path: self.path.clone(),
            value: value.clone(),
        })
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.value.get(key)?.as_str()
    }

    pub fn number(&self, key: &str) -> Option<f64> {
        self.value.get(key)?.as_f64()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.value.get(key).and_then(Value::as_bool) == Some(true)
    }

    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let list = self.value.get(key)?.as_array()?;
        list.iter().map(Value::as_f64).collect()
    }

    /// A number that counts something.
    pub fn whole(&self, key: &str) -> Result<Option<usize>, FileError> {
        match self.value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match value.as_u64().and_then(|n| usize::try_from(n).ok()) {
                Some(n) if n > 0 => Ok(Some(n)),
                _ => Err(self.error(format!(
                    "{key} is {value}; expected a whole number from 1 up"
                ))),
            },
        }
    }
}
