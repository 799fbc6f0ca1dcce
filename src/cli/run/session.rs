//! One scheduler's life in the foreground: turns until nothing is left to do or the user has had enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::{DONE, FAILED, INTERRUPTED};
use crate::cli::progress::{Named, Progress, Scene, Tally};
use crate::record::{RunId, Wish};
use crate::store::RunState;
use crate::util::printable;
use crate::workbench::{Local, Scheduler, Standing, View, Workbench, standing};

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
    let interrupted = on_interrupt()?;
    let mut halted: Option<Instant> = None;
    let mut patience = Duration::ZERO;
    loop {
        let turn = workbench.turn(scheduler, patience)?;
        patience = TURN;
        let scene = Scene {
            store: workbench.store(),
            view: scheduler.view(workbench.store()),
            runs: names,
        };
        progress.turn(&scene, &turn)?;
        if interrupted.load(Ordering::Relaxed) && halted.is_none() {
            halted = Some(Instant::now());
            scheduler.halt();
            let active = scheduler.active().count();
            progress.say(&format!(
                "stopping {active} runs at a checkpoint; Ctrl-C again leaves them to it"
            ))?;
        }
        let out_of_patience = halted.is_some_and(|since| since.elapsed() >= PATIENCE);
        if scheduler.is_idle(workbench.store()) || out_of_patience {
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
            progress.say(&format!("still stopping: {}", left.join(", ")))?;
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
        Standing::Blocked { by } => format!("blocked: prerequisite {by} has no result"),
        Standing::Waiting { needs } => format!("waits for {needs}, which is not running"),
        Standing::Held(Wish::Pause) => "paused on request".into(),
        Standing::Held(_) => format!("stopped on request; `siglab retry {id}` takes it up again"),
        Standing::Running | Standing::Ready => return None,
    })
}

/// Set by the first SIGINT or SIGTERM; the second ends the process at once.
fn on_interrupt() -> anyhow::Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first arrival finds the flag down, passes the exit and raises it.
        flag::register_conditional_shutdown(
            signal,
            i32::from(INTERRUPTED),
            Arc::clone(&interrupted),
        )
        .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
        .context("cannot listen for signals")?;
    }
    Ok(interrupted)
}
