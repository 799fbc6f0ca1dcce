//! The sections of an experiment file, from the tree to the types of [`super::experiment`].
//! Shapes are checked here; whether a key is a setting, and a value fits it, is not.

mod axes;
mod claim;
mod conditions;
mod design;
mod exclude;
mod report;
mod reported;
mod seeds;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::design::Design;
use super::error::SpecError;
use super::experiment::{Experiment, Setting, shown};
use super::path;
use super::prerequisite::Prerequisite;
use super::schema::Schema;
use super::source::{Node, Place, Tree};

type Result<T> = std::result::Result<T, SpecError>;
type Entry = (String, Place, Node);

const SECTIONS: [&str; 12] = [
    "question",
    "prediction",
    "claim",
    "base",
    "axes",
    "zip",
    "exclude",
    "seeds",
    "design",
    "report",
    "reported",
    "runs",
];

/// Every cell is held against every exclude and shown in every report: so many are slow already.
const MOST_BLOCKS: usize = 1_000;

pub fn read(file: &Path, document: &Node) -> Result<Experiment> {
    let sections = Sections { file };
    let mut experiment = Experiment {
        path: file.to_owned(),
        question: String::new(),
        prediction: String::new(),
        base: Vec::new(),
        axes: Vec::new(),
        excludes: Vec::new(),
        seeds: vec![0],
        design: Design::Full,
        design_at: Place::File,
        reports: Vec::new(),
        reported: Vec::new(),
        claims: Vec::new(),
        prerequisites: Vec::new(),
        schema: Schema::learn(),
    };
    let mut zips = Vec::new();
    for (name, _, node) in sections.table("", document, &SECTIONS)? {
        match name.as_str() {
            "question" => experiment.question = sections.string(name, node)?,
            "prediction" => experiment.prediction = sections.string(name, node)?,
            "base" => experiment.base = sections.settings(name, node)?,
            "axes" => sections.axes("axes", "", node, &mut experiment.axes)?,
            "zip" => {
                zips = sections
                    .blocks(name, node)?
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
                    .blocks(name, node)?
                    .iter()
                    .map(|node| sections.exclude(node, &experiment))
                    .collect::<Result<_>>()?
            }
            "design" => {
                experiment.design = sections.design(node, &experiment)?;
                experiment.design_at = node.at;
            }
            "reported" => {
                experiment.reported = sections
                    .blocks(name, node)?
                    .iter()
                    .map(|node| sections.reported(node, &experiment))
                    .collect::<Result<_>>()?
            }
            "claim" => {
                experiment.claims = sections
                    .blocks(name, node)?
                    .iter()
                    .map(|node| sections.claim(node, &experiment))
                    .collect::<Result<_>>()?
            }
            "report" => {
                experiment.reports = sections
                    .blocks(name, node)?
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

    /// The tables of a section with double brackets.
    fn blocks<'n>(&self, key: &str, node: &'n Node) -> Result<&'n [Node]> {
        match self.list(key, node)? {
            nodes if nodes.len() <= MOST_BLOCKS => Ok(nodes),
            nodes => Err(self.error(
                nodes[MOST_BLOCKS].at,
                key,
                format!("[[{key}]] is there {} times", nodes.len()),
                format!("at most {MOST_BLOCKS}"),
            )),
        }
    }

    fn string(&self, key: &str, node: &Node) -> Result<String> {
        match &node.tree {
            Tree::Leaf(Value::String(text)) => Ok(text.clone()),
            _ => Err(self.error(node.at, key, format!("found {}", node.sort()), "a string")),
        }
    }

    fn boolean(&self, key: &str, node: &Node) -> Result<bool> {
        match &node.tree {
            Tree::Leaf(Value::Bool(said)) => Ok(*said),
            _ => Err(self.error(
                node.at,
                key,
                format!("found {}", node.sort()),
                "true or false",
            )),
        }
    }

    fn above_zero(&self, key: &str, node: &Node, expected: &str) -> Result<f64> {
        let number = match &node.tree {
            Tree::Leaf(Value::Number(number)) => number.as_f64(),
            _ => None,
        };
        number
            .filter(|number| *number > 0.0 && number.is_finite())
            .ok_or_else(|| self.error(node.at, key, format!("found {}", node.sort()), expected))
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
