//! `[[report]]`: a table or a figure that the file asks for.

use serde_json::Value;

use super::{Entry, Node, Place, Result, Sections, Tree};
use crate::spec::SpecError;
use crate::spec::claim::Conditions;
use crate::spec::experiment::{Experiment, Point};
use crate::spec::report::{Against, Along, Amount, Budget, Interval, Moment, Report, ReportKind};

impl Sections<'_> {
    pub(super) fn report(&self, node: &Node, experiment: &Experiment) -> Result<Report> {
        let entries = self.table("report", node, &[])?;
        let entry = |key: &str| entries.iter().find(|(name, ..)| name == key);
        let kind = match entry("kind") {
            Some((_, _, node)) => {
                let kinds = ReportKind::ALL.map(|kind| (kind.name(), kind));
                self.one_of("report.kind", node, "no kind of report", &kinds)?
            }
            None => ReportKind::default(),
        };
        let known: Vec<&str> = ["kind", "title", "metric"]
            .into_iter()
            .chain(kind.keys().iter().copied())
            .collect();
        if let Some((name, at, _)) = entries.iter().find(|(name, ..)| !known.contains(&&**name)) {
            return Err(self.error(
                *at,
                &format!("report.{name}"),
                format!("is not part of a report of kind \"{}\"", kind.name()),
                format!("one of {}", known.join(", ")),
            ));
        }
        let Some((_, _, metric)) = entry("metric") else {
            return Err(self.metric_is_missing(node.at));
        };
        let mut report = Report {
            kind,
            metrics: self.metrics(metric, kind)?,
            ..Report::table(None, None, "")
        };
        for (name, at, node) in entries {
            let key = format!("report.{name}");
            match name.as_str() {
                "title" => report.title = Some(self.string(&key, node)?),
                "rows" => report.rows = Some(self.axis_named(&key, node, experiment)?),
                "columns" => report.columns = Some(self.axis_named(&key, node, experiment)?),
                "at" => report.at = self.moment(node)?,
                "interval" => {
                    let known = Interval::ALL.map(|interval| (interval.name(), interval));
                    report.interval = self.one_of(&key, node, "no kind of interval", &known)?;
                }
                "against" => report.against = self.against(node, *at, experiment)?,
                "along" => {
                    let known = Along::ALL.map(|along| (along.name(), along));
                    report.along =
                        self.one_of(&key, node, "nothing that curves run over", &known)?;
                }
                "spikes" => report.spikes = self.boolean(&key, node)?,
                "log" => report.log = self.log(node, &report.metrics)?,
                _ => {}
            }
        }
        if report.rows.is_some() && report.rows == report.columns {
            return Err(self.error(
                node.at,
                "report.columns",
                "is the same axis as rows",
                "another axis, or none",
            ));
        }
        let along = matches!(kind, ReportKind::Line | ReportKind::Bars);
        if along && report.rows.is_none() {
            return Err(self.error(
                node.at,
                "report.rows",
                "is missing",
                "the axis that goes along the figure's x",
            ));
        }
        Ok(report)
    }

    fn metric_is_missing(&self, at: Place) -> SpecError {
        self.error(
            at,
            "report.metric",
            "is missing",
            "the name of a measurement, such as \"zeroshot/top1\"",
        )
    }

    /// One name or, for curves, a list of them.
    fn metrics(&self, node: &Node, kind: ReportKind) -> Result<Vec<String>> {
        let names = match &node.tree {
            Tree::List(nodes) if kind == ReportKind::Curves => nodes
                .iter()
                .map(|node| self.string("report.metric", node))
                .collect::<Result<Vec<_>>>()?,
            _ => vec![self.string("report.metric", node)?],
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err(self.metric_is_missing(node.at));
        }
        Ok(names)
    }

    /// One name or a list of them, all of metrics that the report has.
    fn log(&self, node: &Node, metrics: &[String]) -> Result<Vec<String>> {
        let nodes = match &node.tree {
            Tree::List(nodes) => nodes.iter().collect(),
            _ => vec![node],
        };
        let named = |node: &Node| {
            let name = self.string("report.log", node)?;
            if metrics.contains(&name) {
                return Ok(name);
            }
            let problem = format!("`{name}` is no metric of this report");
            let expected = format!("one of {}", metrics.join(", "));
            Err(self.error(node.at, "report.log", problem, expected))
        };
        nodes.into_iter().map(named).collect()
    }

    fn axis_named(&self, key: &str, node: &Node, experiment: &Experiment) -> Result<usize> {
        let text = self.string(key, node)?;
        let axes = || experiment.axis_keys().collect::<Vec<_>>().join(", ");
        experiment.axis_of(&text).ok_or_else(|| {
            let problem = format!("`{text}` is no axis of this file");
            self.error(node.at, key, problem, format!("one of {}", axes()))
        })
    }

    /// The one of `known` that `node` names.
    fn one_of<T: Copy>(
        &self,
        key: &str,
        node: &Node,
        problem: &str,
        known: &[(&str, T)],
    ) -> Result<T> {
        let text = self.string(key, node)?;
        let found = known.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<String> = known
                .iter()
                .map(|(name, _)| format!("\"{name}\""))
                .collect();
            let problem = format!("`{text}` is {problem}");
            self.error(
                node.at,
                key,
                problem,
                format!("one of {}", names.join(", ")),
            )
        })
    }

    /// `"end"`, `"best"`, or one budget: `{ examples = 40_000 }`, `{ pairs = "matched" }`.
    fn moment(&self, node: &Node) -> Result<Moment> {
        const EXPECTED: &str = "\"end\", \"best\", or a budget such as { examples = 40_000 } or { pairs = \"matched\" }";
        let budget = |(name, at, node): &Entry| -> Result<Moment> {
            let key = format!("report.at.{name}");
            let of = Budget::ALL.into_iter().find(|of| of.name() == name);
            let of = of.ok_or_else(|| {
                let known = Budget::ALL.map(Budget::name).join(", ");
                self.error(
                    *at,
                    &key,
                    "is nothing that runs spend",
                    format!("one of {known}"),
                )
            })?;
            let amount = match &node.tree {
                Tree::Leaf(Value::String(word)) if word == "matched" => Amount::Matched,
                _ => {
                    let expected = "a number above 0, or \"matched\"";
                    Amount::Exactly(self.above_zero(&key, node, expected)?)
                }
            };
            Ok(Moment::Budget { of, amount })
        };
        match &node.tree {
            Tree::Leaf(Value::String(word)) if word == "end" => Ok(Moment::End),
            Tree::Leaf(Value::String(word)) if word == "best" => Ok(Moment::Best),
            Tree::Table(entries) if entries.len() == 1 => budget(&entries[0]),
            _ => Err(self.error(
                node.at,
                "report.at",
                format!("found {}", node.sort()),
                EXPECTED,
            )),
        }
    }

    /// `"best"`, or the values of axes that the baseline has.
    fn against(&self, node: &Node, at: Place, experiment: &Experiment) -> Result<Against> {
        match &node.tree {
            Tree::Leaf(Value::String(word)) if word == "best" => Ok(Against::Best),
            Tree::Table(entries) if !entries.is_empty() => {
                let conditions = self.met_by("report", "against", node, at, experiment)?;
                for axis in experiment.axes_in(&conditions) {
                    self.is_one_point(node, &conditions, experiment, axis)?;
                }
                Ok(Against::Baseline(conditions))
            }
            _ => Err(self.error(
                node.at,
                "report.against",
                format!("found {}", node.sort()),
                "\"best\", or the values of axes that the baseline has: { \"loss.kind\" = \"softmax\" }",
            )),
        }
    }

    /// A baseline stands at one point of each axis that it speaks of; keys that move together may be at several.
    fn is_one_point(
        &self,
        node: &Node,
        conditions: &Conditions,
        experiment: &Experiment,
        axis: usize,
    ) -> Result<()> {
        let axes = &experiment.axes;
        let fits = |point: &&Point| {
            conditions.iter().all(|(key, value)| {
                let Some((of, index, rest)) = experiment.locate(key) else {
                    return false;
                };
                of != axis || point.value_at(index, rest) == Some(value)
            })
        };
        match axes[axis].points.iter().filter(fits).count() {
            1 => Ok(()),
            count => Err(self.error(
                node.at,
                "report.against",
                format!(
                    "{count} points of the axis {} have these values",
                    axes[axis].name()
                ),
                "the values of one point",
            )),
        }
    }
}
