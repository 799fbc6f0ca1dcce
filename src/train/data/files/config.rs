//! The settings of a data set that is kept in files, whatever their format.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::train::config::{ConfigError, check};
use crate::train::data::corrupt::CorruptConfig;
use crate::train::data::picture::{Augment, Filter, Preparation, Resize};
use crate::train::data::text::{TokenizerConfig, TokensConfig};
use crate::train::reads::Reads;

use super::braces::expand;

/// What the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Webdataset,
    Csv,
    Parquet,
    Folder,
    Features,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilesConfig {
    /// The files, or the folder: `shards/{000000..000012}.tar`, `pairs.csv`, several lists joined by `::`. What is
    /// relative begins where siglab was started. For kind "features" the folder that data.image and data.caption begin
    /// in.
    pub path: String,
    /// Several sets in one, `[{ path = "a.tar", weight = 2.0 }, ...]`, in place of data.path: an epoch goes through each
    /// source as many times as its weight says, and of a fraction through another part each time.
    pub sources: Vec<SourceConfig>,
    /// Folder that image paths in a table are relative to; empty is the table's own.
    pub root: String,
    /// Where the image is. webdataset: suffixes of members, `jpg;png`; csv and parquet: the column; folder: suffixes;
    /// features: a file, see data.caption. Empty is `jpg;jpeg;png;webp`, or the column `filepath` (csv) or `image` (parquet).
    pub image: String,
    /// Where the caption is. webdataset: a member's suffix, or a field of one that is JSON, `json:caption`, several
    /// separated by `;` of which the first is taken that a sample has; csv and parquet: the column; features: a file of
    /// vectors or lines, `x.npy`, `x.safetensors:name`, `x.parquet:column`, `x.csv:column`, `x.txt`. Empty is `txt`, or the
    /// column `title` (csv) or `caption` (parquet); of images that have a class alone, data.templates say it.
    pub caption: String,
    /// Where the caption's language is, as data.caption; empty is nowhere.
    pub language: String,
    /// Where the class is. webdataset: suffix of a member that is its number; csv and parquet: the column; empty is `cls` or
    /// nowhere. Of a folder it is the folder's name.
    pub label: String,
    /// What stands between the columns of a csv: one character; empty is a tab for .tsv and for tables whose first line has
    /// one, and else a comma.
    pub separator: String,
    /// What is said of an image that has a class and no caption: `{}` or `{c}` is its name.
    pub templates: Vec<String>,
    /// Samples of the training set: the first so many; 0 is all.
    pub pairs: u64,
    /// Samples that are kept out of training, chosen by data.seed alone: evaluation looks at them.
    pub held_out: u64,
    /// How samples are mixed: 0 mixes all of an epoch; else shards are mixed, and samples within windows of so many, which
    /// reads files in long runs as a shuffle buffer does.
    pub shuffle: u64,
    /// The order of samples, and what is held out, follow from it.
    pub seed: u64,
    /// Share of samples that may be of no use before the run stops.
    pub max_broken: f64,
    /// Side of the square images in pixels.
    pub image_size: usize,
    /// How a picture becomes a square.
    pub resize: Resize,
    /// How a picture is made smaller or larger.
    pub filter: Filter,
    /// What training changes of a picture each time.
    pub augment: Augment,
    /// Mean of red, green and blue, of values in [0, 1], that is taken from them.
    pub mean: [f64; 3],
    /// What they are then divided by.
    pub std: [f64; 3],
    /// How captions become token ids.
    pub text: TokensConfig,
    /// Shares of the training pairs that are spoilt.
    pub corrupt: CorruptConfig,
}

impl Default for FilesConfig {
    fn default() -> Self {
        Self {
            path: String::new(),
            sources: Vec::new(),
            root: String::new(),
            image: String::new(),
            caption: String::new(),
            language: String::new(),
            label: String::new(),
            separator: String::new(),
            templates: vec!["a photo of a {}.".into()],
            pairs: 0,
            held_out: 0,
            shuffle: 0,
            seed: 0,
            max_broken: 0.05,
            image_size: 224,
            resize: Resize::Squash,
            filter: Filter::Bicubic,
            augment: Augment::None,
            mean: [0.5; 3],
            std: [0.5; 3],
            text: TokensConfig::default(),
            corrupt: CorruptConfig::default(),
        }
    }
}

/// One set of several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// As data.path.
    pub path: String,
    /// How many times an epoch goes through it.
    #[serde(default = "once")]
    pub weight: f64,
}

fn once() -> f64 {
    1.0
}

impl FilesConfig {
    /// What pixels are made by.
    pub fn preparation(&self) -> Preparation {
        Preparation {
            size: self.image_size,
            resize: self.resize,
            filter: self.filter,
            augment: self.augment,
            mean: self.mean,
            std: self.std,
        }
    }

    /// The sources, one if data.path is all that is said.
    pub fn sources(&self) -> Vec<SourceConfig> {
        match self.sources.is_empty() {
            true => vec![SourceConfig {
                path: self.path.clone(),
                weight: 1.0,
            }],
            false => self.sources.clone(),
        }
    }

    /// The paths of all sources, and of the tokenizer.
    pub(in crate::train) fn reads(&self, format: Format) -> Vec<Reads> {
        let of_source = |source: SourceConfig| expand(&source.path).unwrap_or_default();
        let paths = match format {
            // Of vectors each side has a file of its own beside it.
            Format::Features => Vec::new(),
            _ => self.sources().into_iter().flat_map(of_source).collect(),
        };
        let data = Reads {
            key: if self.sources.is_empty() {
                "data.path"
            } else {
                "data.sources"
            },
            paths: paths.into_iter().map(Into::into).collect(),
        };
        let tokenizer = match &self.text.tokenizer {
            TokenizerConfig::File(path) => Some(Reads {
                key: "data.text.tokenizer",
                paths: vec![path.into()],
            }),
            TokenizerConfig::BuiltIn | TokenizerConfig::Bytes => None,
        };
        std::iter::once(data)
            .chain(tokenizer)
            .filter(|reads| !reads.paths.is_empty())
            .collect()
    }

    pub(in crate::train) fn validate(&self, format: Format) -> Result<(), ConfigError> {
        let one = self.path.is_empty() != self.sources.is_empty() || format == Format::Features;
        check("data.path", one, || match self.path.is_empty() {
            true => "name the files: data.path, or several data.sources".into(),
            false => "there are data.sources too: say one of the two".into(),
        })?;
        for source in self.sources() {
            let paths = expand(&source.path);
            check("data.path", paths.is_ok(), || {
                paths.err().unwrap_or_default()
            })?;
        }
        for SourceConfig { path, weight } in &self.sources {
            check("data.sources", !path.is_empty(), || {
                "a source has no path".into()
            })?;
            check("data.sources", *weight > 0.0 && *weight <= 1e6, || {
                format!("the weight {weight} of {path} is not between 0 and a million")
            })?;
        }
        let only = |key, said: bool, formats: &[Format], kinds: &str| {
            check(key, !said || formats.contains(&format), || {
                format!("only data.kind = {kinds} has it")
            })
        };
        use Format::{Csv, Features, Folder, Parquet, Webdataset};
        only(
            "data.sources",
            !self.sources.is_empty(),
            &[Webdataset, Csv, Parquet, Folder],
            "\"webdataset\", \"csv\", \"parquet\" or \"folder\"",
        )?;
        only("data.root", !self.root.is_empty(), &[Csv], "\"csv\"")?;
        only(
            "data.separator",
            !self.separator.is_empty(),
            &[Csv],
            "\"csv\"",
        )?;
        only(
            "data.language",
            !self.language.is_empty(),
            &[Webdataset, Csv, Parquet],
            "\"webdataset\", \"csv\" or \"parquet\"",
        )?;
        only(
            "data.label",
            !self.label.is_empty(),
            &[Webdataset, Csv, Parquet],
            "\"webdataset\", \"csv\" or \"parquet\"",
        )?;
        check("data.separator", self.separator.len() <= 1, || {
            format!("\"{}\" is not one character of one byte", self.separator)
        })?;
        if format == Features {
            for (key, side) in [("data.image", &self.image), ("data.caption", &self.caption)] {
                check(key, !side.is_empty(), || {
                    "name the file of this side: x.npy, x.safetensors:name, x.parquet:column, x.csv:column or x.txt".into()
                })?;
            }
        }
        check("data.templates", !self.templates.is_empty(), || {
            "there is none".into()
        })?;
        for template in &self.templates {
            check(
                "data.templates",
                template.contains("{}") || template.contains("{c}"),
                || format!("\"{template}\" has no place for the class, {{}}"),
            )?;
        }
        check(
            "data.image_size",
            (8..=1024).contains(&self.image_size),
            || format!("{} is not between 8 and 1024 pixels", self.image_size),
        )?;
        check(
            "data.max_broken",
            (0.0..=1.0).contains(&self.max_broken),
            || format!("{} is not between 0 and 1", self.max_broken),
        )?;
        if let Augment::RandomCrop(least) = self.augment {
            check("data.augment", least > 0.0 && least <= 1.0, || {
                format!("a share of {least} of the area is not between 0 and 1")
            })?;
        }
        check(
            "data.mean",
            self.mean.iter().all(|mean| mean.is_finite()),
            || format!("{:?} are not three numbers", self.mean),
        )?;
        check(
            "data.std",
            self.std.iter().all(|std| *std > 0.0 && std.is_finite()),
            || format!("{:?} are not three numbers above 0", self.std),
        )
    }
}
