//! The members of a tar archive by their headers alone: names, kinds, and where their bytes lie. Nothing is ever unpacked.
//! The header blocks are read by the `tar` crate; names longer than a block, which it would read whole whatever their size,
//! are read here.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tar::{Archive, EntryType, Header, PaxExtensions};

/// A part of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub at: u64,
    pub len: u32,
}

/// One member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Bytes that are not UTF-8 are replaced.
    pub name: String,
    /// None when it is no plain file, or larger than 4 GiB.
    pub span: Option<Span>,
}

/// How an archive ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Whole,
    /// A header is none, or a member goes on past the end of the file: what comes after cannot be told.
    Damaged,
}

/// Bytes of a name, or of a block of extended headers, that are read.
const MOST_NAME: u64 = 64 << 10;

/// Call `each` with the members of the archive at `path`, in order.
///
/// # Errors
/// The file cannot be opened.
pub fn walk(path: &Path, mut each: impl FnMut(Member)) -> io::Result<End> {
    let (archive, beside) = (Archive::new(File::open(path)?), File::open(path)?);
    let length = beside.metadata()?.len();
    let mut archive = archive;
    let mut long_name: Option<String> = None;
    let entries = archive.entries_with_seek()?.raw(true);
    for entry in entries {
        let Ok(entry) = entry else {
            return Ok(End::Damaged);
        };
        let (header, at) = (entry.header(), entry.raw_file_position());
        let Ok(size) = header.entry_size() else {
            return Ok(End::Damaged);
        };
        if at.checked_add(size).is_none_or(|end| end > length) {
            return Ok(End::Damaged);
        }
        let kind = header.entry_type();
        if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
            match extended_name(&beside, header, at, size)? {
                Some(name) => long_name = name.or(long_name),
                None => return Ok(End::Damaged),
            }
            continue;
        }
        if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
            continue;
        }
        let plain = matches!(kind, EntryType::Regular | EntryType::Continuous);
        let span = u32::try_from(size).ok().filter(|_| plain);
        let name = long_name.take();
        if kind.is_dir() {
            continue;
        }
        let short = || String::from_utf8_lossy(&header.path_bytes()).into_owned();
        each(Member {
            name: name.unwrap_or_else(short),
            span: span.map(|len| Span { at, len }),
        });
    }
    Ok(End::Whole)
}

/// The name that the member after this one has, if it is said here. None when the block is not to be trusted: it is too
/// large, or says another size for the member than its header, which is how archives are made that hold other members
/// for other readers.
fn extended_name(
    file: &File,
    header: &Header,
    at: u64,
    size: u64,
) -> io::Result<Option<Option<String>>> {
    if size > MOST_NAME {
        return Ok(None);
    }
    let mut bytes = vec![0; size as usize];
    file.read_exact_at(&mut bytes, at)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if header.entry_type().is_gnu_longname() {
        let name = bytes.split(|&byte| byte == 0).next();
        return Ok(Some(name.map(text)));
    }
    let mut name = None;
    for extension in PaxExtensions::new(&bytes) {
        let Ok(extension) = extension else {
            return Ok(None);
        };
        match extension.key_bytes() {
            b"path" => name = Some(text(extension.value_bytes())),
            // Only members of 8 GiB and more need it, and no sample has one.
            b"size" => return Ok(None),
            // Sparse files in the form of PAX.
            key if key.starts_with(b"GNU.sparse") => return Ok(None),
            _ => {}
        }
    }
    Ok(Some(name))
}
