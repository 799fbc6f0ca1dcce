//! Workers as processes of this machine. Each leads a session of its own with its output in a file, so it outlives
//! the terminal and the scheduler that started it; a later scheduler knows it by its ticket.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};

use super::memory::{self, Kills};
use super::{Executor, Job, JobState, Slot, SubmitError, Ticket, library};
use crate::record::ticks_since_boot;
use crate::util::{as_word, disk};

#[derive(Debug)]
pub struct Local {
    /// The programme whose verb `worker` trains a run; on a library's devices the one beside it does.
    program: PathBuf,
    slots: Vec<Slot>,
    /// Workers that are children of this process, by pid, until their end was seen.
    children: BTreeMap<i32, Child>,
    /// When each worker was last seen alive, in ticks after boot: what is older than that and of its session is its own.
    seen: BTreeMap<i32, u64>,
    kills: Kills,
    memory: Option<u64>,
}

impl Local {
    pub fn new(program: PathBuf, slots: Vec<Slot>) -> Self {
        Self {
            program,
            slots,
            children: BTreeMap::new(),
            seen: BTreeMap::new(),
            kills: Kills::here(),
            memory: memory::capacity(),
        }
    }

    /// Look at a worker; what one that has ended left of its session ends with it.
    fn look(&mut self, ticket: &Ticket) -> JobState {
        let pid = ticket.pid;
        let now = ticks_since_boot().unwrap_or_default();
        let own = self.children.contains_key(&pid);
        let lives = if own {
            !has_ended(pid)
        } else {
            !ticket.is_gone()
        };
        if lives {
            self.seen.insert(pid, now);
            return match ticket.is_suspended() {
                true => JobState::Suspended,
                false => JobState::Alive,
            };
        }
        let seen = self.seen.remove(&pid).unwrap_or_default();
        // Until a child is waited for its pid is its own, and so is every process of its session.
        let as_of = if own { u64::MAX } else { seen };
        // A system that cannot be asked, or a process of another user: neither is a reason to keep the run waiting.
        let _ = ticket.signal_left_behind(as_of, Signal::KILL);
        let status = self.children.remove(&pid).map(|mut child| child.wait());
        match status {
            Some(Ok(status)) => match status.signal() {
                Some(signal) => JobState::Killed(signal),
                None => JobState::Exited(status.code().unwrap_or_default()),
            },
            Some(Err(_)) | None => JobState::Vanished,
        }
    }

    fn spawn(&mut self, program: &Path, job: &Job, log: &File) -> io::Result<Ticket> {
        let mut command = Command::new(program);
        command.arg("worker").arg(as_word(job.dir.path()));
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

/// Whether this child has ended; it is not waited for.
fn has_ended(pid: i32) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Pid::from_raw(pid).is_some_and(|pid| match waitid(WaitId::Pid(pid), options) {
        Ok(status) => status.is_some(),
        // It was waited for already, which only its end allows.
        Err(e) => e == rustix::io::Errno::CHILD,
    })
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
        let program = library::program_for(&self.program, &job.devices);
        let refused = |source| SubmitError {
            program: program.display().to_string(),
            source,
        };
        let mut log = disk::open_to_append(&job.dir.log()).map_err(refused)?;
        self.spawn(&program, job, &log).map_err(|source| {
            let error = refused(source);
            // The caller has the reason too: a log that cannot take it loses nothing.
            let _ = writeln!(log, "{error}");
            error
        })
    }

    fn poll(&mut self, tickets: &[Ticket]) -> Vec<JobState> {
        let mut states: Vec<JobState> = tickets.iter().map(|ticket| self.look(ticket)).collect();
        // The kernel counts before it kills. It does not say whom: as many of those that SIGKILL ended, or that ended
        // unseen, as it counted.
        let kills = self.kills.news() as usize;
        let killed =
            |state: &&mut JobState| matches!(state, JobState::Killed(9) | JobState::Vanished);
        for state in states.iter_mut().filter(killed).take(kills) {
            *state = JobState::OutOfMemory;
        }
        states
    }

    fn stop(&mut self, ticket: &Ticket) -> io::Result<bool> {
        let asked = ticket.signal_session(Signal::TERM)?;
        // One that was suspended can save only when it runs.
        ticket.signal_session(Signal::CONT)?;
        Ok(asked)
    }

    fn kill(&mut self, ticket: &Ticket) -> io::Result<bool> {
        ticket.signal_session(Signal::KILL)
    }

    fn peak(&self, ticket: &Ticket) -> Option<u64> {
        ticket.peak_memory()
    }

    fn memory(&self) -> Option<u64> {
        self.memory
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
