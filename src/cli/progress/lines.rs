//! Progress for a pipe or a log file: a line when a run starts or ends, and a summary now and then.

use std::time::{Duration, Instant};

use super::{Progress, Scene, Tally, sentence};
use crate::cli::tell;
use crate::workbench::Turn;

/// Between two summaries.
const SUMMARY: Duration = Duration::from_secs(10);

pub struct Lines {
    summarised: Instant,
}

impl Lines {
    pub fn new() -> Self {
        Self {
            summarised: Instant::now(),
        }
    }
}

impl Progress for Lines {
    fn turn(&mut self, scene: &Scene, turn: &Turn) -> anyhow::Result<()> {
        for line in turn
            .notices
            .iter()
            .filter_map(|notice| sentence(scene, notice))
        {
            self.say(&line)?;
        }
        if self.summarised.elapsed() >= SUMMARY {
            self.summarised = Instant::now();
            self.say(&Tally::of(scene).to_string())?;
        }
        Ok(())
    }

    fn say(&mut self, message: &str) -> anyhow::Result<()> {
        tell(message);
        Ok(())
    }

    fn end(&mut self, scene: &Scene) -> anyhow::Result<()> {
        self.say(&Tally::of(scene).to_string())
    }
}
