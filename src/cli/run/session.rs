//! One scheduler's life in the foreground: turns until nothing is left to do or the user has had enough.

use std::io::{self, ErrorKind, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

use super::{DONE, FAILED, INTERRUPTED};
use crate::cli::progress::{Named, Progress, Scene, Tally};
use crate::record::{RunId, Wish};
use crate::store::RunState;
use crate::util::printable;
use crate::workbench::{Local, Scheduler, Standing, View, Workbench, blocked, standing};

/// Schedule until the runs of `names` are through. The exit code says how that went.
pub fn run(
    workbench: &mut Workbench,
    scheduler: &mut Scheduler<Local>,
    names: &[Named],
    progress: &mut dyn Progress,
) -> anyhow::Result<u8> {
    let mut interrupts = Interrupts::listen().context("cannot listen for signals")?;
    let mut halted = false;
    let mut patience = Duration::ZERO;
    let mut full = false;
    loop {
        if !halted && interrupts.count()? > 0 {
            halted = true;
            scheduler.halt();
            let active = scheduler.active().count();
            let plural = if active == 1 { "" } else { "s" };
            progress.say(&format!(
                "stopping {active} run{plural} at a checkpoint; Ctrl-C again leaves them to it"
            ))?;
        }
        // After a halt this is what asks the workers to stop, so that even the hastiest leave comes after it.
        let turn = workbench.turn(scheduler, patience)?;
        let words = workbench.store().full().map(|full| full.to_string());
        if std::mem::replace(&mut full, words.is_some()) != words.is_some() {
            progress.say(
                words
                    .as_deref()
                    .unwrap_or("there is room on the disk again"),
            )?;
        }
        patience = turn.pause();
        let scene = Scene {
            store: workbench.store(),
            view: scheduler.view(workbench.store()),
            runs: names,
        };
        progress.turn(&scene, &turn)?;
        // Without a second interrupt it waits: the scheduler kills those that do not stop in their time.
        let leaves = halted && interrupts.count()? > 1;
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
    if scheduler.is_superseded() {
        return Ok(FAILED);
    }
    if halted {
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

/// Runs of one fate that are told one by one; more are told together.
const SINGLY: usize = 2;

/// Why a run has no result, and what `siglab retry` does about it, with a gap for the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fate {
    reason: String,
    remedy: Option<&'static str>,
}

/// The runs without a result, with what to do about them; then the exit code.
fn conclude(scene: &Scene, progress: &mut dyn Progress) -> anyhow::Result<u8> {
    let fated = scene.runs.iter();
    let fated = fated.filter_map(|named| Some((named, without_result(scene, &named.id)?)));
    let told = tell_apart(fated);
    for line in &told {
        progress.say(line)?;
    }
    Ok(if told.is_empty() { DONE } else { FAILED })
}

/// A line a run or, where several have the same fate, one for all of them.
fn tell_apart<'n>(fated: impl Iterator<Item = (&'n Named, Fate)>) -> Vec<String> {
    let mut alike: Vec<(Fate, Vec<&Named>)> = Vec::new();
    for (named, fate) in fated {
        match alike.iter_mut().find(|(other, _)| *other == fate) {
            Some((_, runs)) => runs.push(named),
            None => alike.push((fate, vec![named])),
        }
    }
    let each = alike.iter().flat_map(|(Fate { reason, remedy }, runs)| {
        let ids: Vec<&str> = runs.iter().map(|named| named.id.as_str()).collect();
        let takes_up = |ids: &str, it: &str| {
            let does =
                |remedy: &str| format!("; `siglab retry {ids}` {}", remedy.replace("{}", it));
            remedy.map(does).unwrap_or_default()
        };
        if runs.len() > SINGLY {
            let remedy = takes_up(&ids.join(" "), "them");
            return vec![format!("{} runs alike: {reason}{remedy}", runs.len())];
        }
        let one = |named: &&Named| {
            let remedy = takes_up(named.id.as_str(), "it");
            format!("{}  {}  {reason}{remedy}", named.id, named.label)
        };
        runs.iter().map(one).collect()
    });
    each.collect()
}

fn without_result(scene: &Scene, id: &RunId) -> Option<Fate> {
    let run = scene.store.get(id)?;
    let retried = |reason: String| (reason, Some("tries {} again"));
    let (reason, remedy) = match standing(&scene.view, id)? {
        Standing::Over => match &run.state {
            RunState::Failed { reason } => retried(format!("failed: {}", printable(reason))),
            _ => return None,
        },
        Standing::GivenUp { reason } => retried(printable(&reason)),
        Standing::Blocked { by } => (blocked(scene.store, &by), None),
        Standing::Waiting { needs } => (format!("waits for {needs}, which is not running"), None),
        Standing::Held(Wish::Pause) => ("paused on request".into(), None),
        Standing::Held(_) => ("stopped on request".into(), Some("takes {} up again")),
        // Room was there for it, unless every device was lost.
        Standing::Ready => (scene.view.waits.get(id)?.to_string(), None),
        Standing::Running => return None,
    };
    Some(Fate { reason, remedy })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_one_fate_are_told_together() {
        let named = |n: usize| Named {
            id: format!("{n:010x}").parse().unwrap(),
            label: format!("seed={n}"),
            brief: String::new(),
        };
        let names: Vec<Named> = (0..5).map(named).collect();
        let fate = |reason: &str| Fate {
            reason: reason.into(),
            remedy: Some("tries {} again"),
        };
        let fates = [
            "failed: a",
            "failed: b",
            "failed: a",
            "failed: a",
            "failed: b",
        ];
        let told = tell_apart(names.iter().zip(fates.map(fate)));
        insta::assert_snapshot!(told.join("\n"), @r"
        3 runs alike: failed: a; `siglab retry 0000000000 0000000002 0000000003` tries them again
        0000000001  seed=1  failed: b; `siglab retry 0000000001` tries it again
        0000000004  seed=4  failed: b; `siglab retry 0000000004` tries it again
        ");
    }
}
