//! A run as an event file of TensorBoard: what it logged and evaluated as scalars by step, and the settings that tell it
//! apart as hyperparameters. TensorBoard keeps single precision. How a file is framed and a message laid out is below.

mod event;
mod frame;

use std::io::{self, Write};

use super::runs::{Columns, Named};
use crate::store::{Evaluation, Run};
use event::Event;
use frame::Framed;

/// Characters that a directory's name has at most, besides the id.
const LONGEST: usize = 120;

/// A directory for the run that no other run has and any file system takes: its label, made safe, and its id.
pub fn directory(named: &Named) -> String {
    let kept = |c: char| c.is_ascii_alphanumeric() || "-_.=+".contains(c);
    let label = named.label.replace(' ', ",");
    let safe = label
        .chars()
        .map(|c| if kept(c) || c == ',' { c } else { '_' });
    let safe: String = safe.take(LONGEST).collect();
    let safe = safe.trim_start_matches('.');
    match safe {
        "" => named.id.to_string(),
        safe => format!("{safe},{}", named.id),
    }
}

/// The event file's name in it, by which TensorBoard knows it for one.
pub fn file_name(run: &Run) -> String {
    format!(
        "events.out.tfevents.{:010}.siglab.{}",
        began(run) as u64,
        run.id()
    )
}

/// Write the run's events in the order of their steps.
pub fn write(out: impl Write, named: &Named, run: &Run, columns: &Columns) -> io::Result<()> {
    let mut file = Framed::new(out);
    file.write(&Event::version(began(run)))?;
    file.write(&Event::settings(began(run), &named.settings))?;
    let mut evaluations = run.evaluations.iter().peekable();
    let mut clock = Clock::default();
    let columns_of_rows: Vec<(&str, &[f64])> = run
        .series
        .names()
        .filter(|name| columns.has(name))
        .filter_map(|name| Some((name, run.series.column(name)?.values())))
        .collect();
    for (row, &step) in run.series.steps().iter().enumerate() {
        while let Some(evaluation) = evaluations.next_if(|evaluation| evaluation.step < step) {
            file.write(&evaluated(evaluation, columns))?;
        }
        let values = columns_of_rows
            .iter()
            .map(|(name, values)| (*name, values[row]));
        file.write(&Event::scalars(clock.at(run, row), step, values))?;
    }
    for evaluation in evaluations {
        file.write(&evaluated(evaluation, columns))?;
    }
    file.flush()
}

fn evaluated(evaluation: &Evaluation, columns: &Columns) -> Event {
    let metrics = evaluation
        .metrics
        .iter()
        .filter(|(name, _)| columns.has(name));
    let values = metrics.map(|(name, value)| (name.as_str(), *value));
    Event::scalars(evaluation.at as f64 / 1e3, evaluation.step, values)
}

/// When the run's first attempt started, in seconds since 1970; 0 of one that never did.
fn began(run: &Run) -> f64 {
    run.starts
        .values()
        .next()
        .map_or(0.0, |&at| at as f64 / 1e3)
}

/// The wall clock of rows, which say only how long their attempt had trained.
#[derive(Default)]
struct Clock {
    attempt: Option<u32>,
    /// When the attempt started, less the seconds of those before it.
    zero: f64,
}

impl Clock {
    /// Seconds since 1970 at `row`, which comes after those that were asked for before.
    fn at(&mut self, run: &Run, row: usize) -> f64 {
        let attempt = run.series.attempt(row);
        let seconds = run.series.seconds();
        if row == 0 || attempt != self.attempt {
            let start = attempt.and_then(|attempt| run.starts.get(&attempt));
            let before = row.checked_sub(1).map_or(0.0, |last| seconds[last]);
            self.zero = start.map_or(0.0, |&at| at as f64 / 1e3) - before;
            self.attempt = attempt;
        }
        self.zero + seconds[row]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::record::RunDir;
    use crate::spec::{RunSpec, TrainConfig};
    use crate::store::Position;

    fn example() -> (Named, Run) {
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(TrainConfig::default()));
        run.starts = BTreeMap::from([(1, 1_700_000_000_000), (2, 1_700_000_100_000)]);
        let mut push = |attempt, step, seconds, values: &[(&str, f64)]| {
            let at = Position {
                attempt,
                step,
                examples: step,
                seconds,
            };
            run.series.push(at, values.iter().copied());
        };
        push(1, 1, 0.5, &[("loss", 2.7), ("lr", 1e-5)]);
        push(1, 300, 1.0, &[("loss", -0.125)]);
        push(2, 70_000, 0.25, &[("loss", 0.1), ("lr", 1e-3)]);
        run.evaluations = vec![Evaluation {
            attempt: 1,
            step: 300,
            examples: 300,
            at: 1_700_000_050_500,
            metrics: BTreeMap::from([("zeroshot/top1".into(), 0.625)]),
        }];
        let named = Named {
            id: run.id().clone(),
            label: "loss=sigmoid lr=0.001 path=../a b|c".into(),
            settings: vec![
                ("loss.kind".into(), json!("sigmoid")),
                ("optim.lr".into(), json!(1e-3)),
                ("eval.linear".into(), json!(true)),
            ],
        };
        (named, run)
    }

    fn written() -> Vec<u8> {
        let (named, run) = example();
        let mut columns = Columns::of(std::slice::from_ref(&named));
        columns.take_in(&run);
        let mut bytes = Vec::new();
        write(&mut bytes, &named, &run, &columns).unwrap();
        bytes
    }

    #[test]
    fn a_directory_is_safe_and_its_own() {
        let (mut named, _) = example();
        assert_eq!(
            directory(&named),
            "loss=sigmoid,lr=0.001,path=.._a,b_c,af1349b9f5"
        );
        named.label = "../..".into();
        assert_eq!(directory(&named), "_..,af1349b9f5");
        named.label = String::new();
        assert_eq!(directory(&named), "af1349b9f5");
        named.label = "é".repeat(500);
        assert_eq!(directory(&named).len(), LONGEST + 11);
    }

    /// The snapshot that this holds to was read by TensorBoard 2.21.0:
    /// ```text
    /// from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    /// from tensorboard.plugins.hparams import plugin_data_pb2
    /// a = EventAccumulator("src/export/tensorboard/snapshots/….snap.tfevents", size_guidance={"scalars": 0}); a.Reload()
    /// for tag in a.Tags()["scalars"]: print(tag, [(e.wall_time, e.step, e.value) for e in a.Scalars(tag)])
    /// # loss [(1700000000.5, 1, 2.7000000…), (1700000001.0, 300, -0.125), (1700000100.25, 70000, 0.1…)]
    /// # lr [(1700000000.5, 1, 1e-05…), (1700000100.25, 70000, 0.001…)]
    /// # zeroshot/top1 [(1700000050.5, 300, 0.625)]
    /// data = a.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    /// print(plugin_data_pb2.HParamsPluginData.FromString(data).session_start_info.hparams)
    /// # loss.kind "sigmoid", optim.lr 0.001, eval.linear true
    /// ```
    #[test]
    fn the_file_is_the_one_that_tensorboard_read() {
        insta::assert_binary_snapshot!(".tfevents", written());
    }
}
