//! The experiment as a list: question, axes, seeds, design, shared settings, exclusions, reports. Each line knows what
//! it is of, so that a key can act on it.

use crate::spec::{Experiment, ReportKind, path, values};

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Item {
    Heading,
    Question,
    /// A key of this axis; the first key stands for the axis.
    Axis {
        key: String,
        first: bool,
    },
    Seeds,
    Design,
    Base {
        key: String,
    },
    /// Position among the excludes.
    Exclude(usize),
    /// To be seen here and edited in the file.
    Other,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub item: Item,
    pub name: String,
    pub value: String,
}

fn line(item: Item, name: impl Into<String>, value: impl Into<String>) -> Line {
    Line {
        item,
        name: name.into(),
        value: value.into(),
    }
}

fn heading(name: &str) -> Line {
    line(Item::Heading, name, "")
}

/// The design as it is typed: its kind and its keys.
pub(super) fn design(experiment: &Experiment) -> String {
    let entries = experiment
        .design
        .entries()
        .into_iter()
        .map(|(key, value)| format!(" {key}={}", values::show_one(&value)));
    format!(
        "{}{}",
        experiment.design.kind(),
        entries.collect::<String>()
    )
}

/// The lines of an experiment.
pub(super) fn lines(experiment: &Experiment) -> Vec<Line> {
    let mut lines = Vec::new();
    let question = if experiment.question.is_empty() {
        "Enter asks one"
    } else {
        &experiment.question
    };
    lines.push(line(Item::Question, "question", question));
    lines.push(heading("Axes"));
    for axis in &experiment.axes {
        for (n, key) in axis.keys.iter().enumerate() {
            let values = axis
                .points
                .iter()
                .map(|point| path::label(&point.values[n]));
            let tie = match (axis.keys.len(), n) {
                (1, _) => "",
                (_, 0) => "⎡ ",
                (count, n) if n + 1 == count => "⎣ ",
                _ => "⎢ ",
            };
            let item = Item::Axis {
                key: key.clone(),
                first: n == 0,
            };
            lines.push(line(
                item,
                format!("{tie}{key}"),
                values.collect::<Vec<_>>().join("  "),
            ));
        }
    }
    if experiment.axes.is_empty() {
        lines.push(line(Item::Other, "", "none yet: a adds one"));
    }
    let seeds: Vec<String> = experiment.seeds.iter().map(u64::to_string).collect();
    lines.push(line(Item::Seeds, "seeds", seeds.join("  ")));
    lines.push(line(Item::Design, "design", design(experiment)));
    if !experiment.excludes.is_empty() {
        lines.push(heading("Left out"));
        for (n, exclude) in experiment.excludes.iter().enumerate() {
            lines.push(line(Item::Exclude(n), "", exclude.label()));
        }
    }
    lines.push(heading("Shared by all cells"));
    for setting in &experiment.base {
        let item = Item::Base {
            key: setting.key.clone(),
        };
        lines.push(line(item, &setting.key, path::label(&setting.value)));
    }
    if experiment.base.is_empty() {
        lines.push(line(Item::Other, "", "the defaults: b changes one"));
    }
    if experiment.prerequisite_names().next().is_some() {
        lines.push(heading("Trained first"));
        lines.extend(
            experiment
                .prerequisite_names()
                .map(|name| line(Item::Other, name, "see the file: t")),
        );
    }
    lines.push(heading("Reports"));
    let tables = experiment.tables();
    let reports = match experiment.reports.is_empty() {
        true => &tables,
        false => &experiment.reports,
    };
    for report in reports {
        let axis =
            |axis: Option<usize>| axis.map_or("-".to_owned(), |axis| experiment.axes[axis].name());
        let along = format!("{} by {}", axis(report.rows), axis(report.columns));
        let value = match report.kind {
            ReportKind::Table => along,
            ReportKind::Effects => "effects".into(),
            kind => format!("{}: {along}", kind.name()),
        };
        lines.push(line(Item::Other, report.metrics.join(", "), value));
    }
    lines
}
