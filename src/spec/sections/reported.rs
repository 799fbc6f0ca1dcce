//! `[[reported]]`: numbers that somebody else measured, with where they stand and at which settings.

use serde_json::Value;

use super::{Node, Result, Sections, Tree};
use crate::spec::experiment::{Experiment, Reported};

impl Sections<'_> {
    pub(super) fn reported(&self, node: &Node, experiment: &Experiment) -> Result<Reported> {
        let mut reported = Reported {
            source: String::new(),
            what: String::new(),
            metric: String::new(),
            values: Vec::new(),
        };
        let entries = self.table("reported", node, &["source", "what", "metric", "values"])?;
        for (name, _, node) in entries {
            let key = format!("reported.{name}");
            match name.as_str() {
                "source" => reported.source = self.string(&key, node)?,
                "what" => reported.what = self.string(&key, node)?,
                "metric" => reported.metric = self.string(&key, node)?,
                _ => {
                    for node in self.list(&key, node)? {
                        reported.values.push(self.reported_value(node, experiment)?);
                    }
                }
            }
        }
        let missing = [
            (
                "reported.source",
                reported.source.is_empty(),
                "where the numbers stand, such as \"SigLIP, table 4\"",
            ),
            (
                "reported.metric",
                reported.metric.is_empty(),
                "the name of a measurement, such as \"zeroshot/top1\"",
            ),
            (
                "reported.values",
                reported.values.is_empty(),
                "a list of { when = { \"KEY\" = VALUE }, value = NUMBER }",
            ),
        ];
        match missing.iter().find(|(_, missing, _)| *missing) {
            Some((key, _, expected)) => Err(self.error(node.at, key, "is missing", expected)),
            None => Ok(reported),
        }
    }

    fn reported_value(
        &self,
        node: &Node,
        experiment: &Experiment,
    ) -> Result<(Vec<(String, Value)>, f64)> {
        let (mut when, mut value) = (Vec::new(), None);
        for (name, at, node) in self.table("reported.values", node, &["when", "value"])? {
            match (name.as_str(), &node.tree) {
                ("when", _) => {
                    when = self.met_by("reported", "when", node, *at, experiment)?;
                }
                (_, Tree::Leaf(Value::Number(number))) => value = number.as_f64(),
                _ => {
                    let found = format!("found {}", node.sort());
                    return Err(self.error(node.at, "reported.values.value", found, "a number"));
                }
            }
        }
        match value {
            Some(value) => Ok((when, value)),
            None => Err(self.error(node.at, "reported.values", "has no value", "value = NUMBER")),
        }
    }
}
