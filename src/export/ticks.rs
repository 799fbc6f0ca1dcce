//! Where an axis is marked and what is written there: steps of 1, 2 and 5, decades, and the units of a clock. Charts of
//! the terminal and figures on paper are marked alike.

use crate::analysis::Along;

/// Seconds between marks that a clock would have; days go on by 1, 2 and 5.
const CLOCK: [f64; 21] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    10_800.0, 21_600.0, 43_200.0, 86_400.0, 172_800.0, 432_000.0, 864_000.0,
];

/// How an axis runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    #[default]
    Linear,
    /// Decades are equally long. Values at zero or below have no place.
    Log,
}

impl Scale {
    /// Where a value lies along the axis; −∞ or NaN where it has no place.
    pub fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.ln(),
        }
    }

    /// The value at a place.
    pub fn value(self, place: f64) -> f64 {
        match self {
            Self::Linear => place,
            Self::Log => place.exp(),
        }
    }
}

/// A place on an axis and its label.
#[derive(Clone, Debug, PartialEq)]
pub struct Tick {
    pub at: f64,
    pub label: String,
}

/// At most `most` marks of values from `low` to `high`.
pub fn of_values(low: f64, high: f64, scale: Scale, most: usize) -> Vec<Tick> {
    let (places, step) = match scale {
        Scale::Linear => even(low, high, round_step(low, high, most), most),
        Scale::Log => decades(low, high, most),
    };
    let large = low.abs().max(high.abs());
    let label = |at: f64| match step {
        None => power(at),
        Some(step) => value(at, step, large),
    };
    let tick = |at| Tick {
        at,
        label: label(at),
    };
    places.into_iter().map(tick).collect()
}

/// At most `most` marks along the x-axis.
pub fn along(low: f64, high: f64, scale: Scale, along: Along, most: usize) -> Vec<Tick> {
    let (places, step) = match (scale, along) {
        (Scale::Log, _) => decades(low, high, most),
        (Scale::Linear, Along::Seconds) => even(low, high, clock_step(low, high, most), most),
        (Scale::Linear, _) => even(low, high, round_step(low, high, most), most),
    };
    let step = step.unwrap_or(0.0);
    let label = |at: f64| match along {
        Along::Seconds => clock(at, step),
        Along::Examples | Along::Steps => count(at, step),
    };
    let tick = |at| Tick {
        at,
        label: label(at),
    };
    places.into_iter().map(tick).collect()
}

/// A value in four digits, for a title.
pub fn short(x: f64) -> String {
    let size = x.abs();
    match size {
        _ if x == 0.0 => "0".into(),
        _ if !(1e-3..1e6).contains(&size) => format!("{x:.2e}"),
        _ => {
            let whole = size.log10().floor() as i32;
            format!("{x:.*}", (3 - whole).clamp(0, 6) as usize)
        }
    }
}

/// The multiples of `step` from `low` to `high`, and the step.
fn even(low: f64, high: f64, step: f64, most: usize) -> (Vec<f64>, Option<f64>) {
    let (first, last) = multiples(low, high, step);
    let all = (0..most).map(|i| first + i as f64);
    let places = all.take_while(|i| *i <= last).map(|i| i * step);
    // Minus zero is no label.
    (places.map(|at| at + 0.0).collect(), Some(step))
}

/// The first and the last multiple of `step`, where an end that misses one by rounding has it.
fn multiples(low: f64, high: f64, step: f64) -> (f64, f64) {
    ((low / step - 1e-6).ceil(), (high / step + 1e-6).floor())
}

/// Whether there are at most `most` multiples of `step`.
fn few(low: f64, high: f64, step: f64, most: usize) -> bool {
    let (first, last) = multiples(low, high, step);
    last - first < most as f64
}

/// The smallest step of 1, 2 or 5 times a power of ten with no more than `most` multiples between `low` and `high`.
fn round_step(low: f64, high: f64, most: usize) -> f64 {
    let least = (high / 2.0 - low / 2.0) / most.max(1) as f64 * 2.0;
    let power = ten(least.log10().floor() as i32);
    let steps = [1.0, 2.0, 5.0, 10.0, 20.0].map(|m| m * power);
    let fits = |step: &f64| few(low, high, *step, most);
    steps.into_iter().find(fits).unwrap_or(50.0 * power)
}

fn clock_step(low: f64, high: f64, most: usize) -> f64 {
    let fits = |step: &f64| few(low, high, *step, most);
    let round = round_step(low, high, most);
    match CLOCK.into_iter().find(fits) {
        Some(step) if round >= 1.0 => step,
        Some(_) => round,
        None => round_step(low / 86_400.0, high / 86_400.0, most) * 86_400.0,
    }
}

/// Marks of a logarithmic axis: every decade or every few; within two decades 1, 2, 5 of each; within one, even steps,
/// which come with their length.
fn decades(low: f64, high: f64, most: usize) -> (Vec<f64>, Option<f64>) {
    let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
    let whole = (last - first + 1).max(0) as usize;
    if whole >= 2 || whole == 1 && most == 1 {
        let every = whole.div_ceil(most.max(1));
        return ((first..=last).step_by(every).map(ten).collect(), None);
    }
    let fine = (first - 1..=last).flat_map(|e| [1.0, 2.0, 5.0].map(|m| m * ten(e)));
    let fine: Vec<f64> = fine.filter(|at| (low..=high).contains(at)).collect();
    if (2..=most).contains(&fine.len()) {
        return (fine, None);
    }
    even(low, high, round_step(low, high, most), most)
}

/// A power of ten without the error of multiplying.
fn ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().expect("a number")
}

/// Decimals that tell multiples of `step` apart.
fn decimals(step: f64) -> usize {
    (-step.log10() - 1e-9).ceil().clamp(0.0, 12.0) as usize
}

/// A value as its axis writes it: all with one number of decimals, so that they align.
fn value(x: f64, step: f64, large: f64) -> String {
    if large >= 1e5 && step >= 1.0 {
        return count(x, step);
    }
    if !(1e-2..1e5).contains(&large) {
        let magnitude = |x: f64| (x.abs().log10() + 1e-9).floor();
        let digits = (magnitude(x) - magnitude(step)).clamp(0.0, 12.0);
        return if x == 0.0 {
            "0".into()
        } else {
            format!("{x:.*e}", digits as usize)
        };
    }
    format!("{x:.*}", decimals(step))
}

/// A mark of a logarithmic axis.
fn power(x: f64) -> String {
    match x {
        _ if !(0.99e-3..1e4).contains(&x) => format!("{x:e}"),
        _ => format!("{x}"),
    }
}

/// `12.3k`: a count of examples or steps, exact to the step.
fn count(x: f64, step: f64) -> String {
    let (unit, name) = match x.abs() {
        a if a < 1e3 => (1.0, ""),
        a if a < 1e6 => (1e3, "k"),
        a if a < 1e9 => (1e6, "M"),
        _ => (1e9, "G"),
    };
    let text = format!(
        "{:.*}",
        decimals(if step > 0.0 { step } else { x.abs() } / unit),
        x / unit
    );
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text}{name}")
}

/// `1m30s`: a time by its units, zero ones left out, exact to the step.
fn clock(x: f64, step: f64) -> String {
    let digits = decimals(if step > 0.0 { step } else { x.abs() });
    let fine = 10f64.powi(digits as i32);
    let mut rest = (x.abs() * fine).round() / fine;
    let mut text = String::from(if x < 0.0 { "-" } else { "" });
    for (unit, name) in [(86_400.0, "d"), (3_600.0, "h"), (60.0, "m")] {
        if rest >= unit {
            text += &format!("{}{name}", (rest / unit).floor());
            rest %= unit;
        }
    }
    let seconds = format!("{rest:.digits$}");
    let seconds = match seconds.contains('.') {
        true => seconds.trim_end_matches('0').trim_end_matches('.'),
        false => &seconds,
    };
    if seconds != "0" || text.len() < 2 {
        text += seconds;
        text.push('s');
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(ticks: Vec<Tick>) -> String {
        let labels: Vec<String> = ticks.into_iter().map(|tick| tick.label).collect();
        labels.join(" ")
    }

    #[test]
    fn values_are_marked_in_round_steps_with_aligned_labels() {
        let linear = |low, high, most| labels(of_values(low, high, Scale::Linear, most));
        assert_eq!(linear(0.0, 1.0, 6), "0.0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(linear(2.31, 4.4, 3), "3 4");
        assert_eq!(linear(-10.3, -9.1, 6), "-10.2 -10.0 -9.8 -9.6 -9.4 -9.2");
        assert_eq!(linear(0.0, 3.1e-4, 4), "0 1e-4 2e-4 3e-4");
        assert_eq!(linear(1.05e-4, 1.3e-4, 3), "1.1e-4 1.2e-4 1.3e-4");
        assert_eq!(linear(0.0, 2.6e6, 6), "0 500k 1M 1.5M 2M 2.5M");
        assert_eq!(linear(5.0, 5.0001, 3), "5.00000 5.00005 5.00010");
    }

    #[test]
    fn a_logarithmic_axis_has_decades_or_what_lies_between_them() {
        let log = |low, high, most| labels(of_values(low, high, Scale::Log, most));
        assert_eq!(log(0.9, 1100.0, 5), "1 10 100 1000");
        assert_eq!(log(1e-7, 1e3, 4), "1e-7 1e-4 0.1 100");
        assert_eq!(log(0.3, 6.0, 4), "0.5 1 2 5");
        assert_eq!(log(2.3, 4.2, 3), "3 4");
    }

    #[test]
    fn the_x_axis_is_marked_in_its_units() {
        let marks = |low, high, unit, most| labels(along(low, high, Scale::Linear, unit, most));
        assert_eq!(marks(0.0, 12_000.0, Along::Examples, 6), "0 5k 10k");
        assert_eq!(
            marks(0.0, 2_500.0, Along::Steps, 6),
            "0 500 1k 1.5k 2k 2.5k"
        );
        assert_eq!(marks(0.0, 100.0, Along::Seconds, 4), "0s 30s 1m 1m30s");
        assert_eq!(
            marks(0.0, 9_000.0, Along::Seconds, 6),
            "0s 30m 1h 1h30m 2h 2h30m"
        );
        assert_eq!(marks(0.0, 1.0, Along::Seconds, 3), "0s 0.5s 1s");
        assert_eq!(
            marks(3_600.0, 3_690.0, Along::Seconds, 4),
            "1h 1h30s 1h1m 1h1m30s"
        );
        assert_eq!(marks(0.0, 2e6, Along::Seconds, 4), "0s 10d 20d");
    }

    proptest! {
        #[test]
        fn marks_are_few_rising_and_within_the_axis(
            low in prop::num::f64::NORMAL, length in prop::num::f64::POSITIVE, most in 1..30usize,
        ) {
            let low = low.clamp(-1e300, 1e300);
            let high = low + (low.abs() * 1e-9).max(length.clamp(1e-290, 1e300));
            let log = (low.abs().max(1e-290), (low.abs() + high.abs()).max(1e-289));
            for ticks in [
                of_values(low, high, Scale::Linear, most),
                of_values(log.0, log.1, Scale::Log, most),
                along(low, high, Scale::Linear, Along::Seconds, most),
                along(low, high, Scale::Linear, Along::Examples, most),
            ] {
                prop_assert!(ticks.len() <= most);
                prop_assert!(ticks.windows(2).all(|pair| pair[0].at < pair[1].at), "{ticks:?}");
            }
        }

        /// Two marks that read the same would be a lie.
        #[test]
        fn no_two_marks_of_a_common_range_read_the_same(
            low in -1e6..1e6f64, length in 1e-4..1e7f64, most in 2..12usize,
        ) {
            let high = low + length;
            for ticks in [
                of_values(low, high, Scale::Linear, most),
                of_values(length, length * 40.0, Scale::Log, most),
                along(low, high, Scale::Linear, Along::Examples, most),
                along(low.abs(), low.abs() + length, Scale::Linear, Along::Seconds, most),
            ] {
                let mut labels: Vec<&str> = ticks.iter().map(|tick| tick.label.as_str()).collect();
                labels.dedup();
                prop_assert_eq!(labels.len(), ticks.len(), "{:?}", ticks);
            }
        }
    }
}
