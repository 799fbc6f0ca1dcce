//! What a completed run measured, and a refusal of a metric that none did: a misspelt name must not read like runs
//! that are missing.

use std::collections::BTreeSet;

use crate::store::{Evaluation, Run, RunState};
use crate::util::printable;

/// A metric that no completed run has.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no completed run of this experiment has the metric `{metric}`; there are {known}")]
pub struct UnknownMetric {
    metric: String,
    known: String,
}

/// Refuse `metric` if some of `runs` are complete and none of these has it.
pub fn require_metric<'r>(
    runs: impl Iterator<Item = &'r Run>,
    metric: &str,
) -> Result<(), UnknownMetric> {
    let completed = runs.filter(|run| run.state == RunState::Completed);
    let known: BTreeSet<&str> = completed.flat_map(names).collect();
    if known.is_empty() || known.contains(metric) {
        return Ok(());
    }
    let known: Vec<&str> = known.into_iter().collect();
    Err(UnknownMetric {
        metric: printable(metric),
        known: printable(&known.join(", ")),
    })
}

/// The value of `metric` at the end of `run`: by its last evaluation, else by its last row.
pub fn final_value(run: &Run, metric: &str) -> Option<f64> {
    let evaluated = last_evaluations(run).find_map(|e| e.metrics.get(metric).copied());
    evaluated.or_else(|| {
        run.series
            .column(metric)?
            .get(run.series.len().checked_sub(1)?)
    })
}

fn names(run: &Run) -> impl Iterator<Item = &str> {
    let evaluated = last_evaluations(run).flat_map(|evaluation| evaluation.metrics.keys());
    let logged = run.series.names().filter(|name| {
        let last = run.series.len().checked_sub(1);
        last.is_some_and(|last| {
            run.series
                .column(name)
                .is_some_and(|c| c.get(last).is_some())
        })
    });
    evaluated.map(String::as_str).chain(logged)
}

/// The evaluations of the last step that has any, newest first.
fn last_evaluations(run: &Run) -> impl Iterator<Item = &Evaluation> {
    let last = run.evaluations.last().map(|evaluation| evaluation.step);
    run.evaluations
        .iter()
        .rev()
        .take_while(move |evaluation| Some(evaluation.step) == last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::RunDir;
    use crate::spec::RunSpec;
    use crate::train::TrainConfig;

    #[test]
    fn only_completed_runs_can_refute_a_metric() {
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(TrainConfig::default()));
        run.evaluations = vec![Evaluation {
            step: 1,
            examples: 1,
            metrics: BTreeMap::from([("zeroshot/top1".into(), 0.5), ("zeroshot/top5".into(), 1.0)]),
        }];
        let check = |run: &Run, metric: &str| require_metric([run].into_iter(), metric);
        assert_eq!(check(&run, "bogus"), Ok(()));
        run.state = RunState::Completed;
        assert_eq!(check(&run, "zeroshot/top5"), Ok(()));
        assert_eq!(
            check(&run, "bogus").unwrap_err().to_string(),
            "no completed run of this experiment has the metric `bogus`; there are zeroshot/top1, zeroshot/top5"
        );
    }
}
