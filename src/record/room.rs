//! What a worker does when the disk is full: it waits where it is until there is room. It shows that by a lock on an empty
//! file, which takes no room, is seen by whoever looks, and goes with the worker. How much room there is, is asked of the
//! file system.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{FileLock, LogLost, RunDir};
use crate::util::disk;

/// Between two looks at the file system.
const LOOK: Duration = Duration::from_millis(200);
/// A quota and the limit of a process cannot be looked at: they are tried, and again after twice as long.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(4);

/// The waiting of one worker.
#[derive(Debug)]
pub struct Room {
    dir: RunDir,
    /// Ends the waiting.
    stop: Arc<AtomicBool>,
}

impl Room {
    /// `stop` ends the waiting with the error that it is for.
    pub fn new(dir: RunDir, stop: Arc<AtomicBool>) -> Self {
        // Made while there is room, if there is; a lock that cannot be had leaves a worker that waits without a sign.
        if !dir.waiting().exists() {
            let _ = fs::File::create(dir.waiting());
        }
        Self { dir, stop }
    }

    /// Whether the worker of the run in `dir` waits for room.
    pub fn is_awaited(dir: &RunDir) -> io::Result<bool> {
        FileLock::is_held(&dir.waiting())
    }

    /// Do what `act` does, and again until there is room for it; what it leaves behind when it fails must not be in the
    /// way of the next try. Besides what it gives, how long it had to wait.
    ///
    /// # Errors
    /// Those of `act`, but not for want of space unless it was told to stop.
    pub fn hold<T>(
        &self,
        mut act: impl FnMut() -> io::Result<T>,
    ) -> io::Result<(T, Option<Duration>)> {
        let mut waiting: Option<(Instant, Option<FileLock>)> = None;
        let mut pause = SHORTEST;
        loop {
            let e = match act() {
                Ok(done) => return Ok((done, waiting.map(|(since, _)| since.elapsed()))),
                Err(e) => e,
            };
            if !disk::is_full(&e) || self.stop.load(Ordering::Relaxed) {
                return Err(e);
            }
            waiting.get_or_insert_with(|| (Instant::now(), self.sign()));
            self.wait_for(pause);
            pause = (2 * pause).min(LONGEST);
        }
    }

    /// Wait until space was freed, and some seconds at most.
    pub fn wait(&self) {
        let _sign = self.sign();
        self.wait_for(LONGEST);
    }

    /// Whether `error` is for want of space, or tells of a log that was spoilt for want of it.
    pub fn was_wanted(error: &io::Error) -> bool {
        let lost = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<LogLost>());
        disk::is_full(error) || lost.is_some_and(|lost| disk::is_full(&lost.cause))
    }

    /// What others see the waiting by, as long as it lives.
    fn sign(&self) -> Option<FileLock> {
        // Somebody who looks takes the lock for an instant.
        let lock = FileLock::acquire(&self.dir.waiting(), Duration::from_secs(1));
        lock.ok().flatten()
    }

    fn wait_for(&self, pause: Duration) {
        let free = || Space::free(self.dir.path()).unwrap_or(0);
        let (began, before) = (Instant::now(), free());
        while began.elapsed() < pause && !self.stop.load(Ordering::Relaxed) && free() <= before {
            thread::sleep(LOOK.min(pause));
        }
    }
}

/// Room on a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that a user may still take.
    pub free: u64,
    /// Where it is mounted.
    pub mount: PathBuf,
}

impl Space {
    /// The file system that `path` is on.
    pub fn of(path: &Path) -> io::Result<Self> {
        Ok(Self {
            free: Self::free(path)?,
            mount: mount_of(path)?,
        })
    }

    /// What is free on the file system that `path` is on, in bytes.
    pub fn free(path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let free = self.free as f64 / (1 << 20) as f64;
        write!(f, "{free:.1} MiB free on {}", self.mount.display())
    }
}

/// The highest directory above `path` that is on the same file system.
fn mount_of(path: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::MetadataExt;

    let path = path.canonicalize()?;
    let device = fs::metadata(&path)?.dev();
    let same = |dir: &&Path| fs::metadata(dir).is_ok_and(|there| there.dev() == device);
    let highest = path.ancestors().take_while(same).last();
    Ok(highest.unwrap_or(&path).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;

    #[test]
    fn it_waits_in_sight_of_all_until_there_is_room() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let room = Room::new(dir.clone(), Arc::default());
        let mut tries = 0;
        let (done, waited) = room
            .hold(|| {
                assert_eq!(Room::is_awaited(&dir)?, tries > 0);
                tries += 1;
                match tries {
                    3 => Ok("done"),
                    _ => Err(ErrorKind::StorageFull.into()),
                }
            })
            .unwrap();
        assert_eq!((done, tries), ("done", 3));
        assert!(waited.unwrap() >= SHORTEST);
        assert!(!Room::is_awaited(&dir).unwrap());
        assert_eq!(room.hold(|| Ok(1)).unwrap(), (1, None));
    }

    #[test]
    fn it_waits_for_nothing_else_and_not_when_it_is_to_stop() {
        let tmp = tempfile::tempdir().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let room = Room::new(RunDir::new(tmp.path()), stop.clone());
        let fails = |kind: ErrorKind| room.hold(|| io::Result::<()>::Err(kind.into()));
        let other = fails(ErrorKind::PermissionDenied).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::PermissionDenied);
        stop.store(true, Ordering::Relaxed);
        assert!(disk::is_full(&fails(ErrorKind::QuotaExceeded).unwrap_err()));
    }

    #[test]
    fn a_file_system_is_named_by_where_it_is_mounted() {
        let space = Space::of(Path::new("/proc/self")).unwrap();
        assert_eq!(space.mount, Path::new("/proc"));
        assert!(space.to_string().ends_with("free on /proc"), "{space}");
    }
}
