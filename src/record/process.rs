//! One process of this machine, known by boot id, pid and start time, so that a recycled pid is a stranger and a zombie
//! is dead; and signals that reach it and its session, and never a stranger. Linux only: it reads `/proc`.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// One process of this or an earlier boot of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub boot_id: String,
    pub pid: i32,
    /// Clock ticks after boot, field 22 of `/proc/PID/stat`.
    pub start_time: u64,
}

/// What a process has done since it began, with all its threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    pub processor: Duration,
    /// Read and written by system calls.
    pub bytes: u64,
}

/// What `/proc/PID/stat` says of a process, zombies included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stat {
    /// `R`, `S`, `D`, `T`, `Z`, …
    state: char,
    /// The pid of the process that began its session.
    session: i32,
    /// Processor time of all its threads, in hundredths of a second.
    used: u64,
    threads: u64,
    start_time: u64,
}

impl Stat {
    /// The state is that of the first thread. Where others are still at their end, the process has its files and the locks
    /// on them yet, and is no zombie to be taken for one that let go of everything.
    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }

    /// None when no process has `pid`.
    fn read(pid: i32) -> io::Result<Option<Self>> {
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) if e.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => return Ok(None),
            Err(e) => return Err(e),
        };
        Self::parse(&stat)
            .map(Some)
            .ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat has an unknown form")))
    }

    fn parse(stat: &str) -> Option<Self> {
        // The name in field 2 may hold spaces and parentheses: fields are counted from the last ')'.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            session: fields.get(3)?.parse().ok()?,
            used: fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?,
            threads: fields.get(17)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }
}

impl Process {
    /// The process that has `pid` now; none when there is none or it is a zombie.
    pub fn with_pid(pid: u32) -> io::Result<Option<Self>> {
        match Stat::read(pid as i32)?.filter(|stat| !stat.is_dead()) {
            Some(stat) => Self::of_stat(pid as i32, &stat).map(Some),
            None => Ok(None),
        }
    }

    /// A child that was not waited for: its pid is its own even if it has ended.
    pub fn of_child(child: &Child) -> io::Result<Self> {
        let pid = child.id() as i32;
        let stat =
            Stat::read(pid)?.ok_or_else(|| io::Error::other("the child was waited for already"))?;
        Self::of_stat(pid, &stat)
    }

    fn of_stat(pid: i32, stat: &Stat) -> io::Result<Self> {
        Ok(Self {
            boot_id: boot_id()?,
            pid,
            start_time: stat.start_time,
        })
    }

    /// What the system says of it; none when it is gone or waits to be waited for.
    fn stat(&self) -> io::Result<Option<Stat>> {
        let same = |stat: &Stat| stat.start_time == self.start_time && !stat.is_dead();
        Ok(match Stat::read(self.pid)?.filter(same) {
            Some(stat) => (boot_id()? == self.boot_id).then_some(stat),
            None => None,
        })
    }

    pub fn is_of_this_boot(&self) -> bool {
        boot_id().is_ok_and(|id| id == self.boot_id)
    }

    pub fn is_alive(&self) -> bool {
        matches!(self.stat(), Ok(Some(_)))
    }

    /// Whether it is certain that it lives no more: a system that cannot be asked leaves the question open.
    pub fn is_gone(&self) -> bool {
        matches!(self.stat(), Ok(None))
    }

    /// Whether it lives and a signal keeps it from running.
    pub fn is_suspended(&self) -> bool {
        matches!(self.stat(), Ok(Some(stat)) if matches!(stat.state, 'T' | 't'))
    }

    /// What it has done so far; none when it is gone.
    pub fn work(&self) -> Option<Work> {
        let stat = self.stat().ok().flatten()?;
        // A kernel that does not count bytes leaves the time.
        let counts = fs::read_to_string(format!("/proc/{}/io", self.pid)).unwrap_or_default();
        let count = |line: &str| {
            let bytes = (line.strip_prefix("rchar: ")).or_else(|| line.strip_prefix("wchar: "))?;
            bytes.trim().parse::<u64>().ok()
        };
        Some(Work {
            processor: Duration::from_millis(10 * stat.used),
            bytes: counts.lines().filter_map(count).sum(),
        })
    }

    /// The most memory that it has held at one time, in bytes; none when it is gone.
    pub fn peak_memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        // Asked last: the answer above is then of this process.
        self.is_alive().then_some(kibibytes << 10)
    }

    /// Send `signal` to every process of the session that this process leads, itself included. False, and no signal,
    /// when it is gone.
    pub fn signal_session(&self, signal: Signal) -> io::Result<bool> {
        // A process that is older than this moment, at which the leader lives, can be of no later session of that number.
        let now = ticks_since_boot()?;
        if !self.is_alive() {
            return Ok(false);
        }
        // The leader is of its session even if it was only just born, or never made it one.
        let mut reached = signal_one(self.pid, signal, |stat| stat.start_time == self.start_time)?;
        reached |= self.signal_members(now, signal)?;
        Ok(reached)
    }

    /// Send `signal` to what is left of the session that this process led. The process was there, alive or not waited
    /// for, `as_of` that tick after boot: younger processes get no signal, since its pid may be another's by now. False
    /// when nothing is left.
    pub fn signal_left_behind(&self, as_of: u64, signal: Signal) -> io::Result<bool> {
        if boot_id()? != self.boot_id {
            return Ok(false);
        }
        self.signal_members(as_of, signal)
    }

    fn signal_members(&self, as_of: u64, signal: Signal) -> io::Result<bool> {
        let ours = |stat: &Stat| stat.session == self.pid && stat.start_time < as_of;
        let mut reached = false;
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            if pid == self.pid || !Stat::read(pid)?.is_some_and(|stat| ours(&stat)) {
                continue;
            }
            reached |= signal_one(pid, signal, ours)?;
        }
        Ok(reached)
    }
}

/// Send `signal` to the living process that has `pid`, if it is the one that is meant. The handle pins the process before
/// it is looked at, so that the look and the signal cannot be about different ones.
fn signal_one(pid: i32, signal: Signal, is_meant: impl Fn(&Stat) -> bool) -> io::Result<bool> {
    let Some(raw) = Pid::from_raw(pid) else {
        return Ok(false);
    };
    let handle: OwnedFd = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(Errno::SRCH) => return Ok(false),
        Err(e) => return Err(e.into()),
    };
    let meant = Stat::read(pid)?.is_some_and(|stat| !stat.is_dead() && is_meant(&stat));
    if !meant {
        return Ok(false);
    }
    match pidfd_send_signal(&handle, signal) {
        Ok(()) => Ok(true),
        Err(Errno::SRCH) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

/// Time since boot, suspensions included, in the hundredths of a second that start times are told in.
pub fn ticks_since_boot() -> io::Result<u64> {
    let uptime = fs::read_to_string("/proc/uptime")?;
    let seconds: Option<f64> = uptime.split(' ').next().and_then(|text| text.parse().ok());
    seconds
        .map(|seconds| (seconds * 100.0).round() as u64)
        .ok_or_else(|| io::Error::other("/proc/uptime has an unknown form"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn await_that(what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_zombie_is_dead_and_a_recycled_pid_is_a_stranger() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::with_pid(child.id())
            .unwrap()
            .expect("the child lives");
        assert!(process.is_alive() && process.peak_memory() > Some(0));
        let stranger = Process {
            start_time: process.start_time + 1,
            ..process.clone()
        };
        let of_another_boot = Process {
            boot_id: "another".into(),
            ..process.clone()
        };
        for other in [stranger, of_another_boot] {
            assert!(!other.is_alive());
            assert!(!other.signal_session(Signal::KILL).unwrap());
        }
        assert!(process.is_alive(), "a stranger gets no signal");
        child.kill().unwrap();
        await_that("its end", || !process.is_alive());
        assert!(
            !process.signal_session(Signal::KILL).unwrap(),
            "killed and not yet waited for: a zombie"
        );
        child.wait().unwrap();
    }

    #[test]
    fn a_signal_reaches_the_whole_session_and_what_its_leader_left() {
        let mut command = Command::new("sh");
        // A child that ignores TERM, in a process group of its own, and its leader that does not.
        command.args([
            "-c",
            "set -m; (trap '' TERM; echo deaf; while :; do sleep 0.05; done) & echo $!; wait",
        ]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        // SAFETY: setsid is async-signal-safe and allocates nothing.
        unsafe {
            command.pre_exec(|| Ok(rustix::process::setsid().map(|_| ())?));
        }
        let mut leader = command.spawn().unwrap();
        let process = Process::of_child(&leader).unwrap();
        // Its pid, and that it ignores the signal by now, in whatever order.
        let words = std::io::BufReader::new(leader.stdout.take().unwrap());
        let mut words = std::io::BufRead::lines(words);
        let said: Vec<String> = words.by_ref().take(2).map(Result::unwrap).collect();
        let pid = said.iter().find_map(|line| line.trim().parse().ok());
        let child = Process::with_pid(pid.unwrap())
            .unwrap()
            .expect("the grandchild lives");

        assert!(process.signal_session(Signal::TERM).unwrap());
        await_that("the leader's end", || !process.is_alive());
        assert!(child.is_alive(), "it ignores TERM");
        assert!(
            !process
                .signal_left_behind(child.start_time, Signal::KILL)
                .unwrap(),
            "whoever is as young may be of another session of that number"
        );
        assert!(process.signal_left_behind(u64::MAX, Signal::KILL).unwrap());
        await_that("the grandchild's end", || !child.is_alive());
        await_that("the end of what the grandchild started", || {
            !process.signal_left_behind(u64::MAX, Signal::KILL).unwrap()
        });
        leader.wait().unwrap();
    }

    #[test]
    fn a_process_that_is_kept_from_running_is_suspended() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of_child(&child).unwrap();
        assert!(!process.is_suspended());
        signal_one(process.pid, Signal::STOP, |_| true).unwrap();
        await_that("the suspension", || process.is_suspended());
        assert!(process.is_alive());
        child.kill().unwrap();
        await_that("its end", || !process.is_alive());
        assert!(!process.is_suspended());
        child.wait().unwrap();
    }

    #[test]
    fn a_name_may_hold_anything() {
        let line = "7 (a) b (c) S 1 7 5 0 -1 4 0 0 0 0 1 2 0 0 20 0 1 0 12345 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.state, stat.session, stat.start_time), ('S', 5, 12345));
        assert_eq!(Stat::parse("7 (a"), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_lives_while_another_does() {
        let line = |state, threads| {
            let line =
                format!("7 (a) {state} 1 7 5 0 -1 4 0 0 0 0 1 2 0 0 20 0 {threads} 0 12345 0 0");
            Stat::parse(&line).unwrap()
        };
        assert!(!line("Z", 2).is_dead(), "its files are still open");
        assert!(line("Z", 1).is_dead() && line("Z", 0).is_dead());
        assert!(!line("S", 1).is_dead());
    }
}
