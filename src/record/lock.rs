//! A lock on a file that is held while a value lives, and that the kernel drops however its process dies. What the lock
//! is the right to is for others to say.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// The lock, held.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child that another thread has forked keeps it open until it executes its
        // programme. Nobody is left to tell of a failure, and then the kernel does it with the last of them.
        let _ = self.file.unlock();
    }
}

impl FileLock {
    /// Take the lock on the file at `path`, which is made if it is missing. None when another has it all through
    /// `patience`: [`FileLock::is_held`] takes it for an instant, so one refusal is not yet an answer.
    pub fn acquire(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { file })),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20))
                }
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(e)) => return Err(e),
            }
        }
    }

    /// Whether anybody holds the lock on the file at `path` now.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(e),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// The process that has the lock on the file at `path`, by the kernel's list. None when nobody has, and when it is a
    /// process of another machine or the list calls the file by another number, as some file systems have it.
    pub fn holder(path: &Path) -> io::Result<Option<u32>> {
        let file = match fs::metadata(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        let (device, inode) = (file.dev(), file.ino());
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let number = format!("{major:02x}:{minor:02x}:{inode}");
        let locks = fs::read_to_string("/proc/locks")?;
        // `1: FLOCK ADVISORY WRITE 4711 fe:00:123 0 EOF`; whoever waits has an arrow before FLOCK.
        let holder = locks.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let ours = fields.get(1) == Some(&"FLOCK")
                && fields.get(3) == Some(&"WRITE")
                && fields.get(5) == Some(&number.as_str());
            ours.then(|| fields[4].parse().ok()).flatten()
        });
        Ok(holder)
    }

    /// The file, for a note of who holds it.
    pub fn file(&self) -> &File {
        &self.file
    }
}
