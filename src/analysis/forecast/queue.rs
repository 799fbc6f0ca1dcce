//! When the last of a queue of jobs is done, by the scheduler's rule: the first ready job of the queue waits for its
//! slots, and none overtakes it; a job whose prerequisite is not done yet is passed over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Clone, Debug)]
pub(super) struct Job {
    pub seconds: f64,
    /// Slots that it takes together; no more than there are.
    pub slots: usize,
    /// Places in the queue of the jobs that must be done before.
    pub needs: Vec<usize>,
}

/// Seconds until all jobs are done on `slots`, the running ones first in the queue.
pub(super) fn makespan(jobs: &[Job], slots: usize) -> f64 {
    let slots = slots.max(1);
    let mut free = slots;
    let mut done = vec![false; jobs.len()];
    let mut waiting: Vec<usize> = (0..jobs.len()).collect();
    // The bits of a time that is not negative have the order of the time.
    let mut running: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut now = 0.0_f64;
    loop {
        let mut is_blocked = false;
        waiting.retain(|&place| {
            let job = &jobs[place];
            if is_blocked || job.needs.iter().any(|&need| !done[need]) {
                return true;
            }
            let takes = job.slots.min(slots);
            if takes > free {
                is_blocked = true;
                return true;
            }
            free -= takes;
            running.push(Reverse(((now + job.seconds).to_bits(), place)));
            false
        });
        // What is left then waits for something that never comes.
        let Some(Reverse((at, place))) = running.pop() else {
            return now;
        };
        now = f64::from_bits(at);
        free += jobs[place].slots.min(slots);
        done[place] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(seconds: f64, slots: usize, needs: &[usize]) -> Job {
        Job {
            seconds,
            slots,
            needs: needs.to_vec(),
        }
    }

    #[test]
    fn jobs_fill_the_slots_in_order() {
        let alone: Vec<Job> = [5.0, 3.0, 4.0, 2.0].map(|s| job(s, 1, &[])).to_vec();
        assert_eq!(makespan(&alone, 1), 14.0);
        // Two slots: 5 | 3 then 4 | 2 after 5: 5+2 and 3+4.
        assert_eq!(makespan(&alone, 2), 7.0);
        assert_eq!(makespan(&alone, 9), 5.0);
        assert_eq!(makespan(&[], 2), 0.0);
    }

    #[test]
    fn a_wide_job_is_not_overtaken_and_a_waiting_one_is() {
        // The wide job waits until 4 for both slots; the last one does not slip in before it.
        let wide = [job(4.0, 1, &[]), job(1.0, 2, &[]), job(2.0, 1, &[])];
        assert_eq!(makespan(&wide, 2), 7.0);
        // Jobs that need the first are passed over by the last.
        let chain = [
            job(3.0, 1, &[]),
            job(2.0, 1, &[0]),
            job(2.0, 1, &[0]),
            job(3.0, 1, &[]),
        ];
        assert_eq!(makespan(&chain, 2), 5.0);
        assert_eq!(
            makespan(&[job(2.0, 8, &[])], 2),
            2.0,
            "wider than all slots"
        );
        assert_eq!(makespan(&[job(2.0, 1, &[0])], 2), 0.0, "needs itself");
    }
}
