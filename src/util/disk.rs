//! Operations on files that have to outlive a crash. Each is tried again when a signal interrupts it, and each is a place
//! where a test lets the disk fail or the process die; a product has nothing there. What the files are is for others.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

#[cfg(test)]
pub mod fault;

/// What can go wrong, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Create,
    MakeDir,
    Read,
    Write,
    Sync,
    Rename,
    Remove,
    Truncate,
}

#[cfg(not(test))]
mod fault {
    use super::{Operation, Path, io};

    #[inline(always)]
    pub(super) fn before(_: Operation, _: &Path, _: &Path) -> io::Result<()> {
        Ok(())
    }

    #[inline(always)]
    pub(super) fn before_write(_: Operation, _: &Path, length: usize) -> io::Result<usize> {
        Ok(length)
    }
}

/// A new, empty file, as open to others as its directory.
pub fn create(path: &Path) -> io::Result<File> {
    once(Operation::Create, path, || {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(true);
        options.mode(file_mode(path)).open(path)
    })
}

/// A file whose writes all go to its end; if it is missing it is made, as open to others as its directory.
pub fn open_to_append(path: &Path) -> io::Result<File> {
    once(Operation::Create, path, || {
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        options.mode(file_mode(path)).open(path)
    })
}

/// Who may do what with `dir`, as the bits of chmod; nobody else anything if that cannot be told.
pub fn dir_mode(dir: &Path) -> u32 {
    fs::metadata(dir).map_or(0o700, |metadata| metadata.permissions().mode() & 0o777)
}

/// What a new file at `path` may be to whom, of which the process's umask takes away: what is private because of where
/// it is stays so where it is moved or copied to.
fn file_mode(path: &Path) -> u32 {
    dir_mode(dir_of(path)) & 0o666
}

fn dir_of(path: &Path) -> &Path {
    path.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

pub fn make_dir(path: &Path) -> io::Result<()> {
    once(Operation::MakeDir, path, || fs::create_dir(path))
}

pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    once(Operation::Read, path, || fs::read(path))
}

/// The most that a file has which is read whole because it is small: a thousand times what siglab writes into one.
pub const SMALL: u64 = 16 << 20;

/// A file that is to be small, whole.
///
/// # Errors
/// Also when it is larger than [`SMALL`], or no regular file: a pipe in its place would keep the reader waiting.
pub fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let mut bytes = Vec::new();
    // A limit on what is read, not on the length on record: it may grow meanwhile.
    again(|| {
        bytes.clear();
        (&file).take(SMALL + 1).read_to_end(&mut bytes)
    })?;
    if bytes.len() as u64 > SMALL {
        return Err(io::Error::new(
            ErrorKind::InvalidData,
            format!(
                "larger than {} MiB, which no file of its kind is",
                SMALL >> 20
            ),
        ));
    }
    Ok(bytes)
}

/// A regular file to read; what else stands there is refused at once, and nothing is waited for.
pub fn open_regular(path: &Path) -> io::Result<File> {
    once(Operation::Read, path, || {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let mut options = OpenOptions::new();
        let file = options.read(true).custom_flags(nonblocking).open(path)?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::new(
                ErrorKind::InvalidInput,
                "not a regular file",
            )),
        }
    })
}

/// After an error some of `bytes` may be in the file, which is the one at `path`.
pub fn write_all(file: &mut File, path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = again(|| {
            let most = fault::before_write(Operation::Write, path, bytes.len())?;
            file.write(&bytes[..most])
        })?;
        if written == 0 {
            return Err(ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
    }
    Ok(())
}

/// What was written to `file` is on the disk afterwards. After an error nobody knows what is, and a second call that
/// succeeds would not change that: what was written since the last success has to be written again.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    once(Operation::Sync, path, || file.sync_data())
}

/// A new name, a rename or a removal in the directory `path` is on the disk afterwards.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    once(Operation::Sync, path, || File::open(path)?.sync_all())
}

pub fn truncate(file: &File, path: &Path, length: u64) -> io::Result<()> {
    once(Operation::Truncate, path, || file.set_len(length))
}

pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    again(|| {
        fault::before(Operation::Rename, from, to)?;
        fs::rename(from, to)
    })
}

pub fn remove_file(path: &Path) -> io::Result<()> {
    once(Operation::Remove, path, || fs::remove_file(path))
}

/// Remove a directory, which has to be empty.
pub fn remove_dir(path: &Path) -> io::Result<()> {
    once(Operation::Remove, path, || fs::remove_dir(path))
}

/// Remove a directory and all that is in it; a link there is not followed.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    once(Operation::Remove, path, || fs::remove_dir_all(path))
}

/// Replace `path` by `bytes` so that a reader, or a machine that loses power, sees the old or the new file and
/// nothing between: temporary file, fsync, rename, fsync of the directory. After an error it is one of the two.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = dir_of(path);
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("a file name is missing"))?;
    let temporary = dir.join(temporary(name));
    let result = (|| {
        let mut file = create(&temporary)?;
        write_all(&mut file, &temporary, bytes)?;
        sync(&file, &temporary)?;
        rename(&temporary, path)?;
        sync_dir(dir)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// The name of what this process makes beside `name` and renames to it when it is whole: `.NAME.PID.tmp`.
pub fn temporary(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", std::process::id()));
    temporary
}

/// Nobody takes as long to write what is small, and no clock of another machine is as late.
const FORGOTTEN: Duration = Duration::from_secs(24 * 3600);

/// Remove from `dir` what processes that died half-way through left under a [`temporary`] name of one that is `ours`. Best
/// effort: it is in nobody's way.
pub fn sweep(dir: &Path, ours: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let is_dead = |pid: u32| !Path::new(&format!("/proc/{pid}")).exists();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let left = name.to_str().and_then(of_temporary);
        if !left.is_some_and(|(name, pid)| ours(name) && is_dead(pid)) {
            continue;
        }
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let age = metadata.modified().ok().and_then(|at| at.elapsed().ok());
        if age.is_none_or(|age| age < FORGOTTEN) {
            continue;
        }
        let _ = match metadata.is_dir() {
            true => remove_tree(&entry.path()),
            false => remove_file(&entry.path()),
        };
    }
}

/// What a [`temporary`] name is made of.
fn of_temporary(name: &str) -> Option<(&str, u32)> {
    let (name, pid) = name
        .strip_prefix('.')?
        .strip_suffix(".tmp")?
        .rsplit_once('.')?;
    Some((name, pid.parse().ok()?))
}

/// Whether an operation failed for want of space: the file system's, the user's quota, or the limit of the process.
pub fn is_full(error: &io::Error) -> bool {
    use ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

fn once<T>(
    operation: Operation,
    path: &Path,
    mut act: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    again(|| {
        fault::before(operation, path, path)?;
        act()
    })
}

fn again<T>(mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match act() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fault::{Fault, Plan};
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn write_atomic_replaces_whole_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("want.json");
        write_atomic(&path, b"one").unwrap();
        write_atomic(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "no temporary is left behind"
        );
    }

    #[test]
    fn what_the_dead_left_half_written_is_swept_up_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        // No process has this number: it is over the largest that a kernel gives.
        let dead = u32::MAX;
        let me = std::process::id();
        let made = [
            (format!(".want.json.{dead}.tmp"), 30, false),
            (format!(".want.json.{dead}.tmp.tmp"), 30, true),
            (format!(".want.json.{me}.tmp"), 30, true),
            (format!(".notes.txt.{dead}.tmp"), 30, true),
            ("want.json".to_owned(), 30, true),
            (".want.json.tmp".to_owned(), 30, true),
            (format!("want.json.{dead}.tmp"), 30, true),
            (format!(".lease.json.{dead}.tmp"), 23, true),
        ];
        for (name, hours, _) in &made {
            let file = File::create(dir.path().join(name)).unwrap();
            let then = std::time::SystemTime::now() - Duration::from_secs(3600 * hours);
            file.set_modified(then).unwrap();
        }
        sweep(dir.path(), |name| {
            ["want.json", "lease.json"].contains(&name)
        });
        for (name, _, stays) in made {
            assert_eq!(dir.path().join(&name).exists(), stays, "{name}");
        }
    }

    #[test]
    fn a_small_file_is_read_and_nothing_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (path, pipe) = (dir.path().join("spec.json"), dir.path().join("pipe"));
        fs::write(&path, "{}").unwrap();
        assert_eq!(read_small(&path).unwrap(), b"{}");
        File::create(&path).unwrap().set_len(SMALL + 1).unwrap();
        assert_eq!(
            read_small(&path).unwrap_err().kind(),
            ErrorKind::InvalidData
        );
        assert!(read_small(dir.path()).is_err(), "a directory");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(
                read_small(&pipe).unwrap_err().to_string(),
                "not a regular file"
            );
        }
        let missing = read_small(&dir.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_new_file_is_as_open_as_its_directory() {
        let tmp = tempfile::tempdir().unwrap();
        for (of_dir, of_file) in [(0o700, 0o600), (0o750, 0o640), (0o755, 0o644)] {
            fs::set_permissions(tmp.path(), fs::Permissions::from_mode(of_dir)).unwrap();
            let (whole, log) = (
                tmp.path().join(format!("{of_dir:o}.json")),
                tmp.path().join(format!("{of_dir:o}.log")),
            );
            write_atomic(&whole, b"one").unwrap();
            open_to_append(&log).unwrap();
            for path in [whole, log] {
                // A stricter umask may take more away.
                assert_eq!(dir_mode(&path) | of_file, of_file, "{}", path.display());
            }
        }
    }

    #[test]
    fn whichever_operation_fails_the_file_is_the_old_or_the_new_one() {
        for fault in Fault::ALL {
            let mut n = 0;
            loop {
                let dir = tempfile::tempdir().unwrap();
                let path = dir.path().join("want.json");
                fs::write(&path, "old").unwrap();
                let plan = Plan::begin(n..n + 1, fault);
                let done = write_atomic(&path, b"the new one");
                let met = plan.met();
                drop(plan);
                let found = fs::read(&path).unwrap();
                match &done {
                    Ok(()) => assert_eq!(found, b"the new one", "{fault:?} at {n}"),
                    Err(_) => assert!(
                        found == b"old" || found == b"the new one",
                        "{fault:?} at {n}: {found:?}"
                    ),
                }
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
                if !met {
                    assert!(done.is_ok() && n >= 5, "{fault:?}: {n} operations");
                    break;
                }
                let harmless = matches!(fault, Fault::Fails(Errno::INTR) | Fault::Short);
                assert_eq!(done.is_ok(), harmless, "{fault:?} at {n}: {done:?}");
                n += 1;
            }
        }
    }
}
