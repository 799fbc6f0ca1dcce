//! What the names of metrics say: which are shares of so many pictures, and which no completed run has, since a misspelt
//! name must not read like runs that are missing.

use std::collections::BTreeSet;

use super::answer::SPIKES;
use crate::spec::Moment;
use crate::store::{Run, RunState};
use crate::util::printable;

/// What the name of a share begins with that is a mean over classes.
pub const MEAN_OVER_CLASSES: &str = "mean_per_class";

/// The part of a metric's name, by place, that says that it is a share of pictures or queries: `top1_seen` of
/// `zeroshot/top1_seen/de`, `r10`, `acc1`. None for what is no share.
pub fn share_in(metric: &str) -> Option<(usize, &str)> {
    let is_share = |part: &str| {
        let word = part.split('_').next().unwrap_or(part);
        let kind = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let numbered = kind.len() < word.len() && ["top", "r", "acc"].contains(&kind);
        numbered || part.starts_with(MEAN_OVER_CLASSES)
    };
    let parts: Vec<&str> = metric.split('/').collect();
    let place = parts.iter().rposition(|part| is_share(part))?;
    Some((place, parts[place]))
}

/// A metric that no completed run has, or none at all.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no {runs} of this experiment has the metric `{metric}`; there are {known}")]
pub struct UnknownMetric {
    runs: &'static str,
    metric: String,
    known: String,
}

/// Refuse `metric` if some of `runs` are complete and none of these has it.
pub fn require_metric<'r>(
    runs: impl Iterator<Item = &'r Run>,
    metric: &str,
    at: Moment,
) -> Result<(), UnknownMetric> {
    if metric == SPIKES {
        return Ok(());
    }
    let completed = runs.filter(|run| run.state == RunState::Completed);
    require_known(
        "completed run",
        completed.flat_map(|run| names(run, at)).collect(),
        metric,
    )
}

/// Refuse `metric` if some of `runs` have measured anything, and none of these at any time this.
pub fn require_measured<'r>(
    runs: impl Iterator<Item = &'r Run>,
    metric: &str,
) -> Result<(), UnknownMetric> {
    let ever = |run: &'r Run| {
        let evaluated = run.evaluations.iter().flat_map(|e| e.metrics.keys());
        evaluated.map(String::as_str).chain(run.series.names())
    };
    require_known("run", runs.flat_map(ever).collect(), metric)
}

fn require_known(
    runs: &'static str,
    known: BTreeSet<&str>,
    metric: &str,
) -> Result<(), UnknownMetric> {
    if known.is_empty() || known.contains(metric) {
        return Ok(());
    }
    let known: Vec<&str> = known.into_iter().collect();
    Err(UnknownMetric {
        runs,
        metric: printable(metric),
        known: printable(&known.join(", ")),
    })
}

/// At the end a metric is what the last evaluation or row has, at other moments what any has.
fn names(run: &Run, at: Moment) -> impl Iterator<Item = &str> {
    let last = run.evaluations.last().map(|evaluation| evaluation.step);
    let at_end = at == Moment::End;
    let evaluations = run.evaluations.iter().rev();
    let evaluations = evaluations.take_while(move |e| !at_end || Some(e.step) == last);
    let evaluated = evaluations.flat_map(|evaluation| evaluation.metrics.keys());
    let logged = run.series.names().filter(move |name| {
        let last = run.series.len().checked_sub(1);
        let has = |row| {
            run.series
                .column(name)
                .is_some_and(|c| c.get(row).is_some())
        };
        !at_end || last.is_some_and(has)
    });
    evaluated.map(String::as_str).chain(logged)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::RunDir;
    use crate::spec::RunSpec;
    use crate::store::Evaluation;
    use crate::train::TrainConfig;

    #[test]
    fn only_completed_runs_can_refute_a_metric() {
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(TrainConfig::default()));
        run.evaluations = vec![Evaluation {
            step: 1,
            examples: 1,
            metrics: BTreeMap::from([("zeroshot/top1".into(), 0.5), ("zeroshot/top5".into(), 1.0)]),
            ..Evaluation::default()
        }];
        let check =
            |run: &Run, metric: &str| require_metric([run].into_iter(), metric, Moment::End);
        assert_eq!(check(&run, "bogus"), Ok(()));
        run.state = RunState::Completed;
        assert_eq!(check(&run, "zeroshot/top5"), Ok(()));
        assert_eq!(
            check(&run, "bogus").unwrap_err().to_string(),
            "no completed run of this experiment has the metric `bogus`; there are zeroshot/top1, zeroshot/top5"
        );
    }
}
