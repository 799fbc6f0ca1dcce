//! Ranges of numbers: a start and an end with two dots between, and how to go from one to the other.

use serde_json::Value;

use super::{ValuesError, parse_one};
use crate::spec::grid::LIMIT;
use crate::spec::source::number_of;

/// How far beyond the end a last point may lie by rounding, relative to a step.
const SLACK: f64 = 1e-9;

/// The points of `text`, or `None` if it is no range: its start is no number.
pub fn parse(text: &str) -> Result<Option<Vec<Value>>, ValuesError> {
    let Some((start, rest)) = text.split_once("..") else {
        return Ok(None);
    };
    let Some(start) = number(start) else {
        return Ok(None);
    };
    let wrong = |problem: String| ValuesError::new(text, problem);
    let mut words = rest.split_whitespace();
    let Some(end) = words.next().and_then(number) else {
        return Err(wrong("has no number at its end".into()));
    };
    let how: Vec<&str> = words.collect();
    let points = match how.as_slice() {
        ["log", count] => log(start, end, whole(count).map_err(wrong)?),
        ["step", step] => steps(start, end, number(step).unwrap_or(f64::NAN)),
        [count] if count.bytes().all(|b| b.is_ascii_digit()) => {
            linear(start, end, whole(count).map_err(wrong)?)
        }
        [factor] | ["x" | "*", factor] => {
            let factor = factor.trim_start_matches(['x', '*', '×']);
            factors(start, end, number(factor).unwrap_or(f64::NAN))
        }
        _ => Err("does not say how to go on; add a number of points (`5` or `log 5`), a factor (`x2`) or a \
                  step (`step 2`)"
            .into()),
    };
    Ok(Some(points.map_err(wrong)?))
}

fn number(text: &str) -> Option<f64> {
    parse_one(text).ok()?.as_f64()
}

fn whole(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| (2..=LIMIT).contains(count))
        .ok_or_else(|| format!("needs a whole number of points from 2 to {LIMIT}"))
}

fn linear(start: f64, end: f64, count: usize) -> Result<Vec<Value>, String> {
    between(start, end, count, |t| start + (end - start) * t)
}

fn log(start: f64, end: f64, count: usize) -> Result<Vec<Value>, String> {
    if start <= 0.0 || end <= 0.0 {
        return Err("needs two numbers above 0 for equal ratios".into());
    }
    between(start, end, count, |t| start * (end / start).powf(t))
}

/// `count` points with both ends, as `at` places them for 0..1.
fn between(
    start: f64,
    end: f64,
    count: usize,
    at: impl Fn(f64) -> f64,
) -> Result<Vec<Value>, String> {
    let last = count - 1;
    let point = |digits: usize, i: usize| match i {
        0 => start,
        i if i == last => end,
        i => tidy(at(i as f64 / last as f64), digits),
    };
    // Four digits are enough unless neighbours become one.
    for digits in 4..=17 {
        let points: Vec<f64> = (0..count).map(|i| point(digits, i)).collect();
        if points.windows(2).all(|pair| pair[0] != pair[1]) {
            return Ok(points.into_iter().map(number_of).collect());
        }
    }
    Err("has more points than there are numbers between its ends".into())
}

fn steps(start: f64, end: f64, step: f64) -> Result<Vec<Value>, String> {
    let step = step.abs();
    if !(step > 0.0 && step.is_finite()) {
        return Err("needs a step other than 0, such as `step 2`".into());
    }
    let step = step.copysign(end - start);
    let count = ((end - start) / step + SLACK).floor();
    listed(count, |i| start + step * i)
}

fn factors(start: f64, end: f64, factor: f64) -> Result<Vec<Value>, String> {
    if !(factor > 1.0 && factor.is_finite()) {
        return Err("needs a factor above 1, such as `x2`, a number of points or a step".into());
    }
    if start <= 0.0 || end <= 0.0 {
        return Err("needs two numbers above 0 for a factor".into());
    }
    let factor = if end < start { factor.recip() } else { factor };
    let count = ((end / start).ln() / factor.ln() + SLACK).floor();
    listed(count, |i| start * factor.powf(i))
}

fn listed(last: f64, at: impl Fn(f64) -> f64) -> Result<Vec<Value>, String> {
    if last >= LIMIT as f64 {
        return Err(format!(
            "has more than the {LIMIT} points that one grid may have"
        ));
    }
    let points = (0..=last as usize).map(|i| number_of(tidy(at(i as f64), 12)));
    Ok(points.collect())
}

/// `x` without the noise of its arithmetic: as it is if twelve digits or fewer say it, else with `digits`.
fn tidy(x: f64, digits: usize) -> f64 {
    let rounded = |digits: usize| format!("{x:.*e}", digits - 1).parse().unwrap_or(x);
    let nearly: f64 = rounded(12);
    let shortest = format!("{nearly:e}");
    let mantissa = shortest.bytes().take_while(|b| *b != b'e');
    if mantissa.filter(u8::is_ascii_digit).count() <= 9 {
        nearly
    } else {
        rounded(digits)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn points(text: &str) -> Value {
        Value::Array(parse(text).unwrap().unwrap())
    }

    #[test]
    fn ranges_hold_both_ends_and_round_numbers() {
        assert_eq!(points("16..256 x2"), json!([16, 32, 64, 128, 256]));
        assert_eq!(points("16..300 x2"), json!([16, 32, 64, 128, 256]));
        assert_eq!(points("256..16 x 2"), json!([256, 128, 64, 32, 16]));
        assert_eq!(
            points("1e-5..0.1 x10"),
            json!([1e-5, 1e-4, 1e-3, 0.01, 0.1])
        );
        assert_eq!(points("1..2 x1.1")[7], json!(1.9487171));
        assert_eq!(points("0..1 5"), json!([0, 0.25, 0.5, 0.75, 1]));
        assert_eq!(points("0..1 4"), json!([0, 0.3333, 0.6667, 1]));
        assert_eq!(points("1000..2001 3"), json!([1000, 1500.5, 2001]));
        assert_eq!(points("-10..0 3"), json!([-10, -5, 0]));
        assert_eq!(points("0..10 step 2"), json!([0, 2, 4, 6, 8, 10]));
        assert_eq!(points("10..0 step 5"), json!([10, 5, 0]));
        assert_eq!(points("0..1 step 0.3"), json!([0, 0.3, 0.6, 0.9]));
        assert_eq!(points("0..0.7 step 0.1").as_array().unwrap().len(), 8);
        assert_eq!(
            points("1e-4..1e-2 log 5"),
            json!([1e-4, 3.162e-4, 1e-3, 3.162e-3, 1e-2])
        );
        assert_eq!(points("1e-2..1e-4 log 3"), json!([1e-2, 1e-3, 1e-4]));
        assert_eq!(points("16..512 log 6"), json!([16, 32, 64, 128, 256, 512]));
        assert_eq!(
            points("1..1.001 log 4"),
            json!([1, 1.0003, 1.0007, 1.001]),
            "more digits where four make two points one"
        );
        let exact = points("2.302585092994012..3 2");
        assert_eq!(exact[0], json!(2.302585092994012), "ends stay as typed");
    }

    #[test]
    fn a_range_that_leads_nowhere_is_refused() {
        for (text, words) in [
            ("1..5", "how to go on"),
            ("1..x 3", "no number at its end"),
            ("0..1 x2", "above 0"),
            ("1..8 x1", "a factor above 1"),
            ("1..8 often", "a factor above 1"),
            ("0..1 log 3", "above 0"),
            ("0..1 1", "from 2 to"),
            ("0..1 step 0", "other than 0"),
            ("0..1e12 step 1", "more than the 100000"),
            ("1..1 3", "more points than there are numbers"),
        ] {
            let refusal = parse(text).unwrap_err().to_string();
            assert!(refusal.contains(words), "{text}: {refusal}");
        }
    }
}
