//! The progress of a scheduler on the way to the user: as bars, as lines, or as JSON. All three are told the same
//! after each turn; none of them decides anything.

mod bars;
mod json;
mod lines;
mod tally;

use crate::record::{RunId, end_of_log};
use crate::store::{Run, RunState, Store};
use crate::util::{human_count, printable};
use crate::workbench::{Notice, Turn, View};
pub use bars::Bars;
pub use json::Json;
pub use lines::Lines;
pub use tally::Tally;

/// Lines of a failed run's log that are shown.
const LOG_LINES: usize = 15;

/// A run of the grid by the name that people know it by.
#[derive(Clone, Debug)]
pub struct Named {
    pub id: RunId,
    pub label: String,
    /// The label for places that are narrow: values without their keys.
    pub brief: String,
}

/// The state of things after a turn.
pub struct Scene<'a> {
    pub store: &'a Store,
    pub view: View,
    pub runs: &'a [Named],
}

impl Scene<'_> {
    fn label(&self, id: &RunId) -> &str {
        // A run outside the grid is one that an earlier scheduler left.
        self.runs
            .iter()
            .find(|run| run.id == *id)
            .map_or("(of another grid)", |run| &run.label)
    }

    fn brief(&self, id: &RunId) -> &str {
        let run = self.runs.iter().find(|run| run.id == *id);
        run.map_or("(of another grid)", |run| &run.brief)
    }
}

pub trait Progress {
    fn turn(&mut self, scene: &Scene, turn: &Turn) -> anyhow::Result<()>;

    /// Something that concerns no single run.
    fn say(&mut self, message: &str) -> anyhow::Result<()>;

    /// Nothing more will come: leave the terminal as a plain one.
    fn end(&mut self, scene: &Scene) -> anyhow::Result<()>;
}

/// A notice in words, one line or, for a failure, with the end of the log. None for what needs no words: an end
/// that another notice or the run's resuming explains.
fn sentence(scene: &Scene, notice: &Notice) -> Option<String> {
    let name = |id: &RunId| format!("{id}  {}", scene.label(id));
    Some(match notice {
        Notice::Started { id, devices } => {
            format!("started    {}  on {}", name(id), devices.join(", "))
        }
        Notice::Adopted { id } => format!("running    {}  started earlier", name(id)),
        Notice::Restarts { id, how, then } => {
            format!("crashed    {}  {}: {then}", name(id), printable(how))
        }
        Notice::Kills { id, reason } => format!("killed     {}  {}", name(id), printable(reason)),
        Notice::SetAside { id, device } => {
            let device = printable(device);
            format!("set aside  {device}, which {id} lost: nothing more is placed on it")
        }
        Notice::Superseded { problem } => format!("superseded {}", printable(problem)),
        Notice::Trouble { id, problem } => {
            format!("warning    {}  {}", name(id), printable(problem))
        }
        Notice::GivenUp { id, reason } => {
            format!(
                "failed     {}  {}{}",
                name(id),
                printable(reason),
                quoted_log(scene, id, reason)
            )
        }
        Notice::Ended { id, .. } => return scene.store.get(id).and_then(|run| ending(scene, run)),
    })
}

fn ending(scene: &Scene, run: &Run) -> Option<String> {
    let id = run.id();
    let label = scene.label(id);
    Some(match &run.state {
        RunState::Completed => {
            let warnings = run
                .warnings
                .iter()
                .map(|w| format!("\n    warning: {}", printable(w)));
            let warnings: String = warnings.collect();
            format!("completed  {id}  {label}  {}{warnings}", measures(run))
        }
        RunState::Diverged { step, reason } => {
            format!(
                "diverged   {id}  {label}  at step {step}: {}",
                printable(reason)
            )
        }
        RunState::Failed { reason } => {
            format!(
                "failed     {id}  {label}  {}{}",
                printable(reason),
                quoted_log(scene, id, reason)
            )
        }
        RunState::Stopped => format!(
            "stopped    {id}  {label}  at {} examples",
            human_count(run.examples as f64)
        ),
        RunState::New | RunState::Running | RunState::Interrupted { .. } => return None,
    })
}

/// Loss and accuracy, as far as there are any.
fn measures(run: &Run) -> String {
    let loss = run.latest("loss").map(|loss| format!("loss {loss:.3}"));
    let top1 = run
        .top1()
        .map(|top1| format!("top-1 {:.1} %", 100.0 * top1));
    loss.into_iter().chain(top1).collect::<Vec<_>>().join("  ")
}

/// The end of a run's log but for lines that say `reason` again, set in and made safe to print.
fn quoted_log(scene: &Scene, id: &RunId, reason: &str) -> String {
    let Some(run) = scene.store.get(id) else {
        return String::new();
    };
    match end_of_log(&run.dir, LOG_LINES) {
        Ok(lines) => lines
            .iter()
            .filter(|line| !line.contains(reason))
            .map(|line| format!("\n    | {}", printable(line)))
            .collect(),
        Err(e) => format!("\n    (no log: {e})"),
    }
}
