//! Tables of text, such as open_clip's CSV: a row names an image file and says something of it. Of a row only its place in
//! the file is kept; it is read again when it is its turn.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::caption::{self, Caption};
use super::{MOST_FILE, read_file};
use crate::train::data::error::DataError;
use crate::train::data::fault::Fault;
use crate::train::data::skips::Skips;

/// Which columns of a table are read, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    pub image: String,
    pub caption: String,
    pub language: String,
    pub label: String,
}

#[derive(Clone, Debug)]
pub struct Table {
    path: PathBuf,
    /// What names of images are relative to.
    root: PathBuf,
    separator: u8,
    /// Numbers of the columns.
    image: Option<usize>,
    caption: Option<usize>,
    language: Option<usize>,
    label: Option<usize>,
    rows: Vec<Row>,
    /// Classes by their number.
    classes: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    /// Byte at which it begins.
    at: u64,
    class: u32,
}

/// Bytes of one row.
const MOST_ROW: usize = 1 << 20;
/// Classes of a table: a column of free text is none of classes.
const MOST_CLASSES: usize = 1 << 17;

impl Table {
    /// Read the table at `path` through, and keep the rows that are samples. Names of images are relative to `root`, or to
    /// the table's own folder.
    ///
    /// # Errors
    /// A file that cannot be read, or a column that is not there.
    pub fn open(
        path: &Path,
        root: Option<&Path>,
        separator: u8,
        columns: &Columns,
    ) -> Result<(Self, Skips), DataError> {
        let (mut table, mut reader) = Self::start(path, root, separator, columns)?;
        let skips = table.index(&mut reader, true)?;
        Ok((table, skips))
    }

    /// The table at `path` with all its rows, whatever they hold.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn whole(path: &Path, separator: u8, columns: &Columns) -> Result<Self, DataError> {
        let (mut table, mut reader) = Self::start(path, None, separator, columns)?;
        table.index(&mut reader, false)?;
        Ok(table)
    }

    /// The table before its first row, and its reader there.
    fn start(
        path: &Path,
        root: Option<&Path>,
        separator: u8,
        columns: &Columns,
    ) -> Result<(Self, Reader), DataError> {
        let file = File::open(path).map_err(DataError::file(path))?;
        let mut reader = Reader::new(file, separator);
        let mut row = csv::ByteRecord::new();
        reader.next(&mut row).map_err(DataError::file(path))?;
        let names: Vec<String> = row
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned())
            .collect();
        // A byte order mark is none of the first name.
        let is = |name: &str, wanted: &str| name.trim_start_matches('\u{feff}') == wanted;
        let find = |key: &'static str, wanted: &str| {
            let found = names.iter().position(|name| is(name, wanted));
            found.ok_or_else(|| {
                let shown = |name: &String| format!("\"{}\"", crate::util::printable(&name.chars().take(40).collect::<String>()));
                let known: Vec<String> = names.iter().take(20).map(shown).collect();
                let separator = char::from(separator).escape_default();
                DataError::setting(key, format!(
                    "{} has no column \"{wanted}\"; with the separator \"{separator}\" its columns are {}",
                    path.display(),
                    known.join(", ")
                ))
            })
        };
        let maybe = |key, wanted: &str| match wanted {
            "" => Ok(None),
            wanted => find(key, wanted).map(Some),
        };
        let table = Self {
            path: path.to_owned(),
            root: root.or(path.parent()).unwrap_or(Path::new("")).to_owned(),
            separator,
            image: maybe("data.image", &columns.image)?,
            caption: maybe("data.caption", &columns.caption)?,
            language: maybe("data.language", &columns.language)?,
            label: maybe("data.label", &columns.label)?,
            rows: Vec::new(),
            classes: Vec::new(),
        };
        Ok((table, reader))
    }

    /// Find the rows, those that are samples where they are judged.
    fn index(&mut self, reader: &mut Reader, judged: bool) -> Result<Skips, DataError> {
        let mut skips = Skips::default();
        let mut known = std::collections::BTreeMap::new();
        let mut row = csv::ByteRecord::new();
        for number in 2_u64.. {
            let at = reader.position();
            match reader.next(&mut row) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    skips.total += 1;
                    skips.add(Fault::BrokenRow, || {
                        format!("row {number} and all after it")
                    });
                    break;
                }
                Err(error) => return Err(DataError::file(&self.path)(error)),
            }
            skips.total += 1;
            let judgement = if judged { self.judge(&row) } else { Ok(None) };
            match judgement {
                Ok(class) => {
                    let next = known.len() as u32;
                    let class = class.map_or(0, |class| *known.entry(class).or_insert(next));
                    if known.len() > MOST_CLASSES {
                        let problem = format!(
                            "{} has more than {MOST_CLASSES} classes",
                            self.path.display()
                        );
                        return Err(DataError::setting("data.label", problem));
                    }
                    self.rows.push(Row { at, class });
                }
                Err(fault) => {
                    skips.add(fault, || {
                        let image = self.image.and_then(|image| row.get(image));
                        let image = image.unwrap_or_default();
                        let name = String::from_utf8_lossy(&image[..image.len().min(200)]);
                        format!("row {number}: {name}")
                    });
                }
            }
        }
        let mut classes: Vec<(String, u32)> = known.into_iter().collect();
        classes.sort_by_key(|(_, number)| *number);
        self.classes = classes.into_iter().map(|(name, _)| name).collect();
        Ok(skips)
    }

    /// The class of a row that is a sample, where there are classes.
    fn judge(&self, row: &csv::ByteRecord) -> Result<Option<String>, Fault> {
        self.image_path(row)?;
        self.said(row)?;
        let Some(label) = self.label else {
            return Ok(None);
        };
        let label = row
            .get(label)
            .and_then(|label| std::str::from_utf8(label).ok());
        let label = label.map(str::trim).filter(|label| !label.is_empty());
        Ok(Some(label.ok_or(Fault::NoClass)?.to_owned()))
    }

    fn image_path(&self, row: &csv::ByteRecord) -> Result<PathBuf, Fault> {
        let name = row
            .get(self.image.ok_or(Fault::NoImage)?)
            .ok_or(Fault::BrokenRow)?;
        let name = std::str::from_utf8(name)
            .map_err(|_| Fault::NotUtf8)?
            .trim();
        match name {
            "" => Err(Fault::NoImage),
            // A table may name files anywhere, as people write absolute paths; climbing is none of that.
            name if Path::new(name)
                .components()
                .any(|part| part == std::path::Component::ParentDir) =>
            {
                Err(Fault::ClimbingName)
            }
            name => Ok(self.root.join(name)),
        }
    }

    fn said(&self, row: &csv::ByteRecord) -> Result<Vec<Caption>, Fault> {
        let Some(caption) = self.caption else {
            return Ok(Vec::new());
        };
        let mut captions = caption::plain(row.get(caption).ok_or(Fault::NoCaption)?)?;
        if let Some(language) = self.language {
            let language = row
                .get(language)
                .and_then(|bytes| std::str::from_utf8(bytes).ok());
            let language = language
                .map(str::trim)
                .filter(|language| !language.is_empty());
            captions[0].language = language.map(str::to_owned);
        }
        Ok(captions)
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn has_captions(&self) -> bool {
        self.caption.is_some()
    }

    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    pub fn label(&self, index: usize) -> Option<u32> {
        self.label.map(|_| self.rows[index].class)
    }

    /// The bytes of the image file.
    pub fn image(&self, index: usize) -> Result<Vec<u8>, Fault> {
        let path = self.image_path(&self.row(index)?)?;
        read_file(&path, u64::from(MOST_FILE))
    }

    pub fn captions(&self, index: usize) -> Result<Vec<Caption>, Fault> {
        self.said(&self.row(index)?)
    }

    /// The image file as the row names it.
    pub fn name(&self, index: usize) -> String {
        let named = self.row(index).ok().and_then(|row| {
            let name = String::from_utf8_lossy(row.get(self.image?)?);
            Some(name.trim().to_owned())
        });
        named.unwrap_or_else(|| format!("{} at byte {}", self.path.display(), self.rows[index].at))
    }

    fn row(&self, index: usize) -> Result<csv::ByteRecord, Fault> {
        let read = || -> io::Result<csv::ByteRecord> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.rows[index].at))?;
            let mut row = csv::ByteRecord::new();
            Reader::new(file, self.separator).next(&mut row)?;
            Ok(row)
        };
        read().map_err(|_| Fault::Unreadable)
    }
}

/// A reader of rows that gives up on one which does not end: a quote that is never closed would take the rest of the file
/// for one row.
struct Reader {
    inner: csv::Reader<Rationed>,
    left: Rc<Cell<usize>>,
}

struct Rationed {
    inner: BufReader<File>,
    left: Rc<Cell<usize>>,
}

impl Read for Rationed {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "a row does not end",
            ));
        }
        let most = bytes.len().min(left);
        let read = self.inner.read(&mut bytes[..most])?;
        self.left.set(left - read);
        Ok(read)
    }
}

impl Reader {
    fn new(file: File, separator: u8) -> Self {
        let left = Rc::new(Cell::new(MOST_ROW));
        let rationed = Rationed {
            inner: BufReader::new(file),
            left: left.clone(),
        };
        let inner = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(separator)
            .from_reader(rationed);
        Self { inner, left }
    }

    /// Byte at which the next row begins.
    fn position(&self) -> u64 {
        self.inner.position().byte()
    }

    /// False at the end.
    fn next(&mut self, row: &mut csv::ByteRecord) -> io::Result<bool> {
        self.left.set(MOST_ROW);
        self.inner
            .read_byte_record(row)
            .map_err(|error| match error.into_kind() {
                csv::ErrorKind::Io(error) => error,
                other => io::Error::other(format!("{other:?}")),
            })
    }
}
