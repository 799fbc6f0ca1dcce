//! Where image-text pairs come from. A data set is a pure function of its settings, the run's seed and the index
//! of the example, so a resumed run needs no reader state and every rank can make its own slice.

mod chance;
mod corrupt;
mod epochs;
mod error;
mod fault;
mod files;
mod language;
mod order;
mod picture;
mod samples;
pub mod shapes;
mod skips;
mod source;
pub mod text;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::ConfigError;
use super::reads::Reads;
pub use corrupt::{Alignment, CorruptConfig};
pub use error::DataError;
pub(super) use files::Files;
pub(super) use files::expand;
pub use files::{Caption, FilesConfig, Format, SourceConfig};
pub use language::Language;
pub use picture::{Augment, Filter, Preparation, Resize, decode};
pub use shapes::Views;
pub use skips::Skips;
pub use source::{Class, Example, Source, Split};
use text::{Tokenizer, TokensConfig};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum DataConfig {
    /// Rendered scenes with captions, made on the fly: no files, endless unless told otherwise.
    Shapes(shapes::ShapesConfig),
    /// Tar archives of images with captions beside them.
    Webdataset(FilesConfig),
    /// Tables of text that name image files, such as open_clip's.
    Csv(FilesConfig),
    /// Parquet files with the bytes of images.
    Parquet(FilesConfig),
    /// A folder of images for each class.
    Folder(FilesConfig),
    /// Vectors that were made elsewhere, on one side or both.
    Features(FilesConfig),
}

impl Default for DataConfig {
    fn default() -> Self {
        Self::Shapes(shapes::ShapesConfig::default())
    }
}

impl DataConfig {
    /// How the set is kept.
    pub fn kept(&self) -> Kept<'_> {
        match self {
            Self::Shapes(shapes) => Kept::Nowhere(shapes),
            Self::Webdataset(files) => Kept::Files(Format::Webdataset, files),
            Self::Csv(files) => Kept::Files(Format::Csv, files),
            Self::Parquet(files) => Kept::Files(Format::Parquet, files),
            Self::Folder(files) => Kept::Files(Format::Folder, files),
            Self::Features(files) => Kept::Files(Format::Features, files),
        }
    }

    /// Side of the square images in pixels.
    pub fn image_size(&self) -> usize {
        match self.kept() {
            Kept::Nowhere(shapes) => shapes.image_size,
            Kept::Files(_, files) => files.image_size,
        }
    }

    /// Size of the training set as far as the settings say it; 0 is endless, or all that there is.
    pub fn pairs(&self) -> u64 {
        match self.kept() {
            Kept::Nowhere(shapes) => shapes.pairs,
            Kept::Files(_, files) => files.pairs,
        }
    }

    /// The files that it is made of, and those of the tokenizer.
    pub(super) fn reads(&self) -> Vec<Reads> {
        match self.kept() {
            Kept::Nowhere(_) => Vec::new(),
            Kept::Files(format, files) => files.reads(format),
        }
    }

    /// Pairs that are kept out of training for evaluation; none where these have no end.
    pub fn held_out(&self) -> Option<u64> {
        match self.kept() {
            Kept::Nowhere(_) => None,
            Kept::Files(_, files) => Some(files.held_out),
        }
    }

    /// Whether no training example comes twice.
    pub fn is_endless(&self) -> bool {
        matches!(self, Self::Shapes(config) if config.pairs == 0)
    }

    /// Whether training sees another picture of an example each epoch.
    pub fn varies(&self) -> bool {
        matches!(self.kept(), Kept::Files(_, files) if files.augment != picture::Augment::None)
    }

    /// What the two sides of a pair are.
    pub fn views(&self) -> Views {
        match self {
            Self::Shapes(config) => config.views,
            _ => Views::ImageText,
        }
    }

    /// What pixels are made by of a picture from a file, which of a drawn set are others than its own.
    pub fn preparation(&self) -> Preparation {
        match self.kept() {
            Kept::Nowhere(shapes) => FilesConfig {
                image_size: shapes.image_size,
                ..FilesConfig::default()
            }
            .preparation(),
            Kept::Files(_, files) => files.preparation(),
        }
    }

    /// What makes token ids of texts.
    ///
    /// # Errors
    /// As [`Tokenizer::open`].
    pub fn tokenizer(&self, context: usize) -> Result<Tokenizer, DataError> {
        let words = match self.kept() {
            Kept::Nowhere(shapes) => Some(shapes::Shapes::new(shapes).vocabulary()),
            Kept::Files(..) => None,
        };
        Tokenizer::open(self.text(), words, context)
    }

    /// How captions become token ids.
    pub fn text(&self) -> &TokensConfig {
        match self.kept() {
            Kept::Nowhere(shapes) => &shapes.text,
            Kept::Files(_, files) => &files.text,
        }
    }

    /// Shares of the training pairs that are spoilt.
    pub fn corrupt(&self) -> &CorruptConfig {
        match self.kept() {
            Kept::Nowhere(shapes) => &shapes.corrupt,
            Kept::Files(_, files) => &files.corrupt,
        }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self.kept() {
            Kept::Nowhere(shapes) => shapes.validate()?,
            Kept::Files(format, files) => files.validate(format)?,
        }
        self.text().validate()?;
        self.corrupt().validate()
    }
}

/// Where a set is kept.
#[derive(Clone, Copy, Debug)]
pub enum Kept<'a> {
    /// Its examples are drawn.
    Nowhere(&'a shapes::ShapesConfig),
    Files(Format, &'a FilesConfig),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_no_picture_can_have_name_their_key() {
        let with = |change: fn(&mut shapes::ShapesConfig)| {
            let mut config = shapes::ShapesConfig::default();
            change(&mut config);
            DataConfig::Shapes(config).validate().unwrap_err().key
        };
        assert_eq!(with(|c| c.image_size = 4), "data.image_size");
        assert_eq!(with(|c| c.pairs = (1 << 32) + 1), "data.pairs");
        assert_eq!(with(|c| c.distractors = 5), "data.distractors");
        assert_eq!(with(|c| c.spread = -0.1), "data.spread");
        assert_eq!(with(|c| c.noise = f32::NAN), "data.noise");
    }
}
