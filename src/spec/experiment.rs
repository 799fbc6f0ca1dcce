//! An experiment file, read and checked key by key: one question, the settings that all its runs share, and the
//! axes along which they differ. What the axes make together is [`super::Grid`]'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::claim::{self, Claim, Conditions};
use super::design::Design;
use super::error::SpecError;
use super::grid::Cell;
use super::path;
use super::prerequisite::{Prerequisite, stand_in};
use super::problem::Problem;
use super::report::{Report, ReportKind};
use super::schema::Schema;
use super::sections;
use super::source::{self, Place};

#[derive(Clone, Debug)]
pub struct Experiment {
    pub path: PathBuf,
    pub question: String,
    /// What somebody expected before it was run; empty where nobody said.
    pub prediction: String,
    /// What all cells share; a later setting of the same key wins.
    pub base: Vec<Setting>,
    /// `[axes]` in the order of the file, then each `[[zip]]`.
    pub axes: Vec<Axis>,
    pub excludes: Vec<Exclude>,
    pub seeds: Vec<u64>,
    /// Which cells of the full product there are.
    pub design: Design,
    pub reports: Vec<Report>,
    pub reported: Vec<Reported>,
    pub claims: Vec<Claim>,
    pub(super) design_at: Place,
    pub(super) prerequisites: Vec<Prerequisite>,
    pub(super) schema: Schema,
}

/// One leaf and where it was said.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    pub key: String,
    pub value: Value,
    pub at: Place,
}

/// One way in which cells differ: a key and its values, or several keys that move together.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    pub keys: Vec<String>,
    pub points: Vec<Point>,
    pub(super) section: &'static str,
    pub(super) at: Place,
}

/// One position on an axis: a value for each of its keys.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    pub values: Vec<Value>,
    pub(super) at: Vec<Place>,
}

/// Cells that are left out: those with all these values.
#[derive(Clone, Debug, PartialEq)]
pub struct Exclude {
    pub when: Vec<Setting>,
    pub at: Place,
}

/// Numbers that somebody else measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Reported {
    /// Where they stand: `SigLIP (arXiv 2303.15343), table 4`.
    pub source: String,
    /// What they are of, in the source's words.
    pub what: String,
    /// The measurement here that they are set beside.
    pub metric: String,
    /// Settings, and the value at cells that have them.
    pub values: Vec<(Conditions, f64)>,
}

impl Reported {
    /// The number for a cell; none for settings that nobody reports. The first that fits holds.
    pub fn value_of(&self, cell: &Cell) -> Option<f64> {
        let fits = self.values.iter().find(|(when, _)| cell.meets(when));
        fits.map(|(_, value)| *value)
    }
}

impl Axis {
    /// The axis as a heading: its keys.
    pub fn name(&self) -> String {
        self.keys.join(", ")
    }

    /// Its positions as numbers, where it has one key and all values of that are some.
    pub fn numbers(&self) -> Option<Vec<f64>> {
        let numbers = self.points.iter().map(|point| point.values[0].as_f64());
        if self.keys.len() == 1 {
            numbers.collect()
        } else {
            None
        }
    }
}

impl Point {
    pub(super) fn value_at(&self, index: usize, rest: &str) -> Option<&Value> {
        if rest.is_empty() {
            Some(&self.values[index])
        } else {
            path::get(&self.values[index], rest)
        }
    }

    /// The position as the label of a row or column: its values.
    pub fn label(&self) -> String {
        self.values
            .iter()
            .map(path::label)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Exclude {
    /// The condition as words.
    pub fn label(&self) -> String {
        let when = self.when.iter();
        claim::words(when.map(|setting| (setting.key.as_str(), &setting.value)))
    }
}

impl Experiment {
    /// Read `file`; `sets` (`--set key=value`) go on top of its `[base]`.
    pub fn load(file: &Path, sets: &[(String, String)]) -> Result<Self, SpecError> {
        Self::parse(file, &source::read_text(file)?, sets)
    }

    /// [`Experiment::load`] of a text that is already there.
    pub fn parse(file: &Path, text: &str, sets: &[(String, String)]) -> Result<Self, SpecError> {
        let document = source::parse(file, text)?;
        let mut experiment = sections::read(file, &document)?;
        experiment.set(sets)?;
        experiment.check()?;
        Ok(experiment)
    }

    /// The names of `[runs.NAME]`.
    pub fn prerequisite_names(&self) -> impl Iterator<Item = &str> {
        self.prerequisites.iter().map(|run| run.name.as_str())
    }

    /// The axis that has `key`.
    pub fn axis_of(&self, key: &str) -> Option<usize> {
        self.axes
            .iter()
            .position(|axis| axis.keys.iter().any(|k| k == key))
    }

    /// The axes that `conditions` speak of.
    pub fn axes_in(&self, conditions: &[(String, Value)]) -> BTreeSet<usize> {
        let axis = |(key, _): &(String, Value)| self.locate(key).map(|(axis, ..)| axis);
        conditions.iter().filter_map(axis).collect()
    }

    /// Where a cell's value of `key` comes from: an axis, which of its keys, and the rest of the path inside its value.
    pub(super) fn locate<'k>(&self, key: &'k str) -> Option<(usize, usize, &'k str)> {
        let keys = self.axes.iter().enumerate().flat_map(|(axis, a)| {
            a.keys
                .iter()
                .enumerate()
                .map(move |(index, k)| (axis, index, k))
        });
        let around = keys.filter(|(_, _, k)| *k == key || path::is_inside(key, k));
        around
            .max_by_key(|(_, _, k)| k.len())
            .map(|(axis, index, k)| (axis, index, key[k.len()..].trim_start_matches('.')))
    }

    /// The values that the axes give `key`.
    pub(super) fn values_at(&self, key: &str) -> Vec<&Value> {
        let Some((axis, index, rest)) = self.locate(key) else {
            return Vec::new();
        };
        self.axes[axis]
            .points
            .iter()
            .filter_map(|point| point.value_at(index, rest))
            .collect()
    }

    /// The reports of the file of some kinds.
    pub fn asked(&self, wanted: impl Fn(ReportKind) -> bool) -> Vec<Report> {
        let reports = self.reports.iter();
        reports
            .filter(|report| wanted(report.kind))
            .cloned()
            .collect()
    }

    /// The tables to show: those asked for, or the first two axes over zero-shot accuracy.
    pub fn tables(&self) -> Vec<Report> {
        let tables = self.asked(|kind| kind == ReportKind::Table);
        if tables.is_empty() {
            let axis = |index| (index < self.axes.len()).then_some(index);
            vec![Report::table(axis(0), axis(1), "zeroshot/top1")]
        } else {
            tables
        }
    }

    /// The reports to show in words and numbers, each with its number in the file, from 1: those that are not drawn, and
    /// where there is none [`Experiment::tables`].
    pub fn sheets(&self) -> Vec<(Option<usize>, Report)> {
        let numbered = (1..).zip(&self.reports);
        let in_words =
            |report: &Report| matches!(report.kind, ReportKind::Table | ReportKind::Effects);
        let asked = numbered.filter(|(_, report)| in_words(report));
        let sheets: Vec<_> = asked
            .map(|(number, report)| (Some(number), report.clone()))
            .collect();
        match sheets.is_empty() {
            true => self
                .tables()
                .into_iter()
                .map(|table| (None, table))
                .collect(),
            false => sheets,
        }
    }

    /// [`Experiment::sheets`], or report `number` of the file, or one as flags ask for it, with the first for what they leave
    /// open. Figures are tables here: what they are drawn from.
    pub fn sheets_with(
        &self,
        number: Option<usize>,
        rows: Option<&str>,
        columns: Option<&str>,
        metric: Option<&str>,
    ) -> Result<Vec<Report>, SpecError> {
        let mut reports: Vec<Report> = match number {
            Some(number) => {
                let report = number.checked_sub(1).and_then(|at| self.reports.get(at));
                let report = report.ok_or_else(|| {
                    let count = self.reports.len();
                    let problem = format!("--report {number} is none of its {count} [[report]]s");
                    let expected = match count {
                        0 => "the file without --report".to_owned(),
                        count => format!("1 to {count}"),
                    };
                    self.error(Place::File, "report", &problem, &expected)
                })?;
                vec![report.clone()]
            }
            None => self
                .sheets()
                .into_iter()
                .map(|(_, report)| report)
                .collect(),
        };
        if rows.or(columns).or(metric).is_some() {
            reports.truncate(1);
        }
        if rows.or(columns).is_some() {
            reports
                .iter_mut()
                .for_each(|report| report.kind = ReportKind::Table);
        }
        for report in &mut reports {
            let before = (report.rows, report.columns);
            if let Some(key) = rows {
                report.rows = Some(self.axis_flag("rows", key)?);
                // The axis that was taken from the columns leaves its place to the one that it displaced.
                report.columns = if report.rows == before.1 {
                    before.0
                } else {
                    before.1
                };
            }
            if let Some(key) = columns {
                report.columns = Some(self.axis_flag("columns", key)?);
                if report.columns == report.rows {
                    report.rows = if rows.is_some() { None } else { before.1 };
                }
            }
            if let Some(metric) = metric {
                report.title = None;
                report.metrics = vec![metric.to_owned()];
            }
        }
        Ok(reports)
    }

    /// The axis that the flag `--rows` or `--columns` names.
    pub fn axis_flag(&self, flag: &str, key: &str) -> Result<usize, SpecError> {
        self.axis_of(key).ok_or_else(|| {
            let known: Vec<&str> = self.axis_keys().collect();
            let problem = format!("--{flag} {key} names no axis of this file");
            self.error(
                Place::File,
                key,
                &problem,
                &format!("one of {}", known.join(", ")),
            )
        })
    }

    /// The figures to draw: those asked for, or else the tables as figures.
    pub fn figures(&self) -> Vec<Report> {
        let figures = self.asked(ReportKind::is_figure);
        if figures.is_empty() {
            let tables = self.tables();
            tables.into_iter().map(|table| self.drawn(table)).collect()
        } else {
            figures
        }
    }

    /// `report` as a figure: a table is a line over numbers, bars over words, and curves without an axis to run along.
    pub fn drawn(&self, report: Report) -> Report {
        let ReportKind::Table = report.kind else {
            return report;
        };
        let (rows, columns) = match report.rows {
            None => (report.columns, None),
            rows => (rows, report.columns),
        };
        let kind = match rows.map(|axis| self.axes[axis].numbers()) {
            None => ReportKind::Curves,
            Some(Some(_)) => ReportKind::Line,
            Some(None) => ReportKind::Bars,
        };
        Report {
            kind,
            rows,
            columns,
            ..report
        }
    }

    /// Every key that some axis has.
    pub(super) fn axis_keys(&self) -> impl Iterator<Item = &str> {
        self.axes
            .iter()
            .flat_map(|axis| axis.keys.iter().map(String::as_str))
    }

    fn set(&mut self, sets: &[(String, String)]) -> Result<(), SpecError> {
        for (key, text) in sets {
            let value = source::parse_flag(key, text)?;
            let name = key
                .strip_prefix("runs.")
                .and_then(|rest| rest.split_once('.'));
            let named = name.and_then(|(name, rest)| {
                Some((
                    self.prerequisites.iter_mut().find(|run| run.name == name)?,
                    rest,
                ))
            });
            let (settings, key) = match named {
                Some((run, key)) => (&mut run.settings, key),
                None => (&mut self.base, key.as_str()),
            };
            settings.retain(|setting| setting.key != key && !path::is_inside(&setting.key, key));
            settings.push(Setting {
                key: key.to_owned(),
                value,
                at: Place::Flag,
            });
        }
        Ok(())
    }

    /// Each key and value on its own; what they make together is checked cell by cell.
    fn check(&self) -> Result<(), SpecError> {
        for setting in &self.base {
            self.check_value(setting.at, "base", &setting.key, &setting.value)?;
            self.check_used(setting)?;
        }
        for run in &self.prerequisites {
            for setting in &run.settings {
                self.check_value(
                    setting.at,
                    &format!("runs.{}", run.name),
                    &setting.key,
                    &setting.value,
                )?;
            }
        }
        let mut seen = BTreeSet::new();
        for axis in &self.axes {
            for (index, key) in axis.keys.iter().enumerate() {
                if !seen.insert(key) {
                    return Err(self.error(
                        axis.at,
                        &shown(axis.section, key),
                        "is an axis already",
                        "each key in one axis or zip",
                    ));
                }
                for point in &axis.points {
                    self.check_value(point.at[index], axis.section, key, &point.values[index])?;
                }
            }
            let mut values = BTreeSet::new();
            if let Some(twice) = axis.points.iter().find(|point| {
                !values.insert(
                    point
                        .values
                        .iter()
                        .map(Value::to_string)
                        .collect::<Vec<_>>(),
                )
            }) {
                return Err(self.error(
                    twice.at[0],
                    &shown(axis.section, &axis.name()),
                    &format!("{} is there twice", twice.label()),
                    "each value once; repetitions are `[seeds]`",
                ));
            }
        }
        Ok(())
    }

    /// A setting of the base that an axis replaces in every cell would change nothing.
    fn check_used(&self, setting: &Setting) -> Result<(), SpecError> {
        let Some((axis, index, "")) = self.locate(&setting.key) else {
            return Ok(());
        };
        if setting.at == Place::Flag {
            return Err(self.error(
                Place::Flag,
                &setting.key,
                "is an axis of this file, so the flag would change nothing",
                "a key that is no axis",
            ));
        }
        let Axis {
            points, section, ..
        } = &self.axes[axis];
        let values = points
            .first()
            .map_or(Place::File, |point| point.at[index])
            .show(&self.path);
        Err(self.error(
            setting.at,
            &shown("base", &setting.key),
            &format!("is an axis too, with its values in [{section}] at {values}"),
            "the key in one of the two",
        ))
    }

    fn check_value(
        &self,
        at: Place,
        section: &str,
        key: &str,
        value: &Value,
    ) -> Result<(), SpecError> {
        if key == "seed" && !section.starts_with("runs") {
            return Err(self.error(
                at,
                &shown(section, key),
                "seeds are not a setting of the grid",
                "a section `[seeds]` with `count` or `values`",
            ));
        }
        let with_ids = stand_in(key, value);
        self.schema
            .check(key, &with_ids)
            .map_err(|problem| self.problem(at, section, problem))
    }

    pub(super) fn problem(
        &self,
        at: Place,
        section: &str,
        Problem {
            key,
            problem,
            expected,
        }: Problem,
    ) -> SpecError {
        self.error(
            at,
            &if at == Place::Flag {
                key
            } else {
                shown(section, &key)
            },
            &problem,
            &expected,
        )
    }

    pub(super) fn error(&self, at: Place, key: &str, problem: &str, expected: &str) -> SpecError {
        SpecError::setting(&self.path, at, key, problem, expected)
    }
}

/// A key as the file has it: `base.optim.lr`, `axes."optim.lr"`.
pub(super) fn shown(section: &str, key: &str) -> String {
    match section {
        "axes" | "zip" | "exclude" | "report" | "reported" | "claim" => {
            format!("{section}.\"{key}\"")
        }
        _ => path::join(section, key),
    }
}
