//! Follows a growing file of lines. It hands out whole lines only, remembers where it stopped, and starts over
//! when the file was replaced by a shorter one. It does not know what the lines mean.

use std::fs;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::util::disk;

/// The longest line that is kept whole; a longer one is counted as damaged and skipped.
const LONGEST_LINE: usize = 1 << 20;

#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    /// Where the first line begins that was not yet handed out.
    offset: u64,
    /// Where the last read ended: behind `offset` when the last line was not yet whole.
    reached: u64,
    /// What lies at `offset` is the rest of a line that was too long.
    skipping: bool,
}

/// What one read found, besides its lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bite {
    /// Lines that were too long to be handed out.
    pub damaged: u64,
    /// The file was replaced: what was read before is void.
    pub restarted: bool,
    /// The budget ended before the file did.
    pub more: bool,
}

/// The whole lines of one read, in memory that the next read takes over.
#[derive(Debug, Default)]
pub struct Block {
    bytes: Vec<u8>,
    /// Where the first line begins.
    start: usize,
}

impl Block {
    /// The lines without their ends, blank ones left out; none in place of one that is not UTF-8 or too long.
    pub fn lines(&self) -> impl Iterator<Item = Option<&str>> {
        let mut rest = &self.bytes[self.start..];
        let split = std::iter::from_fn(move || {
            let all = rest;
            let length = rest.skip_until(b'\n').expect("memory can be read");
            (length > 0).then(|| &all[..length - 1])
        });
        split
            .map(|line| {
                str::from_utf8(line)
                    .ok()
                    .filter(|line| line.len() <= LONGEST_LINE)
            })
            .filter(|line| line.is_none_or(|line| !line.trim().is_empty()))
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }
}

impl Tail {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            offset: 0,
            reached: 0,
            skipping: false,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether no read has found anything yet, not even a part of a line.
    pub fn is_at_start(&self) -> bool {
        self.reached == 0
    }

    /// Whether a read would find something, by the length of the file alone.
    pub fn has_news(&self) -> io::Result<bool> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(metadata.len() != self.reached),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Fill `block` with the whole lines that came since the last read: about `budget` bytes of them, and a line at
    /// least. A missing file reads as empty.
    pub fn read(&mut self, budget: usize, block: &mut Block) -> io::Result<Bite> {
        block.clear();
        let mut bite = Bite::default();
        let mut file = match disk::open_regular(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(bite),
            Err(e) => return Err(e),
        };
        let length = file.metadata()?.len();
        // Part of a line that was taken back is no other file: none of it was handed out.
        if length < self.offset {
            *self = Self::new(std::mem::take(&mut self.path));
            bite.restarted = true;
        }
        if self.offset > 0 {
            file.seek(SeekFrom::Start(self.offset))?;
        }
        self.reached = self.offset;
        let bytes = &mut block.bytes;
        loop {
            let part = (budget as u64).min(length - self.reached);
            // Room for a part at a time, so that the vector does not look for the end of the file by doubling.
            bytes.reserve(part as usize);
            let n = (&mut file).take(part).read_to_end(bytes)?;
            self.reached += n as u64;
            if let Some(end) = bytes.iter().rposition(|&b| b == b'\n') {
                bytes.truncate(end + 1);
                break;
            }
            if bytes.len() > LONGEST_LINE {
                bite.damaged += u64::from(!self.skipping);
                self.skipping = true;
                self.offset = self.reached;
                bytes.clear();
                break;
            }
            if n == 0 {
                bytes.clear();
                break;
            }
        }
        self.offset += bytes.len() as u64;
        if !bytes.is_empty() && std::mem::take(&mut self.skipping) {
            let end = bytes.iter().position(|&b| b == b'\n');
            block.start = end.map_or(bytes.len(), |end| end + 1);
        }
        bite.more = self.reached < length;
        Ok(bite)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write;

    /// The lines of one read; those that could not be read are `?`.
    fn read(tail: &mut Tail, budget: usize) -> Vec<String> {
        let mut block = Block::default();
        tail.read(budget, &mut block).unwrap();
        block
            .lines()
            .map(|line| line.unwrap_or("?").to_owned())
            .collect()
    }

    #[test]
    fn only_whole_lines_and_every_line_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut tail = Tail::new(&path);
        assert!(!tail.has_news().unwrap(), "a missing file is an empty one");
        let mut file = File::create(&path).unwrap();
        file.write_all(b"one\n\n \ntw").unwrap();
        assert!(tail.has_news().unwrap());
        assert_eq!(read(&mut tail, 100), ["one"]);
        assert!(!tail.has_news().unwrap(), "half a line is no news");
        assert!(read(&mut tail, 100).is_empty());
        file.write_all(b"o\nthree\n").unwrap();
        assert!(tail.has_news().unwrap());
        assert_eq!(read(&mut tail, 100), ["two", "three"]);
    }

    #[test]
    fn bites_of_any_size_make_the_same_meal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let lines: Vec<String> = (0..200)
            .map(|n| format!("{n}{}", "x".repeat(n % 37)))
            .collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        for budget in [1, 7, 64, 1000, usize::MAX] {
            let (mut tail, mut found) = (Tail::new(&path), Vec::new());
            while tail.has_news().unwrap() {
                found.extend(read(&mut tail, budget));
            }
            assert_eq!(found, lines, "{budget} bytes a bite");
        }
    }

    #[test]
    fn a_line_without_end_is_counted_and_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut bytes = vec![b'x'; 3 * LONGEST_LINE];
        bytes.extend_from_slice(b"\nnext\n\xff\xfe\n");
        std::fs::write(&path, bytes).unwrap();
        for budget in [64 << 10, usize::MAX] {
            let (mut tail, mut block) = (Tail::new(&path), Block::default());
            let (mut found, mut damaged) = (Vec::new(), 0);
            while tail.has_news().unwrap() {
                damaged += tail.read(budget, &mut block).unwrap().damaged;
                damaged += block.lines().filter(Option::is_none).count() as u64;
                found.extend(block.lines().flatten().map(str::to_owned));
            }
            assert_eq!((found, damaged), (vec!["next".to_owned()], 2));
        }
    }

    #[test]
    fn part_of_a_line_may_be_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "one\nhalf of a li").unwrap();
        let mut tail = Tail::new(&path);
        assert_eq!(read(&mut tail, 100), ["one"]);
        std::fs::write(&path, "one\n").unwrap();
        let mut block = Block::default();
        assert!(!tail.read(100, &mut block).unwrap().restarted);
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert_eq!(read(&mut tail, 100), ["two"]);
    }

    #[test]
    fn a_pipe_in_the_place_of_a_log_is_an_error_and_keeps_nobody_waiting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no mkfifo");
            return;
        }
        let error = Tail::new(&path)
            .read(10, &mut Block::default())
            .unwrap_err();
        assert_eq!(error.to_string(), "not a regular file");
    }

    #[test]
    fn a_replaced_file_starts_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(&path, "a long first line\n").unwrap();
        let mut tail = Tail::new(&path);
        read(&mut tail, 10);
        std::fs::write(&path, "new\n").unwrap();
        let mut block = Block::default();
        assert!(tail.read(10, &mut block).unwrap().restarted);
        assert_eq!(block.lines().collect::<Vec<_>>(), [Some("new")]);
    }
}
