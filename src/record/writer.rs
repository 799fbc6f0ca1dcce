//! The worker's side of the two logs. Every line goes out in one write, so a reader sees whole lines or a torn
//! last one; an attempt that finds a torn tail closes it with a newline and the reader counts it as damaged.

use std::io;

use super::lines::Lines;
use super::{Block, Event, Line, Row, RunDir, Tail};
use crate::util::wall_clock_ms;

/// Appends to `events.jsonl`; every event is on disk before [`EventLog::append`] returns.
#[derive(Debug)]
pub struct EventLog {
    lines: Lines,
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
            lines: Lines::open(&dir.events())?,
            next_seq,
            attempt,
        })
    }

    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// # Errors
    /// When there is no room for the event, it may be tried again; after [`LogLost`](super::LogLost) only a new log of the
    /// same file tells whether it is on record.
    pub fn append(&mut self, event: Event) -> io::Result<()> {
        let line = Line {
            seq: self.next_seq,
            attempt: self.attempt,
            at: wall_clock_ms(),
            event,
        };
        self.lines.append(line.to_bytes()?)?;
        self.next_seq += 1;
        self.lines.sync()
    }
}

/// Appends to `metrics.jsonl`. Rows reach the disk with the next [`MetricLog::sync`], which a checkpoint needs.
#[derive(Debug)]
pub struct MetricLog {
    lines: Lines,
}

impl MetricLog {
    pub fn open(dir: &RunDir) -> io::Result<Self> {
        Ok(Self {
            lines: Lines::open(&dir.metrics())?,
        })
    }

    /// # Errors
    /// As those of [`EventLog::append`].
    pub fn append(&mut self, row: &Row) -> io::Result<()> {
        self.lines.append(serde_json::to_vec(row)?)
    }

    pub fn sync(&mut self) -> io::Result<()> {
        self.lines.sync()
    }
}

/// Every whole line of `events.jsonl` that this version understands, in order, each once; empty when there is no file.
pub fn read_events(dir: &RunDir) -> io::Result<Vec<Line>> {
    let (mut tail, mut block) = (Tail::new(dir.events()), Block::default());
    let mut events: Vec<Line> = Vec::new();
    loop {
        let bite = tail.read(usize::MAX, &mut block)?;
        let lines = block.lines().flatten().filter_map(Line::parse);
        for line in lines {
            if events.last().is_none_or(|last| last.seq < line.seq) {
                events.push(line);
            }
        }
        if !bite.more {
            return Ok(events);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use super::*;

    fn warning(n: u64) -> Event {
        Event::Warned {
            step: n,
            message: format!("number {n}"),
        }
    }

    #[test]
    fn a_torn_tail_costs_one_line_and_attempts_count_on() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let mut log = EventLog::open(&dir).unwrap();
        log.append(warning(1)).unwrap();
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

    #[test]
    fn a_line_that_comes_twice_or_out_of_order_counts_once() {
        let tmp = tempfile::tempdir().unwrap();
        let dir = RunDir::new(tmp.path());
        let mut log = EventLog::open(&dir).unwrap();
        (0..3).for_each(|n| log.append(warning(n)).unwrap());
        let text = fs::read_to_string(dir.events()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let spoilt = [lines[0], lines[0], lines[2], lines[1]].join("\n") + "\n";
        fs::write(dir.events(), spoilt).unwrap();
        let found = read_events(&dir).unwrap();
        assert_eq!(found.iter().map(|l| l.seq).collect::<Vec<_>>(), [0, 2]);
    }
}
