//! The edge of the command line: all that a verb writes passes here. On a terminal nothing of it can drive the terminal;
//! a file or a pipe gets data as they are. It knows no verb and words nothing.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write, stderr, stdout};

use crate::util::{is_printable, printable_lines};

/// Put data on standard output. A reader that has seen enough and left is no failure.
pub fn print(text: &str) -> io::Result<()> {
    match show(text) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Put bytes that are no text on standard output, which is then no terminal.
pub fn put(bytes: &[u8]) -> io::Result<()> {
    let mut out = stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// [`print`] for who goes on for as long as somebody reads.
///
/// # Errors
/// `BrokenPipe` when the reader has left.
pub fn show(text: &str) -> io::Result<()> {
    let mut out = stdout().lock();
    if out.is_terminal() {
        out.write_all(printable_lines(text).as_bytes())?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}

/// [`show`] for what comes in pieces: whole lines go out together.
#[derive(Default)]
pub struct Lines {
    held: Vec<u8>,
}

/// Bytes that are held back for more to come.
const HELD: usize = 64 << 10;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.held.extend(bytes);
        if self.held.len() >= HELD
            && let Some(end) = self.held.iter().rposition(|&b| b == b'\n')
        {
            let rest = self.held.split_off(end + 1);
            let lines = std::mem::replace(&mut self.held, rest);
            show(&String::from_utf8_lossy(&lines))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        show(&String::from_utf8_lossy(&std::mem::take(&mut self.held)))
    }
}

/// That a reader has seen enough and left is no failure.
pub fn unless_left(shown: anyhow::Result<()>) -> anyhow::Result<()> {
    let left = |cause: &(dyn std::error::Error + 'static)| {
        let cause: Option<&io::Error> = cause.downcast_ref();
        cause.is_some_and(|e| e.kind() == ErrorKind::BrokenPipe)
    };
    match shown {
        Err(error) if error.chain().any(left) => Ok(()),
        shown => shown,
    }
}

/// Say something to the person: lines of their own on standard error.
pub fn tell(message: impl Display) {
    let message = printable_lines(&message.to_string()) + "\n";
    // Nobody is left to hear that nobody hears it.
    let _ = stderr().lock().write_all(message.as_bytes());
}

/// Put the cursor of standard error in its first column. Bars leave it in the last one, where the terminal's echo of
/// Ctrl-C would wrap to a line that they know nothing of; here it overwrites two cells that the next drawing restores.
pub fn park_cursor() -> io::Result<()> {
    let mut terminal = stderr().lock();
    terminal.write_all(b"\r")?;
    terminal.flush()
}

/// Say what is wrong with the command line, or the help that it asks for; the exit code.
pub fn usage(error: &clap::Error) -> u8 {
    let plain = error.render().to_string();
    if plain.lines().all(is_printable) {
        // In colours, where there are some.
        let _ = error.print();
    } else {
        tell(plain.trim_end());
    }
    error.exit_code() as u8
}
