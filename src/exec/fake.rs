//! An executor without processes: a test says when a worker ends and how, and reads what was asked of it.

use std::collections::BTreeMap;
use std::io;

use super::{Executor, Job, JobState, Slot, SubmitError, Ticket};

#[derive(Clone, Debug, Default)]
pub struct Fake {
    slots: Vec<Slot>,
    states: BTreeMap<i32, JobState>,
    pub submitted: Vec<Job>,
    pub stopped: Vec<i32>,
    pub killed: Vec<i32>,
    /// What the next workers hold, by their numbers.
    pub peaks: BTreeMap<i32, u64>,
    pub memory: Option<u64>,
    /// Refuse the next submissions.
    pub refuse: bool,
}

impl Fake {
    pub fn new(slots: usize) -> Self {
        let slots = (0..slots)
            .map(|i| Slot {
                device: format!("cpu:{i}"),
                threads: 1,
            })
            .collect();
        Self {
            slots,
            ..Self::default()
        }
    }

    /// Slots on these devices.
    pub fn on(devices: &[&str]) -> Self {
        let slot = |device: &&str| Slot {
            device: (*device).into(),
            threads: 1,
        };
        Self {
            slots: devices.iter().map(slot).collect(),
            ..Self::default()
        }
    }

    /// Let the worker that was started as number `n`, from 0, end.
    pub fn end(&mut self, n: usize, state: JobState) {
        self.states.insert(pid(n), state);
    }
}

/// No process of any machine has these: a lease on them is never alive.
fn pid(n: usize) -> i32 {
    0x4000_0000 + n as i32
}

impl Executor for Fake {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn submit(&mut self, job: &Job) -> Result<Ticket, SubmitError> {
        if self.refuse {
            return Err(SubmitError {
                program: "fake".into(),
                source: io::Error::other("refused"),
            });
        }
        let pid = pid(self.submitted.len());
        self.submitted.push(job.clone());
        self.states.insert(pid, JobState::Alive);
        Ok(Ticket {
            boot_id: "fake".into(),
            pid,
            start_time: 0,
        })
    }

    fn poll(&mut self, tickets: &[Ticket]) -> Vec<JobState> {
        tickets
            .iter()
            .map(|ticket| {
                self.states
                    .get(&ticket.pid)
                    .cloned()
                    .unwrap_or(JobState::Vanished)
            })
            .collect()
    }

    fn stop(&mut self, ticket: &Ticket) -> io::Result<bool> {
        self.stopped.push(ticket.pid);
        Ok(true)
    }

    fn kill(&mut self, ticket: &Ticket) -> io::Result<bool> {
        self.killed.push(ticket.pid);
        Ok(self
            .states
            .insert(ticket.pid, JobState::Killed(9))
            .is_some())
    }

    fn peak(&self, ticket: &Ticket) -> Option<u64> {
        self.peaks.get(&(ticket.pid - pid(0))).copied()
    }

    fn memory(&self) -> Option<u64> {
        self.memory
    }
}
