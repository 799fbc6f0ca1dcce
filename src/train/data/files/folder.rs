//! Folders of images, one a class, as ImageNet is kept: the folder's name is the class, and what is said of an image are
//! templates with the class in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::{MOST_FILE, read_file};
use crate::train::data::error::DataError;
use crate::train::data::fault::Fault;
use crate::train::data::skips::Skips;

/// Images by class.
#[derive(Clone, Debug)]
pub struct Folder {
    root: PathBuf,
    /// Names of the folders, sorted.
    classes: Vec<String>,
    images: Vec<(u32, Box<str>)>,
}

/// Folders in folders that are looked into.
const MOST_DEPTH: usize = 8;

impl Folder {
    /// # Errors
    /// A folder that cannot be read, or in which there are no folders.
    pub fn open(root: &Path, suffixes: &[String]) -> Result<(Self, Skips), DataError> {
        let mut folders = BTreeMap::new();
        let mut skips = Skips::default();
        for entry in list(root)? {
            match entry.kind {
                Kind::Folder => {
                    folders.insert(entry.name, entry.path);
                }
                Kind::File => {
                    skips.total += 1;
                    skips.add(Fault::Stray, || &entry.name);
                }
                Kind::Other => {}
            }
        }
        if folders.is_empty() {
            let problem = "there are no folders in it; a folder of images has one for each class";
            return Err(DataError::content(root, problem));
        }
        let mut images = Vec::new();
        let mut walk = Walk {
            root,
            suffixes,
            images: &mut images,
            skips: &mut skips,
        };
        for (class, folder) in folders.values().enumerate() {
            walk.folder(class as u32, folder, 0)?;
        }
        let folder = Self {
            root: root.to_owned(),
            classes: folders.into_keys().collect(),
            images,
        };
        Ok((folder, skips))
    }

    pub fn len(&self) -> usize {
        self.images.len()
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    pub fn label(&self, index: usize) -> u32 {
        self.images[index].0
    }

    /// The bytes of the image file.
    pub fn image(&self, index: usize) -> Result<Vec<u8>, Fault> {
        read_file(
            &self.root.join(&*self.images[index].1),
            u64::from(MOST_FILE),
        )
    }

    /// The path of the image below the root.
    pub fn name(&self, index: usize) -> String {
        self.images[index].1.to_string()
    }
}

struct Walk<'a> {
    root: &'a Path,
    suffixes: &'a [String],
    images: &'a mut Vec<(u32, Box<str>)>,
    skips: &'a mut Skips,
}

impl Walk<'_> {
    fn folder(&mut self, class: u32, folder: &Path, depth: usize) -> Result<(), DataError> {
        for entry in list(folder)? {
            match entry.kind {
                Kind::Folder if depth < MOST_DEPTH => self.folder(class, &entry.path, depth + 1)?,
                Kind::Folder | Kind::Other => {}
                Kind::File => {
                    self.skips.total += 1;
                    let below = entry.path.strip_prefix(self.root).unwrap_or(&entry.path);
                    let suffix = below.extension().and_then(|suffix| suffix.to_str());
                    let wanted = suffix.is_some_and(|suffix| {
                        self.suffixes
                            .iter()
                            .any(|known| known.eq_ignore_ascii_case(suffix))
                    });
                    match below.to_str() {
                        Some(name) if wanted => self.images.push((class, name.into())),
                        _ => self.skips.add(Fault::Stray, || below.to_string_lossy()),
                    }
                }
            }
        }
        Ok(())
    }
}

struct Entry {
    name: String,
    path: PathBuf,
    kind: Kind,
}

enum Kind {
    File,
    Folder,
    Other,
}

/// What is in a folder, sorted by name; links are followed, as data sets are often made of them, and what is hidden is not
/// seen.
fn list(folder: &Path) -> Result<Vec<Entry>, DataError> {
    let failed = |error| DataError::file(folder)(error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with('.') {
            continue;
        }
        let kind = match fs::metadata(&path) {
            Ok(about) if about.is_dir() => Kind::Folder,
            Ok(about) if about.is_file() => Kind::File,
            _ => Kind::Other,
        };
        entries.push(Entry { name, path, kind });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}
