//! Weights that other programs wrote: Hugging Face, open_clip, timm and big_vision. [`Checkpoint::open`] finds the
//! format and what it says of the towers; [`Checkpoint::fill_image`] and [`Checkpoint::fill_text`] put them into ours.

mod archive;
pub mod axes;
mod big_vision;
mod described;
mod fill;
pub mod hugging_face;
pub mod names;
mod npz;
mod open_clip;
mod positions;
mod safetensors;
mod settings;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use archive::Archive;
pub use described::{Described, DescribedImage, DescribedText};
pub use fill::Report;
use fill::{Grid, fill};
pub use settings::Pixels;

use super::params::Layout;
use super::{ImageConfig, ImagePool};
use crate::util::{abridged, printable};

/// What is wrong with a file that another program wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct FileError {
    path: String,
    problem: String,
}

/// Characters of what is wrong with a file, which may repeat much of it.
const LONGEST: usize = 2_000;

impl FileError {
    fn new(path: &Path, problem: String) -> Self {
        Self {
            path: printable(&path.display().to_string()),
            problem: abridged(&problem, LONGEST),
        }
    }
}

/// A tower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tower {
    Image,
    Text,
}

impl Tower {
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
        }
    }
}

/// A checkpoint of another program, opened: what it says of its towers is known, their weights are not read yet.
pub struct Checkpoint {
    archive: Archive,
    folder: PathBuf,
    pub described: Described,
}

impl Checkpoint {
    /// The checkpoint at `path`, a file or a directory.
    ///
    /// # Errors
    /// A file that is not there, damaged, hostile, or of none of the formats.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let archive = Archive::open(path)?;
        let folder = if path.is_dir() {
            path.to_owned()
        } else {
            path.parent().map(Path::to_owned).unwrap_or_default()
        };
        let found = match hugging_face::describe(&archive, &folder)? {
            Some(described) => Some(described),
            None => match open_clip::describe(&archive, &folder)? {
                Some(described) => Some(described),
                None => big_vision::describe(&archive)?,
            },
        };
        let Some(described) = found else {
            let some: Vec<String> = archive.names().take(5).map(printable).collect();
            return Err(FileError::new(
                path,
                format!(
                    "has none of the names that Hugging Face's SigLIP and CLIP, open_clip, timm and big_vision use; it begins with {}",
                    some.join(", ")
                ),
            ));
        };
        Ok(Self {
            archive,
            folder,
            described,
        })
    }

    pub fn path(&self) -> &Path {
        self.archive.path()
    }

    /// Where the files beside the weights are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// t' and b, where the file has them.
    pub fn scalars(&mut self) -> Result<[Option<f64>; 2], FileError> {
        let names = [&self.described.log_t, &self.described.bias].map(Clone::clone);
        let [log_t, bias] = names;
        let mut read =
            |name: Option<String>| name.map(|n| self.archive.read_scalar(&n)).transpose();
        Ok([read(log_t)?, read(bias)?])
    }

    /// Put its image tower, made for images of another size maybe, into `values`, all parameters in the order of
    /// `layout`; `config` is that of the tower there, for images of `size` pixels.
    pub fn fill_image(
        &mut self,
        values: &mut [f32],
        layout: &Layout,
        config: &ImageConfig,
        size: usize,
    ) -> Result<Report, FileError> {
        let Some(there) = self.described.image.clone() else {
            return Err(self.lacks(Tower::Image));
        };
        let grid = Grid {
            here: size / config.patch,
            there: there.size / there.config.patch,
            class_here: config.pool == ImagePool::Cls,
            class_there: there.class_has_position,
        };
        let grid = Some(grid);
        fill(
            values,
            layout,
            "image",
            &there.names,
            &mut self.archive,
            grid,
        )
    }

    /// Put its text tower into `values`, all parameters in the order of `layout`.
    pub fn fill_text(&mut self, values: &mut [f32], layout: &Layout) -> Result<Report, FileError> {
        let Some(there) = self.described.text.clone() else {
            return Err(self.lacks(Tower::Text));
        };
        fill(
            values,
            layout,
            "text",
            &there.names,
            &mut self.archive,
            None,
        )
    }

    pub fn lacks(&self, tower: Tower) -> FileError {
        FileError::new(self.path(), format!("has no {} tower", tower.name()))
    }
}
