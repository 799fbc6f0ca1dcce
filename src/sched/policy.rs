//! What follows from an attempt that the machine ended, cause by cause: one table and one pure function. A divergence and
//! a failure that the worker put on record are results and no matter of this.

use crate::record::{Cause, Setback};

/// What is done about the last setback of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It had none, or they are forgiven.
    Untroubled,
    /// It goes on from its last checkpoint.
    Again,
    /// It goes on with no other run at its side.
    Alone,
    /// It goes on without the device that was lost.
    Elsewhere,
    /// It waits for a person, for this reason.
    GiveUp(String),
}

impl Verdict {
    /// What the run does then, after the words of the cause; none when nothing follows.
    pub fn words(&self) -> Option<&'static str> {
        match self {
            Self::Untroubled | Self::GiveUp(_) => None,
            Self::Again => Some("goes on from its last checkpoint"),
            Self::Alone => Some("goes on alone on the machine"),
            Self::Elsewhere => Some("moves to another device"),
        }
    }
}

/// Causes that are counted together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Crash,
    Silent,
    Memory,
    Device,
}

fn kind(cause: &Cause) -> Kind {
    match cause {
        Cause::Crashed { .. } | Cause::Gone | Cause::Stalled { .. } | Cause::Suspended { .. } => {
            Kind::Crash
        }
        Cause::Silent { .. } => Kind::Silent,
        Cause::OutOfMemory { .. } => Kind::Memory,
        Cause::DeviceLost { .. } => Kind::Device,
    }
}

/// Attempts that may end so before the run is left to a person.
fn tries(kind: Kind) -> usize {
    match kind {
        // In a row without a new checkpoint: chance may strike again, a fault of the run strikes every time.
        Kind::Crash => 3,
        // A worker that gave up by itself would do so again.
        Kind::Silent => 1,
        // Once beside others and once alone; never twice under the same circumstances.
        Kind::Memory => 2,
        // Each time costs a device, and there are only so many.
        Kind::Device => usize::MAX,
    }
}

/// The setbacks that count when a run has been retried so often.
pub fn counted(setbacks: &[Setback], retries: u32) -> impl Iterator<Item = &Cause> {
    let count = move |setback: &&Setback| setback.retries == retries;
    setbacks.iter().filter(count).map(|setback| &setback.cause)
}

/// What follows from the setbacks of a run that has been retried so often.
pub fn verdict(setbacks: &[Setback], retries: u32) -> Verdict {
    let causes: Vec<&Cause> = counted(setbacks, retries).collect();
    let Some(last) = causes.last() else {
        return Verdict::Untroubled;
    };
    let times = |of: Kind| causes.iter().filter(|cause| kind(cause) == of).count();
    let unchanged = matches!(last, Cause::OutOfMemory { shared: false, .. });
    if unchanged || times(kind(last)) >= tries(kind(last)) {
        return Verdict::GiveUp(reason(last, times(kind(last))));
    }
    if times(Kind::Memory) > 0 {
        // Whatever else happened since, it still needs the room.
        return Verdict::Alone;
    }
    match kind(last) {
        Kind::Device => Verdict::Elsewhere,
        Kind::Crash | Kind::Silent | Kind::Memory => Verdict::Again,
    }
}

/// Add a setback to those of a run. `headway`: the attempt has saved a checkpoint of its own, so that crashes before it
/// are not in a row with this one.
pub fn add(setbacks: &mut Vec<Setback>, new: Setback, headway: bool) {
    setbacks.retain(|old| {
        let forgiven = old.retries != new.retries;
        let overcome = headway && kind(&old.cause) == Kind::Crash;
        !forgiven && !overcome
    });
    setbacks.push(new);
}

fn reason(last: &Cause, times: usize) -> String {
    match (kind(last), last) {
        (Kind::Memory, _) => {
            let place = match last {
                Cause::OutOfMemory { shared: true, .. } => "",
                _ => ", alone on the machine",
            };
            format!(
                "{last}{place}: a smaller train.micro_batch or model, or train.checkpointing = \"blocks\", needs less"
            )
        }
        (Kind::Crash, _) if times > 1 => {
            format!(
                "its worker ended without a result: {last}, {times} times without a new checkpoint"
            )
        }
        _ => format!("its worker ended without a result: {last}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn setbacks(causes: &[Cause]) -> Vec<Setback> {
        let setback = |cause: &Cause| Setback {
            cause: cause.clone(),
            retries: 0,
        };
        causes.iter().map(setback).collect()
    }

    fn killed() -> Cause {
        Cause::Crashed { signal: 9 }
    }

    fn stalled() -> Cause {
        Cause::Stalled { seconds: 600 }
    }

    fn memory(shared: bool) -> Cause {
        Cause::OutOfMemory { shared, peak: None }
    }

    fn lost() -> Cause {
        Cause::DeviceLost {
            device: "cuda:0".into(),
        }
    }

    #[test]
    fn each_cause_has_its_remedy() {
        let silent = Cause::Silent { code: 1 };
        let cases: [(&[Cause], Verdict); 9] = [
            (&[], Verdict::Untroubled),
            (&[killed()], Verdict::Again),
            (&[killed(), stalled()], Verdict::Again),
            (&[Cause::Gone], Verdict::Again),
            (&[lost()], Verdict::Elsewhere),
            (&[lost(), lost(), lost(), lost()], Verdict::Elsewhere),
            (&[memory(true)], Verdict::Alone),
            (&[memory(true), killed()], Verdict::Alone),
            (&[killed(), lost()], Verdict::Elsewhere),
        ];
        for (causes, expected) in cases {
            assert_eq!(verdict(&setbacks(causes), 0), expected, "{causes:?}");
        }
        let hopeless: [(&[Cause], &str); 5] = [
            (&[killed(), stalled(), killed()], "signal 9, 3 times"),
            (&[silent], "exit status 1"),
            (&[memory(false)], "alone on the machine: a smaller"),
            (&[memory(true), memory(false)], "train.micro_batch"),
            (&[memory(true), memory(true)], "train.micro_batch"),
        ];
        for (causes, words) in hopeless {
            let Verdict::GiveUp(reason) = verdict(&setbacks(causes), 0) else {
                panic!("{causes:?}");
            };
            assert!(reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn a_retry_wipes_out_and_a_checkpoint_breaks_the_row() {
        let mut all = setbacks(&[killed(), killed()]);
        assert_eq!(verdict(&all, 1), Verdict::Untroubled);
        let new = Setback {
            cause: killed(),
            retries: 0,
        };
        add(&mut all, new.clone(), true);
        assert_eq!((all.len(), verdict(&all, 0)), (1, Verdict::Again));
        let mut all = setbacks(&[memory(true), killed()]);
        add(&mut all, new.clone(), true);
        assert_eq!(
            (all.len(), verdict(&all, 0)),
            (2, Verdict::Alone),
            "that memory ran out is not forgotten"
        );
        let retried = Setback { retries: 1, ..new };
        add(&mut all, retried, false);
        assert_eq!((all.len(), verdict(&all, 1)), (1, Verdict::Again));
    }

    proptest! {
        /// Whatever happens to a run, the number of its attempts is bounded, but for lost devices and new checkpoints.
        #[test]
        fn no_run_is_tried_for_ever(kinds in prop::collection::vec(0..5usize, 20..40)) {
            let causes = [killed(), stalled(), Cause::Gone, memory(true), Cause::Silent { code: 2 }];
            let mut all = Vec::new();
            let mut attempts = 0;
            for kind in kinds {
                if matches!(verdict(&all, 0), Verdict::GiveUp(_)) {
                    break;
                }
                attempts += 1;
                add(&mut all, Setback { cause: causes[kind].clone(), retries: 0 }, false);
            }
            prop_assert!(attempts <= 4, "{attempts}: {all:?}");
        }
    }
}
