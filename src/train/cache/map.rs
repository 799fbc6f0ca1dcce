//! A file as memory. The one place of the engine that maps files.

use std::fs::File;
use std::io;

use memmap2::MmapMut;

/// The whole of `file`, which must be open for reading and writing; what is written lands in the file.
pub fn shared(file: &File) -> io::Result<MmapMut> {
    // SAFETY: bytes that change under a mapping are the danger. The file lies in the directory of a run, where each
    // file has one writer, and the worker that maps it holds the run's lock for as long as it lives. Should somebody
    // truncate it all the same, the kernel ends the process; should somebody write to it, the checks of the rows tell.
    unsafe { MmapMut::map_mut(file) }
}
