//! Keeps `worker.log` from filling the disk, however much a worker and the libraries in it say. The worker looks after its
//! own log, because nobody else outlives its scheduler: a log that is too long is put aside, over the one before, and
//! standard output and error go on in a new one. So the first words are lost, with a mark that says how many, and the last
//! ones never are.

use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::RunDir;
use crate::util::disk;

/// A log that is longer is put aside.
const LONGEST: u64 = 8 << 20;
/// Between two looks at how long it is.
const LOOK: Duration = Duration::from_millis(50);
const STREAMS: [RawFd; 2] = [1, 2];

/// The watch over the log of this process, for as long as it lives.
#[derive(Debug)]
pub struct Flood {
    end: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    /// Watch over the log of the run in `dir`, if it is what this process writes its output to; else there is nothing to
    /// watch.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn hold_back(dir: &RunDir) -> io::Result<Option<Self>> {
        if !STREAMS.iter().any(|stream| leads_to(*stream, dir)) {
            return Ok(None);
        }
        let (end, ended) = channel();
        let dir = dir.clone();
        let watch = move || {
            let mut dropped = 0;
            while ended.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                // It fails where there is no room for a new file, and then there is none for the old one to grow.
                let _ = put_aside(&dir, &mut dropped);
            }
        };
        let thread = thread::Builder::new().name("log".into()).spawn(watch)?;
        Ok(Some(Self {
            end,
            thread: Some(thread),
        }))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.end.send(());
        if let Some(thread) = self.thread.take() {
            // It does not panic, and if it did, that would be no reason for the worker to.
            let _ = thread.join();
        }
    }
}

/// Whether a stream of this process goes to the log of the run.
fn leads_to(stream: RawFd, dir: &RunDir) -> bool {
    let open = rustix::fs::fstat(&*borrowed(stream));
    let (Ok(open), Ok(log)) = (open, fs::metadata(dir.log())) else {
        return false;
    };
    (open.st_dev, open.st_ino) == (log.dev(), log.ino())
}

/// Begin a new log if the one there is too long. `dropped` counts the bytes that this process has put out of reach.
fn put_aside(dir: &RunDir, dropped: &mut u64) -> io::Result<()> {
    let (log, old) = (dir.log(), dir.old_log());
    if fs::metadata(&log)?.len() <= LONGEST {
        return Ok(());
    }
    let streams: Vec<RawFd> = STREAMS
        .into_iter()
        .filter(|stream| leads_to(*stream, dir))
        .collect();
    if streams.is_empty() {
        return Ok(());
    }
    let lost = fs::metadata(&old).map_or(0, |old| old.len());
    fs::rename(&log, &old)?;
    let mut new = match disk::open_to_append(&log) {
        Ok(new) => new,
        Err(e) => {
            // As before, so that the next look finds the log that is written to.
            fs::rename(&old, &log)?;
            return Err(e);
        }
    };
    *dropped += lost;
    if *dropped > 0 {
        writeln!(
            new,
            "… dropped {dropped} bytes of output; {} has what came before this",
            old.file_name().unwrap_or_default().display()
        )?;
    }
    for stream in streams {
        point(stream, &new)?;
    }
    Ok(())
}

/// Let a stream of this process go to `file`. What is written meanwhile goes to one or the other.
fn point(stream: RawFd, file: &File) -> io::Result<()> {
    Ok(rustix::io::dup2(file, &mut borrowed(stream))?)
}

/// A standard stream, which is not closed with the value.
fn borrowed(stream: RawFd) -> ManuallyDrop<OwnedFd> {
    // SAFETY: nothing in this process closes its standard streams, and this value is never dropped.
    ManuallyDrop::new(unsafe { OwnedFd::from_raw_fd(stream) })
}
