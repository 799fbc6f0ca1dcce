//! One scheduler's life in the foreground: turns until nothing is left to do or the user has had enough.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::{DONE, FAILED, INTERRUPTED};
use crate::cli::progress::{Named, Progress, Scene, Tally};
use crate::record::{RunId, Wish};
use crate::store::RunState;
use crate::util::printable;
use crate::workbench::{Local, Scheduler, Standing, View, Workbench, blocked, standing};

const TURN: Duration = Duration::from_millis(100);
/// Workers have this long to save and stop before the scheduler leaves them to it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Schedule until the runs of `names` are through. The exit code says how that went.
pub fn run(
    workbench: &mut Workbench,
    scheduler: &mut Scheduler<Local>,
    names: &[Named],
    progress: &mut dyn Progress,
) -> anyhow::Result<u8> {
    let mut interrupts = Interrupts::listen().context("cannot listen for signals")?;
    let mut halted: Option<Instant> = None;
    let mut patience = Duration::ZERO;
    loop {
        if halted.is_none() && interrupts.count()? > 0 {
            halted = Some(Instant::now());
            scheduler.halt();
            let active = scheduler.active().count();
            let plural = if active == 1 { "" } else { "s" };
            progress.say(&format!(
                "stopping {active} run{plural} at a checkpoint; Ctrl-C again leaves them to it"
            ))?;
        }
        // After a halt this is what asks the workers to stop, so that even the hastiest leave comes after it.
        let turn = workbench.turn(scheduler, patience)?;
        patience = TURN;
        let scene = Scene {
            store: workbench.store(),
            view: scheduler.view(workbench.store()),
            runs: names,
        };
        progress.turn(&scene, &turn)?;
        let leaves = match halted {
            Some(since) => since.elapsed() >= PATIENCE || interrupts.count()? > 1,
            None => false,
        };
        if scheduler.is_idle(workbench.store()) || leaves {
            break;
        }
    }
    let scene = Scene {
        store: workbench.store(),
        view: scheduler.view(workbench.store()),
        runs: names,
    };
    progress.end(&scene)?;
    if halted.is_some() {
        let left: Vec<&str> = scheduler.active().map(RunId::as_str).collect();
        if !left.is_empty() {
            progress.say(&format!(
                "left to save and stop by themselves: {}",
                left.join(", ")
            ))?;
        }
        progress.say("interrupted; the same command goes on where the runs stopped")?;
        return Ok(INTERRUPTED);
    }
    conclude(&scene, progress)
}

/// There is nothing to start: say so, and why if that is not because all is done.
pub fn nothing_to_do(
    workbench: &Workbench,
    names: &[Named],
    progress: &mut dyn Progress,
) -> anyhow::Result<u8> {
    let scene = Scene {
        store: workbench.store(),
        view: View::at_rest(workbench.store()),
        runs: names,
    };
    let tally = Tally::of(&scene);
    if tally.done == tally.total() {
        progress.say(&format!(
            "all {} runs are done; nothing to do",
            tally.total()
        ))?;
    } else {
        progress.say(&format!("{tally}; nothing to start"))?;
    }
    conclude(&scene, progress)
}

/// The runs without a result, each with what to do about it; then the exit code.
fn conclude(scene: &Scene, progress: &mut dyn Progress) -> anyhow::Result<u8> {
    let mut code = DONE;
    for named in scene.runs {
        if let Some(reason) = without_result(scene, &named.id) {
            progress.say(&format!("{}  {}  {reason}", named.id, named.label))?;
            code = FAILED;
        }
    }
    Ok(code)
}

fn without_result(scene: &Scene, id: &RunId) -> Option<String> {
    let run = scene.store.get(id)?;
    Some(match standing(&scene.view, id)? {
        Standing::Over => match &run.state {
            RunState::Failed { reason } => {
                format!(
                    "failed: {}; `siglab retry {id}` tries it again",
                    printable(reason)
                )
            }
            _ => return None,
        },
        Standing::GivenUp { reason } => {
            format!("{}; the same command tries it again", printable(&reason))
        }
        Standing::Blocked { by } => blocked(scene.store, &by),
        Standing::Waiting { needs } => format!("waits for {needs}, which is not running"),
        Standing::Held(Wish::Pause) => "paused on request".into(),
        Standing::Held(_) => format!("stopped on request; `siglab retry {id}` takes it up again"),
        Standing::Running | Standing::Ready => return None,
    })
}

/// The SIGINTs and SIGTERMs that have come. None of them ends the process: that is for the session to do, with the
/// terminal in order and the workers told.
struct Interrupts {
    arrivals: UnixStream,
    seen: usize,
}

impl Interrupts {
    fn listen() -> io::Result<Self> {
        let (arrivals, sender) = UnixStream::pair()?;
        arrivals.set_nonblocking(true)?;
        for signal in [SIGINT, SIGTERM] {
            pipe::register(signal, sender.try_clone()?)?;
        }
        Ok(Self { arrivals, seen: 0 })
    }

    /// How many have come since the beginning; each is a byte in the pipe.
    fn count(&mut self) -> io::Result<usize> {
        let mut bytes = [0; 16];
        loop {
            match self.arrivals.read(&mut bytes) {
                Ok(0) => return Ok(self.seen),
                Ok(n) => self.seen += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(self.seen),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }
}
