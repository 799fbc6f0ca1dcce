//! The content of a small file that is always replaced whole, read again only when the file is another one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells a file from the one that stood in its place. The inode is there for two of one length within one tick
/// of the file system's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    /// Seconds and nanoseconds since 1970, by the file system's clock.
    modified: (i64, i64),
    inode: u64,
}

impl Stamp {
    /// None when there is no file.
    fn of(path: &Path) -> io::Result<Option<Self>> {
        match fs::metadata(path) {
            Ok(metadata) => Ok(Some(Self {
                length: metadata.len(),
                modified: (metadata.mtime(), metadata.mtime_nsec()),
                inode: metadata.ino(),
            })),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

/// A value that stands in a file. The default is that of a missing one.
#[derive(Debug, Default)]
pub(super) struct Kept<T> {
    stamp: Option<Stamp>,
    value: T,
}

impl<T: Default> Kept<T> {
    /// The value of the file at `path`, which `read` reads if it has to be.
    pub(super) fn renew(
        &mut self,
        path: &Path,
        read: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<&T> {
        // The stamp first: a file that is replaced while it is read is then read again the next time.
        let stamp = Stamp::of(path)?;
        if stamp != self.stamp {
            self.value = match stamp {
                Some(_) => read()?,
                None => T::default(),
            };
            self.stamp = stamp;
        }
        Ok(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::write_atomic;

    #[test]
    fn a_file_is_read_when_it_is_another_one_and_after_an_error() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("want.json");
        let mut kept = Kept::<String>::default();
        let never = || -> io::Result<String> { panic!("nothing is there to read") };
        assert_eq!(kept.renew(&path, never).unwrap(), "");
        for text in ["one", "two", "six"] {
            write_atomic(&path, text.as_bytes()).unwrap();
            assert_eq!(
                kept.renew(&path, || fs::read_to_string(&path)).unwrap(),
                text
            );
            assert_eq!(kept.renew(&path, never).unwrap(), text);
        }
        write_atomic(&path, b"ten").unwrap();
        kept.renew(&path, || Err(io::Error::other("no")))
            .unwrap_err();
        assert_eq!(
            kept.renew(&path, || fs::read_to_string(&path)).unwrap(),
            "ten"
        );
        fs::remove_file(&path).unwrap();
        assert_eq!(kept.renew(&path, never).unwrap(), "");
    }
}
