//! Whether the disk that the runs are on is full, in words that every face shows. The workers and the file system say so;
//! nothing is tried.

use std::fmt;
use std::path::Path;

use crate::record::Space;

/// With less than this free, a run cannot even begin.
const LEAST: u64 = 1 << 20;

/// A disk without room for more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full {
    pub space: Space,
    /// Runs whose workers wait for room.
    pub waiting: usize,
}

impl Full {
    /// How it stands with the disk below `root`, with `waiting` runs that wait; none if there is room or nobody knows.
    pub(super) fn of(root: &Path, waiting: usize) -> Option<Self> {
        if waiting == 0 && Space::free(root).ok()? >= LEAST {
            return None;
        }
        let space = Space::of(root).ok()?;
        Some(Self { space, waiting })
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the disk is full: {}; ", self.space)?;
        match self.waiting {
            0 => f.write_str("nothing starts until there is room"),
            1 => f.write_str("1 run waits and goes on when there is room"),
            n => write!(f, "{n} runs wait and go on when there is room"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_where_and_how_much_and_who_waits() {
        let tmp = tempfile::tempdir().unwrap();
        assert_eq!(Full::of(&tmp.path().join("none"), 1), None);
        let full = Full::of(tmp.path(), 2).unwrap();
        let words = full.to_string();
        let mount = full.space.mount.display().to_string();
        assert!(words.contains(&mount), "{words}");
        assert!(words.contains("MiB free"), "{words}");
        assert!(words.ends_with("2 runs wait and go on when there is room"));
    }
}
