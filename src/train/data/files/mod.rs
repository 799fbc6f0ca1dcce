//! Data sets that are kept in files: samples with the bytes of an image, captions, a class. What is wrong with a sample is
//! found when the set is opened, or, of images that cannot be decoded, when they are first read; it is then skipped,
//! counted and named. Nothing is ever unpacked or executed.

mod braces;
mod caption;
mod classes;
pub mod config;
mod folder;
mod pair;
mod parquet;
mod rows;
mod shards;
mod table;
mod tar;
mod vectors;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;

use super::error::DataError;
use super::fault::Fault;
use super::skips::Skips;
pub use braces::expand;
pub use caption::Caption;
pub use config::{FilesConfig, Format, SourceConfig};
use folder::Folder;
use pair::Pair;
use parquet::Columnar;
use rows::Rows;
use shards::{Field, Members, Shard};
use table::{Columns, Table};

/// Bytes of an image file, at most.
const MOST_FILE: u32 = 256 << 20;

/// All samples of the sources of a set, numbered in order.
#[derive(Clone, Debug)]
pub struct Files {
    parts: Arc<Vec<Part>>,
    /// Number of the first sample of each part, and of all samples.
    starts: Vec<u64>,
    /// Parts of each source, and its weight.
    sources: Vec<(std::ops::Range<usize>, f64)>,
    members: Members,
    templates: Vec<String>,
    /// By number; empty where samples have no class.
    classes: Vec<String>,
    /// Of each part, the number that a class of its own has among all.
    renumbered: Vec<Vec<u32>>,
    skips: Skips,
    captions_vary: bool,
}

/// A run of samples that lie beside each other.
#[derive(Clone, Debug)]
enum Part {
    Shard(Shard),
    Table(Table),
    Rows(Rows),
    Folder(Folder),
    Pair(Pair),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Shard(shard) => shard.len(),
            Self::Table(table) => table.len(),
            Self::Rows(rows) => rows.len(),
            Self::Folder(folder) => folder.len(),
            Self::Pair(pair) => pair.len(),
        }
    }

    /// Whether some samples have several captions, when `templates` speak for those that have none.
    fn captions_vary(&self, templates: usize) -> bool {
        match self {
            Self::Shard(shard) => shard.captions_vary(templates),
            Self::Table(table) => !table.has_captions() && templates > 1,
            Self::Rows(rows) => rows.captions_vary(templates),
            Self::Folder(_) => templates > 1,
            Self::Pair(pair) => pair.captions_vary(),
        }
    }

    /// Names of the classes, where the part knows them.
    fn classes(&self) -> &[String] {
        match self {
            Self::Shard(_) | Self::Pair(_) => &[],
            Self::Table(table) => table.classes(),
            Self::Rows(rows) => rows.classes(),
            Self::Folder(folder) => folder.classes(),
        }
    }
}

impl Files {
    /// Open the files that `config` names, of the given format. `kept` is a folder for indexes that are worth keeping.
    ///
    /// # Errors
    /// Files that are not there or not what they should be, or more samples without use than are allowed.
    pub fn open(
        format: Format,
        config: &FilesConfig,
        kept: Option<&Path>,
    ) -> Result<Self, DataError> {
        let members = members(format, config);
        let mut parts: Vec<Part> = Vec::new();
        let mut sources = Vec::new();
        let mut skips = Skips::default();
        for source in config.sources() {
            let first = parts.len();
            let paths = braces::expand(&source.path)
                .map_err(|problem| DataError::setting("data.path", problem))?;
            let opened: Vec<Result<Vec<(Part, Skips)>, DataError>> = paths
                .par_iter()
                .map(|path| open(format, config, &members, Path::new(path), kept))
                .collect();
            for opened in opened {
                for (part, skipped) in opened? {
                    skips.merge(&skipped);
                    parts.push(part);
                }
            }
            sources.push((first..parts.len(), source.weight));
        }
        let mut starts = vec![0];
        for part in &parts {
            starts.push(starts[starts.len() - 1] + part.len() as u64);
        }
        let captions_vary = parts
            .iter()
            .any(|part| part.captions_vary(config.templates.len()));
        let (classes, renumbered) = classes::of(&parts)?;
        if starts[parts.len()] == 0 {
            let problem = format!(
                "no sample can be used: {skips}; data.image is {:?} and data.caption {:?}",
                or(&config.image, "as usual"),
                or(&config.caption, "as usual")
            );
            return Err(DataError::setting("data.path", problem));
        }
        skips.check(config.max_broken)?;
        Ok(Self {
            parts: Arc::new(parts),
            starts,
            sources,
            members,
            templates: config.templates.clone(),
            classes,
            renumbered,
            skips,
            captions_vary,
        })
    }

    /// Samples that can be used, as far as is known before their images are read.
    pub fn len(&self) -> u64 {
        self.starts[self.parts.len()]
    }

    /// What was found when the set was opened.
    pub fn skips(&self) -> &Skips {
        &self.skips
    }

    /// Number of the first sample of each part, and of all samples.
    pub fn starts(&self) -> &[u64] {
        &self.starts
    }

    /// Samples of each source and how often an epoch goes through them.
    pub fn sources(&self) -> impl Iterator<Item = (std::ops::Range<u64>, f64)> {
        let sources = self.sources.iter();
        sources.map(|(parts, weight)| (self.starts[parts.start]..self.starts[parts.end], *weight))
    }

    /// Whether some samples have several captions.
    pub fn captions_vary(&self) -> bool {
        self.captions_vary
    }

    /// Names of the classes, by number.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// What is said of a class.
    pub fn prompts(&self, class: &str) -> Vec<String> {
        let thing = class.replace('_', " ");
        let say = |template: &String| template.replace("{c}", &thing).replace("{}", &thing);
        self.templates.iter().map(say).collect()
    }

    /// The bytes of the image file.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub fn image(&self, sample: u64) -> Result<Vec<u8>, Fault> {
        let (part, index) = self.locate(sample);
        match &self.parts[part] {
            Part::Shard(shard) => shard.image(index),
            Part::Table(table) => table.image(index),
            Part::Rows(rows) => rows.image(index),
            Part::Folder(folder) => folder.image(index),
            Part::Pair(pair) => pair.image(index),
        }
    }

    /// One or several; what the templates say where there are only classes.
    ///
    /// # Errors
    /// What keeps them from being read, after they could be when the set was opened.
    pub fn captions(&self, sample: u64) -> Result<Vec<Caption>, Fault> {
        let (part, index) = self.locate(sample);
        let captions = match &self.parts[part] {
            Part::Shard(shard) => shard.captions(index, &self.members)?,
            Part::Table(table) => table.captions(index)?,
            Part::Rows(rows) => rows.captions(index)?,
            Part::Folder(_) => Vec::new(),
            Part::Pair(pair) => pair.captions(index)?,
        };
        if !captions.is_empty() {
            return Ok(captions);
        }
        let class = self
            .label(sample)
            .and_then(|class| self.classes.get(class as usize));
        let prompts = self.prompts(class.ok_or(Fault::NoCaption)?);
        Ok(prompts.into_iter().map(Caption::new).collect())
    }

    /// The number of the class, where there is one.
    pub fn label(&self, sample: u64) -> Option<u32> {
        let (part, index) = self.locate(sample);
        let own = match &self.parts[part] {
            Part::Shard(shard) => return shard.label(index),
            Part::Table(table) => table.label(index)?,
            Part::Rows(rows) => rows.label(index)?,
            Part::Folder(folder) => folder.label(index),
            Part::Pair(_) => return None,
        };
        Some(self.renumbered[part][own as usize])
    }

    /// Numbers of the vectors that the image side and the text side are, where they are vectors.
    pub fn widths(&self) -> [Option<usize>; 2] {
        match &self.parts[0] {
            Part::Pair(pair) => pair.widths(),
            _ => [None; 2],
        }
    }

    /// The vector of the image side, or of the other.
    ///
    /// # Errors
    /// What keeps it from being read, or that a number of it is not finite.
    pub fn vector(&self, sample: u64, of_image: bool) -> Result<Vec<f32>, Fault> {
        let (part, index) = self.locate(sample);
        match &self.parts[part] {
            Part::Pair(pair) => pair.vector(index, of_image),
            _ => Err(Fault::BrokenRow),
        }
    }

    /// What a person would find the sample by.
    pub fn name(&self, sample: u64) -> String {
        let (part, index) = self.locate(sample);
        match &self.parts[part] {
            Part::Shard(shard) => shard.name(index),
            Part::Table(table) => table.name(index),
            Part::Rows(rows) => rows.name(index),
            Part::Folder(folder) => folder.name(index),
            Part::Pair(_) => format!("row {index}"),
        }
    }

    /// Part and place in it.
    fn locate(&self, sample: u64) -> (usize, usize) {
        // Parts may be empty: the last that begins no later.
        let part = self.starts.partition_point(|&start| start <= sample) - 1;
        (part, (sample - self.starts[part]) as usize)
    }
}

/// The parts that one file or folder has, with what was skipped of each.
fn open(
    format: Format,
    config: &FilesConfig,
    members: &Members,
    path: &Path,
    kept: Option<&Path>,
) -> Result<Vec<(Part, Skips)>, DataError> {
    let columns = |image: &str, caption: &str| Columns {
        image: or(&config.image, image),
        caption: match (config.caption.is_empty(), config.label.is_empty()) {
            // The templates say what a class alone leaves unsaid.
            (true, false) => String::new(),
            _ => or(&config.caption, caption),
        },
        language: config.language.clone(),
        label: config.label.clone(),
    };
    Ok(match format {
        Format::Webdataset => {
            let (shard, skips) = Shard::open(path, members, kept).map_err(DataError::file(path))?;
            vec![(Part::Shard(shard), skips)]
        }
        Format::Csv => {
            let root = Some(config.root.as_str()).filter(|root| !root.is_empty());
            let separator = match config.separator.bytes().next() {
                Some(separator) => separator,
                None => usual_separator(path)?,
            };
            let columns = columns("filepath", "title");
            let (table, skips) = Table::open(path, root.map(Path::new), separator, &columns)?;
            vec![(Part::Table(table), skips)]
        }
        Format::Parquet => {
            let opened = Rows::open(&Columnar::open(path)?, &columns("image", "caption"))?;
            let parts = opened.into_iter();
            parts
                .map(|(rows, skips)| (Part::Rows(rows), skips))
                .collect()
        }
        Format::Folder => {
            let (folder, skips) = Folder::open(path, &members.images)?;
            vec![(Part::Folder(folder), skips)]
        }
        Format::Features => {
            let pair = Pair::open(path, &config.image, &config.caption)?;
            let skips = Skips::of(pair.len() as u64);
            vec![(Part::Pair(pair), skips)]
        }
    })
}

fn or(said: &str, usual: &str) -> String {
    match said {
        "" => usual.to_owned(),
        said => said.to_owned(),
    }
}

fn list(said: &str, usual: &str) -> Vec<String> {
    let names = or(said, usual);
    names
        .split(';')
        .map(|name| name.trim().to_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

fn members(format: Format, config: &FilesConfig) -> Members {
    let usual = "jpg;jpeg;png;webp";
    let said = |text: &str, usual: &str| match format {
        Format::Webdataset => list(text, usual),
        _ => list("", usual),
    };
    // Of samples that have a class, the caption may be left to the templates: say `data.caption = ";"`.
    let captions = or(&config.caption, "txt");
    let fields = captions.split(';').filter(|field| !field.trim().is_empty());
    Members {
        images: match format {
            Format::Folder => list(&config.image, usual),
            _ => said(&config.image, usual),
        },
        captions: fields.map(|field| Field::parse(field.trim())).collect(),
        language: Some(config.language.as_str())
            .filter(|field| !field.is_empty())
            .map(Field::parse),
        label: or(&config.label, "cls"),
    }
}

/// A tab where the first line has one, and else a comma.
fn usual_separator(path: &Path) -> Result<u8, DataError> {
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(1 << 16).read_to_end(&mut start));
    read.map_err(DataError::file(path))?;
    let line = start
        .split(|&byte| byte == b'\n')
        .next()
        .unwrap_or_default();
    Ok(if line.contains(&b'\t') { b'\t' } else { b',' })
}

/// The bytes of a file of no more than `most`.
fn read_file(path: &Path, most: u64) -> Result<Vec<u8>, Fault> {
    let about = std::fs::metadata(path).map_err(|_| Fault::Unreadable)?;
    if !about.is_file() {
        return Err(Fault::NoPlainFile);
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|_| Fault::Unreadable)?;
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|_| Fault::Unreadable)?;
    match bytes.len() as u64 > most {
        true => Err(Fault::LargeImage),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests;
