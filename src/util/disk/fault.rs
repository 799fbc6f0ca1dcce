//! Disks that fail and processes that die at the operation that a test names. A plan holds for the thread that began it, so
//! tests beside each other do not meet. Tests only.

mod power;

use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rustix::io::Errno;

use super::Operation;
use power::Volatile;

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing of it is done.
    Fails(Errno),
    /// A write takes half of the bytes, as the system may at any time.
    Short,
    /// A write takes half of the bytes and fails with the rest. Other operations fail.
    Torn(Errno),
    /// The process dies before it, or half-way through a write.
    Dies { half_way: bool, by: Death },
    /// None: operations are noted, and that is all.
    Nothing,
}

/// How a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    Aborts,
    /// As the test sees it: the thread unwinds to where [`live`] began.
    Unwinds,
    /// The same, and the disk has no more than what was synchronised.
    LosesPower,
}

impl Fault {
    /// Those that a process lives through.
    pub const ALL: [Self; 6] = [
        Self::Fails(Errno::NOSPC),
        Self::Fails(Errno::IO),
        Self::Fails(Errno::INTR),
        Self::Short,
        Self::Torn(Errno::NOSPC),
        Self::Torn(Errno::IO),
    ];
}

/// What a thread unwinds with in the place of a process that dies.
struct Dead;

/// What `life` gives, or none if a fault was its death.
pub fn live<T>(life: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(life)) {
        Ok(done) => Some(done),
        Err(death) if death.is::<Dead>() => None,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn die(by: Death) -> ! {
    match by {
        Death::Aborts => std::process::abort(),
        Death::Unwinds => {}
        Death::LosesPower => {
            let state = STATE.with_borrow_mut(Option::take);
            state.expect("a plan").volatile.lose();
        }
    }
    // No panic, which would be told on standard error.
    std::panic::resume_unwind(Box::new(Dead))
}

/// Faults of this thread for as long as it lives.
pub struct Plan(());

#[derive(Debug)]
struct State {
    /// The operations that are struck, counted from 0.
    at: Range<usize>,
    fault: Fault,
    /// Those so far, by name.
    seen: Vec<String>,
    /// The second half of a write is to fail, or to be the death of the process.
    second_half: bool,
    volatile: Volatile,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

impl Plan {
    /// Strike the operations `at`, counted from 0 from now on.
    pub fn begin(at: Range<usize>, fault: Fault) -> Self {
        STATE.with_borrow_mut(|state| {
            assert!(state.is_none(), "one plan at a time");
            *state = Some(State {
                at,
                fault,
                seen: Vec::new(),
                second_half: false,
                volatile: Volatile::default(),
            });
        });
        Self(())
    }

    /// Whether the first operation of the plan has come.
    pub fn met(&self) -> bool {
        let met = |state: &State| state.seen.len() > state.at.start;
        // A plan is gone with the power.
        STATE.with_borrow(|state| state.as_ref().is_none_or(met))
    }

    /// The operations so far: `sync events.jsonl`.
    pub fn seen(&self) -> Vec<String> {
        STATE.with_borrow(|state| {
            state
                .as_ref()
                .map_or_else(Vec::new, |state| state.seen.clone())
        })
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        STATE.with_borrow_mut(Option::take);
    }
}

/// To be called before an operation on `path`, which is not done if this fails; `to` is where a rename goes.
pub(super) fn before(operation: Operation, path: &Path, to: &Path) -> io::Result<()> {
    match next(operation, path) {
        Some(Fault::Fails(error) | Fault::Torn(error)) => return Err(error.into()),
        Some(Fault::Dies {
            half_way: false,
            by,
        }) => die(by),
        Some(Fault::Dies { .. } | Fault::Short | Fault::Nothing) | None => {}
    }
    STATE.with_borrow_mut(|state| {
        if let Some(state) = state {
            state.volatile.note(operation, path, to);
        }
    });
    Ok(())
}

/// How many of `length` bytes a write may take.
pub(super) fn before_write(operation: Operation, path: &Path, length: usize) -> io::Result<usize> {
    let half = || length.div_ceil(2);
    let second = STATE.with_borrow_mut(|state| {
        let state = state.as_mut()?;
        std::mem::take(&mut state.second_half).then_some(state.fault)
    });
    match second {
        Some(Fault::Torn(error)) => return Err(error.into()),
        Some(Fault::Dies { by, .. }) => die(by),
        _ => {}
    }
    let fault = next(operation, path);
    STATE.with_borrow_mut(|state| {
        if let Some(state) = state {
            state.volatile.note(operation, path, path);
        }
    });
    match fault {
        Some(Fault::Fails(error)) => Err(error.into()),
        Some(Fault::Short) => Ok(half()),
        // A write of one byte has no half.
        Some(Fault::Torn(error)) if length < 2 => Err(error.into()),
        Some(Fault::Torn(_) | Fault::Dies { half_way: true, .. }) => {
            STATE.with_borrow_mut(|state| {
                state
                    .iter_mut()
                    .for_each(|state| state.second_half = length > 1);
            });
            Ok(half())
        }
        Some(Fault::Dies {
            half_way: false,
            by,
        }) => die(by),
        Some(Fault::Nothing) | None => Ok(length),
    }
}

/// Note an operation; what is to happen to it.
fn next(operation: Operation, path: &Path) -> Option<Fault> {
    STATE.with_borrow_mut(|state| {
        let state = state.as_mut()?;
        let n = state.seen.len();
        state.seen.push(name(operation, path));
        state.at.contains(&n).then_some(state.fault)
    })
}

/// The operation with the last two parts of its path, without the number of a process.
fn name(operation: Operation, path: &Path) -> String {
    let parts: Vec<_> = path.components().rev().take(2).collect();
    let last = parts
        .iter()
        .rev()
        .map(|part| part.as_os_str().to_string_lossy());
    let place = last.collect::<Vec<_>>().join("/");
    let place = place.replace(&format!(".{}.tmp", std::process::id()), ".tmp");
    format!("{operation:?} {place}").to_lowercase()
}
