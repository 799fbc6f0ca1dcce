//! When it is worth while to refresh a store. The file system's notices are a hint that saves waiting, never the
//! truth: inotify sees nothing on NFS, so everything is due once a second all the same. Watching that fails is a
//! notice to show, not an error.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::record::RunId;

/// Everything is due after this long, whatever the file system says.
const POLL: Duration = Duration::from_secs(1);

/// What to refresh now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hint {
    /// These runs were written to; perhaps none.
    Runs(BTreeSet<RunId>),
    Everything,
}

#[derive(Debug)]
pub struct Watch {
    root: PathBuf,
    changed: Receiver<PathBuf>,
    /// Kept for its thread; absent where the file system cannot be watched.
    _watcher: Option<RecommendedWatcher>,
    notice: Option<String>,
    polled: Instant,
}

impl Watch {
    /// Watch the runs in `root`, which must exist for the watching to begin.
    pub fn new(root: &Path) -> Self {
        let (sender, changed) = channel();
        let on_event = move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            // Reading the logs opens them: only writes are news.
            let written = match event.kind {
                EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
                _ => true,
            };
            if written {
                for path in event.paths {
                    // The receiver is gone when the watch is being dropped: nobody is left to tell.
                    let _ = sender.send(path);
                }
            }
        };
        let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        let started = notify::recommended_watcher(on_event).and_then(|mut watcher| {
            watcher.watch(&root, RecursiveMode::Recursive)?;
            Ok(watcher)
        });
        let (watcher, notice) = match started {
            Ok(watcher) => (Some(watcher), None),
            Err(e) => (
                None,
                Some(format!(
                    "cannot watch {}: {e}; looking once a second",
                    root.display()
                )),
            ),
        };
        Self {
            root,
            changed,
            _watcher: watcher,
            notice,
            polled: Instant::now(),
        }
    }

    /// Why changes are seen a second late, if they are.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// Wait for `patience`, then say what has changed since the last call.
    pub fn wait(&mut self, patience: Duration) -> Hint {
        let until = Instant::now() + patience;
        let mut runs = BTreeSet::new();
        loop {
            match self
                .changed
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                Ok(path) => runs.extend(self.run_of(&path)),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    std::thread::sleep(until.saturating_duration_since(Instant::now()));
                    break;
                }
            }
        }
        if self.polled.elapsed() >= POLL {
            self.polled = Instant::now();
            return Hint::Everything;
        }
        Hint::Runs(runs)
    }

    fn run_of(&self, path: &Path) -> Option<RunId> {
        path.strip_prefix(&self.root)
            .ok()?
            .components()
            .next()?
            .as_os_str()
            .to_str()?
            .parse()
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_names_its_run_and_a_read_does_not() {
        let tmp = tempfile::tempdir().unwrap();
        let id: RunId = "0123456789".parse().unwrap();
        let log = tmp.path().join("0123456789/metrics.jsonl");
        std::fs::create_dir(log.parent().unwrap()).unwrap();
        std::fs::write(&log, "{}\n").unwrap();
        let mut watch = Watch::new(tmp.path());
        assert_eq!(watch.notice(), None);
        std::fs::read(&log).unwrap();
        assert_eq!(
            watch.wait(Duration::from_millis(50)),
            Hint::Runs(BTreeSet::new())
        );
        std::fs::write(&log, "{}\n{}\n").unwrap();
        assert_eq!(
            watch.wait(Duration::from_millis(200)),
            Hint::Runs(BTreeSet::from([id]))
        );
    }

    #[test]
    fn a_directory_that_cannot_be_watched_is_a_notice_and_still_polled() {
        let mut watch = Watch::new(Path::new("/nowhere/at/all"));
        assert!(watch.notice().unwrap().contains("/nowhere/at/all"));
        watch.polled -= POLL;
        assert_eq!(watch.wait(Duration::ZERO), Hint::Everything);
    }
}
