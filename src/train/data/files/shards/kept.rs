//! Indexes of large shards, kept in the user's cache from one run to the next. A kept index is a hint: one that is not for
//! this very file, or that cannot be read, is made again.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::{Index, Members};
use crate::util::write_atomic;

/// Shards below this are indexed sooner than looked up.
const LARGE: u64 = 16 << 20;

/// The index kept in the folder `kept`, or the one that `make` makes, which is then kept.
pub fn or_made(
    path: &Path,
    members: &Members,
    kept: Option<&Path>,
    make: impl FnOnce() -> io::Result<Index>,
) -> io::Result<Index> {
    let file = path.metadata()?;
    let Some(folder) = kept.filter(|_| file.len() >= LARGE) else {
        return make();
    };
    let mut hash = blake3::Hasher::new_derive_key("siglab 2026 index of a shard");
    let full = path.canonicalize()?;
    let identity = (full, file.len(), file.mtime(), file.mtime_nsec(), members);
    hash.update(&serde_json::to_vec(&identity)?);
    let place = folder.join(format!("{}.json", &hash.finalize().to_hex()[..32]));
    if let Some(index) = read(&place, file.len()) {
        return Ok(index);
    }
    let index = make()?;
    // That there is nowhere to keep it is no reason to stop.
    let _ = std::fs::create_dir_all(folder)
        .and_then(|()| write_atomic(&place, &serde_json::to_vec(&index)?));
    Ok(index)
}

/// The index in the file at `place`, if all that it points to lies in a shard of `length` bytes.
fn read(place: &Path, length: u64) -> Option<Index> {
    let index: Index = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    let spans = index
        .samples
        .iter()
        .flat_map(|sample| [Some(sample.image), Some(sample.caption), sample.language]);
    let inside = |span: super::Span| {
        span.at
            .checked_add(span.len.into())
            .is_some_and(|end| end <= length)
    };
    spans.flatten().all(inside).then_some(index)
}
