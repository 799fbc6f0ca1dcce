//! Follows a growing file of lines. It hands out whole lines only, remembers where it stopped, and starts over
//! when the file was replaced by a shorter one. It does not know what the lines mean.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// The longest line that is kept whole; a longer one is counted as damaged and skipped.
const LONGEST_LINE: usize = 1 << 20;
const BLOCK: usize = 64 << 10;

#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    offset: u64,
    /// Bytes after the last newline, read but not yet handed out.
    partial: Vec<u8>,
    skipping: bool,
}

/// What one read found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Bite {
    pub lines: Vec<String>,
    /// Lines that were too long or not UTF-8.
    pub damaged: u64,
    /// The file was replaced: what was read before is void.
    pub restarted: bool,
    /// The budget ended before the file did.
    pub more: bool,
}

impl Tail {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            offset: 0,
            partial: Vec::new(),
            skipping: false,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The whole lines that came since the last read, at most about `budget` of them. A missing file reads as empty.
    pub fn read(&mut self, budget: usize) -> io::Result<Bite> {
        let mut bite = Bite::default();
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(bite),
            Err(e) => return Err(e),
        };
        let length = file.metadata()?.len();
        if length < self.offset {
            *self = Self::new(std::mem::take(&mut self.path));
            bite.restarted = true;
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut block = vec![0; BLOCK];
        while bite.lines.len() < budget {
            let n = file.read(&mut block)?;
            if n == 0 {
                return Ok(bite);
            }
            self.offset += n as u64;
            self.split(&block[..n], &mut bite);
        }
        bite.more = self.offset < length;
        Ok(bite)
    }

    fn split(&mut self, mut bytes: &[u8], bite: &mut Bite) {
        while let Some(end) = bytes.iter().position(|&b| b == b'\n') {
            self.partial.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            let line = std::mem::take(&mut self.partial);
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            match String::from_utf8(line) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => bite.lines.push(line),
                Err(_) => bite.damaged += 1,
            }
        }
        self.partial.extend_from_slice(bytes);
        if self.partial.len() > LONGEST_LINE {
            self.partial = Vec::new();
            bite.damaged += u64::from(!self.skipping);
            self.skipping = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn only_whole_lines_and_every_line_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut file = File::create(&path).unwrap();
        let mut tail = Tail::new(&path);
        file.write_all(b"one\ntw").unwrap();
        assert_eq!(tail.read(100).unwrap().lines, ["one"]);
        assert!(tail.read(100).unwrap().lines.is_empty());
        file.write_all(b"o\nthree\n").unwrap();
        assert_eq!(tail.read(100).unwrap().lines, ["two", "three"]);
    }

    #[test]
    fn a_line_without_end_is_counted_and_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut bytes = vec![b'x'; 3 * LONGEST_LINE];
        bytes.extend_from_slice(b"\nnext\n\xff\xfe\n");
        std::fs::write(&path, bytes).unwrap();
        let bite = Tail::new(&path).read(usize::MAX).unwrap();
        assert_eq!((bite.lines, bite.damaged), (vec!["next".to_owned()], 2));
    }

    #[test]
    fn a_replaced_file_starts_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "a long first line\n").unwrap();
        let mut tail = Tail::new(&path);
        tail.read(10).unwrap();
        std::fs::write(&path, "new\n").unwrap();
        let bite = tail.read(10).unwrap();
        assert!(bite.restarted);
        assert_eq!(bite.lines, ["new"]);
    }
}
