//! The screens: design the grid, watch the runs, read the answer. A face over the workbench and no more: it never
//! schedules and never trains, and closing it stops nothing.
//!
//! ```text
//!  key, mouse, signal ─► terminal ─► session ─► app.update ─► effects ─► session: the workbench, files
//!  the file system's notices ──────────┘           │
//!                                                  ▼
//!  ┌ 1 Design  2 Runs  3 Watch  4 Results    quickstart.toml     2 running, 4 done ┐  app/chrome
//!  │                                                                               │
//!  │   the screen: screen/{design, runs, watch, results}                           │  widget/: chart, log, text …
//!  │      ┌ a question, a list, a page: layer/ ┐                                   │  theme: colours and signs
//!  │      └────────────────────────────────────┘                                   │
//!  │ L launch  a axis  Enter edit  x exclude …                     ? help  q quit  │  action: one table of all keys
//!  └ what was said last                              $ the command that does it too┘
//! ```
//!
//! `desk` is the experiment that is open, `world` what the screens know of the workspace, `memory` what is kept for the
//! next time, `preferences` what a person likes.

pub mod action;
pub mod app;
mod asked;
mod desk;
mod effect;
pub mod key;
mod layer;
pub mod memory;
pub mod picture;
mod preferences;
mod screen;
mod session;
pub mod terminal;
pub mod theme;
pub mod widget;
mod world;

use std::io;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

pub use effect::quoted;
use key::Key;
pub use preferences::{Preferences, PreferencesError};
pub use session::{Options, Session, Wanted};
use terminal::{Terminal, Woken};

/// Ended by SIGTERM or a hangup, as a shell counts it.
const TERMINATED: u8 = 143;

/// News of the runs is taken in and drawn this often at most, however many workers write: 25 pictures a second are as
/// good as more. A key is answered at once.
const FRAME: Duration = Duration::from_millis(40);

/// Open the workbench on the terminal of this process and stay until the user leaves. The exit code.
///
/// `keys` are pressed first.
pub fn run(options: Options, keys: &[Key]) -> anyhow::Result<u8> {
    let mouse = options.preferences.mouse;
    let (wake, waker) = terminal::wake_pipe().context("cannot make a pipe")?;
    // What cannot be opened is told on a terminal that was left alone.
    let mut session = Session::open(options, move || waker.wake())?;
    if !keys.is_empty() {
        session.read_all()?;
        session.press(keys)?;
    }
    let mut terminal = Terminal::take(mouse, wake).context("cannot use this terminal")?;
    let code = stay(&mut session, &mut terminal);
    session.keep();
    match code {
        Ok(Left::Quit) => Ok(0),
        Ok(Left::Terminated) => Ok(TERMINATED),
        Err(e) => {
            drop(terminal);
            Err(e)
        }
    }
}

/// Why the loop ended.
enum Left {
    Quit,
    Terminated,
}

fn stay<W: Fn() + Clone + Send + 'static>(
    session: &mut Session<W>,
    terminal: &mut Terminal,
) -> anyhow::Result<Left> {
    session.turn()?;
    let (mut turned, mut stale) = (Instant::now(), true);
    loop {
        if stale {
            terminal.draw(|buffer| session.draw(buffer))?;
            stale = false;
        }
        let mut until = session.due();
        // Who is behind with reading goes on at once.
        let mut from = until.min(turned + FRAME);
        // All that has come is taken in before the next picture.
        loop {
            let wanted = match terminal.wait(from, until)? {
                None => bail!("the terminal interface broke down; the message is above"),
                Some(Woken::Input(event)) => {
                    stale = true;
                    session.event(event)
                }
                Some(Woken::Leave) => return Ok(Left::Terminated),
                Some(Woken::Suspend) => vec![Wanted::Suspend],
                Some(Woken::Redrawn) => {
                    stale = true;
                    Vec::new()
                }
                Some(Woken::Due) => break,
            };
            for wanted in wanted {
                stale = true;
                match wanted {
                    Wanted::Quit => return Ok(Left::Quit),
                    Wanted::Suspend => {
                        session.keep();
                        terminal.suspend()?;
                    }
                    Wanted::Redraw => terminal.redraw()?,
                    Wanted::Mouse(on) => terminal.set_mouse(on)?,
                    Wanted::Editor(path) => {
                        let result = terminal.lend(|| Ok(editor(&path)))?;
                        session.edited(result);
                    }
                }
            }
            until = Instant::now();
            from = until;
        }
        turned = Instant::now();
        stale |= session.turn()?;
    }
}

/// Let the user's editor have `path`.
fn editor(path: &Path) -> io::Result<()> {
    let named = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok());
    let named = named
        .filter(|name| !name.trim().is_empty())
        .unwrap_or_else(|| "vi".into());
    // The variable may hold arguments: `code --wait`.
    let mut words = named.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let status = Command::new(program).args(words).arg(path).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("{program} ended with {status}")))
    }
}
