//! webdataset shards: tar archives in which members that share a name up to its first dot are one sample, an image with its
//! caption. A shard is indexed once, by its headers and captions; images are read where they lie.

mod kept;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::MOST_FILE;
use super::caption::{self, Caption};
use super::tar::{self, End, Span};
use crate::train::data::fault::Fault;
use crate::train::data::skips::Skips;

/// Which members of a sample are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Suffixes that an image can have.
    pub images: Vec<String>,
    /// Where the caption is, the first that a sample has. Empty when the class is all that there is.
    pub captions: Vec<Field>,
    /// The language of the caption.
    pub language: Option<Field>,
    /// Suffix of a member that is the number of a class.
    pub label: String,
}

/// A member that is a text, or a field of one that is JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    pub suffix: String,
    pub field: Option<String>,
}

impl Field {
    /// `txt`, or `json:caption`.
    pub fn parse(text: &str) -> Self {
        match text.split_once(':') {
            Some((suffix, field)) => Self {
                suffix: suffix.to_owned(),
                field: Some(field.to_owned()),
            },
            None => Self {
                suffix: text.to_owned(),
                field: None,
            },
        }
    }

    /// Read the text in the bytes of a member.
    fn read(&self, bytes: &[u8]) -> Result<Vec<Caption>, Fault> {
        match &self.field {
            None => caption::plain(bytes),
            Some(field) => caption::json(bytes, field),
        }
    }
}

/// Samples of one archive.
#[derive(Clone, Debug)]
pub struct Shard {
    path: PathBuf,
    samples: Vec<Sample>,
    several: bool,
}

/// Where a sample lies; some 40 bytes, for there may be many millions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    image: Span,
    caption: Span,
    /// Which of the places where captions may be.
    field: u8,
    language: Option<Span>,
    label: Option<u32>,
}

/// What indexing finds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Index {
    samples: Vec<Sample>,
    skips: Skips,
    /// Some sample has several captions.
    several: bool,
}

impl Shard {
    /// Index the archive at `path`, or take the index that is kept in `kept`, a folder, from another time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn open(path: &Path, members: &Members, kept: Option<&Path>) -> io::Result<(Self, Skips)> {
        if path.is_dir() {
            return Err(io::Error::other(
                "a folder, and a shard is a tar: name them, as in shards/{000000..000012}.tar",
            ));
        }
        let Index {
            samples,
            skips,
            several,
        } = kept::or_made(path, members, kept, || index(path, members))?;
        let path = path.to_owned();
        Ok((
            Self {
                path,
                samples,
                several,
            },
            skips,
        ))
    }

    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether some sample has several captions.
    pub fn captions_vary(&self, templates: usize) -> bool {
        let unsaid = self.samples.iter().any(|sample| sample.caption.len == 0);
        self.several || unsaid && templates > 1
    }

    /// The bytes of the image file.
    pub fn image(&self, index: usize) -> Result<Vec<u8>, Fault> {
        self.read(self.samples[index].image)
    }

    pub fn captions(&self, index: usize, members: &Members) -> Result<Vec<Caption>, Fault> {
        let sample = &self.samples[index];
        let Some(field) = members
            .captions
            .get(usize::from(sample.field))
            .filter(|_| sample.caption.len > 0)
        else {
            return Ok(Vec::new());
        };
        let mut captions = field.read(&self.read(sample.caption)?)?;
        if let (Some(span), Some(field)) = (sample.language, &members.language) {
            let languages = field.read(&self.read(span)?)?;
            for caption in &mut captions {
                caption.language = languages.first().map(|language| language.text.clone());
            }
        }
        Ok(captions)
    }

    pub fn label(&self, index: usize) -> Option<u32> {
        self.samples[index].label
    }

    /// The greatest number that a class has.
    pub fn greatest_label(&self) -> Option<u32> {
        self.samples.iter().filter_map(|sample| sample.label).max()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the shard and the name that its header gives the image.
    pub fn name(&self, index: usize) -> String {
        let mut block = [0; 512];
        let header = self.samples[index].image.at.saturating_sub(512);
        let read = File::open(&self.path).and_then(|file| file.read_exact_at(&mut block, header));
        let name = match read {
            Ok(()) => String::from_utf8_lossy(&block[..100])
                .trim_end_matches('\0')
                .to_owned(),
            Err(_) => format!("sample {index}"),
        };
        format!("{}/{name}", file_name(&self.path))
    }

    fn read(&self, span: Span) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; span.len as usize];
        let read = File::open(&self.path).and_then(|file| file.read_exact_at(&mut bytes, span.at));
        read.map(|()| bytes).map_err(|_| Fault::Unreadable)
    }
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Bytes of a caption, a label or a sample's JSON.
const MOST_TEXT: u32 = 1 << 20;
/// Members of a sample that are told apart.
const MOST_SUFFIXES: usize = 64;

/// Go through the archive's headers, and read its captions to see that they are some.
fn index(path: &Path, members: &Members) -> io::Result<Index> {
    let file = File::open(path)?;
    let mut found = Index::default();
    let mut group: Option<Group> = None;
    let mut close = |group: Option<Group>| {
        if let Some(group) = group {
            found.skips.total += 1;
            match group.sample(&file, members) {
                Ok((sample, captions)) => {
                    found.samples.push(sample);
                    found.several |= captions > 1;
                }
                Err(fault) => {
                    let name = || format!("{}/{}", file_name(path), group.first);
                    found.skips.add(fault, name);
                }
            }
        }
    };
    let end = tar::walk(path, |member| {
        let (key, suffix) = split(&member.name);
        let suffix = suffix.to_lowercase();
        let same = group
            .as_ref()
            .is_some_and(|group| !key.is_empty() && group.key == key && !group.has(&suffix));
        if !same {
            close(group.take());
        }
        // What writers note about a shard, such as `__info__`.
        let noted = |name: &str| name.starts_with("__") && name.ends_with("__");
        if noted(&member.name) || noted(key) {
            return;
        }
        group
            .get_or_insert_with(|| Group::new(key, &member.name))
            .add(suffix, member.span);
    })?;
    close(group.take());
    if end == End::Damaged {
        found.skips.total += 1;
        found.skips.add(Fault::DamagedArchive, || file_name(path));
    }
    Ok(found)
}

/// The name up to the first dot of its last part, and what follows that dot. A name without either is a stray.
fn split(name: &str) -> (&str, &str) {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].split_once('.') {
        Some((stem, suffix)) if !stem.is_empty() => (&name[..base + stem.len()], suffix),
        _ => ("", ""),
    }
}

/// Whether following the name would lead out of the folder that it is said in.
fn climbs(name: &str) -> bool {
    name.starts_with('/') || name.split(['/', '\\']).any(|part| part == "..")
}

/// Members that follow each other and share a key.
struct Group {
    key: String,
    /// Name of the first of them.
    first: String,
    members: Vec<(String, Option<Span>)>,
}

impl Group {
    fn new(key: &str, name: &str) -> Self {
        Self {
            key: key.to_owned(),
            first: name.to_owned(),
            members: Vec::new(),
        }
    }

    fn has(&self, suffix: &str) -> bool {
        self.members.iter().any(|(known, _)| known == suffix)
    }

    fn add(&mut self, suffix: String, span: Option<Span>) {
        if self.members.len() < MOST_SUFFIXES {
            self.members.push((suffix, span));
        }
    }

    fn get(&self, suffix: &str) -> Option<Option<Span>> {
        let mut members = self.members.iter();
        members
            .find(|(known, _)| known == suffix)
            .map(|(_, span)| *span)
    }

    /// The member with this suffix, if there is one that is a plain file of no more than `most` bytes.
    fn plain(&self, suffix: &str, most: u32, large: Fault) -> Result<Option<Span>, Fault> {
        match self.get(suffix) {
            None => Ok(None),
            Some(None) => Err(Fault::NoPlainFile),
            Some(Some(span)) if span.len > most => Err(large),
            Some(span) => Ok(span),
        }
    }

    /// The sample that the members make up, and how many captions it has.
    fn sample(&self, file: &File, wanted: &Members) -> Result<(Sample, usize), Fault> {
        if climbs(&self.first) {
            return Err(Fault::ClimbingName);
        }
        let mut image = None;
        for suffix in &wanted.images {
            image = image.or(self.plain(suffix, MOST_FILE, Fault::LargeImage)?);
        }
        let text = |field: &Field| self.plain(&field.suffix, MOST_TEXT, Fault::LongCaption);
        let mut caption = None;
        for (field, place) in wanted.captions.iter().zip(0..) {
            caption = caption.or(text(field)?.map(|span| (span, place)));
        }
        let read = |span: Span| {
            let mut bytes = vec![0; span.len as usize];
            let read = file.read_exact_at(&mut bytes, span.at);
            read.map(|()| bytes).map_err(|_| Fault::Unreadable)
        };
        let label = match self.plain(&wanted.label, MOST_TEXT, Fault::NoClass)? {
            Some(span) => {
                let text = String::from_utf8(read(span)?).map_err(|_| Fault::NoClass)?;
                Some(text.trim().parse().map_err(|_| Fault::NoClass)?)
            }
            None => None,
        };
        let image = match (image, caption) {
            (Some(image), _) => image,
            (None, Some(_)) => return Err(Fault::NoImage),
            (None, None) => return Err(self.stray()),
        };
        let (caption, field, captions) = match caption {
            Some((span, place)) => {
                let captions = wanted.captions[usize::from(place)].read(&read(span)?)?;
                (span, place, captions.len())
            }
            // The templates say what a class alone leaves unsaid.
            None if wanted.captions.is_empty() || label.is_some() => (Span::default(), 0, 0),
            None => return Err(Fault::NoCaption),
        };
        let language = match &wanted.language {
            Some(field) => text(field)?,
            None => None,
        };
        let sample = Sample {
            image,
            caption,
            field,
            language,
            label,
        };
        Ok((sample, captions))
    }

    /// Why a group has nothing that is wanted of it.
    fn stray(&self) -> Fault {
        match self.members.iter().any(|(_, span)| span.is_none()) {
            true => Fault::NoPlainFile,
            false => Fault::Stray,
        }
    }
}
