//! The sections of an experiment file, one function each, from the tree to the types of [`super::experiment`].
//! Shapes are checked here; whether a key is a setting, and a value fits it, is not.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::error::SpecError;
use super::experiment::{Axis, Exclude, Experiment, Point, Report, Setting, shown};
use super::grid::LIMIT;
use super::path;
use super::prerequisite::Prerequisite;
use super::schema::Schema;
use super::source::{Node, Place, Tree};

type Result<T> = std::result::Result<T, SpecError>;
type Entry = (String, Place, Node);

const SECTIONS: [&str; 8] = [
    "question", "base", "axes", "zip", "exclude", "seeds", "report", "runs",
];

pub fn read(file: &Path, document: &Node) -> Result<Experiment> {
    let sections = Sections { file };
    let mut experiment = Experiment {
        path: file.to_owned(),
        question: String::new(),
        base: Vec::new(),
        axes: Vec::new(),
        excludes: Vec::new(),
        seeds: vec![0],
        reports: Vec::new(),
        prerequisites: Vec::new(),
        schema: Schema::learn(),
    };
    let mut zips = Vec::new();
    for (name, _, node) in sections.table("", document, &SECTIONS)? {
        match name.as_str() {
            "question" => experiment.question = sections.string(name, node)?,
            "base" => experiment.base = sections.settings(name, node)?,
            "axes" => sections.axes("axes", "", node, &mut experiment.axes)?,
            "zip" => {
                zips = sections
                    .list(name, node)?
                    .iter()
                    .map(|node| sections.zip(node))
                    .collect::<Result<_>>()?
            }
            "seeds" => experiment.seeds = sections.seeds(node)?,
            "runs" => experiment.prerequisites = sections.runs(node)?,
            // These speak of axes, which may come later in the file.
            _ => {}
        }
    }
    experiment.axes.append(&mut zips);
    for (name, _, node) in sections.table("", document, &SECTIONS)? {
        match name.as_str() {
            "exclude" => {
                experiment.excludes = sections
                    .list(name, node)?
                    .iter()
                    .map(|node| sections.exclude(node, &experiment))
                    .collect::<Result<_>>()?
            }
            "report" => {
                experiment.reports = sections
                    .list(name, node)?
                    .iter()
                    .map(|node| sections.report(node, &experiment))
                    .collect::<Result<_>>()?
            }
            _ => {}
        }
    }
    Ok(experiment)
}

struct Sections<'a> {
    file: &'a Path,
}

impl Sections<'_> {
    fn error(
        &self,
        at: Place,
        key: &str,
        problem: impl AsRef<str>,
        expected: impl AsRef<str>,
    ) -> SpecError {
        SpecError::setting(self.file, at, key, problem, expected)
    }

    /// The entries of a table that may have these keys; no keys means any.
    fn table<'n>(&self, key: &str, node: &'n Node, known: &[&str]) -> Result<&'n [Entry]> {
        let Tree::Table(entries) = &node.tree else {
            return Err(self.error(node.at, key, format!("found {}", node.sort()), "a table"));
        };
        match entries
            .iter()
            .find(|(name, ..)| !known.is_empty() && !known.contains(&name.as_str()))
        {
            Some((name, at, _)) => Err(self.error(
                *at,
                &path::join(key, name),
                "is not part of an experiment file",
                format!("one of {}", known.join(", ")),
            )),
            None => Ok(entries),
        }
    }

    fn list<'n>(&self, key: &str, node: &'n Node) -> Result<&'n [Node]> {
        match &node.tree {
            Tree::List(nodes) => Ok(nodes),
            Tree::Table(_) if SECTIONS.contains(&key) => Err(self.error(
                node.at,
                key,
                "found one table",
                format!("double brackets: [[{key}]]"),
            )),
            _ => Err(self.error(
                node.at,
                key,
                format!("found {}", node.sort()),
                "a list: [ .. ]",
            )),
        }
    }

    fn string(&self, key: &str, node: &Node) -> Result<String> {
        match &node.tree {
            Tree::Leaf(Value::String(text)) => Ok(text.clone()),
            _ => Err(self.error(node.at, key, format!("found {}", node.sort()), "a string")),
        }
    }

    fn whole(&self, key: &str, node: &Node) -> Result<u64> {
        match &node.tree {
            Tree::Leaf(value) if value.is_u64() => Ok(value.as_u64().unwrap_or_default()),
            other => {
                let found = if let Tree::Leaf(value) = other {
                    value.to_string()
                } else {
                    node.sort().to_owned()
                };
                Err(self.error(
                    node.at,
                    key,
                    format!("found {found}"),
                    "a whole number from 0 up",
                ))
            }
        }
    }

    /// The leaves of a table of settings, which may be written dotted, quoted or as tables.
    fn settings(&self, section: &str, node: &Node) -> Result<Vec<Setting>> {
        let mut settings: Vec<Setting> = Vec::new();
        self.leaves(section, "", node, node.at, &mut settings)?;
        let mut seen = BTreeSet::new();
        let keys: BTreeSet<&str> = settings
            .iter()
            .map(|setting| setting.key.as_str())
            .collect();
        for Setting { key, at, .. } in &settings {
            let above =
                std::iter::successors(Some(path::parent(key)), |key| Some(path::parent(key)))
                    .take_while(|key| !key.is_empty());
            if let Some(other) = above
                .chain(seen.get(key.as_str()).copied())
                .find(|key| keys.contains(key))
            {
                return Err(self.error(
                    *at,
                    &shown(section, key),
                    format!("is set already, by `{other}`"),
                    "each setting once",
                ));
            }
            seen.insert(key.as_str());
        }
        Ok(settings)
    }

    fn leaves(
        &self,
        section: &str,
        prefix: &str,
        node: &Node,
        at: Place,
        settings: &mut Vec<Setting>,
    ) -> Result<()> {
        match &node.tree {
            Tree::Table(entries) if !entries.is_empty() || prefix.is_empty() => {
                entries.iter().try_for_each(|(name, at, node)| {
                    self.leaves(section, &path::join(prefix, name), node, *at, settings)
                })
            }
            _ if prefix.is_empty() => self.table(section, node, &[]).map(drop),
            _ => {
                settings.push(Setting {
                    key: prefix.to_owned(),
                    value: node.to_value(),
                    at,
                });
                Ok(())
            }
        }
    }

    /// `"loss.kind" = [..]`, or the same key unquoted.
    fn axes(
        &self,
        section: &'static str,
        prefix: &str,
        node: &Node,
        axes: &mut Vec<Axis>,
    ) -> Result<()> {
        for (name, at, node) in self.table(section, node, &[])? {
            let key = path::join(prefix, name);
            match &node.tree {
                Tree::Table(entries) if !entries.is_empty() => {
                    self.axes(section, &key, node, axes)?
                }
                Tree::List(nodes) if !nodes.is_empty() => {
                    let points = nodes
                        .iter()
                        .map(|node| Point {
                            values: vec![node.to_value()],
                            at: vec![node.at],
                        })
                        .collect();
                    axes.push(Axis {
                        keys: vec![key],
                        points,
                        section,
                        at: *at,
                    });
                }
                Tree::List(_) => {
                    return Err(self.error(
                        node.at,
                        &shown(section, &key),
                        "an empty axis has no cells",
                        "at least one value",
                    ));
                }
                _ => {
                    return Err(self.error(
                        node.at,
                        &shown(section, &key),
                        format!("found {}", node.sort()),
                        "a list of values: [ .. ]",
                    ));
                }
            }
        }
        Ok(())
    }

    fn zip(&self, node: &Node) -> Result<Axis> {
        let mut columns = Vec::new();
        self.axes("zip", "", node, &mut columns)?;
        let Some(first) = columns.first() else {
            return Err(self.error(
                node.at,
                "zip",
                "has no keys",
                "two or more keys with lists of one length",
            ));
        };
        let length = first.points.len();
        if let Some(odd) = columns.iter().find(|column| column.points.len() != length) {
            let problem = format!(
                "{} values, but {} has {length}",
                odd.points.len(),
                first.keys[0]
            );
            return Err(self.error(
                odd.at,
                &shown("zip", &odd.keys[0]),
                problem,
                "lists of one length in a zip",
            ));
        }
        let points = (0..length).map(|i| Point {
            values: columns
                .iter()
                .map(|column| column.points[i].values[0].clone())
                .collect(),
            at: columns
                .iter()
                .map(|column| column.points[i].at[0])
                .collect(),
        });
        Ok(Axis {
            points: points.collect(),
            keys: columns
                .iter()
                .map(|column| column.keys[0].clone())
                .collect(),
            section: "zip",
            at: first.at,
        })
    }

    fn exclude(&self, node: &Node, experiment: &Experiment) -> Result<Exclude> {
        let Some((_, at, when)) = self.table("exclude", node, &["when"])?.first() else {
            return Err(self.error(
                node.at,
                "exclude",
                "has no condition",
                "when = { \"KEY\" = VALUE, .. }",
            ));
        };
        let mut conditions = Vec::new();
        self.conditions("", when, *at, experiment, &mut conditions)?;
        if conditions.is_empty() {
            return Err(self.error(
                *at,
                "exclude.when",
                "is empty and would leave out every cell",
                "at least one KEY = VALUE",
            ));
        }
        for Setting { key, value, at } in &conditions {
            let values = experiment.values_at(key);
            if values.is_empty() {
                let axes: Vec<&str> = experiment.axis_keys().collect();
                return Err(self.error(
                    *at,
                    &shown("exclude", key),
                    "is no axis of this file",
                    format!("one of {}", axes.join(", ")),
                ));
            }
            if !values.contains(&value) {
                let mut known: Vec<String> = values.into_iter().map(path::label).collect();
                known.dedup();
                return Err(self.error(
                    *at,
                    &shown("exclude", key),
                    format!(
                        "{} is not on that axis, so nothing is left out",
                        path::label(value)
                    ),
                    format!("one of {}", known.join(", ")),
                ));
            }
        }
        Ok(Exclude {
            when: conditions,
            at: *at,
        })
    }

    /// The leaves of a condition; a table that is itself a value of an axis is one.
    fn conditions(
        &self,
        prefix: &str,
        node: &Node,
        at: Place,
        experiment: &Experiment,
        conditions: &mut Vec<Setting>,
    ) -> Result<()> {
        match &node.tree {
            Tree::Table(entries) if !experiment.values_at(prefix).contains(&&node.to_value()) => {
                entries.iter().try_for_each(|(name, at, node)| {
                    self.conditions(&path::join(prefix, name), node, *at, experiment, conditions)
                })
            }
            _ if prefix.is_empty() => self.table("exclude.when", node, &[]).map(drop),
            _ => {
                conditions.push(Setting {
                    key: prefix.to_owned(),
                    value: node.to_value(),
                    at,
                });
                Ok(())
            }
        }
    }

    fn seeds(&self, node: &Node) -> Result<Vec<u64>> {
        let expected = "either `count = N` (seeds 0 to N-1) or `values = [..]`";
        match self.table("seeds", node, &["count", "values"])? {
            [(name, _, count)] if name == "count" => match self.whole("seeds.count", count)? {
                n if n == 0 || n > LIMIT as u64 => Err(self.error(
                    count.at,
                    "seeds.count",
                    format!("{n} seeds"),
                    format!("1 to {LIMIT}"),
                )),
                n => Ok((0..n).collect()),
            },
            [(_, _, values)] => {
                let nodes = self.list("seeds.values", values)?;
                let (mut seeds, mut seen) = (Vec::new(), BTreeSet::new());
                for node in nodes {
                    let seed = self.whole("seeds.values", node)?;
                    if !seen.insert(seed) {
                        return Err(self.error(
                            node.at,
                            "seeds.values",
                            format!("{seed} is there twice"),
                            "each seed once",
                        ));
                    }
                    seeds.push(seed);
                }
                if seeds.is_empty() {
                    Err(self.error(values.at, "seeds.values", "has no seeds", "at least one"))
                } else {
                    Ok(seeds)
                }
            }
            _ => Err(self.error(node.at, "seeds", "says neither or both", expected)),
        }
    }

    fn report(&self, node: &Node, experiment: &Experiment) -> Result<Report> {
        let mut report = Report {
            title: None,
            rows: None,
            columns: None,
            metric: String::new(),
        };
        let entries = self.table("report", node, &["title", "rows", "columns", "metric"])?;
        for (name, _, node) in entries {
            let key = format!("report.{name}");
            let text = self.string(&key, node)?;
            let axis = || {
                let axes: Vec<&str> = experiment.axis_keys().collect();
                experiment.axis_of(&text).ok_or_else(|| {
                    self.error(
                        node.at,
                        &key,
                        format!("`{text}` is no axis of this file"),
                        format!("one of {}", axes.join(", ")),
                    )
                })
            };
            match name.as_str() {
                "rows" => report.rows = Some(axis()?),
                "columns" => report.columns = Some(axis()?),
                "title" => report.title = Some(text),
                _ => report.metric = text,
            }
        }
        if report.metric.is_empty() {
            return Err(self.error(
                node.at,
                "report.metric",
                "is missing",
                "the name of a measurement, such as \"zeroshot/top1\"",
            ));
        }
        if report.rows.is_some() && report.rows == report.columns {
            return Err(self.error(
                node.at,
                "report.columns",
                "is the same axis as rows",
                "another axis, or none",
            ));
        }
        Ok(report)
    }

    fn runs(&self, node: &Node) -> Result<Vec<Prerequisite>> {
        let named = self.table("runs", node, &[])?.iter();
        named
            .map(|(name, at, node)| {
                Ok(Prerequisite {
                    name: name.clone(),
                    settings: self.settings(&format!("runs.{name}"), node)?,
                    at: *at,
                })
            })
            .collect()
    }
}
