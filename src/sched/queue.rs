//! Who starts next, and why the others wait. Runs stand in a queue: by priority, then in the order of the experiment.
//!
//! A run that has no room waits, and runs behind it that do have room may start before it: small ones use what a large one
//! cannot. It may be overtaken as many times as it takes slots, by however many runs; after that nothing behind it starts
//! until it has. So the room that it needs comes together within the time that the runs at work then take to end.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Standing, Task, View, standing};
use crate::record::RunId;
use crate::util::human_bytes;

/// Why a run that is ready does not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Wait {
    Slots {
        needs: usize,
        free: usize,
    },
    /// Bytes.
    Memory {
        needs: u64,
        left: u64,
    },
    /// It is to run with no other at its side.
    Alone {
        running: usize,
    },
    /// Every device is set aside.
    Device {
        lost: Vec<String>,
    },
    /// Of the disk that the workspace is on.
    Room,
    /// This run stands before it and may not be overtaken any more.
    Behind {
        run: RunId,
    },
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slots { needs, free } => {
                let (s, are) = (plural(*needs), if *free == 1 { "is" } else { "are" });
                write!(f, "waits for {needs} slot{s}: {free} {are} free")
            }
            Self::Memory { needs, left } => {
                let (needs, left) = (human_bytes(*needs), human_bytes(*left));
                write!(f, "waits for memory: needs {needs}, {left} are left")
            }
            Self::Alone { running } => {
                let s = plural(*running);
                write!(
                    f,
                    "waits to be alone on the machine: {running} other run{s} at work"
                )
            }
            Self::Device { lost } => {
                let lost = lost.join(", ");
                write!(f, "waits for a device: {lost} was lost and is set aside")
            }
            Self::Room => f.write_str("waits for room on the disk"),
            Self::Behind { run } => {
                write!(f, "waits behind {run}, which was overtaken often enough")
            }
        }
    }
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Start,
    Wait(Wait),
}

/// What becomes of every run that is ready, first in the queue first.
pub fn decide(view: &View) -> Vec<(RunId, Decision)> {
    if view.halting {
        return Vec::new();
    }
    if view.full {
        let waiting = queue(view).into_iter();
        return waiting
            .map(|(id, _)| (id.clone(), Decision::Wait(Wait::Room)))
            .collect();
    }
    let mut room = Room::of(view);
    // Runs that wait, and how often each may still be overtaken.
    let mut ahead: Vec<(&RunId, usize)> = Vec::new();
    let mut decisions = Vec::new();
    for (id, task) in queue(view) {
        let barrier = ahead.iter().find(|(_, left)| *left == 0);
        let wait = match barrier {
            Some((run, _)) => Some(Wait::Behind {
                run: (*run).clone(),
            }),
            None => room.lack(view, task),
        };
        match wait {
            Some(wait) => {
                if !matches!(wait, Wait::Behind { .. }) {
                    ahead.push((id, bound(task).saturating_sub(task.overtaken)));
                }
                decisions.push((id.clone(), Decision::Wait(wait)));
            }
            None => {
                room.take(task);
                ahead.iter_mut().for_each(|(_, left)| *left -= 1);
                decisions.push((id.clone(), Decision::Start));
            }
        }
    }
    decisions
}

/// How often a waiting run may be overtaken.
pub fn bound(task: &Task) -> usize {
    task.slots.max(1)
}

fn queue(view: &View) -> Vec<(&RunId, &Task)> {
    let ready = |id: &&RunId| standing(view, id) == Some(Standing::Ready);
    let mut queue: Vec<(&RunId, &Task)> = view
        .order
        .iter()
        .filter(ready)
        .map(|id| (id, &view.tasks[id]))
        .collect();
    queue.sort_by_key(|(_, task)| std::cmp::Reverse(task.want.priority));
    queue
}

/// What is left of the machine.
struct Room {
    free: usize,
    memory: Option<u64>,
    workers: usize,
}

impl Room {
    fn of(view: &View) -> Self {
        Self {
            free: view.free,
            memory: view.memory,
            workers: view.workers,
        }
    }

    fn lack(&self, view: &View, task: &Task) -> Option<Wait> {
        if view.usable == 0 {
            return Some(Wait::Device {
                lost: view.set_aside.clone(),
            });
        }
        if task.alone {
            return (self.workers > 0).then_some(Wait::Alone {
                running: self.workers,
            });
        }
        if task.slots > self.free {
            return Some(Wait::Slots {
                needs: task.slots,
                free: self.free,
            });
        }
        match (task.memory, self.memory) {
            // One that needs more than there is gets what there is.
            (Some(needs), Some(left)) if needs > left && self.workers > 0 => {
                Some(Wait::Memory { needs, left })
            }
            _ => None,
        }
    }

    fn take(&mut self, task: &Task) {
        self.workers += 1;
        self.free = match task.alone {
            true => 0,
            false => self.free - task.slots,
        };
        let needs = task.memory.unwrap_or_default();
        self.memory = self.memory.map(|left| left.saturating_sub(needs));
    }
}
