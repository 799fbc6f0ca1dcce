//! Numbers for people: fractions in percent, as the progress of a run has them, and no digit that the interval
//! makes meaningless. Formats for scripts have no use for this; they keep every digit.

use crate::analysis::Cell;

/// Digits that count in a number without an interval.
const DIGITS: i32 = 4;

/// How the numbers of one metric are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Percent,
    Plain,
}

impl Scale {
    /// Accuracies are fractions and read in percent.
    pub fn of(metric: &str) -> Self {
        let is_fraction = ["top1", "top5"]
            .iter()
            .any(|top| metric.ends_with(top) || metric.contains(&format!("/{top}")));
        if is_fraction {
            Self::Percent
        } else {
            Self::Plain
        }
    }

    /// What to say once of all the numbers of a table.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Percent => " in %",
            Self::Plain => "",
        }
    }

    /// The mean of a cell. None without a mean.
    pub fn show(self, cell: &Cell) -> Option<String> {
        Some(self.estimate(cell.mean?, cell.half_width))
    }

    /// `52.3 ± 1.2`: the interval's first two digits settle where the mean ends.
    pub fn estimate(self, mean: f64, half_width: Option<f64>) -> String {
        let factor = match self {
            Self::Percent => 100.0,
            Self::Plain => 1.0,
        };
        let mean = factor * mean;
        match half_width.map(|half| factor * half) {
            // Values that are alike but for rounding have no spread.
            Some(half) if half > 1e-12 * mean.abs() => {
                let decimals = (1 - exponent(half, 2)).clamp(0, 12) as usize;
                format!("{mean:.decimals$} ± {half:.decimals$}")
            }
            Some(_) => format!("{} ± 0", self.alone(mean)),
            None => self.alone(mean),
        }
    }

    fn alone(self, x: f64) -> String {
        match (self, exponent(x, DIGITS)) {
            // As progress and `siglab ls` have it.
            (Self::Percent, _) => format!("{x:.1}"),
            (Self::Plain, _) if x == 0.0 => "0".into(),
            (Self::Plain, exponent) if (-DIGITS..DIGITS).contains(&exponent) => {
                format!("{x:.*}", (DIGITS - 1 - exponent).max(0) as usize)
            }
            (Self::Plain, _) => format!("{x:.*e}", DIGITS as usize - 1),
        }
    }
}

/// The power of ten of the first digit of `x` once it is rounded to `digits` of them: 0.0996 to two is 0.10.
fn exponent(x: f64, digits: i32) -> i32 {
    let rounded = format!("{x:.*e}", digits as usize - 1);
    let power = rounded.split_once('e').map(|(_, power)| power.parse());
    power.and_then(Result::ok).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(metric: &str, mean: f64, half_width: Option<f64>) -> String {
        let cell = Cell {
            mean: Some(mean),
            half_width,
            ..Cell::default()
        };
        Scale::of(metric).show(&cell).unwrap()
    }

    #[test]
    fn fractions_are_in_percent_and_nothing_else_is() {
        for metric in [
            "zeroshot/top1",
            "zeroshot/top5",
            "zeroshot/top1_held_out",
            "top1",
        ] {
            assert_eq!(
                show(metric, 0.36284, Some(0.0217)),
                "36.3 ± 2.2",
                "{metric}"
            );
        }
        for metric in ["loss", "stop1/x", "optim/lr"] {
            assert_eq!(Scale::of(metric), Scale::Plain, "{metric}");
        }
    }

    #[test]
    fn the_interval_settles_the_digits_of_the_mean() {
        let shown = [
            (2.30123, 0.0123),
            (2.30123, 0.0996),
            (2.30123, 0.217),
            (36.3, 21.7),
            (-123_456.7, 2_345.6),
            (2e-5, 3.14e-7),
        ]
        .map(|(mean, half)| show("loss", mean, Some(half)));
        assert_eq!(
            shown,
            [
                "2.301 ± 0.012",
                "2.30 ± 0.10",
                "2.30 ± 0.22",
                "36 ± 22",
                "-123457 ± 2346",
                "0.00002000 ± 0.00000031",
            ]
        );
    }

    #[test]
    fn a_number_alone_has_four_digits_at_most() {
        let shown = [
            0.0, 2e-5, 0.004, 0.52341, -4.2, 12.0, 999.96, 9_999.6, 123_456.0,
        ]
        .map(|mean| show("loss", mean, None));
        assert_eq!(
            shown,
            [
                "0", "2.000e-5", "0.004000", "0.5234", "-4.200", "12.00", "1000", "1.000e4",
                "1.235e5"
            ]
        );
        assert_eq!(show("zeroshot/top1", 0.5, None), "50.0");
        assert_eq!(show("loss", 0.5, Some(0.0)), "0.5000 ± 0");
        assert_eq!(show("zeroshot/top1", 0.2, Some(5e-17)), "20.0 ± 0");
    }
}
