//! `[[exclude]]`: cells that are left out. A condition that leaves out nothing is a mistake and is refused.

use super::{Node, Place, Result, Sections, Tree};
use crate::spec::experiment::{Exclude, Experiment, Setting, shown};
use crate::spec::path;

impl Sections<'_> {
    pub(super) fn exclude(&self, node: &Node, experiment: &Experiment) -> Result<Exclude> {
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
}
