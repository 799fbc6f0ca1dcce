//! Whether names came or went in a directory, by its time of modification alone. Listing thousands of runs each second,
//! or asking each for files that nobody has made yet, costs more than all else that is done for runs at rest.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Two changes within this may bear one time of modification: the coarsest clock of a file system in use.
const TICK: Duration = Duration::from_secs(2);
/// Nothing is taken for unchanged any longer: some network file systems give directories no time at all.
const TRUST: Duration = Duration::from_secs(10);

/// What was seen of one directory.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Its time of modification by the file system's clock, and when that was first seen.
    modified: Option<(SystemTime, Instant)>,
    /// When the names were last read, if any change since then bears another time.
    sure: Option<Instant>,
}

impl Names {
    /// Whether the names have to be read again, now. Changes to what is in the files are no matter of names.
    pub(super) fn may_differ(&mut self, dir: &Path) -> io::Result<bool> {
        let now = Instant::now();
        let modified = match fs::metadata(dir) {
            Ok(metadata) => metadata.modified().ok(),
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(e),
        };
        let known = self.modified.filter(|(time, _)| Some(*time) == modified);
        if known.is_some() && self.sure.is_some_and(|read| now - read < TRUST) {
            return Ok(false);
        }
        self.modified = known.or(modified.map(|time| (time, now)));
        self.sure = known.and_then(|(_, seen)| (now - seen > TICK).then_some(now));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_until_the_clock_has_moved_on_and_after_every_change() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = tmp.path().join("runs");
        let mut names = Names::default();
        assert!(names.may_differ(&dir).unwrap());
        assert!(
            names.may_differ(&dir).unwrap(),
            "nothing is known of nothing"
        );
        fs::create_dir(&dir).unwrap();
        assert!(names.may_differ(&dir).unwrap());
        assert!(
            names.may_differ(&dir).unwrap(),
            "a change now could bear the same time"
        );
        // As if the time of modification had been seen long ago.
        let (time, seen) = names.modified.unwrap();
        names.modified = Some((time, seen - 2 * TICK));
        assert!(names.may_differ(&dir).unwrap());
        assert!(!names.may_differ(&dir).unwrap());
        names.sure = names.sure.map(|read| read - TRUST);
        assert!(names.may_differ(&dir).unwrap(), "not for ever");
        assert!(!names.may_differ(&dir).unwrap());
        fs::create_dir(dir.join("0123456789")).unwrap();
        assert!(names.may_differ(&dir).unwrap());
    }
}
