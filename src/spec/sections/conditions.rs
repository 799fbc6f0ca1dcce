//! Conditions on cells: keys of axes and the values that they must have there. One that no cell can meet is refused.

use super::{Node, Place, Result, Sections, Tree};
use crate::spec::claim::Conditions;
use crate::spec::experiment::{Experiment, Setting, shown};
use crate::spec::path;

impl Sections<'_> {
    /// The conditions that the table `name` of `section` says.
    pub(super) fn conditions(
        &self,
        section: &str,
        name: &str,
        node: &Node,
        at: Place,
        experiment: &Experiment,
    ) -> Result<Vec<Setting>> {
        let mut conditions = Vec::new();
        self.table(&path::join(section, name), node, &[])?;
        self.collect("", node, at, experiment, &mut conditions);
        for Setting { key, value, at } in &conditions {
            let values = experiment.values_at(key);
            if values.is_empty() {
                let axes: Vec<&str> = experiment.axis_keys().collect();
                return Err(self.error(
                    *at,
                    &shown(section, key),
                    "is no axis of this file",
                    format!("one of {}", axes.join(", ")),
                ));
            }
            if !values.contains(&value) {
                let mut known: Vec<String> = values.into_iter().map(path::label).collect();
                known.dedup();
                return Err(self.error(
                    *at,
                    &shown(section, key),
                    format!(
                        "{} is not on that axis, so no cell has it",
                        path::label(value)
                    ),
                    format!("one of {}", known.join(", ")),
                ));
            }
        }
        Ok(conditions)
    }

    /// [`conditions`](Self::conditions) for who does not ask where each was said.
    pub(super) fn met_by(
        &self,
        section: &str,
        name: &str,
        node: &Node,
        at: Place,
        experiment: &Experiment,
    ) -> Result<Conditions> {
        let said = self.conditions(section, name, node, at, experiment)?;
        Ok(said
            .into_iter()
            .map(|said| (said.key, said.value))
            .collect())
    }

    /// The leaves of a condition; a table that is itself a value of an axis is one.
    fn collect(
        &self,
        prefix: &str,
        node: &Node,
        at: Place,
        experiment: &Experiment,
        conditions: &mut Vec<Setting>,
    ) {
        match &node.tree {
            Tree::Table(entries) if !experiment.values_at(prefix).contains(&&node.to_value()) => {
                for (name, at, node) in entries {
                    self.collect(&path::join(prefix, name), node, *at, experiment, conditions);
                }
            }
            _ => conditions.push(Setting {
                key: prefix.to_owned(),
                value: node.to_value(),
                at,
            }),
        }
    }
}
