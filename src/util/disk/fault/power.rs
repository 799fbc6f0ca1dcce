//! What a machine that loses power would lose: bytes that no fsync of their file, and names that no fsync of their directory
//! has made safe. The worst case is taken, in which nothing of it survives.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::Operation;

#[derive(Debug, Default)]
pub(super) struct Volatile {
    /// How many of its bytes are safe, of each file that has others.
    safe: BTreeMap<PathBuf, u64>,
    /// Changes of names that are not safe, in their order.
    names: Vec<Change>,
}

#[derive(Debug)]
enum Change {
    Made(PathBuf),
    Renamed {
        from: PathBuf,
        to: PathBuf,
        /// The file that was there.
        over: Option<Vec<u8>>,
    },
    RemovedFile(PathBuf, Vec<u8>),
    RemovedDir(PathBuf),
}

impl Change {
    /// The directory whose fsync makes it safe; a rename stays in one.
    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Made(path)
            | Self::Renamed { to: path, .. }
            | Self::RemovedFile(path, _)
            | Self::RemovedDir(path) => path.parent(),
        }
    }
}

impl Volatile {
    /// Note what an operation is about to do.
    pub(super) fn note(&mut self, operation: Operation, path: &Path, to: &Path) {
        let path_buf = path.to_owned();
        match operation {
            Operation::Create | Operation::MakeDir if !path.exists() => {
                self.names.push(Change::Made(path_buf));
            }
            Operation::Write => {
                let length = fs::metadata(path).map_or(0, |found| found.len());
                self.safe.entry(path_buf).or_insert(length);
            }
            Operation::Sync if path.is_dir() => self.make_safe(path),
            Operation::Sync => {
                self.safe.remove(path);
            }
            Operation::Rename => {
                self.names.push(Change::Renamed {
                    from: path_buf,
                    to: to.to_owned(),
                    over: fs::read(to).ok(),
                });
                let moved: Vec<PathBuf> = self.safe.keys().cloned().collect();
                for old in moved.iter().filter(|file| file.starts_with(path)) {
                    let length = self.safe.remove(old).expect("a key");
                    self.safe.insert(moved_to(old, path, to), length);
                }
            }
            Operation::Remove if path.is_file() => {
                let content = fs::read(path).expect("a file of the test");
                self.names.push(Change::RemovedFile(path_buf, content));
            }
            Operation::Remove if path.is_dir() => self.names.push(Change::RemovedDir(path_buf)),
            Operation::Create
            | Operation::MakeDir
            | Operation::Read
            | Operation::Remove
            | Operation::Truncate => {}
        }
    }

    /// The names in `directory` are on the disk.
    fn make_safe(&mut self, directory: &Path) {
        let mut left: Vec<Change> = Vec::new();
        for change in std::mem::take(&mut self.names) {
            if change.directory() != Some(directory) {
                left.push(change);
                continue;
            }
            match &change {
                // What is in it, is now there.
                Change::Renamed { from, to, .. } => {
                    for earlier in &mut left {
                        if let Change::Made(path) = earlier
                            && path.starts_with(from)
                        {
                            *path = moved_to(path, from, to);
                        }
                    }
                }
                Change::RemovedDir(gone) => {
                    left.retain(|earlier| earlier.directory() != Some(gone));
                }
                Change::Made(_) | Change::RemovedFile(..) => {}
            }
        }
        self.names = left;
    }

    /// Lose what is not safe.
    pub(super) fn lose(self) {
        for (path, length) in self.safe {
            if let Ok(file) = File::options().write(true).open(&path) {
                file.set_len(length).expect("a file of the test");
            }
        }
        for change in self.names.into_iter().rev() {
            match change {
                Change::Made(path) if path.is_dir() => fs::remove_dir_all(path),
                Change::Made(path) => fs::remove_file(path),
                Change::Renamed { from, to, over } => fs::rename(&to, from)
                    .and_then(|()| over.map_or(Ok(()), |content| fs::write(to, content))),
                Change::RemovedFile(path, content) => fs::write(path, content),
                Change::RemovedDir(path) => fs::create_dir(path),
            }
            .expect("names can be undone in turn");
        }
    }
}

/// `path`, which is below `from`, below `to`.
fn moved_to(path: &Path, from: &Path, to: &Path) -> PathBuf {
    let rest = path.strip_prefix(from).expect("it is below");
    match rest.as_os_str().is_empty() {
        true => to.to_owned(),
        false => to.join(rest),
    }
}
