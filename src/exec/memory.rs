//! Memory as the kernel counts it for this process and its workers: how much there is, and how often it killed for want
//! of it. The narrowest control group that tells is asked, and the machine where there is none.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted.
const GROUPS: &str = "/sys/fs/cgroup";

/// The kernel's count of processes that it killed for want of memory.
#[derive(Debug)]
pub(super) struct Kills {
    /// A file with a line `oom_kill N`; none where the kernel has none.
    file: Option<PathBuf>,
    seen: u64,
}

impl Kills {
    /// The count for this process and its children, from now on.
    pub(super) fn here() -> Self {
        let of_groups = groups()
            .into_iter()
            .flat_map(|group| ["memory.events", "memory.oom_control"].map(|name| group.join(name)));
        let mut files = of_groups.chain([PathBuf::from("/proc/vmstat")]);
        Self::of(files.find(|file| count(file).is_some()))
    }

    fn of(file: Option<PathBuf>) -> Self {
        let seen = file.as_deref().and_then(count).unwrap_or(0);
        Self { file, seen }
    }

    /// Kills since the last time that this was asked.
    pub(super) fn news(&mut self) -> u64 {
        let now = self.file.as_deref().and_then(count).unwrap_or(self.seen);
        let news = now.saturating_sub(self.seen);
        self.seen = now;
        news
    }
}

fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    line?.trim().parse().ok()
}

/// Bytes that this process and its children may hold together: the machine's memory, or less if a control group says so.
pub(super) fn capacity() -> Option<u64> {
    let limits = groups().into_iter().flat_map(|group| {
        // A limit holds for all groups inside.
        let within: Vec<PathBuf> = group
            .ancestors()
            .take_while(|group| group.starts_with(GROUPS))
            .map(Path::to_owned)
            .collect();
        within.into_iter().flat_map(|group| {
            ["memory.max", "memory.limit_in_bytes"].map(|name| limit(&group.join(name)))
        })
    });
    limits.flatten().chain(of_machine()).min()
}

/// None when there is no limit: the file says `max`, or is not there.
fn limit(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes: u64 = line?.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The directories of this process's control groups that may tell of memory, the narrowest first.
fn groups() -> Vec<PathBuf> {
    let text = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    groups_of(&text)
}

/// A line is `HIERARCHY:CONTROLLERS:PATH`, with no controllers in version 2. In a container the path may be of the machine
/// outside, where the mount has its end instead.
fn groups_of(text: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let mount = match controllers {
            "" => Path::new(GROUPS).to_owned(),
            _ if controllers.split(',').any(|name| name == "memory") => {
                Path::new(GROUPS).join("memory")
            }
            _ => continue,
        };
        found.push(mount.join(path.trim_start_matches('/')));
        found.push(mount);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted_from_the_last_look_on() {
        let tmp = tempfile::tempdir().unwrap();
        let file = tmp.path().join("memory.events");
        let write = |n: u64| fs::write(&file, format!("low 0\noom 9\noom_kill {n}\n")).unwrap();
        write(2);
        let mut kills = Kills::of(Some(file.clone()));
        assert_eq!(kills.news(), 0);
        write(4);
        assert_eq!((kills.news(), kills.news()), (2, 0));
        fs::remove_file(&file).unwrap();
        assert_eq!(kills.news(), 0);
        assert_eq!(Kills::of(None).news(), 0);
    }

    #[test]
    fn groups_of_both_versions_are_found() {
        let found = groups_of("4:memory:/a/b\n3:cpuset:/\n0::/c\n");
        let paths = ["memory/a/b", "memory", "c", ""].map(|path| Path::new(GROUPS).join(path));
        assert_eq!(found, paths);
    }

    #[test]
    fn this_machine_has_memory_and_says_how_often_it_ran_out() {
        assert!(capacity().is_some_and(|bytes| bytes > 1 << 24));
        assert!(Kills::here().file.is_some());
    }
}
