//! Workers as processes of this machine. Each leads a session of its own with its output in a file, so it outlives
//! the terminal and the scheduler that started it; a later scheduler knows it by its ticket.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::{Executor, Job, JobState, Slot, SubmitError, Ticket};

#[derive(Debug)]
pub struct Local {
    /// The programme whose verb `worker` trains a run.
    program: PathBuf,
    slots: Vec<Slot>,
    /// Workers that are children of this process, by pid, until their end was seen.
    children: BTreeMap<i32, Child>,
}

impl Local {
    pub fn new(program: PathBuf, slots: Vec<Slot>) -> Self {
        Self {
            program,
            slots,
            children: BTreeMap::new(),
        }
    }

    fn spawn(&mut self, job: &Job, log: &File) -> io::Result<Ticket> {
        let mut command = Command::new(&self.program);
        command.arg("worker").arg(job.dir.path());
        for device in &job.devices {
            command.args(["--device", device]);
        }
        command.args(["--threads", &job.threads.to_string()]);
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        lead_session(&mut command);
        let mut child = command.spawn()?;
        match Ticket::of_child(&child) {
            Ok(ticket) => {
                self.children.insert(ticket.pid, child);
                Ok(ticket)
            }
            Err(e) => {
                // A worker that nobody could find again must not live on.
                child.kill()?;
                child.wait()?;
                Err(e)
            }
        }
    }
}

/// Let `command` lead a session of its own: no terminal can interrupt it or hang it up.
pub fn lead_session(command: &mut Command) {
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; setsid is one and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        });
    }
}

impl Executor for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn slots(&self) -> &[Slot] {
        &self.slots
    }

    fn submit(&mut self, job: &Job) -> Result<Ticket, SubmitError> {
        let refused = |source| SubmitError {
            program: self.program.display().to_string(),
            source,
        };
        let mut log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(job.dir.log())
            .map_err(refused)?;
        self.spawn(job, &log).map_err(|source| {
            let error = SubmitError {
                program: self.program.display().to_string(),
                source,
            };
            // The caller has the reason too: a log that cannot take it loses nothing.
            let _ = writeln!(log, "{error}");
            error
        })
    }

    fn poll(&mut self, tickets: &[Ticket]) -> Vec<JobState> {
        let state = |ticket: &Ticket| match self.children.get_mut(&ticket.pid) {
            Some(child) => match child.try_wait() {
                Ok(None) => JobState::Alive,
                Ok(Some(status)) => {
                    self.children.remove(&ticket.pid);
                    match status.signal() {
                        Some(signal) => JobState::Killed(signal),
                        None => JobState::Exited(status.code().unwrap_or_default()),
                    }
                }
                Err(_) => JobState::Vanished,
            },
            None if ticket.is_alive() => JobState::Alive,
            None => JobState::Vanished,
        };
        tickets.iter().map(state).collect()
    }

    fn stop(&mut self, ticket: &Ticket) -> io::Result<bool> {
        ticket.signal_group(Signal::TERM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunDir;
    use std::time::{Duration, Instant};

    fn job(tmp: &tempfile::TempDir) -> Job {
        Job {
            dir: RunDir::new(tmp.path()),
            devices: vec!["cpu".into()],
            threads: 1,
        }
    }

    fn await_end(local: &mut Local, ticket: &Ticket) -> JobState {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let state = local.poll(std::slice::from_ref(ticket)).remove(0);
            if state != JobState::Alive || Instant::now() > deadline {
                return state;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn output_goes_to_the_log_and_the_exit_status_is_seen() {
        let tmp = tempfile::tempdir().unwrap();
        // `cat worker DIR …` fails on every argument, on standard error.
        let mut local = Local::new("cat".into(), vec![]);
        let ticket = local.submit(&job(&tmp)).unwrap();
        assert_eq!(await_end(&mut local, &ticket), JobState::Exited(1));
        assert!(
            std::fs::read_to_string(job(&tmp).dir.log())
                .unwrap()
                .contains("--device")
        );
        assert_eq!(
            local.poll(&[ticket]),
            [JobState::Vanished],
            "an end is told once"
        );
    }

    #[test]
    fn a_programme_that_is_missing_is_told_in_the_log_too() {
        let tmp = tempfile::tempdir().unwrap();
        let error = Local::new("/no/such/siglab".into(), vec![])
            .submit(&job(&tmp))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/no/such/siglab"), "{error}");
        assert!(
            std::fs::read_to_string(job(&tmp).dir.log())
                .unwrap()
                .contains(&error)
        );
    }
}
