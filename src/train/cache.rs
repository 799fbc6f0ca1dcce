//! What a locked tower made of the examples of a finite training set, by the index of the example, in memory or in a
//! file of the run. It keeps rows of numbers, checks what it gives back, and knows of no tower.

mod map;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use memmap2::MmapMut;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a locked tower's embeddings are kept from one epoch to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheConfig {
    /// Nowhere: they are computed again.
    #[default]
    Off,
    /// In memory: a run that is resumed begins again.
    Memory,
    /// In a file of the run's directory, which a resumed run goes on with and a completed one removes.
    Disk,
}

/// Says what the file is; whose embeddings it holds, the identity after it says.
const MAGIC: &[u8; 32] = b"siglab embeddings by example, 1\n";
const HEADER: usize = 2 * MAGIC.len();

/// What embeddings depend on, hashed: tower, weights, examples.
pub type Identity = [u8; 32];

/// Rows `[pairs, dim]` of f32, each there or not.
///
/// A row is stored with a hash of it in front, which is never 0. It tells rows that are there from the zeros that a
/// file starts with, and from those that a power cut left half written.
#[derive(Debug)]
pub struct Cache {
    map: MmapMut,
    dim: usize,
}

impl Cache {
    /// An empty one. Memory is taken as rows come.
    pub fn in_memory(pairs: u64, dim: usize) -> io::Result<Self> {
        let length = usize::try_from(length(pairs, dim)).map_err(io::Error::other)?;
        let map = MmapMut::map_anon(length)?;
        Ok(Self { map, dim })
    }

    /// The one in the file at `path`, if it is of this size and identity; else an empty one in its place.
    pub fn on_disk(path: &Path, pairs: u64, dim: usize, identity: &Identity) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path)?;
        let header = [*MAGIC, *identity].concat();
        let mut found = Vec::with_capacity(HEADER);
        (&mut file).take(HEADER as u64).read_to_end(&mut found)?;
        let length = length(pairs, dim);
        if found != header || file.metadata()?.len() != length {
            file.set_len(0)?;
            reserve(&file, length)?;
            io::Seek::rewind(&mut file)?;
            file.write_all(&header)?;
        }
        let map = map::shared(&file)?;
        Ok(Self { map, dim })
    }

    /// Copy row `index` to `row`; false when it is not there.
    pub fn get(&self, index: u64, row: &mut [f32]) -> bool {
        let bytes = &self.map[self.place(index)];
        let (&check, values) = bytes
            .split_first_chunk()
            .expect("a row begins with its check");
        if u32::from_le_bytes(check) != check_of(values) {
            return false;
        }
        for (value, bytes) in row.iter_mut().zip(values.as_chunks().0) {
            *value = f32::from_le_bytes(*bytes);
        }
        true
    }

    pub fn put(&mut self, index: u64, row: &[f32]) {
        let place = self.place(index);
        let (check, values) = self.map[place].split_at_mut(size_of::<u32>());
        for (bytes, value) in values.chunks_exact_mut(size_of::<f32>()).zip(row) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        check.copy_from_slice(&check_of(values).to_le_bytes());
    }

    pub fn dim(&self) -> usize {
        self.dim
    }

    fn place(&self, index: u64) -> std::ops::Range<usize> {
        let width = width(self.dim);
        let start = HEADER + index as usize * width;
        start..start + width
    }
}

/// Bytes of a row with its check.
fn width(dim: usize) -> usize {
    size_of::<u32>() + dim * size_of::<f32>()
}

/// Bytes of all.
fn length(pairs: u64, dim: usize) -> u64 {
    HEADER as u64 + pairs * width(dim) as u64
}

/// Part of a hash, and never 0.
fn check_of(values: &[u8]) -> u32 {
    let hash = blake3::hash(values);
    let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
    u32::from_le_bytes(*first) | 1
}

/// Make an empty file `length` zeros long, on blocks that are its own: a disk that fills up under a mapping ends the
/// process, and here it is an error. Where the file system has no such thing, the file is sparse.
fn reserve(file: &File, length: u64) -> io::Result<()> {
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, length)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(length),
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(index: u64) -> [f32; 3] {
        [index as f32, 0.0, -0.5]
    }

    fn found(cache: &Cache, index: u64) -> Option<[f32; 3]> {
        let mut row = [f32::NAN; 3];
        cache.get(index, &mut row).then_some(row)
    }

    #[test]
    fn rows_are_there_once_they_were_put() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("rows");
        for mut cache in [
            Cache::in_memory(5, 3).unwrap(),
            Cache::on_disk(&path, 5, 3, &[7; 32]).unwrap(),
        ] {
            for index in [4, 0] {
                cache.put(index, &row(index));
            }
            let all: Vec<_> = (0..5).map(|index| found(&cache, index)).collect();
            assert_eq!(all, [Some(row(0)), None, None, None, Some(row(4))]);
        }
    }

    #[test]
    fn a_file_is_taken_up_again_when_it_fits_and_thrown_away_when_not() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("rows");
        let open = |pairs, dim, identity| Cache::on_disk(&path, pairs, dim, &[identity; 32]);
        open(5, 3, 7).unwrap().put(2, &row(2));
        assert_eq!(found(&open(5, 3, 7).unwrap(), 2), Some(row(2)));
        for (pairs, dim, identity) in [(5, 3, 8), (6, 3, 7), (5, 4, 7)] {
            open(5, 3, 7).unwrap().put(2, &row(2));
            let other = open(pairs, dim, identity).unwrap();
            assert!(!other.get(2, &mut vec![0.0; dim]));
            let length = std::fs::metadata(&path).unwrap().len();
            assert_eq!(length, 64 + pairs * 4 * (dim as u64 + 1));
        }
        std::fs::write(&path, "no rows").unwrap();
        assert_eq!(found(&open(5, 3, 7).unwrap(), 2), None);
        assert!(Cache::on_disk(tmp.path(), 5, 3, &[7; 32]).is_err());
    }

    #[test]
    fn a_row_that_was_half_written_is_not_there() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("rows");
        let open = || Cache::on_disk(&path, 2, 3, &[7; 32]).unwrap();
        open().put(1, &row(1));
        let whole = std::fs::read(&path).unwrap();
        for byte in 64 + 16..whole.len() {
            let mut torn = whole.clone();
            torn[byte] ^= 1;
            std::fs::write(&path, torn).unwrap();
            assert_eq!(found(&open(), 1), None, "{byte}");
        }
    }
}
