//! What stands at the foot of a figure: over how many seeds, which interval, when runs were asked, what is missing, whose
//! numbers are beside.

use std::collections::BTreeSet;

use super::super::legend;
use crate::analysis::{Asked, Curve, Figure, Interval, Plot, Table};
use crate::util::capital;

/// More gaps than this are counted and not named.
const NAMED: usize = 4;

/// `cut`: whether ends of intervals lie beyond the panel.
pub fn sentences(figure: &Figure, cut: bool) -> Vec<String> {
    let mut said = Vec::new();
    match &figure.plot {
        Plot::Line { table, .. } | Plot::Bars(table) => {
            let most = table.cells.iter().flatten().map(|cell| cell.n);
            let measured: BTreeSet<u32> = most.filter(|n| *n > 0).collect();
            said.push(over_seeds(&measured, interval(table.interval)));
            said.extend(moment(&table.asked));
            said.extend(gaps(table));
            said.extend(sources(table));
        }
        Plot::Effects(effects) => {
            let levels = effects.axes.iter().flat_map(|axis| &axis.levels);
            let pairs = effects.interactions.iter().map(|pair| &pair.effect);
            let all = levels.map(|level| &level.effect).chain(pairs);
            let seeds: BTreeSet<u32> = all.map(|effect| effect.n).filter(|n| *n > 0).collect();
            said.push(format!(
                "Differences at the same positions of all other axes and the same seeds. {}",
                over_seeds(&seeds, interval(Interval::T))
            ));
            said.extend(moment(&effects.asked));
            let dropped = effects.axes.iter().map(|axis| axis.matched.dropped).max();
            said.extend(dropped.filter(|n| *n > 0).map(|n| {
                format!("Positions that lack a level are left out, at most {n} of an axis.")
            }));
        }
        Plot::Curves(curves) => {
            if curves.are_raw() {
                said.push("Each run by itself.".into());
            }
            if curves.spikes {
                let found: usize = curves.lines.iter().map(|line| line.spikes.len()).sum();
                said.push(match found {
                    0 => "No loss spikes were found.".into(),
                    1 => "One loss spike, marked where it began.".into(),
                    n => format!("{n} loss spikes, marked where they began."),
                });
            }
            if !curves.are_raw() {
                let seeds = curves.lines.iter().map(|line| line.n).filter(|n| *n > 0);
                let shown = format!("bands: {}", interval(Interval::T));
                said.push(over_seeds(&seeds.collect(), &shown));
            }
            said.extend(unfinished(&curves.lines));
        }
    }
    if cut {
        said.push("Intervals that leave the panel are cut.".into());
    }
    said
}

fn interval(interval: Interval) -> &'static str {
    match interval {
        Interval::T => "95 % interval (Student’s t)",
        Interval::Bootstrap => "95 % interval (bootstrap over seeds)",
    }
}

/// `Mean over n = 3 seeds; 95 % interval (Student’s t).`
fn over_seeds(seeds: &BTreeSet<u32>, interval: &str) -> String {
    match (seeds.first(), seeds.last()) {
        (Some(1), Some(1)) => "One seed, so no interval.".into(),
        (Some(least), Some(most)) if least == most => {
            format!("Mean over n = {most} seeds; {interval}.")
        }
        (Some(least), Some(most)) => format!("Mean over n = {least}–{most} seeds; {interval}."),
        _ => "Nothing is measured yet.".into(),
    }
}

/// When runs were asked; at the end goes without saying.
fn moment(asked: &Asked) -> Option<String> {
    let words = legend::moment(asked)?;
    Some(format!("{}.", capital(&words)))
}

/// Which cells lack runs, and why.
fn gaps(table: &Table) -> Option<String> {
    let rows = table.rows.iter().zip(&table.cells);
    let cells = rows.flat_map(|(row, cells)| {
        let columns = table.columns.iter().zip(cells);
        columns.map(move |(column, cell)| (row, column, cell))
    });
    let partial: Vec<String> = cells
        .filter(|(_, _, cell)| cell.expected > 0 && cell.is_partial())
        .map(|(row, column, cell)| {
            let why = [
                (cell.diverged, "diverged"),
                (cell.failed, "failed"),
                (cell.missing, "missing"),
            ];
            let why: Vec<String> = why
                .iter()
                .filter(|(n, _)| *n > 0)
                .map(|(n, how)| format!("{n} of {} {how}", cell.expected))
                .collect();
            let place = match (table.row_axis.is_empty(), table.column_axis.is_empty()) {
                (true, true) => String::new(),
                (false, true) => format!("{row}: "),
                (true, false) => format!("{column}: "),
                (false, false) => format!("{column} at {row}: "),
            };
            format!("{place}{}", why.join(", "))
        })
        .collect();
    if partial.is_empty() {
        return None;
    }
    let named = partial[..partial.len().min(NAMED)].join("; ");
    Some(match partial.len().saturating_sub(NAMED) {
        0 => format!("Runs not in the means: {named}."),
        more => format!("Runs not in the means: {named}; and in {more} more cells."),
    })
}

/// Whose the empty markers are.
fn sources(table: &Table) -> Option<String> {
    let cells = table.cells.iter().flatten();
    let reported = cells.filter_map(|cell| cell.reported.as_ref());
    let sources: BTreeSet<String> = reported
        .map(|reported| match reported.what.is_empty() {
            true => reported.source.clone(),
            false => format!("{}, {}", reported.source, reported.what),
        })
        .collect();
    let sources: Vec<String> = sources.into_iter().collect();
    (!sources.is_empty()).then(|| format!("Reported: {}.", sources.join("; ")))
}

/// What of the curves is still to come, and what broke off.
fn unfinished(lines: &[Curve]) -> Option<String> {
    let sum = |count: fn(&Curve) -> u32| lines.iter().map(count).sum::<u32>();
    let (expected, begun) = (sum(|line| line.expected), sum(|line| line.n));
    let counts = [
        (expected - begun, "not begun"),
        (sum(|line| line.unfinished), "not done"),
        (sum(|line| line.diverged.len() as u32), "diverged (×)"),
    ];
    let words: Vec<String> = counts
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, how)| format!("{n} {how}"))
        .collect();
    (!words.is_empty()).then(|| format!("Of {expected} runs: {}.", words.join(", ")))
}
