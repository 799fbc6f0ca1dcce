//! What a run says of a metric at a moment: the one place where it is decided, for tables, effects and figures alike.
//! What becomes of many answers is theirs.

use serde::Serialize;

use super::compare::Direction;
use super::metric::{MEAN_OVER_CLASSES, share_in};
use super::moment::{Spending, When};
use super::spikes::{SpikeConfig, Spikes};
use crate::spec::Budget;
use crate::store::{Evaluation, Run, RunState};

/// The metric that no worker logs: how many loss spikes there were, by the thresholds that hold where nobody set others, lest
/// a table depend on who makes it.
pub const SPIKES: &str = "spikes";

/// One run's answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Answer {
    Measured(Reading),
    /// Not done yet, done without this metric, or done before the budget was reached.
    Missing,
    Diverged,
    Failed,
}

impl Answer {
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Measured(reading) => Some(reading.value),
            Self::Missing | Self::Diverged | Self::Failed => None,
        }
    }
}

/// A value, and when it was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    pub value: f64,
    pub step: u64,
    /// By an evaluation, as opposed to a logged row.
    pub evaluated: bool,
    /// What the run had spent by then, where it is asked at a budget.
    pub spent: Option<f64>,
    /// Pictures or queries that it is a share of, where the evaluation says so.
    pub trials: Option<f64>,
}

/// When the runs of a table or figure were asked, and what their answers add to that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Asked {
    pub at: When,
    /// By evaluations, as opposed to logged rows.
    pub evaluated: bool,
    /// The least and the most that a run had spent when it was measured, where it was asked at a budget.
    pub spent: Option<[f64; 2]>,
}

impl Asked {
    /// At `at`, with these answers.
    pub fn of<'r>(at: When, readings: impl Iterator<Item = &'r Reading>) -> Self {
        let mut asked = Self {
            at,
            ..Self::default()
        };
        for reading in readings {
            asked.evaluated |= reading.evaluated;
            if let Some(spent) = reading.spent {
                let [low, high] = asked.spent.unwrap_or([spent; 2]);
                asked.spent = Some([low.min(spent), high.max(spent)]);
            }
        }
        asked
    }
}

/// What `run` says of `metric`. Only a completed run has a say: one that diverged later than a budget says that it
/// diverged, or the runs that live would flatter their settings.
pub fn answer(run: Option<&Run>, metric: &str, when: &When) -> Answer {
    let Some(run) = run else {
        return Answer::Missing;
    };
    match run.state {
        RunState::Completed => reading(run, metric, when)
            .filter(|reading| reading.value.is_finite())
            .map_or(Answer::Missing, Answer::Measured),
        RunState::Diverged { .. } => Answer::Diverged,
        RunState::Failed { .. } => Answer::Failed,
        RunState::New | RunState::Running | RunState::Stopped | RunState::Interrupted { .. } => {
            Answer::Missing
        }
    }
}

/// By an evaluation, and of a metric that none has by a row.
fn reading(run: &Run, metric: &str, when: &When) -> Option<Reading> {
    match *when {
        _ if metric == SPIKES => spikes(run, when),
        When::End => at_end(run, metric),
        When::Best { direction } => at_best(run, metric, direction),
        When::Spent { of, amount, .. } => within(run, metric, of, amount?),
    }
}

/// By the evaluations of the last step that has any, newest first, else by the last row.
pub(super) fn at_end(run: &Run, metric: &str) -> Option<Reading> {
    let last = run.evaluations.last().map(|evaluation| evaluation.step);
    let evaluations = run.evaluations.iter().rev();
    let mut latest = evaluations.take_while(|evaluation| Some(evaluation.step) == last);
    let evaluated = latest.find_map(|evaluation| of_evaluation(evaluation, metric));
    evaluated.or_else(|| of_row(run, metric, run.series.len().checked_sub(1)?))
}

/// The first of equals.
fn at_best(run: &Run, metric: &str, direction: Direction) -> Option<Reading> {
    let good = |value: f64| match direction {
        Direction::Higher => value,
        Direction::Lower => -value,
    };
    let better = |a: Reading, b: Reading| if good(b.value) > good(a.value) { b } else { a };
    let evaluations = run.evaluations.iter();
    let evaluated = evaluations.filter_map(|evaluation| of_evaluation(evaluation, metric));
    let evaluated = evaluated.filter(|reading| reading.value.is_finite());
    evaluated.reduce(better).or_else(|| {
        let values = run.series.column(metric)?.values();
        let rows = (0..values.len()).filter(|row| !values[*row].is_nan());
        let best = rows.reduce(|a, b| {
            if good(values[b]) > good(values[a]) {
                b
            } else {
                a
            }
        })?;
        of_row(run, metric, best)
    })
}

/// How many spikes began in the rows that count; what is best of a run's own counts is the last.
fn spikes(run: &Run, when: &When) -> Option<Reading> {
    let (rows, spent) = match *when {
        When::End | When::Best { .. } => (run.series.len(), None),
        When::Spent { of, amount, .. } => {
            let (spending, amount) = (Spending::of(run, of)?, amount?);
            if !spending.reaches(amount) {
                return None;
            }
            let rows = spending.rows_below(spending.end_of(amount));
            (rows, Some(spending.at_row(rows.checked_sub(1)?)))
        }
    };
    let spikes = Spikes::of(&run.series, SpikeConfig::default());
    let counted = spikes.found().iter().filter(|spike| spike.onset.row < rows);
    Some(Reading {
        value: counted.count() as f64,
        step: *run.series.steps().get(rows.checked_sub(1)?)?,
        evaluated: false,
        spent,
        trials: None,
    })
}

/// The last one that the budget pays for; none where the run has not spent it all.
fn within(run: &Run, metric: &str, of: Budget, amount: f64) -> Option<Reading> {
    let spending = Spending::of(run, of)?;
    if !spending.reaches(amount) {
        return None;
    }
    let end = spending.end_of(amount);
    let mut measured = (run.evaluations.iter().rev())
        .filter_map(|evaluation| Some((evaluation, of_evaluation(evaluation, metric)?)))
        .peekable();
    if measured.peek().is_some() {
        return measured.find_map(|(evaluation, reading)| {
            let spent = spending.at(evaluation.step, evaluation.examples)?;
            (spent < end).then_some(Reading {
                spent: Some(spent),
                ..reading
            })
        });
    }
    let column = run.series.column(metric)?;
    let row = column.last_before(spending.rows_below(end))?;
    Some(Reading {
        spent: Some(spending.at_row(row)),
        ..of_row(run, metric, row)?
    })
}

fn of_evaluation(evaluation: &Evaluation, metric: &str) -> Option<Reading> {
    let count = || evaluation.metrics.get(&trials_of(metric)?).copied();
    Some(Reading {
        value: *evaluation.metrics.get(metric)?,
        step: evaluation.step,
        evaluated: true,
        spent: None,
        trials: count(),
    })
}

fn of_row(run: &Run, metric: &str, row: usize) -> Option<Reading> {
    Some(Reading {
        value: run.series.column(metric)?.get(row)?,
        step: *run.series.steps().get(row)?,
        evaluated: false,
        spent: None,
        trials: None,
    })
}

/// The metric that says of how many pictures or queries a share is: `zeroshot/n` of `zeroshot/top1`,
/// `retrieval/image_to_text/n` of `…/r5`, `zeroshot/n/de` of `zeroshot/top1/de`, `zeroshot/n_seen` of `zeroshot/top1_seen`.
/// None for what is no share of so many, as a mean over classes is none.
fn trials_of(metric: &str) -> Option<String> {
    let (place, share) = share_in(metric)?;
    let trials = ["_seen", "_held_out"]
        .into_iter()
        .find(|part| share.ends_with(part));
    // Classes count alike in a mean over them, however many pictures each has.
    if share.starts_with(MEAN_OVER_CLASSES) {
        return None;
    }
    let mut words: Vec<&str> = metric.split('/').collect();
    let trials = format!("n{}", trials.unwrap_or_default());
    words[place] = &trials;
    Some(words.join("/"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::RunDir;
    use crate::spec::{Amount, Moment, RunSpec, TrainConfig};
    use crate::store::Position;

    /// A run of `steps` updates of `batch` pairs, half a second each, that logs every other step and evaluates where
    /// `evaluated` has a step and a top-1; each evaluation is of 400 pictures.
    fn run(batch: usize, steps: u64, evaluated: &[(u64, f64)]) -> Run {
        let mut config = TrainConfig::default();
        config.train.batch_size = batch;
        config.train.ranks = 2;
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(config));
        run.state = RunState::Completed;
        run.examples = batch as u64 * steps;
        for step in (2..=steps).step_by(2) {
            let at = Position {
                attempt: 1,
                step,
                examples: batch as u64 * step,
                seconds: 0.5 * step as f64,
            };
            run.series.push(at, [("loss", (step as f64 - 7.0).abs())]);
        }
        run.evaluations = evaluated
            .iter()
            .map(|&(step, top1)| Evaluation {
                step,
                examples: batch as u64 * step,
                metrics: BTreeMap::from([
                    ("zeroshot/top1".into(), top1),
                    ("zeroshot/n".into(), 400.0),
                ]),
                ..Evaluation::default()
            })
            .collect();
        run
    }

    /// Value and step.
    fn ask(run: &Run, metric: &str, when: When) -> Option<(f64, u64)> {
        match answer(Some(run), metric, &when) {
            Answer::Measured(reading) => Some((reading.value, reading.step)),
            _ => None,
        }
    }

    fn budget(of: Budget, amount: f64) -> When {
        When::Spent {
            of,
            amount: Some(amount),
            matched: false,
        }
    }

    #[test]
    fn the_end_and_the_best_are_of_evaluations_and_else_of_rows() {
        let run = run(10, 12, &[(4, 0.2), (8, 0.6), (12, 0.5)]);
        let best = |metric| When::of(Moment::Best, metric, [].into_iter()).unwrap();
        assert_eq!(ask(&run, "zeroshot/top1", When::End), Some((0.5, 12)));
        assert_eq!(ask(&run, "loss", When::End), Some((5.0, 12)));
        assert_eq!(
            ask(&run, "zeroshot/top1", best("zeroshot/top1")),
            Some((0.6, 8))
        );
        assert_eq!(
            ask(&run, "loss", best("loss")),
            Some((1.0, 6)),
            "the first of equals"
        );
        assert_eq!(
            When::of(Moment::Best, "log_t", [].into_iter())
                .unwrap_err()
                .to_string(),
            "report.at = \"best\" of `log_t`: its name does not tell whether more of it is better or less; \
             expected \"end\" or a budget such as { examples = 40_000 }"
        );
    }

    #[test]
    fn a_budget_pays_for_the_update_that_spends_the_last_of_it() {
        let run = run(10, 12, &[(4, 0.2), (8, 0.6), (12, 0.5)]);
        let top1 = |amount| ask(&run, "zeroshot/top1", budget(Budget::Examples, amount));
        assert_eq!(top1(120.0), Some((0.5, 12)));
        assert_eq!(top1(111.0), Some((0.5, 12)), "the twelfth update is begun");
        assert_eq!(top1(110.0), Some((0.6, 8)));
        assert_eq!(top1(80.0), Some((0.6, 8)));
        assert_eq!(top1(30.0), None, "nothing was measured by then");
        assert_eq!(top1(121.0), None, "it never got there");
        let loss = |amount| ask(&run, "loss", budget(Budget::Examples, amount));
        assert_eq!((loss(80.0), loss(71.0)), (Some((1.0, 8)), Some((1.0, 8))));
        assert_eq!(loss(70.0), Some((1.0, 6)));
    }

    #[test]
    fn pairs_and_device_hours_are_budgets_too() {
        let run = run(10, 12, &[(4, 0.2), (8, 0.6), (12, 0.5)]);
        // 100 pairs an update; two devices for half a second each.
        let pairs = |amount| ask(&run, "zeroshot/top1", budget(Budget::Pairs, amount));
        assert_eq!(
            (pairs(800.0), pairs(1_200.0)),
            (Some((0.6, 8)), Some((0.5, 12)))
        );
        assert_eq!(pairs(1_201.0), None);
        let hours = |seconds: f64| {
            let amount = 2.0 * seconds / 3_600.0;
            ask(&run, "zeroshot/top1", budget(Budget::DeviceHours, amount))
        };
        assert_eq!((hours(4.0), hours(6.0)), (Some((0.6, 8)), Some((0.5, 12))));
        assert_eq!(hours(6.1), None);
    }

    #[test]
    fn spikes_are_counted_as_far_as_the_budget_goes() {
        let mut run = run(10, 0, &[]);
        run.examples = 4_000;
        for step in 1..=400 {
            let at = Position {
                attempt: 1,
                step,
                examples: 10 * step,
                seconds: step as f64,
            };
            let calm = 1.0 + 0.01 * (step * 7 % 5) as f64;
            let loss = if step % 150 == 0 { 10.0 } else { calm };
            run.series.push(at, [("loss", loss), ("grad_norm", 1.0)]);
        }
        assert_eq!(ask(&run, SPIKES, When::End), Some((2.0, 400)));
        let by = |examples| ask(&run, SPIKES, budget(Budget::Examples, examples));
        assert_eq!(by(2_000.0), Some((1.0, 200)));
        assert_eq!(by(1_400.0), Some((0.0, 140)));
        assert_eq!(by(4_001.0), None);
    }

    #[test]
    fn a_matched_budget_is_what_all_completed_runs_have_spent() {
        // 120 and 128 examples: both end with the budget, though the second goes beyond.
        let runs = [
            run(10, 12, &[(6, 0.3), (12, 0.5)]),
            run(32, 4, &[(2, 0.4), (4, 0.7)]),
        ];
        let mut running = run(10, 2, &[]);
        running.state = RunState::Running;
        let matched = Moment::Budget {
            of: Budget::Examples,
            amount: Amount::Matched,
        };
        let when = When::of(matched, "zeroshot/top1", runs.iter().chain([&running])).unwrap();
        assert_eq!(
            when,
            When::Spent {
                of: Budget::Examples,
                amount: Some(120.0),
                matched: true
            }
        );
        let values = runs.each_ref().map(|run| ask(run, "zeroshot/top1", when));
        assert_eq!(values, [Some((0.5, 12)), Some((0.7, 4))]);
        let readings: Vec<Reading> = runs
            .iter()
            .filter_map(|run| reading(run, "zeroshot/top1", &when))
            .collect();
        let asked = Asked::of(when, readings.iter());
        assert_eq!((asked.evaluated, asked.spent), (true, Some([120.0, 128.0])));
        assert_eq!(readings[0].trials, Some(400.0));
        let none = When::of(matched, "zeroshot/top1", [&running].into_iter()).unwrap();
        assert_eq!(ask(&runs[0], "zeroshot/top1", none), None);
    }

    #[test]
    fn a_run_that_diverged_after_the_budget_has_diverged() {
        let mut run = run(10, 12, &[(12, 0.5)]);
        let when = budget(Budget::Examples, 50.0);
        run.state = RunState::Diverged {
            step: 12,
            reason: String::new(),
        };
        assert_eq!(answer(Some(&run), "loss", &when), Answer::Diverged);
        assert_eq!(answer(None, "loss", &when), Answer::Missing);
    }

    #[test]
    fn shares_know_what_they_are_shares_of() {
        let named = [
            ("zeroshot/top1", Some("zeroshot/n")),
            ("zeroshot/pets/top5", Some("zeroshot/pets/n")),
            ("zeroshot/top1/de", Some("zeroshot/n/de")),
            (
                "retrieval/image_to_text/r10",
                Some("retrieval/image_to_text/n"),
            ),
            ("knn/top1_k20", Some("knn/n")),
            ("zeroshot/mean_per_class_recall", None),
            ("zeroshot/top1_held_out", Some("zeroshot/n_held_out")),
            ("zeroshot/top1_seen/de", Some("zeroshot/n_seen/de")),
            ("val/loss", None),
        ];
        for (metric, expected) in named {
            assert_eq!(trials_of(metric).as_deref(), expected, "{metric}");
        }
    }
}
