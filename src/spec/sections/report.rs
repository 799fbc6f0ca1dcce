//! `[[report]]`: a table that the file asks for.

use super::{Node, Result, Sections};
use crate::spec::experiment::{Experiment, Report};

impl Sections<'_> {
    pub(super) fn report(&self, node: &Node, experiment: &Experiment) -> Result<Report> {
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
}
