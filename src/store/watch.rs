//! When it is worth while to refresh a store. The file system's notices are a hint that saves waiting, never the
//! truth: inotify sees nothing on NFS, so everything is due once a second all the same. Watching that fails is a
//! notice to show, not an error. A thread of its own sets the watching up, which takes a while for thousands of runs.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::record::RunId;

/// Everything is due after this long, whatever the file system says.
const POLL: Duration = Duration::from_secs(1);

/// What to refresh now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hint {
    /// These runs were written to; perhaps none.
    pub runs: BTreeSet<RunId>,
    /// Besides, the whole workspace is due for a look.
    pub all: bool,
}

#[derive(Debug)]
pub struct Watch {
    news: Arc<Mutex<News>>,
    notice: Option<String>,
    polled: Instant,
    watcher: Sender<Message>,
}

/// What has not been taken yet.
#[derive(Debug, Default)]
struct News {
    written: BTreeSet<RunId>,
    /// Notices were lost: anything may have been written.
    lost: bool,
    /// Why changes are seen late, or that they are not, where that is new.
    notice: Option<Option<String>>,
    /// The waker was called.
    told: bool,
}

/// What the watching thread hears.
#[derive(Debug)]
enum Message {
    /// Something has come into the workspace.
    Appeared(PathBuf),
    End,
}

impl Watch {
    /// Watch the runs in `root`.
    pub fn new(root: &Path) -> Self {
        Self::with_waker(root, || {})
    }

    /// Watch the runs in `root`, those made later included, and call `waker` from another thread when there is
    /// something to [`Watch::take`]: once, until it is taken.
    pub fn with_waker(root: &Path, waker: impl Fn() + Send + 'static) -> Self {
        let (watcher, messages) = channel();
        let news = Arc::new(Mutex::new(News::default()));
        let watching = Watching {
            root: root.to_owned(),
            seen: watcher.clone(),
            messages,
            teller: Arc::new(Teller {
                news: Arc::downgrade(&news),
                waker: Mutex::new(waker),
            }),
        };
        // A thread that cannot be had leaves a look once a second.
        let spawned = thread::Builder::new()
            .name("watch".into())
            .spawn(move || watching.run());
        Self {
            news,
            notice: spawned.err().map(|e| late(root, &e)),
            polled: Instant::now(),
            watcher,
        }
    }

    /// Why changes are seen a second late, if they are, as of the last hint.
    pub fn notice(&self) -> Option<&str> {
        self.notice.as_deref()
    }

    /// What has changed since the last call, without waiting. Ask once a second at least: no waker tells of what the
    /// file system gives no notice of.
    pub fn take(&mut self) -> Hint {
        // What comes from here on wakes again.
        let news = std::mem::take(&mut *lock(&self.news));
        if let Some(notice) = news.notice {
            self.notice = notice;
        }
        let mut hint = Hint {
            runs: news.written,
            all: news.lost,
        };
        if self.polled.elapsed() >= POLL {
            self.polled = Instant::now();
            hint.all = true;
        }
        hint
    }

    /// Wait for `patience`, then say what has changed since the last call.
    pub fn wait(&mut self, patience: Duration) -> Hint {
        thread::sleep(patience);
        self.take()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It fails when the thread has ended, which is what is asked for.
        let _ = self.watcher.send(Message::End);
    }
}

/// A thread that panicked under a lock left plain data behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Passes on what happens. Thousands of notices a second are told right where they come in: each hop to another thread
/// would wake it.
struct Teller<W> {
    /// Gone when nobody is left to tell.
    news: Weak<Mutex<News>>,
    waker: Mutex<W>,
}

impl<W: Fn()> Teller<W> {
    fn tell(&self, add: impl FnOnce(&mut News)) {
        let Some(news) = self.news.upgrade() else {
            return;
        };
        let mut news = lock(&news);
        add(&mut news);
        if std::mem::replace(&mut news.told, true) {
            return;
        }
        drop(news);
        lock(&self.waker)();
    }

    fn notice(&self, notice: Option<String>) {
        self.tell(|news| news.notice = Some(notice));
    }

    fn lost(&self) {
        self.tell(|news| news.lost = true);
    }

    fn written(&self, id: RunId) {
        self.tell(|news| {
            news.written.insert(id);
        });
    }
}

/// The thread that watches.
struct Watching<W> {
    root: PathBuf,
    seen: Sender<Message>,
    messages: Receiver<Message>,
    teller: Arc<Teller<W>>,
}

impl<W: Fn() + Send + 'static> Watching<W> {
    /// Watch until the [`Watch`] is dropped. A workspace that does not exist yet is asked for again and again.
    fn run(mut self) {
        loop {
            match self.start() {
                Ok(watcher) => return self.look_out(watcher),
                Err(e) => self.teller.notice(Some(late(&self.root, &e))),
            }
            // Nothing is watched yet, so what comes is the end.
            match self.messages.recv_timeout(POLL) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }

    /// Watch the workspace's own directory, and below it what [`Watching::watch_run`] is called for.
    fn start(&mut self) -> notify::Result<RecommendedWatcher> {
        self.root = self.root.canonicalize()?;
        let (root, seen) = (self.root.clone(), self.seen.clone());
        let teller = Arc::clone(&self.teller);
        let mut watcher =
            notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
                // Reading the logs opens them: only writes are news.
                let Some(event) = event.ok().filter(|event| is_news(&event.kind)) else {
                    return;
                };
                if event.need_rescan() {
                    teller.lost();
                }
                let appeared = matches!(
                    event.kind,
                    EventKind::Create(_) | EventKind::Modify(ModifyKind::Name(_))
                );
                for path in event.paths {
                    if appeared && path.parent() == Some(&root) {
                        // Nobody is left to hear it when the watch is being dropped.
                        let _ = seen.send(Message::Appeared(path));
                    } else if let Some(id) = run_of(&root, &path) {
                        teller.written(id);
                    }
                }
            })?;
        watcher.watch(&self.root, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    fn look_out(&self, mut watcher: RecommendedWatcher) {
        self.teller.notice(None);
        let entries = fs::read_dir(&self.root).into_iter().flatten();
        for entry in entries.flatten() {
            self.watch_run(&mut watcher, &entry.path());
        }
        // What was written before the watching began was not seen.
        self.teller.lost();
        while let Ok(Message::Appeared(path)) = self.messages.recv() {
            // Before it is told of: whoever reads it now misses nothing that comes later.
            self.watch_run(&mut watcher, &path);
            if let Some(id) = run_of(&self.root, &path) {
                self.teller.written(id);
            }
        }
    }

    /// Watch the files in a run's directory, and not its checkpoints: systems allow only so many watches.
    fn watch_run(&self, watcher: &mut RecommendedWatcher, path: &Path) {
        if run_of(&self.root, path).is_none() || !path.is_dir() {
            return;
        }
        if let Err(e) = watcher.watch(path, RecursiveMode::NonRecursive)
            && path.is_dir()
        {
            self.teller.notice(Some(late(path, &e)));
        }
    }
}

/// The run whose directory in `root` is `path` or holds it.
fn run_of(root: &Path, path: &Path) -> Option<RunId> {
    let inside = path.strip_prefix(root).ok()?;
    let name = inside.components().next()?.as_os_str();
    name.to_str()?.parse().ok()
}

fn is_news(kind: &EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => *kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn late(path: &Path, why: &impl fmt::Display) -> String {
    format!(
        "cannot watch {}: {why}; looking once a second",
        path.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// A watch that has begun, and what its waker rings.
    fn begun(root: &Path) -> (Watch, Receiver<()>) {
        let (bell, rings) = channel();
        let mut watch = Watch::with_waker(root, move || bell.send(()).unwrap());
        // No look that is due by the clock, however long the machine takes.
        watch.polled += Duration::from_secs(3600);
        while !watch.take().all {
            rings.recv_timeout(PATIENCE).unwrap();
        }
        assert_eq!(watch.notice(), None);
        // On a busy machine it may still be hearing of its own beginning.
        while rings.recv_timeout(Duration::from_millis(300)).is_ok() {
            watch.take();
        }
        (watch, rings)
    }

    /// Wait for word of this run; one write makes several notices, and those of the write before may come late.
    fn await_word(watch: &mut Watch, rings: &Receiver<()>, id: &RunId) {
        while !watch.take().runs.contains(id) {
            rings.recv_timeout(PATIENCE).unwrap();
        }
    }

    fn id(text: &str) -> RunId {
        text.parse().unwrap()
    }

    #[test]
    fn a_write_names_its_run_and_wakes_and_a_read_does_not() {
        let tmp = tempfile::tempdir().unwrap();
        let log = tmp.path().join("0123456789/metrics.jsonl");
        fs::create_dir(log.parent().unwrap()).unwrap();
        fs::write(&log, "{}\n").unwrap();
        let (mut watch, rings) = begun(tmp.path());
        fs::read(&log).unwrap();
        assert!(rings.recv_timeout(Duration::from_millis(50)).is_err());
        fs::write(&log, "{}\n{}\n").unwrap();
        await_word(&mut watch, &rings, &id("0123456789"));
    }

    #[test]
    fn a_run_that_is_made_later_is_watched_however_it_appears() {
        let tmp = tempfile::tempdir().unwrap();
        let (mut watch, rings) = begun(tmp.path());
        let hidden = tmp.path().join(".hidden");
        fs::create_dir(&hidden).unwrap();
        for (name, moved) in [("aaaaaaaaaa", false), ("bbbbbbbbbb", true)] {
            let dir = tmp.path().join(name);
            if moved {
                fs::rename(&hidden, &dir).unwrap();
            } else {
                fs::create_dir(&dir).unwrap();
            }
            await_word(&mut watch, &rings, &id(name));
            // That the directory appeared is told in more than one notice.
            while watch.wait(Duration::from_millis(50)) != Hint::default() {}
            fs::write(dir.join("events.jsonl"), "{}\n").unwrap();
            await_word(&mut watch, &rings, &id(name));
        }
    }

    #[test]
    fn one_ring_stands_for_all_that_is_not_taken() {
        let tmp = tempfile::tempdir().unwrap();
        let run = tmp.path().join("0123456789");
        fs::create_dir(&run).unwrap();
        let (mut watch, rings) = begun(tmp.path());
        for n in 0..20 {
            fs::write(run.join(n.to_string()), "x").unwrap();
        }
        rings.recv_timeout(PATIENCE).unwrap();
        assert!(rings.recv_timeout(Duration::from_millis(50)).is_err());
        assert_eq!(watch.take().runs, BTreeSet::from([id("0123456789")]));
    }

    #[test]
    fn a_directory_that_cannot_be_watched_is_a_notice_and_is_watched_once_it_can() {
        let tmp = tempfile::tempdir().unwrap();
        let root = tmp.path().join("later");
        let (bell, rings) = channel();
        let mut watch = Watch::with_waker(&root, move || bell.send(()).unwrap());
        rings.recv_timeout(PATIENCE).unwrap();
        watch.take();
        assert!(watch.notice().unwrap().contains(root.to_str().unwrap()));
        fs::create_dir(&root).unwrap();
        while watch.notice().is_some() {
            rings.recv_timeout(PATIENCE).unwrap();
            watch.take();
        }
    }

    #[test]
    fn everything_is_due_once_a_second() {
        let mut watch = Watch::new(Path::new("/nowhere/at/all"));
        assert!(!watch.take().all);
        watch.polled -= POLL;
        assert!(watch.take().all);
        assert!(!watch.wait(Duration::ZERO).all);
    }
}
