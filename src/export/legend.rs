//! What stands below a table: what its numbers are, over how many seeds, when the runs were asked, what the marks mean, and
//! whose the numbers in brackets are.

use std::collections::BTreeSet;

use super::number::{Scale, grouped};
use crate::analysis::{
    Asked, Budget, Interval, Mark, RESAMPLES, SEEDS_TO_RESAMPLE, Table, Test, When,
};

/// What the numbers are and over how many seeds.
pub(super) fn legend(table: &Table) -> String {
    let partial = table
        .cells
        .iter()
        .flatten()
        .any(|cell| cell.expected > 0 && cell.is_partial());
    let words = [
        Some(intervals(table)),
        moment(&table.asked),
        evaluation(table),
        partial.then(|| "(n/expected) where runs are missing".into()),
        sources(table),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    format!(
        "{}{}: {}",
        table.metric,
        Scale::of(&table.metric).unit(),
        words.join("; ")
    )
}

/// What the numbers of cells are.
pub fn intervals(table: &Table) -> String {
    let [fewest, seeds] = table.counts();
    if seeds < 2 {
        return "one seed, so no interval".into();
    }
    let n = match fewest == seeds {
        true => format!("n = {seeds} seeds"),
        false => format!("n = {fewest} to {seeds} seeds"),
    };
    match table.interval {
        Interval::T => {
            format!("mean ± half-width of the 95 % interval over {n}")
        }
        Interval::Bootstrap if (seeds as usize) < SEEDS_TO_RESAMPLE => format!(
            "mean over {n} without an interval, for the bootstrap takes {SEEDS_TO_RESAMPLE}"
        ),
        Interval::Bootstrap => format!(
            "mean −down +up to the ends of the 95 % interval over {n}, by the bootstrap (BCa, {} resamples)",
            grouped(RESAMPLES as f64)
        ),
    }
}

/// What chance leaves open in the evaluation itself: it is the same pictures in every run, so more seeds do not mend it.
pub fn evaluation(table: &Table) -> Option<String> {
    let cells = table.cells.iter().flatten();
    let errors: Vec<_> = cells.filter_map(|cell| cell.evaluation).collect();
    let most = errors.iter().map(|error| error.half_width);
    let most = Scale::of(&table.metric).alone(most.reduce(f64::max)?);
    let items = || errors.iter().map(|error| error.items);
    let (few, many) = (items().reduce(f64::min)?, items().reduce(f64::max)?);
    let items = match few == many {
        true => grouped(few),
        false => format!("{} to {}", grouped(few), grouped(many)),
    };
    Some(format!(
        "evaluation error ± {most} at most (Wilson, n = {items} evaluated), which seeds do not lessen"
    ))
}

/// What an interval of a mean is, for a column of its own.
pub(super) fn interval(by: Interval) -> String {
    match by {
        Interval::T => "95 % Student's t".into(),
        Interval::Bootstrap => format!("95 % bootstrap (BCa, {RESAMPLES} resamples)"),
    }
}

/// When the runs were asked, unless it was at their end.
pub fn moment(asked: &Asked) -> Option<String> {
    let measured = match asked.evaluated {
        true => "evaluation",
        false => "logged step",
    };
    match asked.at {
        When::End => None,
        When::Best { .. } => Some(format!("each run at its best {measured}")),
        When::Spent { amount: None, .. } => {
            Some("no run is complete, so there is no budget to match".into())
        }
        When::Spent {
            of,
            amount: Some(amount),
            matched,
        } => {
            let [what, size] = match of {
                Budget::Examples => ["examples seen", "examples"],
                Budget::Pairs => ["pairs seen by the loss", "pairs"],
                Budget::DeviceHours => ["device-hours", "device-hours"],
            };
            let matched = match matched {
                true => ", the most that all completed runs spent",
                false => "",
            };
            // Runs are evaluated when they are, and not when a budget ends.
            let between = match asked.spent {
                Some([low, high]) if grouped(low) == grouped(high) => {
                    format!(", at {} {size}", grouped(low))
                }
                Some([low, high]) => {
                    format!(", at {} to {} {size}", grouped(low), grouped(high))
                }
                None => String::new(),
            };
            Some(format!(
                "each run at its last {measured} within {} {what}{matched}{between}",
                grouped(amount)
            ))
        }
    }
}

/// The mark behind a mean for people: ` =`, or ` ?` where the best one could be tested and the cell could not. Where there
/// is a baseline the differences are marked.
pub(super) fn sign(table: &Table, mark: Mark) -> &'static str {
    match mark {
        Mark::Tied if table.against.is_none() => " =",
        Mark::Untested if is_tested(table) => " ?",
        _ => "",
    }
}

/// Whether the best cell of `table` has the two seeds that a test takes.
fn is_tested(table: &Table) -> bool {
    let mut cells = table.cells.iter().flatten();
    cells.any(|cell| cell.mark == Mark::Best && cell.samples.len() > 1)
}

/// What the marks of means mean, where there are some; `best` is how the best cell is marked.
pub(super) fn marks(table: &Table, best: &str) -> Option<String> {
    let mut words = vec![best.to_owned()];
    let test = test(table);
    if !is_tested(table) {
        words.push("one seed is no test".into());
    } else if !test.is_empty() {
        words.push(format!("= not distinguishable from the best ({test})"));
    }
    if is_tested(table) && has(table, Mark::Untested) {
        words.push("? too few seeds to test".into());
    }
    has(table, Mark::Best).then(|| words.join("; "))
}

/// The baseline as words, and what the differences to it mean; none where nothing is compared with one.
pub(super) fn differences(table: &Table) -> Option<(&str, String)> {
    let against = table.against.as_deref()?;
    let others = [
        Mark::Better,
        Mark::Worse,
        Mark::Differs,
        Mark::Tied,
        Mark::Untested,
    ];
    if !others.into_iter().any(|mark| has(table, mark)) {
        return None;
    }
    let mut words = Vec::new();
    if !test(table).is_empty() {
        words.push(format!(
            "difference [its 95 % interval, by itself]; = not distinguishable from the baseline ({})",
            test(table)
        ));
    }
    if has(table, Mark::Untested) {
        words.push("? too few seeds to test, here or of the baseline".into());
    }
    Some((against, words.join("; ")))
}

fn has(table: &Table, mark: Mark) -> bool {
    table.cells.iter().flatten().any(|cell| cell.mark == mark)
}

/// How cells were tested; empty where none was.
fn test(table: &Table) -> &'static str {
    let uses = |test| {
        let mut cells = table.cells.iter().flatten();
        cells.any(|cell| cell.comparison.is_some_and(|c| c.test == test))
    };
    match (uses(Test::Paired), uses(Test::Welch)) {
        (true, false) => "paired t over seeds, Holm, 5 %",
        (false, true) => "Welch's t, Holm, 5 %",
        (true, true) => "paired t over seeds where two are shared, else Welch's t, Holm, 5 %",
        (false, false) => "",
    }
}

/// Where the numbers in brackets come from, if there are some.
pub fn sources(table: &Table) -> Option<String> {
    let reported = table
        .cells
        .iter()
        .flatten()
        .filter_map(|cell| cell.reported.as_ref());
    let sources: BTreeSet<String> = reported
        .map(|reported| format!("{}: {}", reported.source, reported.what))
        .collect();
    let sources: Vec<String> = sources.into_iter().collect();
    (!sources.is_empty()).then(|| format!("[reported] {}", sources.join("; ")))
}
