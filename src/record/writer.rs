//! The worker's side of the two logs. Every line goes out in one write, so a reader sees whole lines or a torn
//! last one; an attempt that finds a torn tail closes it with a newline and the reader counts it as damaged.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::{Block, Event, Line, Row, RunDir, Tail};
use crate::util::wall_clock_ms;

/// Appends to `events.jsonl`; every event is on disk before [`EventLog::append`] returns.
#[derive(Debug)]
pub struct EventLog {
    file: File,
    next_seq: u64,
    attempt: u32,
}

impl EventLog {
    /// Open for a new attempt, which gets the number after the last on record.
    pub fn open(dir: &RunDir) -> io::Result<Self> {
        let (mut next_seq, mut attempt) = (0, 1);
        for line in read_events(dir)? {
            next_seq = next_seq.max(line.seq + 1);
            attempt = attempt.max(line.attempt + 1);
        }
        Ok(Self {
            file: open_for_append(&dir.events())?,
            next_seq,
            attempt,
        })
    }

    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    pub fn append(&mut self, event: Event) -> io::Result<()> {
        let line = Line {
            seq: self.next_seq,
            attempt: self.attempt,
            at: wall_clock_ms(),
            event,
        };
        write_line(&mut self.file, &line)?;
        self.next_seq += 1;
        self.file.sync_data()
    }
}

/// Appends to `metrics.jsonl`. Rows reach the disk with the next [`MetricLog::sync`], which a checkpoint needs.
#[derive(Debug)]
pub struct MetricLog {
    file: File,
}

impl MetricLog {
    pub fn open(dir: &RunDir) -> io::Result<Self> {
        Ok(Self {
            file: open_for_append(&dir.metrics())?,
        })
    }

    pub fn append(&mut self, row: &Row) -> io::Result<()> {
        write_line(&mut self.file, row)
    }

    pub fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Every whole line of `events.jsonl` that this version understands, in order; empty when there is no file.
pub fn read_events(dir: &RunDir) -> io::Result<Vec<Line>> {
    let (mut tail, mut block) = (Tail::new(dir.events()), Block::default());
    let mut events = Vec::new();
    loop {
        let bite = tail.read(usize::MAX, &mut block)?;
        let lines = block.lines().flatten();
        events.extend(lines.filter_map(|line| serde_json::from_str::<Line>(line).ok()));
        if !bite.more {
            return Ok(events);
        }
    }
}

fn open_for_append(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    if file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != [b'\n'] {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

fn write_line(file: &mut File, value: &impl serde::Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    file.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_tail_costs_one_line_and_attempts_count_on() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let mut log = EventLog::open(&dir).unwrap();
        log.append(Event::Warned {
            step: 1,
            message: "first".into(),
        })
        .unwrap();
        drop(log);
        OpenOptions::new()
            .append(true)
            .open(dir.events())
            .unwrap()
            .write_all(b"{\"seq\":1,\"att")
            .unwrap();
        let mut log = EventLog::open(&dir).unwrap();
        assert_eq!(log.attempt(), 2);
        log.append(Event::Resumed {
            step: 0,
            examples: 0,
        })
        .unwrap();
        let lines = read_events(&dir).unwrap();
        assert_eq!(
            lines.iter().map(|l| (l.seq, l.attempt)).collect::<Vec<_>>(),
            [(0, 1), (1, 2)]
        );
    }
}
