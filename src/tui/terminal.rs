//! The terminal as a guest finds it: taken over, given back in every case (leaving, an error, a panic of any thread,
//! a signal, a stop with Ctrl-Z, an editor in between), and listened to. One `poll` waits for keys, signals and whatever
//! wakes the loop, so that nothing runs while nothing happens. It knows nothing of screens.

use std::io::{self, ErrorKind, Read, Stdout, Write, stdout};
use std::mem::ManuallyDrop;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture, Event,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen,
};
use crossterm::{cursor, event, execute, queue, terminal};
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::low_level::{emulate_default_handler, pipe};

use crate::util::is_printable;

/// Whether the terminal is ours now. A panic hook has no other way to know.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A thread panicked: the loop must end, since the screen is no longer ours.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// Why the loop goes on.
#[derive(Debug)]
pub enum Woken {
    Input(Event),
    /// SIGTERM, SIGINT or SIGHUP, or the terminal is gone: leave in order.
    Leave,
    /// SIGTSTP from outside; Ctrl-Z is a key here.
    Suspend,
    /// The process was continued, and the screen is bare.
    Redrawn,
    /// Somebody called the waker, or the deadline has come.
    Due,
}

pub struct Terminal {
    /// Never dropped with the rest: it would show the cursor, as [`leave`] does, and panic where nobody can be told that
    /// the terminal is gone.
    screen: ManuallyDrop<ratatui::Terminal<CrosstermBackend<Stdout>>>,
    mouse: bool,
    /// Each signal has a pipe of its own.
    signals: Vec<(i32, UnixStream)>,
    wake: UnixStream,
}

/// Ends the wait of a [`Terminal`] from another thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<UnixStream>);

/// What a terminal waits on beside keys, and what ends that wait.
pub fn wake_pipe() -> io::Result<(UnixStream, Waker)> {
    let (wake, waker) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    waker.set_nonblocking(true)?;
    Ok((wake, Waker(Arc::new(waker))))
}

impl Waker {
    pub fn wake(&self) {
        // A full pipe wakes as well as one byte more would.
        let _ = (&*self.0).write(&[0]);
    }
}

impl Terminal {
    /// Take the terminal over; `wake` is the reading end of [`wake_pipe`].
    pub fn take(mouse: bool, wake: UnixStream) -> io::Result<Self> {
        let mut signals = Vec::new();
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGTSTP, SIGCONT, SIGWINCH] {
            let (receiver, sender) = UnixStream::pair()?;
            receiver.set_nonblocking(true)?;
            pipe::register(signal, sender)?;
            signals.push((signal, receiver));
        }
        give_back_on_panic();
        enter(mouse)?;
        Ok(Self {
            screen: ManuallyDrop::new(bare()?),
            mouse,
            signals,
            wake,
        })
    }

    /// Draw what differs from the last picture, in one go where the terminal can.
    pub fn draw(&mut self, picture: impl FnOnce(&mut Buffer)) -> io::Result<()> {
        queue!(stdout(), BeginSynchronizedUpdate)?;
        self.screen.draw(|frame| {
            picture(frame.buffer_mut());
            defuse(frame.buffer_mut());
        })?;
        execute!(stdout(), EndSynchronizedUpdate)
    }

    /// Forget what is on the screen: the next picture is drawn whole.
    pub fn redraw(&mut self) -> io::Result<()> {
        execute!(stdout(), terminal::Clear(terminal::ClearType::All))?;
        // `clear` would ask the terminal where its cursor is and wait for the answer.
        let before = std::mem::replace(&mut self.screen, ManuallyDrop::new(bare()?));
        drop(ManuallyDrop::into_inner(before));
        Ok(())
    }

    pub fn set_mouse(&mut self, on: bool) -> io::Result<()> {
        self.mouse = on;
        if on {
            execute!(stdout(), EnableMouseCapture)
        } else {
            execute!(stdout(), DisableMouseCapture)
        }
    }

    /// Give the terminal back for as long as `meanwhile` takes.
    pub fn lend<T>(&mut self, meanwhile: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        leave()?;
        let result = meanwhile();
        enter(self.mouse)?;
        self.redraw()?;
        result
    }

    /// Stop the process, as Ctrl-Z does elsewhere, and come back when it is continued.
    pub fn suspend(&mut self) -> io::Result<()> {
        self.lend(|| emulate_default_handler(SIGTSTP))
    }

    /// Wait for a key, a signal, the waker or `until`; the waker is not heard before `from`. None when a thread panicked:
    /// the screen is lost.
    pub fn wait(&mut self, from: Instant, until: Instant) -> io::Result<Option<Woken>> {
        loop {
            if PANICKED.load(Ordering::Relaxed) {
                return Ok(None);
            }
            // What the last read left over is not on the descriptor any more.
            if event::poll(Duration::ZERO)? {
                return event::read().map(|event| Some(Woken::Input(event)));
            }
            if let Some(woken) = self.signalled()? {
                return Ok(Some(woken));
            }
            let now = Instant::now();
            let hears = now >= from;
            if hears && (drain(&mut self.wake)? > 0 || now >= until) {
                return Ok(Some(Woken::Due));
            }
            let patience = if hears { until } else { from }.saturating_duration_since(now);
            let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
            let stdin = io::stdin();
            let pipes = self.signals.iter().map(|(_, pipe)| pipe.as_fd());
            let wake = hears.then(|| self.wake.as_fd());
            let mut sources: Vec<PollFd> = std::iter::once(stdin.as_fd())
                .chain(wake)
                .chain(pipes)
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
                .collect();
            match poll(&mut sources, Some(&patience)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
            // The terminal is gone: the kernel may tell so before the hangup's signal comes.
            let lost = PollFlags::HUP | PollFlags::ERR;
            if sources[0].revents().intersects(lost) {
                return Ok(Some(Woken::Leave));
            }
        }
    }

    fn signalled(&mut self) -> io::Result<Option<Woken>> {
        for (signal, pipe) in &mut self.signals {
            if drain(pipe)? == 0 {
                continue;
            }
            match *signal {
                SIGTSTP => return Ok(Some(Woken::Suspend)),
                SIGCONT => {
                    // Continued after a stop that nobody announced (SIGSTOP): the shell has had the terminal.
                    if TAKEN.load(Ordering::Relaxed) {
                        enter(self.mouse)?;
                        self.redraw()?;
                        return Ok(Some(Woken::Redrawn));
                    }
                }
                SIGWINCH => {
                    let (width, height) = terminal::size()?;
                    return Ok(Some(Woken::Input(Event::Resize(width, height))));
                }
                _ => return Ok(Some(Woken::Leave)),
            }
        }
        Ok(None)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nothing is left to do about a terminal that does not take it, or that is gone; after a SIGHUP that somebody sent
        // by hand it is still there.
        let _ = leave();
    }
}

/// The terminal as one on which nothing is drawn yet.
fn bare() -> io::Result<ratatui::Terminal<CrosstermBackend<Stdout>>> {
    ratatui::Terminal::new(CrosstermBackend::new(stdout()))
}

/// The edge of the screens: whatever was drawn, nothing that drives a terminal leaves here. Widgets replace such text
/// before, since they must know how wide it is.
fn defuse(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if !is_printable(cell.symbol()) {
            cell.set_symbol("\u{fffd}");
        }
    }
}

/// Take what is in a pipe; how much it was.
fn drain(pipe: &mut UnixStream) -> io::Result<usize> {
    let (mut bytes, mut total) = ([0; 64], 0);
    loop {
        match pipe.read(&mut bytes) {
            Ok(0) => return Ok(total),
            Ok(n) => total += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(total),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn enter(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::Relaxed);
    terminal::enable_raw_mode()?;
    execute!(
        stdout(),
        EnterAlternateScreen,
        EnableBracketedPaste,
        cursor::Hide
    )?;
    if mouse {
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Once for each [`enter`], however often it is called.
fn leave() -> io::Result<()> {
    if !TAKEN.swap(false, Ordering::Relaxed) {
        return Ok(());
    }
    let shown = execute!(
        stdout(),
        EndSynchronizedUpdate,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        cursor::Show
    );
    terminal::disable_raw_mode().and(shown)
}

/// A panic, in whatever thread, is told on a terminal that can show it.
fn give_back_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if TAKEN.load(Ordering::Relaxed) {
            let _ = leave();
            PANICKED.store(true, Ordering::Relaxed);
        }
        before(panic);
    }));
}
