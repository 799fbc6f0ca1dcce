//! Why a run is where it is, in a sentence: what it waits for, what keeps it back, how it ended, and what to do about
//! it. Every face says it in these words.

use crate::record::{RunId, Setback, Wish};
use crate::sched::policy::{Verdict, counted, verdict};
use crate::sched::{Standing, View, standing};
use crate::store::{Run, RunState, Store};
use crate::util::printable;

/// Why `run` stands where it stands, if its state alone does not say. Safe to print.
pub fn why(store: &Store, run: &Run, view: &View) -> Option<String> {
    Some(match (&run.state, standing(view, run.id())?) {
        (RunState::Failed { reason }, _) => printable(reason),
        (RunState::Diverged { step, reason }, _) => {
            format!("at step {step}: {}", printable(reason))
        }
        (RunState::Running, _) if run.waits => "waits for room on the disk".into(),
        (RunState::Running, _) if run.want.wish == Wish::Pause => "pauses at a checkpoint".into(),
        (RunState::Running, _) if run.want.wish == Wish::Stop => "stops at a checkpoint".into(),
        (RunState::Running, _) => format!("after {}", setback(&run.setbacks, run.want.retries)?),
        (_, Standing::Held(Wish::Pause)) => "paused on request".into(),
        (_, Standing::Held(_)) => "stopped on request".into(),
        (_, Standing::Blocked { by }) => blocked(store, &by),
        (_, Standing::Waiting { needs }) => format!("waits for {needs}"),
        (_, Standing::GivenUp { reason }) => {
            let id = run.id();
            format!("{}; `siglab retry {id}` tries it again", printable(&reason))
        }
        (state, Standing::Ready) => {
            let wait = view.waits.get(run.id()).map(ToString::to_string);
            let words = [ended(run, state), wait.map(|wait| printable(&wait))];
            let words: Vec<String> = words.into_iter().flatten().collect();
            return (!words.is_empty()).then(|| words.join("; "));
        }
        _ => return None,
    })
}

/// How the last attempt of a run that goes on was ended, and what follows.
fn ended(run: &Run, state: &RunState) -> Option<String> {
    let RunState::Interrupted { cause } = state else {
        return None;
    };
    setback(&run.setbacks, run.want.retries).or_else(|| cause.as_deref().map(printable))
}

/// The last setback that counts, and what is done about it.
fn setback(setbacks: &[Setback], retries: u32) -> Option<String> {
    let cause = counted(setbacks, retries).last()?;
    let then = match verdict(setbacks, retries) {
        // Forgiven in the meantime, or about to be said in its own words.
        Verdict::Untroubled | Verdict::GiveUp(_) => return Some(printable(&cause.to_string())),
        verdict => verdict.words()?,
    };
    Some(format!("{}: {then}", printable(&cause.to_string())))
}

/// Why the prerequisite `by` gave no result to start from.
pub fn blocked(store: &Store, by: &RunId) -> String {
    let Some(run) = store.get(by) else {
        return format!(
            "blocked: prerequisite {by} is not in the workspace; `siglab run` makes it"
        );
    };
    let remedy = match run.state {
        RunState::Failed { .. } => format!("failed; `siglab retry {by}` tries it again"),
        RunState::Diverged { .. } => {
            format!("diverged; change its settings, or `siglab retry {by}` tries it again")
        }
        _ => format!(
            "is {} and was given up; `siglab retry {by}` tries it again",
            run.state.name()
        ),
    };
    format!("blocked: prerequisite {by} {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cause, RunDir};
    use crate::sched::{Task, Wait};
    use crate::spec::RunSpec;

    /// What is said of a run in this state, after these causes, that waits for this.
    fn said(state: RunState, causes: &[Cause], wait: Option<Wait>) -> Option<String> {
        let tmp = tempfile::tempdir().unwrap();
        let store = Store::open(tmp.path()).unwrap();
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(Default::default()));
        run.state = state;
        let setback = |cause: &Cause| Setback {
            cause: cause.clone(),
            retries: 0,
        };
        run.setbacks = causes.iter().map(setback).collect();
        let view = View {
            tasks: [(run.id().clone(), Task::at_rest(&run))].into(),
            waits: wait
                .map(|wait| (run.id().clone(), wait))
                .into_iter()
                .collect(),
            ..View::default()
        };
        why(&store, &run, &view)
    }

    fn interrupted() -> RunState {
        RunState::Interrupted {
            cause: Some("signal 9".into()),
        }
    }

    #[test]
    fn a_cause_is_said_with_what_follows_and_with_what_the_run_waits_for() {
        let slots = Wait::Slots { needs: 4, free: 2 };
        let memory = Cause::OutOfMemory {
            shared: true,
            peak: Some(6 << 30),
        };
        let cases = [
            (said(RunState::New, &[], None), None),
            (
                said(RunState::New, &[], Some(slots.clone())),
                Some("waits for 4 slots: 2 are free"),
            ),
            (said(interrupted(), &[], None), Some("signal 9")),
            (
                said(interrupted(), &[memory], Some(slots)),
                Some(
                    "out of memory at 6.0 GiB, beside other runs: goes on alone on the machine; waits for 4 slots: 2 are free",
                ),
            ),
            (
                said(RunState::Running, &[Cause::Stalled { seconds: 601 }], None),
                Some("after no sign of life for 601 s: goes on from its last checkpoint"),
            ),
            (said(RunState::Running, &[], None), None),
        ];
        for (words, expected) in cases {
            assert_eq!(words.as_deref(), expected);
        }
    }

    #[test]
    fn a_run_that_was_given_up_says_how_to_go_on() {
        let words = said(interrupted(), &[Cause::Silent { code: 2 }], None).unwrap();
        assert!(
            words.starts_with("its worker ended without a result: exit status 2; `siglab retry "),
            "{words}"
        );
    }
}
