//! Which batches are left out, and what is a spike: curves that are healthy and curves that are not.

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};

use super::*;

#[test]
fn updates_take_the_batches_that_are_left() {
    let mut left_out = LeftOut::default();
    assert_eq!(left_out.batch(7), 7);
    assert_eq!(left_out.after(4, 3), [[5, 7]]);
    left_out.leave_out([5, 7]);
    let batches = |left_out: &LeftOut| (1..=6).map(|s| left_out.batch(s)).collect::<Vec<_>>();
    assert_eq!(batches(&left_out), [1, 2, 3, 4, 8, 9]);
    // Further back, and across what is left out already.
    assert_eq!(left_out.after(2, 4), [[3, 4], [8, 9]]);
    for range in left_out.after(2, 4) {
        left_out.leave_out(range);
    }
    assert_eq!(batches(&left_out), [1, 2, 10, 11, 12, 13]);
    assert_eq!(left_out.ranges, [[3, 9]]);
}

proptest! {
    #[test]
    fn ways_back_agree_with_counting(ways in prop::collection::vec((0..60_u64, 1..20_u64), 0..6)) {
        let mut left_out = LeftOut::default();
        let mut all: Vec<u64> = (1..=1_000).collect();
        for (to, count) in ways {
            let gone: Vec<u64> = all.drain(to as usize..(to + count) as usize).collect();
            let told: Vec<u64> = left_out.after(to, count).into_iter().flat_map(|[a, b]| a..=b).collect();
            prop_assert_eq!(&told, &gone);
            left_out.after(to, count).into_iter().for_each(|range| left_out.leave_out(range));
            let found: Vec<u64> = (1..=all.len() as u64).map(|step| left_out.batch(step)).collect();
            prop_assert_eq!(&found, &all);
        }
    }
}

/// A falling loss with heavy-tailed noise; `seed` sets its size, its fall and its noise.
fn healthy(seed: u64, length: usize) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (start, end): (f64, f64) = (rng.random_range(1.0..10.0), rng.random_range(0.01..0.9));
    let (pace, noise): (f64, f64) = (rng.random_range(20.0..400.0), rng.random_range(0.005..0.1));
    let tails = StudentT::new(5.0).expect("five degrees of freedom");
    let at = |step: usize| {
        let level = start * (end + (1.0 - end) * (-(step as f64) / pace).exp());
        let deviation: f64 = if seed.is_multiple_of(2) {
            StandardNormal.sample(&mut rng)
        } else {
            tails.sample(&mut rng)
        };
        level * (noise * deviation).exp()
    };
    (0..length).map(at).collect()
}

fn watch() -> Watch {
    Watch::new(&RollbackConfig {
        times: 1,
        spike: 10.0,
        ..RollbackConfig::default()
    })
    .expect("it was asked for")
}

/// The update, from 0, at which a spike is seen.
fn alarm(losses: &[f64]) -> Option<usize> {
    let mut watch = watch();
    losses.iter().position(|loss| watch.sees_spike(*loss))
}

#[test]
fn a_thousand_healthy_curves_raise_one_alarm_at_most() {
    let alarms = (0..1_000).filter(|seed| alarm(&healthy(*seed, 400)).is_some());
    let alarms: Vec<u64> = alarms.collect();
    assert!(alarms.len() <= 1, "{alarms:?}");
}

#[test]
fn fifty_scripted_curves_are_told_for_what_they_are() {
    let mut right = 0;
    for n in 0..50 {
        let mut losses = healthy(10_000 + n, 300);
        let at = 120 + 3 * n as usize;
        // Ten deviations are a factor of 3 at most.
        let expected = match n % 5 {
            // It rises and stays, falls back slowly, or climbs.
            0 => {
                losses[at..].iter_mut().for_each(|loss| *loss *= 8.0);
                Some(at + 2)
            }
            1 => {
                for (i, loss) in losses[at..].iter_mut().enumerate() {
                    *loss *= 1.0 + 8.0 * (-(i as f64) / 20.0).exp();
                }
                Some(at + 2)
            }
            2 => {
                for (i, loss) in losses[at..].iter_mut().enumerate() {
                    *loss *= 2.0_f64.powi(i.min(40) as i32);
                }
                None
            }
            // One or two high updates are noise.
            3 => {
                losses[at..at + 2].iter_mut().for_each(|loss| *loss *= 50.0);
                None
            }
            // What is not finite is no spike but the end, which the loop tells.
            _ => {
                losses[at] = [f64::NAN, f64::INFINITY][n as usize % 2];
                None
            }
        };
        let found = alarm(&losses);
        right += usize::from(match n % 5 {
            2 => found.is_some_and(|found| (at..at + 8).contains(&found)),
            _ => found == expected,
        });
    }
    assert_eq!(right, 50);
}

#[test]
fn a_watch_goes_on_where_it_was() {
    let mut losses = healthy(3, 120);
    losses[100..].iter_mut().for_each(|loss| *loss *= 9.0);
    for cut in [0, 30, 99, 101, 102] {
        let mut first = watch();
        losses[..cut].iter().for_each(|loss| {
            first.sees_spike(*loss);
        });
        let mut second = watch();
        second.restore(&first.to_bytes());
        assert_eq!(first, second);
        let found = losses[cut..]
            .iter()
            .position(|loss| second.sees_spike(*loss));
        assert_eq!(found.map(|i| i + cut), Some(102));
    }
}
