//! What a piece of work takes: bytes at its peak, over what was there before, and processor time of the whole process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The system's allocator, with a count.
pub struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    PEAK.fetch_max(HELD.fetch_add(bytes, Relaxed) + bytes, Relaxed);
}

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both blocks may be there at once.
        took(size);
        HELD.fetch_sub(layout.size(), Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Spent {
    pub bytes: usize,
    pub cpu: Duration,
}

/// The right to measure: one test at a time, for the counts are the process's.
pub struct Alone {
    _guard: MutexGuard<'static, ()>,
}

pub fn alone() -> Alone {
    static ALONE: Mutex<()> = Mutex::new(());
    Alone {
        _guard: ALONE.lock().unwrap_or_else(PoisonError::into_inner),
    }
}

impl Alone {
    /// What `work` made, none if it panicked, and what it took.
    pub fn measure<T>(&self, work: impl FnOnce() -> T) -> (Option<T>, Spent) {
        let (held, began) = (HELD.load(Relaxed), cpu());
        PEAK.store(held, Relaxed);
        let made = catch_unwind(AssertUnwindSafe(work)).ok();
        let spent = Spent {
            bytes: PEAK.load(Relaxed).saturating_sub(held),
            cpu: cpu() - began,
        };
        (made, spent)
    }
}

/// Of all threads, in steps of a hundredth of a second.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = [11, 12]
        .map(|n| fields[n].parse::<u64>().unwrap())
        .iter()
        .sum();
    Duration::from_millis(10 * ticks)
}
