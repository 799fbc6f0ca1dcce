//! The few things every layer needs and no layer owns: durable writes, the wall clock, units for people, text
//! made safe for a terminal. It knows nothing of runs or tensors.

pub mod disk;

use std::any::Any;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use disk::{dir_mode, sync_dir, write_atomic};

/// `path` as a word of a command line that nobody takes for a flag.
pub fn as_word(path: &Path) -> PathBuf {
    match path.as_os_str().as_encoded_bytes() {
        [b'-', ..] => Path::new(".").join(path),
        _ => path.to_owned(),
    }
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

/// What a panic said, if it said something.
pub fn panic_words(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
}

/// How the process ended; none, and it is no more, if it lives for longer than `patience`. It is looked at every `look`.
pub fn end_within(child: &mut Child, patience: Duration, look: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    while began.elapsed() < patience {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => std::thread::sleep(look),
            Err(_) => break,
        }
    }
    // That it is gone already is as good.
    let _ = child.kill();
    let _ = child.wait();
    None
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

/// `512 MiB`, `6.0 GiB`: memory as people count it.
pub fn human_bytes(bytes: u64) -> String {
    const GIB: f64 = (1u64 << 30) as f64;
    match bytes as f64 / GIB {
        x if x < 1.0 => format!("{} MiB", bytes >> 20),
        x if x < 100.0 => format!("{x:.1} GiB"),
        x => format!("{x:.0} GiB"),
    }
}

/// `word` with its first letter as a capital.
pub fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(characters).collect()
    })
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

/// `text` on one line, with everything that could drive a terminal replaced: C0 and C1 controls, DEL, and what turns the
/// direction of writing. A newline becomes a space; raw bytes stay as they are on disk.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => ' ',
            c if drives_a_terminal(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

/// [`printable`] of text that may have several lines and tabs.
pub fn printable_lines(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let cells = line.split('\t').map(printable);
        cells.collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// [`printable`] text of at most `most` characters, with a sign where it went on.
pub fn abridged(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

/// Whether [`printable`] would leave `text` as it is.
pub fn is_printable(text: &str) -> bool {
    let harmless = |c| !drives_a_terminal(c) && !matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().all(harmless)
}

fn drives_a_terminal(c: char) -> bool {
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns(c)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_that_does_not_end_is_ended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let [patience, look] = [100, 5].map(Duration::from_millis);
        assert_eq!(end_within(&mut child, patience, look), None);
        assert!(child.try_wait().unwrap().is_some(), "it was waited for");
        let mut child = Command::new("true").spawn().unwrap();
        let ended = end_within(&mut child, Duration::from_secs(60), look);
        assert!(ended.unwrap().success());
    }

    #[test]
    fn printable_leaves_nothing_that_drives_a_terminal() {
        let hostile = "a\x1b[31mred\x07\u{9b}2J\u{202e}b\nc\x7f\u{61c}";
        let safe = printable(hostile);
        assert!(safe.chars().all(|c| !c.is_control()));
        assert!(safe.starts_with('a') && safe.contains("red") && safe.contains("b c"));
        for c in (0..=0x9f).filter_map(char::from_u32) {
            let text = c.to_string();
            assert_eq!(is_printable(&text), (' '..='~').contains(&c), "{c:?}");
            assert!(is_printable(&printable(&text)), "{c:?}");
        }
        assert!(!is_printable("\u{2066}") && !is_printable("\u{2028}") && is_printable("日本 é"));
    }

    #[test]
    fn lines_and_tabs_of_a_text_stay() {
        assert_eq!(
            printable_lines("a\tb\r\n\x1b[2J\nc\n"),
            "a\tb \n\u{fffd}[2J\nc\n"
        );
    }

    #[test]
    fn counts_and_durations_fit_their_columns() {
        assert_eq!(human_count(950.0), "950");
        assert_eq!(human_count(12_345.0), "12.3k");
        assert_eq!(human_duration(Duration::from_secs(185)), "3m05s");
        assert_eq!(human_duration(Duration::from_secs(8_040)), "2h14m");
    }
}
