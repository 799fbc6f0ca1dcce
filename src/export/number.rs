//! Numbers for people: fractions in percent, as the progress of a run has them, and no digit that the interval
//! makes meaningless. Formats for scripts have no use for this; they keep every digit.

use crate::analysis::{Cell, share_in};

/// Digits that count in a number without an interval.
const DIGITS: i32 = 4;

/// How the numbers of one metric are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    Percent,
    Plain,
}

impl Scale {
    /// Accuracies and recalls are fractions and read in percent.
    pub fn of(metric: &str) -> Self {
        match share_in(metric) {
            Some(_) => Self::Percent,
            None => Self::Plain,
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
        let mean = cell.mean?;
        Some(match cell.reach() {
            Some(reach) if cell.half_width.is_none() => self.between(mean, reach),
            _ => self.estimate(mean, cell.half_width),
        })
    }

    /// `52.3 ± 1.2`: the interval's first two digits settle where the mean ends.
    pub fn estimate(self, mean: f64, half_width: Option<f64>) -> String {
        match half_width {
            Some(half) => self.between(mean, [half; 2]),
            None => self.alone(mean),
        }
    }

    /// `52.3 ± 1.2` and, where the interval reaches further to one side, `52.3 −1.2 +1.5`.
    fn between(self, mean: f64, reach: [f64; 2]) -> String {
        let scaled = self.factor() * mean;
        let [down, up] = reach.map(|reach| self.factor() * reach);
        // Values that are alike but for rounding have no spread, and sides that are, one width.
        let rounding = 1e-12 * scaled.abs();
        let narrow = match down.min(up) {
            narrow if narrow > rounding => narrow,
            _ => down.max(up),
        };
        if narrow <= rounding {
            return format!("{} ± 0", self.alone(mean));
        }
        let decimals = (1 - exponent(narrow, 2)).clamp(0, 12) as usize;
        let number = rounded(scaled, decimals);
        if (down - up).abs() <= rounding.max(1e-9 * narrow) {
            return format!("{number} ± {up:.decimals$}");
        }
        format!("{number} −{down:.decimals$} +{up:.decimals$}")
    }

    /// A difference with its interval: `+3.2 [1.1, 5.3]`.
    pub fn difference(self, mean: f64, half_width: Option<f64>) -> String {
        let Some(half) = half_width else {
            let alone = self.alone(mean);
            return if mean > 0.0 {
                format!("+{alone}")
            } else {
                alone
            };
        };
        let (mean, half) = (self.factor() * mean, self.factor() * half);
        // The interval's first two digits settle where all three end; where it has no width, those of the difference do.
        let settles = if half > 0.0 { half } else { mean };
        let decimals = (1 - exponent(settles, 2)).clamp(0, 12) as usize;
        let show = |x: f64| rounded(x, decimals);
        let sign = if mean > 0.0 { "+" } else { "" };
        format!(
            "{sign}{} [{}, {}]",
            show(mean),
            show(mean - half),
            show(mean + half)
        )
    }

    pub fn factor(self) -> f64 {
        match self {
            Self::Percent => 100.0,
            Self::Plain => 1.0,
        }
    }

    /// A spread or a distance: three digits, whatever it is of.
    pub fn spread(self, x: f64) -> String {
        let x = self.factor() * x;
        format!("{x:.*}", (2 - exponent(x, 3)).clamp(0, 12) as usize)
    }

    /// A number by itself.
    pub fn alone(self, x: f64) -> String {
        let x = self.factor() * x;
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

/// `x` to so many decimals; rounding leaves no sign on nothing.
fn rounded(x: f64, decimals: usize) -> String {
    let text = format!("{x:.decimals$}");
    match text.bytes().all(|b| matches!(b, b'-' | b'0' | b'.')) {
        true => text.trim_start_matches('-').to_owned(),
        false => text,
    }
}

/// `39,936`, and in three digits what is below ten: an amount that was spent.
pub fn grouped(amount: f64) -> String {
    if amount < 10.0 && amount.fract() != 0.0 {
        return format!(
            "{amount:.*}",
            (2 - exponent(amount, 3)).clamp(0, 12) as usize
        );
    }
    let digits = format!("{amount:.0}");
    let mut words = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
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
    fn an_interval_that_leans_to_one_side_has_two_widths() {
        let cell = |low, high| Cell {
            mean: Some(0.523),
            interval: Some([low, high]),
            ..Cell::default()
        };
        let show = |low, high| Scale::Percent.show(&cell(low, high)).unwrap();
        assert_eq!(show(0.511, 0.5379), "52.3 −1.2 +1.5");
        assert_eq!(show(0.523, 0.573), "52.3 −0.0 +5.0");
    }

    #[test]
    fn amounts_have_their_thousands_apart() {
        let shown = [0.051_23, 9.5, 12.34, 999.0, 39_936.0, 1.5e9].map(grouped);
        assert_eq!(
            shown,
            ["0.0512", "9.50", "12", "999", "39,936", "1,500,000,000"]
        );
    }

    #[test]
    fn fractions_are_in_percent_and_nothing_else_is() {
        for metric in [
            "zeroshot/top1",
            "zeroshot/top5",
            "zeroshot/top1_held_out",
            "zeroshot/pets/mean_per_class_recall",
            "retrieval/image_to_text/r10",
            "knn/top1_k20",
            "zeroshot/top1/de",
            "top1",
        ] {
            assert_eq!(
                show(metric, 0.36284, Some(0.0217)),
                "36.3 ± 2.2",
                "{metric}"
            );
        }
        for metric in [
            "loss",
            "stop1/x",
            "optim/lr",
            "zeroshot/n/de",
            "zeroshot/n_seen",
        ] {
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
            (-0.2, 16.0),
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
                "0 ± 16",
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
