//! A file of JSON lines with one writer, whose every line is in it whole or not at all. What the lines say is for others.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::util::disk;

/// What was written to a log may be lost, and nothing more is: what stands there can only be read anew.
#[derive(Debug, thiserror::Error)]
#[error("{}: what was written last may be lost: {cause}", .path.display())]
pub struct LogLost {
    pub path: PathBuf,
    pub cause: io::Error,
}

#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    /// Where the next line begins.
    end: u64,
    lost: bool,
}

impl Lines {
    /// Go on with the file at `path`, or begin it. A line that a writer before has left torn is closed, so that it
    /// spoils no other.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = disk::open_to_append(path)?;
        let mut end = file.seek(SeekFrom::End(0))?;
        if end > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != [b'\n'] {
                disk::write_all(&mut file, path, b"\n")?;
                end += 1;
            }
        }
        // Names are not made safe with what is written to their files: not that of this one, if it is new, and not what
        // a worker before has left undone.
        if let Some(dir) = path.parent() {
            disk::sync_dir(dir)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            end,
            lost: false,
        })
    }

    /// After an error the file is as it was, and the same line may be tried again.
    ///
    /// # Errors
    /// [`LogLost`] when the file is not as it was, from then on.
    pub(super) fn append(&mut self, mut line: Vec<u8>) -> io::Result<()> {
        self.require()?;
        line.push(b'\n');
        if let Err(e) = disk::write_all(&mut self.file, &self.path, &line) {
            if let Err(cause) = disk::truncate(&self.file, &self.path, self.end) {
                return Err(self.lose(cause));
            }
            return Err(self.named(&e));
        }
        self.end += line.len() as u64;
        Ok(())
    }

    /// All lines are on the disk afterwards.
    ///
    /// # Errors
    /// [`LogLost`], from then on.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.require()?;
        disk::sync(&self.file, &self.path).map_err(|cause| self.lose(cause))
    }

    fn require(&self) -> io::Result<()> {
        if self.lost {
            let cause = io::Error::other("an earlier fsync or truncation failed");
            return Err(self.log_lost(cause));
        }
        Ok(())
    }

    fn lose(&mut self, cause: io::Error) -> io::Error {
        self.lost = true;
        self.log_lost(cause)
    }

    /// Never of the kind of its cause: who waits for room must not try again.
    fn log_lost(&self, cause: io::Error) -> io::Error {
        let path = self.path.clone();
        io::Error::other(LogLost { path, cause })
    }

    fn named(&self, e: &io::Error) -> io::Error {
        io::Error::new(e.kind(), format!("{}: {e}", self.path.display()))
    }
}
