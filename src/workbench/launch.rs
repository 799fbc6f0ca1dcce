//! Training in the background, whoever schedules: a scheduler of our own where there is none, else the one at work is
//! asked to take the runs on.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::Workbench;
use super::background::{self, Background};
use crate::record::RunId;
use crate::sched::{holder, requests};
use crate::spec::RunSpec;

/// A scheduler looks for requests with each tick, ten times a second.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who sees to the runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handover {
    /// A scheduler that was started for them.
    Began { pid: u32 },
    /// Nobody: there was nothing to do.
    Over,
    /// The scheduler that was at work.
    Taken { by: String },
}

impl Workbench {
    /// See to it that `specs` are trained: by the scheduler at work, or by `siglab run` with these arguments.
    pub fn launch(
        &mut self,
        specs: &[RunSpec],
        arguments: Vec<OsString>,
    ) -> anyhow::Result<Handover> {
        self.create()?;
        while let Some(by) = holder(&self.root)? {
            self.submit(specs)?;
            let ids: Vec<RunId> = specs.iter().map(|spec| spec.id.clone()).collect();
            let request =
                requests::ask(&self.root, &ids).context("cannot ask the scheduler at work")?;
            let deadline = Instant::now() + PATIENCE;
            while request.exists() && Instant::now() < deadline && holder(&self.root)?.is_some() {
                std::thread::sleep(Duration::from_millis(20));
            }
            if !request.exists() {
                return Ok(Handover::Taken { by });
            }
            // It ended, or is stuck, before it saw the request: take it back, and ask whoever is there now.
            let taken_back = std::fs::remove_file(&request).is_ok();
            anyhow::ensure!(
                !taken_back || holder(&self.root)?.is_none(),
                "the scheduler at work ({by}) does not answer; see {}",
                self.root.join("scheduler.log").display()
            );
        }
        let Background { pid, over, .. } = background::start(&self.root, arguments)?;
        Ok(if over {
            Handover::Over
        } else {
            Handover::Began { pid }
        })
    }
}
