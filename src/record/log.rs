//! The end of `worker.log`: what a worker said last. The log is for people; nothing is read out of its words.

use std::io::{self, Read, Seek, SeekFrom};

use super::RunDir;
use crate::util::disk;

/// More than any fifteen lines worth showing.
const WINDOW: u64 = 64 << 10;

/// The last `count` lines of the run's log, without blank lines at the end; none when there is no log.
pub fn end_of_log(dir: &RunDir, count: usize) -> io::Result<Vec<String>> {
    let mut file = match disk::open_regular(&dir.log()) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let start = file.metadata()?.len().saturating_sub(WINDOW);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(WINDOW).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let shown = &lines[lines.len().saturating_sub(count)..];
    Ok(shown.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_of_a_long_log_and_none_of_a_missing_one() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        assert!(end_of_log(&dir, 3).unwrap().is_empty());
        let text: String = (0..50_000).map(|n| format!("line {n}\n")).collect();
        std::fs::write(dir.log(), text + "\n\n").unwrap();
        assert_eq!(end_of_log(&dir, 2).unwrap(), ["line 49998", "line 49999"]);
    }
}
