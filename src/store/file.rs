//! One file that somebody else may write, such as the experiment that is open: whether it reads otherwise than it did.
//! The file system's notices only save waiting; what counts is the file's length and time, asked on each poll.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

/// What tells one state of a file from the next without reading it; none when there is no file.
type Stamp = Option<(u64, SystemTime)>;

#[derive(Debug)]
pub struct FileWatch {
    path: PathBuf,
    seen: Stamp,
    /// Kept for its thread; absent where the directory cannot be watched.
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// Watch `path`, which need not exist; `waker` is called when something happens beside it.
    pub fn new(path: &Path, waker: impl Fn() + Send + 'static) -> Self {
        // Editors replace files, so it is the directory that tells.
        let dir = path
            .parent()
            .filter(|dir| !dir.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let name = path.file_name().map(ToOwned::to_owned);
        let on_event = move |event: notify::Result<notify::Event>| {
            let ours = |path: &PathBuf| path.file_name() == name.as_deref();
            if event.is_ok_and(|event| !event.kind.is_access() && event.paths.iter().any(ours)) {
                waker();
            }
        };
        let watcher = notify::recommended_watcher(on_event).and_then(|mut watcher| {
            watcher.watch(dir, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        Self {
            path: path.to_owned(),
            seen: stamp(path),
            _watcher: watcher.ok(),
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file was written, replaced or removed since it was looked at last.
    pub fn changed(&mut self) -> bool {
        let now = stamp(&self.path);
        std::mem::replace(&mut self.seen, now) != now
    }

    /// The file's text; none when there is no file.
    pub fn read(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_that_is_replaced_wakes_and_a_neighbour_does_not() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("grid.toml");
        fs::write(&path, "one").unwrap();
        let (sender, woken) = channel();
        let mut watch = FileWatch::new(&path, move || sender.send(()).unwrap_or(()));
        assert!(!watch.changed());
        fs::write(tmp.path().join("other.toml"), "x").unwrap();
        assert!(woken.recv_timeout(Duration::from_millis(100)).is_err());
        fs::write(tmp.path().join("new"), "another").unwrap();
        fs::rename(tmp.path().join("new"), &path).unwrap();
        woken.recv_timeout(Duration::from_secs(5)).unwrap();
        assert!(watch.changed() && !watch.changed());
        fs::remove_file(&path).unwrap();
        assert!(watch.changed());
        assert_eq!(watch.read().unwrap(), None);
    }
}
