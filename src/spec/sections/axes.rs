//! `[axes]` and `[[zip]]`: the ways in which cells differ.

use super::{Node, Result, Sections, Tree};
use crate::spec::experiment::{Axis, Point, shown};
use crate::spec::grid::LIMIT;
use crate::spec::path;

impl Sections<'_> {
    /// `"loss.kind" = [..]`, or the same key unquoted.
    pub(super) fn axes(
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
                // Before each value is looked at, which takes its time.
                Tree::List(nodes) if nodes.len() > LIMIT => {
                    return Err(self.error(
                        node.at,
                        &shown(section, &key),
                        format!("{} values", nodes.len()),
                        format!("at most {LIMIT} cells in one grid"),
                    ));
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

    pub(super) fn zip(&self, node: &Node) -> Result<Axis> {
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
}
