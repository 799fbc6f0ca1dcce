//! A terminal of our own: a program runs on one end of it, a test types and reads on the other, and an emulator says
//! what a person would see.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct Pty {
    pub child: Child,
    master: Option<File>,
    slave: Option<OwnedFd>,
    bytes: Receiver<Vec<u8>>,
    /// Reads what is written, until it is told to let go of the terminal.
    reader: Option<JoinHandle<()>>,
    closed: Arc<AtomicBool>,
    pub screen: vt100::Parser,
    /// Everything that was written to the terminal.
    pub raw: Vec<u8>,
}

impl Pty {
    pub fn start(mut command: Command, columns: u16, rows: u16) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = rustix::fs::open(
            &name,
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
        let size = |columns, rows| Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size(columns, rows)).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "COLORTERM"] {
            if !command.get_envs().any(|(known, _)| known == name) {
                command.env_remove(name);
            }
        }
        // SAFETY: only async-signal-safe calls between fork and exec: a session of its own, with this terminal.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let (sender, bytes) = channel();
        let closed = Arc::new(AtomicBool::new(false));
        let lets_go = Arc::clone(&closed);
        let reader = std::thread::spawn(move || {
            let mut block = [0; 4096];
            while !lets_go.load(Ordering::Relaxed) {
                let patience = Timespec {
                    tv_sec: 0,
                    tv_nsec: 20_000_000,
                };
                let mut sources = [PollFd::new(&reader, PollFlags::IN)];
                if poll(&mut sources, Some(&patience)) == Ok(0) {
                    continue;
                }
                match reader.read(&mut block) {
                    Ok(n @ 1..) if sender.send(block[..n].to_vec()).is_ok() => {}
                    _ => return,
                }
            }
        });
        Self {
            child,
            master: Some(master),
            slave: Some(slave),
            bytes,
            reader: Some(reader),
            closed,
            screen: vt100::Parser::new(some(rows), some(columns), 0),
            raw: Vec::new(),
        }
    }

    pub fn type_(&mut self, text: &str) {
        self.master
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    pub fn resize(&mut self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(self.master.as_ref().unwrap().as_fd(), size).unwrap();
        self.screen.screen_mut().set_size(some(rows), some(columns));
    }

    /// Take in what is written within `patience`; how many bytes that was.
    pub fn read_for(&mut self, patience: Duration) -> usize {
        let until = Instant::now() + patience;
        let mut total = 0;
        while let Ok(bytes) = self
            .bytes
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            total += bytes.len();
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
        total
    }

    pub fn text(&self) -> String {
        self.screen.screen().contents()
    }

    /// Read until the screen fits.
    pub fn await_screen(&mut self, what: &str, fits: impl Fn(&str) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !fits(&self.text()) {
            assert!(
                Instant::now() < deadline,
                "not in time: {what}:\n{}",
                self.text()
            );
            self.read_for(Duration::from_millis(20));
        }
    }

    pub fn await_text(&mut self, text: &str) {
        self.await_screen(text, |screen| screen.contains(text));
    }

    /// Whether lines are edited and echoed by the kernel, as a shell finds the terminal.
    pub fn is_cooked(&self) -> bool {
        let slave = self.slave.as_ref().unwrap();
        let modes = tcgetattr(slave).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    /// Wait for the end of the program; its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                self.read_for(Duration::from_millis(50));
                return status.code();
            }
            assert!(
                Instant::now() < deadline,
                "it does not end:\n{}",
                self.text()
            );
            self.read_for(Duration::from_millis(20));
        }
    }

    /// Take the terminal away, as a closed window does: the kernel tells the program so.
    pub fn hang_up(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        self.reader.take().unwrap().join().unwrap();
        self.master = None;
    }

    /// All that the program writes to the terminal until it, and whatever it started there, has ended.
    pub fn finish(mut self) -> Vec<u8> {
        // The last end that is closed ends the terminal, and with it what can be read.
        self.slave = None;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.bytes.recv_timeout(left) {
                Ok(bytes) => self.raw.extend(bytes),
                Err(RecvTimeoutError::Disconnected) => return std::mem::take(&mut self.raw),
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
    }
}

fn some(n: u16) -> NonZero<u16> {
    NonZero::new(n).unwrap()
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
