//! What an answer is shown as before it is of any format: headings, rows of words, and what stands below them. Formats put
//! their rules around it.

use super::legend::{differences, legend, marks, sign};
use super::number::Scale;
use super::{VERSION, legend::interval};
use crate::analysis::{Cell, MOST_SEEDS, Mark, Needed, Resolution, Table, sd_reach};

/// Words in rows, the first of them the heading, with what stands above and below.
pub(super) struct Words {
    pub heading: String,
    pub rows: Vec<Vec<String>>,
    /// What the numbers are, and what the marks mean.
    pub below: Vec<String>,
}

/// What `table` is shown as: its means and, where these are compared with a baseline, the differences to it. `best` marks
/// the best cell, as `best_is` says.
pub(super) fn words(
    table: &Table,
    escape: fn(&str) -> String,
    best: impl Fn(String) -> String,
    best_is: &str,
) -> Vec<Words> {
    let scale = Scale::of(&table.metric);
    let mean = |cell: &Cell| {
        let text = escape(&show(cell, scale));
        match cell.mark {
            Mark::Best => best(text),
            mark => text + sign(table, mark),
        }
    };
    let means = Words {
        heading: heading(table),
        rows: rows(table, escape, mean),
        below: [Some(legend(table)), marks(table, best_is)]
            .into_iter()
            .flatten()
            .collect(),
    };
    let differences = differences(table).map(|(against, below)| Words {
        heading: format!("{}: difference to {against}", heading(table)),
        rows: rows(table, escape, |cell| escape(&show_difference(cell, scale))),
        below: vec![below],
    });
    let resolution =
        (table.resolution.as_ref()).map(|resolution| resolution_words(table, resolution, escape));
    [Some(means), differences, resolution]
        .into_iter()
        .flatten()
        .collect()
}

/// How many seeds each comparison would take.
fn resolution_words(table: &Table, resolution: &Resolution, escape: fn(&str) -> String) -> Words {
    let scale = Scale::of(&table.metric);
    let head = ["cell", "sd of differences", "seeds now", "seeds in all"];
    let row = |needed: &Needed| {
        let Needed {
            row,
            column,
            pairs,
            sd,
            seeds,
        } = needed;
        let seeds = seeds.map_or_else(|| format!("over {MOST_SEEDS}"), |n| n.to_string());
        let words = [
            format!("{row} / {column}"),
            scale.spread(*sd),
            pairs.to_string(),
            seeds,
        ];
        words.map(|word| escape(&word)).to_vec()
    };
    let fewest = resolution.cells.iter().map(|needed| needed.pairs).min();
    let rough = fewest.and_then(|pairs| Some((pairs, sd_reach(pairs)?)));
    let below = match rough {
        None => "no cell is compared by pairs of seeds: it takes two seeds of both".into(),
        Some((pairs, [low, high])) => {
            let too_few = match pairs {
                ..5 => ": too few for these numbers to mean much",
                _ => "",
            };
            format!(
                "seeds at which a paired t-test at 5 %, two-sided, sees the difference in 80 % of cases, one comparison by \
                 itself; an sd of {pairs} seeds may be {low:.2} to {high:.2} times what was seen (95 %){too_few}"
            )
        }
    };
    Words {
        heading: format!(
            "{}: seeds that tell a difference of {} from {}",
            heading(table),
            scale.spread(resolution.difference),
            table.against.as_deref().unwrap_or("the best")
        ),
        rows: std::iter::once(head.map(escape).to_vec())
            .chain(resolution.cells.iter().map(row))
            .collect(),
        below: vec![below],
    }
}

fn rows(
    table: &Table,
    escape: fn(&str) -> String,
    show: impl Fn(&Cell) -> String,
) -> Vec<Vec<String>> {
    let head = std::iter::once(&corner(table))
        .chain(&table.columns)
        .map(|word| escape(word))
        .collect();
    let body = table.rows.iter().zip(&table.cells).map(|(label, cells)| {
        std::iter::once(escape(label))
            .chain(cells.iter().map(&show))
            .collect()
    });
    std::iter::once(head).chain(body).collect()
}

/// How a cell of `table` stands to the one that it is compared with, as people read it; none where it was not.
pub fn comparison(table: &Table, cell: &Cell) -> Option<String> {
    let found = cell.comparison?;
    let scale = Scale::of(&table.metric);
    Some(format!(
        "{} to {}: {}, p = {:.3} after Holm's correction",
        scale.difference(found.difference, Some(found.half_width)),
        table.against.as_deref().unwrap_or("the best"),
        verdict(cell.mark),
        found.adjusted
    ))
}

/// `+3.2 [1.1, 5.3] better`, `-0.4 [-2.0, 1.2] =`, `?`, `baseline`.
fn show_difference(cell: &Cell, scale: Scale) -> String {
    match (cell.mark, cell.comparison) {
        (Mark::Baseline, _) => "baseline".into(),
        (mark, Some(found)) => {
            let difference = scale.difference(found.difference, Some(found.half_width));
            let verdict = match mark {
                Mark::Tied => "=",
                mark => verdict(mark),
            };
            format!("{difference} {verdict}")
        }
        _ if cell.mean.is_some() => "?".into(),
        _ if cell.expected == 0 => "excluded".into(),
        _ => "missing".into(),
    }
}

fn verdict(mark: Mark) -> &'static str {
    match mark {
        Mark::Better => "better",
        Mark::Worse => "worse",
        Mark::Differs => "differs",
        Mark::Tied => "not distinguishable",
        Mark::None | Mark::Best | Mark::Baseline | Mark::Untested => "",
    }
}

/// A cell for people: `52.3 ± 1.2`, `51.0 (1/3, 2 diverged)`, `missing (0/3)`,
/// `none (0/3, 3 failed)`, `excluded`.
pub(super) fn show(cell: &Cell, scale: Scale) -> String {
    if cell.expected == 0 {
        return "excluded".into();
    }
    let mean = match scale.show(cell) {
        Some(mean) => mean,
        None if cell.missing > 0 => "missing".into(),
        None => "none".into(),
    };
    let lost = [(cell.diverged, "diverged"), (cell.failed, "failed")];
    let lost: String = lost
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, how)| format!(", {n} {how}"))
        .collect();
    let partial = if cell.is_partial() {
        format!(" ({}/{}{lost})", cell.n, cell.expected)
    } else {
        String::new()
    };
    // Never part of the mean: a number in brackets is somebody else's.
    let reported = cell.reported.as_ref();
    let reported = reported.map_or_else(String::new, |reported| {
        format!(" [{}]", scale.alone(reported.value))
    });
    mean + &partial + &reported
}

/// Where a table is from, line by line: version, experiment, and the runs behind each cell.
pub(super) fn origin(table: &Table) -> Vec<String> {
    let mut lines = vec![format!(
        "siglab {VERSION}, {}, intervals {}",
        table.experiment,
        interval(table.interval)
    )];
    for (row, cells) in table.rows.iter().zip(&table.cells) {
        for (column, cell) in table.columns.iter().zip(cells) {
            let runs: Vec<&str> = cell.samples.iter().map(|s| s.run.as_str()).collect();
            if !runs.is_empty() {
                let n = runs.len();
                lines.push(format!(
                    "{row} / {column}: n = {n}, runs {}",
                    runs.join(" ")
                ));
            }
        }
    }
    lines
}

/// `optim.lr = 0.001`: what holds for the whole table.
fn heading(table: &Table) -> String {
    let given: Vec<String> = table
        .given
        .iter()
        .map(|(axis, label)| format!("{axis} = {label}"))
        .collect();
    if given.is_empty() {
        table.title.clone()
    } else {
        format!("{} ({})", table.title, given.join("; "))
    }
}

/// The table's corner: `train.batch_size / loss.kind`.
fn corner(table: &Table) -> String {
    if table.column_axis.is_empty() {
        table.row_axis.clone()
    } else {
        format!("{} / {}", table.row_axis, table.column_axis)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Format, cell, example, write};
    use super::*;
    use crate::analysis::{Sheet, Test};

    #[test]
    fn a_reported_number_stands_in_brackets_with_its_source_below() {
        let mut table = example();
        table.cells[0][0].reported = Some(crate::analysis::Reported {
            value: 0.63,
            source: "SigLIP, table 4".into(),
            what: "ImageNet".into(),
        });
        assert_eq!(cell(&table, &table.cells[0][0]), "52.3 ± 1.2 [63.0]");
        assert!(legend(&table).ends_with("; [reported] SigLIP, table 4: ImageNet"));
    }

    #[test]
    fn differences_to_a_baseline_are_a_table_of_their_own() {
        let mut table = example();
        table.against = Some("loss.kind = softmax".into());
        for cells in &mut table.cells {
            cells[1].mark = Mark::Baseline;
            cells[1].comparison = None;
        }
        table.cells[0][0].comparison = table.cells[1][0].comparison;
        table.cells[0][0].mark = Mark::Better;
        let text = write(&[Sheet::Table(table)], Format::Text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (_, differences) = text.split_once("seeds; ").unwrap();
        insta::assert_snapshot!(differences, @r"
        (n/expected) where runs are missing

        Zero-shot | top-1 (optim.lr = 0.001): difference to loss.kind = softmax

        train.batch_size / loss.kind  sigmoid                  softmax
        64                            -1.0 [-2.5, 0.5] better  baseline
        128                           -1.0 [-2.5, 0.5] =       baseline
        =1+2                          missing                  baseline

        difference [its 95 % interval, by itself]; = not distinguishable from the
        baseline (paired t over seeds, Holm, 5 %)
        ");
    }

    #[test]
    fn what_a_difference_takes_is_a_table_of_its_own() {
        let mut table = example();
        table.resolution = Some(crate::analysis::resolve(&table, 0.01));
        let text = write(&[Sheet::Table(table)], Format::Text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let (_, resolution) = text.split_once("to test\n\n").unwrap();
        insta::assert_snapshot!(resolution, @r"
        Zero-shot | top-1 (optim.lr = 0.001): seeds that tell a difference of 1.00 from the best

        cell           sd of differences  seeds now  seeds in all
        128 / sigmoid  0.600              3          6
        128 / softmax  0.600              3          6

        seeds at which a paired t-test at 5 %, two-sided, sees the difference in 80 % of
        cases, one comparison by itself; an sd of 3 seeds may be 0.52 to 6.28 times what
        was seen (95 %): too few for these numbers to mean much
        ");
    }

    #[test]
    fn tables_and_effects_do_not_share_columns() {
        let effects = crate::analysis::Effects {
            experiment: String::new(),
            metric: "loss".into(),
            asked: crate::analysis::Asked::default(),
            interval: crate::analysis::Interval::T,
            axes: Vec::new(),
            interactions: Vec::new(),
            baseline: None,
            variance: None,
            runs: Vec::new(),
        };
        let both = [Sheet::Table(example()), Sheet::Effects(effects)];
        let error = write(&both, Format::Csv).unwrap_err();
        assert!(error.to_string().contains("--report N"), "{error}");
        assert!(write(&both, Format::Json).is_ok());
    }

    #[test]
    fn runs_that_ended_without_a_result_are_not_called_missing() {
        let cell = Cell {
            expected: 2,
            diverged: 1,
            failed: 1,
            ..Cell::default()
        };
        assert_eq!(
            show(&cell, Scale::Plain),
            "none (0/2, 1 diverged, 1 failed)"
        );
    }

    #[test]
    fn marks_are_explained_as_far_as_there_are_any() {
        let mut table = example();
        let of = |table: &Table| marks(table, "* best");
        for cell in table.cells.iter_mut().flatten() {
            cell.samples.truncate(1);
            cell.comparison = None;
        }
        assert_eq!(of(&table).unwrap(), "* best; one seed is no test");
        table.cells[0][0].mark = Mark::None;
        assert_eq!(of(&table), None);
        let mut welch = example();
        for comparison in welch
            .cells
            .iter_mut()
            .flatten()
            .flat_map(|c| &mut c.comparison)
        {
            comparison.test = Test::Welch;
        }
        assert_eq!(
            of(&welch).unwrap(),
            "* best; = not distinguishable from the best (Welch's t, Holm, 5 %); ? too few seeds to test"
        );
    }
}
