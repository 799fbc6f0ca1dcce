//! Progress for a script: one JSON object a line on standard output. Keys are stable; a reader passes over events
//! that it does not know.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Progress, Scene, Tally};
use crate::cli::print;
use crate::store::{Change, Delta, Evaluation, Run, RunState};
use crate::workbench::{Notice, Turn};

/// Between two `progress` events.
const SUMMARY: Duration = Duration::from_secs(1);

pub struct Json {
    summarised: Instant,
}

impl Json {
    pub fn new() -> Self {
        Self {
            summarised: Instant::now(),
        }
    }
}

impl Progress for Json {
    fn turn(&mut self, scene: &Scene, turn: &Turn) -> anyhow::Result<()> {
        for notice in &turn.notices {
            write(&of_notice(scene, notice))?;
        }
        for event in turn.deltas.iter().flat_map(|delta| of_delta(scene, delta)) {
            write(&event)?;
        }
        if self.summarised.elapsed() >= SUMMARY {
            self.summarised = Instant::now();
            write(&summary(scene))?;
        }
        Ok(())
    }

    fn say(&mut self, message: &str) -> anyhow::Result<()> {
        write(&json!({ "event": "message", "text": message }))
    }

    fn end(&mut self, scene: &Scene) -> anyhow::Result<()> {
        write(&summary(scene))
    }
}

fn write(event: &Value) -> anyhow::Result<()> {
    Ok(print(&format!("{event}\n"))?)
}

fn of_notice(scene: &Scene, notice: &Notice) -> Value {
    match notice {
        Notice::Started { id, devices } => {
            json!({ "event": "started", "run": id, "label": scene.label(id), "devices": devices })
        }
        Notice::Adopted { id } => {
            json!({ "event": "adopted", "run": id, "label": scene.label(id) })
        }
        Notice::Restarts { id, how, then } => {
            json!({ "event": "restarts", "run": id, "how": how, "then": then })
        }
        Notice::Kills { id, reason } => json!({ "event": "kills", "run": id, "reason": reason }),
        Notice::SetAside { id, device } => {
            json!({ "event": "set_aside", "run": id, "device": device })
        }
        Notice::Superseded { problem } => json!({ "event": "superseded", "problem": problem }),
        Notice::GivenUp { id, reason } => {
            json!({ "event": "given_up", "run": id, "reason": reason })
        }
        Notice::Trouble { id, problem } => {
            json!({ "event": "trouble", "run": id, "problem": problem })
        }
        Notice::Ended { id, how } => {
            let state = scene.store.get(id).map(|run| &run.state);
            let reason = match state {
                Some(RunState::Failed { reason } | RunState::Diverged { reason, .. }) => {
                    Some(reason)
                }
                _ => None,
            };
            json!({ "event": "ended", "run": id, "how": how, "state": state.map(RunState::name), "reason": reason })
        }
    }
}

fn of_delta(scene: &Scene, delta: &Delta) -> Vec<Value> {
    let Some(run) = scene.store.get(&delta.id) else {
        return Vec::new();
    };
    // What a later change of the same turn took back is not there any more.
    match delta.change {
        Change::Evaluated { from } => {
            let event = |e: &Evaluation| json!({ "event": "evaluated", "run": delta.id, "step": e.step, "examples": e.examples, "metrics": e.metrics });
            let new = run.evaluations.get(from..).unwrap_or_default();
            new.iter().map(event).collect()
        }
        Change::Warned { from } => {
            let event = |message| json!({ "event": "warned", "run": delta.id, "message": message });
            let new = run.warnings.get(from..).unwrap_or_default();
            new.iter().map(event).collect()
        }
        Change::Appeared
        | Change::Vanished
        | Change::State { .. }
        | Change::Prospects
        | Change::Waits
        | Change::Rewound
        | Change::Rows { .. } => Vec::new(),
    }
}

fn summary(scene: &Scene) -> Value {
    let tally = Tally::of(scene);
    let of_run = |run: &Run| {
        json!({
            "run": run.id(),
            "examples": run.examples,
            "of": run.spec.config.examples(),
            "examples_per_second": run.speed(),
            "loss": run.latest("loss"),
            "top1": run.top1(),
            "top1_of": run.top1_key(),
        })
    };
    let running = scene
        .runs
        .iter()
        .filter_map(|named| scene.store.get(&named.id));
    let running: Vec<Value> = running
        .filter(|run| run.state == RunState::Running)
        .map(of_run)
        .collect();
    json!({
        "event": "progress",
        "done": tally.done,
        "running": tally.running,
        "waiting": tally.waiting,
        "stopped": tally.held,
        "failed": tally.failed,
        "examples_per_second": tally.examples_per_second,
        "seconds_left": tally.time_left().map(|left| left.as_secs()),
        "runs": running,
    })
}
