//! The few things every layer needs and no layer owns: durable writes, the wall clock, units for people, text
//! made safe for a terminal. It knows nothing of runs or tensors.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Replace `path` by `bytes` so that a reader, or a machine that loses power, sees the old or the new file and
/// nothing between: temporary file, fsync, rename, fsync of the directory.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path
        .parent()
        .filter(|d| !d.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("a file name is missing"))?;
    let mut temporary = std::ffi::OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}.tmp", std::process::id()));
    let temporary = dir.join(temporary);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_dir(dir)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Make a rename or a new name inside `dir` durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Milliseconds since 1970, for display only: order comes from sequence numbers, durations from `Instant`.
pub fn wall_clock_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| d.as_millis() as u64)
}

/// The line of byte `at` of `text`, from 1.
pub fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count()
}

/// `950`, `12.3k`, `4.56M`: a count in the space of five characters.
pub fn human_count(n: f64) -> String {
    let (value, unit) = match n.abs() {
        x if x < 1e3 => return format!("{n:.0}"),
        x if x < 1e6 => (n / 1e3, "k"),
        x if x < 1e9 => (n / 1e6, "M"),
        _ => (n / 1e9, "G"),
    };
    match value.abs() {
        x if x < 10.0 => format!("{value:.2}{unit}"),
        x if x < 100.0 => format!("{value:.1}{unit}"),
        _ => format!("{value:.0}{unit}"),
    }
}

/// `8s`, `3m05s`, `2h14m`, `3d04h`: the two units that matter.
pub fn human_duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        3600..86400 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        _ => format!("{}d{:02}h", s / 86400, s % 86400 / 3600),
    }
}

/// `text` with everything that could drive a terminal replaced: C0 and C1 controls, DEL, and the bidirectional
/// overrides. A newline becomes a space; raw bytes stay as they are on disk.
pub fn printable(text: &str) -> String {
    let bidi = |c| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => ' ',
            c if c.is_control() || bidi(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_leaves_nothing_that_drives_a_terminal() {
        let hostile = "a\x1b[31mred\x07\u{9b}2J\u{202e}b\nc\x7f";
        let safe = printable(hostile);
        assert!(safe.chars().all(|c| !c.is_control()));
        assert!(safe.starts_with('a') && safe.contains("red") && safe.contains("b c"));
    }

    #[test]
    fn counts_and_durations_fit_their_columns() {
        assert_eq!(human_count(950.0), "950");
        assert_eq!(human_count(12_345.0), "12.3k");
        assert_eq!(human_duration(Duration::from_secs(185)), "3m05s");
        assert_eq!(human_duration(Duration::from_secs(8_040)), "2h14m");
    }

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
}
