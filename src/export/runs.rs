//! What runs logged and evaluated, as two wide tables: a row a logged step and a row an evaluation, with a column a metric
//! and a column for each setting that tells the runs apart. A run is taken at a time and in parts, so that no more than one
//! of them has to be in memory.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use super::frame::{Frame, Values};
use crate::store::{Evaluation, Run, RunId, Series};
use crate::util::printable;

/// Rows that are turned into columns at a time: some tens of megabytes.
const PART: usize = 32_768;

/// The columns that every row has, before and after those of the settings.
const BEFORE: [&str; 1] = ["run"];
const OF_ROWS: [&str; 4] = ["attempt", "step", "examples", "seconds"];
const OF_EVALUATIONS: [&str; 4] = ["attempt", "step", "examples", "at"];

/// A run among those that are exported, and what tells it from them.
#[derive(Clone, Debug)]
pub struct Named {
    pub id: RunId,
    /// In one line.
    pub label: String,
    pub settings: Vec<(String, Value)>,
}

/// A metric that is asked for and that no run has, or that cannot be a column.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    #[error("none of the runs has a metric `{metric}`; there are {known}")]
    Unknown { metric: String, known: String },
    #[error(
        "a metric of the runs is called `{metric}`, which another column is; name those to export with --metric"
    )]
    Taken { metric: String },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Whole,
    Real,
    Truth,
    Text,
}

impl Kind {
    /// What holds all `values`.
    fn of<'v>(values: impl Iterator<Item = &'v Value> + Clone) -> Self {
        let all = |is: fn(&Value) -> bool| values.clone().all(is);
        if all(Value::is_i64) {
            Self::Whole
        } else if all(Value::is_number) {
            Self::Real
        } else if all(Value::is_boolean) {
            Self::Truth
        } else {
            Self::Text
        }
    }

    /// A column of `rows` times the same value.
    fn repeat(self, value: Option<&Value>, rows: usize) -> Values {
        match self {
            Self::Whole => Values::Whole(vec![value.and_then(Value::as_i64); rows]),
            Self::Real => Values::Real(vec![value.and_then(Value::as_f64); rows]),
            Self::Truth => Values::Truth(vec![value.and_then(Value::as_bool); rows]),
            Self::Text => Values::Text(vec![value.map(text); rows]),
        }
    }
}

fn text(value: &Value) -> Arc<str> {
    match value {
        Value::String(text) => text.as_str().into(),
        other => other.to_string().into(),
    }
}

/// The columns of both tables, the same for every run.
#[derive(Clone, Debug)]
pub struct Columns {
    settings: Vec<(String, Kind)>,
    rows: BTreeSet<String>,
    evaluations: BTreeSet<String>,
}

impl Columns {
    /// Those of the settings; the metrics follow with [`take_in`](Self::take_in).
    pub fn of(runs: &[Named]) -> Self {
        let mut keys: Vec<&String> = Vec::new();
        for (key, _) in runs.iter().flat_map(|run| &run.settings) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        // A run may lack a setting that stands before others: the seed is last all the same.
        keys.sort_by_key(|key| *key == "seed");
        let kind = |key: &String| {
            let settings = runs.iter().flat_map(|run| &run.settings);
            let values = settings.filter(|(other, _)| other == key);
            Kind::of(values.map(|(_, value)| value))
        };
        Self {
            settings: keys
                .into_iter()
                .map(|key| (key.clone(), kind(key)))
                .collect(),
            rows: BTreeSet::new(),
            evaluations: BTreeSet::new(),
        }
    }

    /// Have a column for all that `run` measured.
    pub fn take_in(&mut self, run: &Run) {
        self.rows.extend(run.series.names().map(str::to_owned));
        let evaluated = run.evaluations.iter().flat_map(|e| e.metrics.keys());
        self.evaluations.extend(evaluated.cloned());
    }

    /// Keep the columns of `metrics` alone; all of them if none is named.
    ///
    /// # Errors
    /// See [`MetricError`].
    pub fn keep(&mut self, metrics: &[String]) -> Result<(), MetricError> {
        let known: BTreeSet<&String> = self.rows.union(&self.evaluations).collect();
        if let Some(unknown) = metrics.iter().find(|metric| !known.contains(metric)) {
            let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
            return Err(MetricError::Unknown {
                metric: printable(unknown),
                known: printable(&known.join(", ")),
            });
        }
        if !metrics.is_empty() {
            self.rows.retain(|name| metrics.contains(name));
            self.evaluations.retain(|name| metrics.contains(name));
        }
        let settings = self.settings.iter().map(|(key, _)| key.as_str());
        let others = BEFORE
            .into_iter()
            .chain(settings)
            .chain(OF_ROWS)
            .chain(OF_EVALUATIONS);
        let has = |name: &str| self.rows.contains(name) || self.evaluations.contains(name);
        match others.into_iter().find(|name| has(name)) {
            Some(name) => Err(MetricError::Taken {
                metric: printable(name),
            }),
            None => Ok(()),
        }
    }

    /// Whether the metric is to be exported.
    pub fn has(&self, metric: &str) -> bool {
        self.rows.contains(metric) || self.evaluations.contains(metric)
    }

    /// The rows of a run that stand, in parts; of a run without any, one part without rows.
    pub fn rows(&self, named: &Named, series: &Series) -> impl Iterator<Item = Frame> {
        let parts = series.len().div_ceil(PART).max(1);
        (0..parts).map(move |part| {
            let first = part * PART;
            self.rows_of(named, series, first..(first + PART).min(series.len()))
        })
    }

    fn rows_of(&self, named: &Named, series: &Series, rows: Range<usize>) -> Frame {
        let mut frame = self.begin(named, rows.len());
        let [attempt, step, examples, seconds] = OF_ROWS;
        let attempts = rows.clone().map(|row| series.attempt(row).map(i64::from));
        frame.push(attempt, Values::Whole(attempts.collect()));
        let counts = |all: &[u64]| Values::counts(all[rows.clone()].iter().copied());
        frame.push(step, counts(series.steps()));
        frame.push(examples, counts(series.examples()));
        let reals = |all: &[f64]| Values::reals(all[rows.clone()].iter().copied().map(Some));
        frame.push(seconds, reals(series.seconds()));
        for name in &self.rows {
            let values = match series.column(name) {
                Some(column) => reals(column.values()),
                None => Values::Real(vec![None; rows.len()]),
            };
            frame.push(name, values);
        }
        frame
    }

    /// The evaluations of a run that stand.
    pub fn evaluations(&self, named: &Named, evaluations: &[Evaluation]) -> Frame {
        let mut frame = self.begin(named, evaluations.len());
        let counts = |of: fn(&Evaluation) -> u64| Values::counts(evaluations.iter().map(of));
        let [attempt, step, examples, at] = OF_EVALUATIONS;
        frame.push(attempt, counts(|evaluation| evaluation.attempt.into()));
        frame.push(step, counts(|evaluation| evaluation.step));
        frame.push(examples, counts(|evaluation| evaluation.examples));
        let seconds = |evaluation: &Evaluation| Some(evaluation.at as f64 / 1e3);
        frame.push(at, Values::reals(evaluations.iter().map(seconds)));
        for name in &self.evaluations {
            let value = |evaluation: &Evaluation| evaluation.metrics.get(name).copied();
            frame.push(name, Values::reals(evaluations.iter().map(value)));
        }
        frame
    }

    /// The columns that a run has the same value in.
    fn begin(&self, named: &Named, rows: usize) -> Frame {
        let mut frame = Frame::default();
        let [run] = BEFORE;
        let id: Arc<str> = named.id.as_str().into();
        frame.push(run, Values::Text(vec![Some(id); rows]));
        for (key, kind) in &self.settings {
            let setting = named.settings.iter().find(|(other, _)| other == key);
            frame.push(key, kind.repeat(setting.map(|(_, value)| value), rows));
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use serde_json::json;

    use super::*;
    use crate::export::{csv, parquet};
    use crate::store::Position;

    fn named(id: &str, settings: &[(&str, Value)]) -> Named {
        let settings = settings.iter();
        Named {
            id: id.parse().unwrap(),
            label: String::new(),
            settings: settings
                .map(|(key, value)| ((*key).into(), value.clone()))
                .collect(),
        }
    }

    /// Three rows over two attempts; a metric that comes late, one that goes, and a name that reads like a formula.
    fn series() -> Series {
        let mut series = Series::default();
        let mut push = |attempt, step: u64, seconds, values: &[(&str, f64)]| {
            let at = Position {
                attempt,
                step,
                examples: 64 * step,
                seconds,
            };
            series.push(at, values.iter().copied());
        };
        push(
            1,
            1,
            0.5,
            &[("grad_norm", 1e-7), ("loss", std::f64::consts::LN_10)],
        );
        push(1, 2, 1.0, &[("loss", -0.1 - 0.2)]);
        push(2, 3, 0.25, &[("=1+2", 1e300), ("loss", 2.0)]);
        series
    }

    fn evaluations() -> Vec<Evaluation> {
        vec![Evaluation {
            attempt: 2,
            step: 3,
            examples: 192,
            at: 1_700_000_000_123,
            metrics: BTreeMap::from([("zeroshot/top1".into(), 1.0 / 3.0)]),
        }]
    }

    fn runs() -> [Named; 2] {
        let optional = ("loss.bias.init", json!(-10.0));
        [
            named(
                "00000000aa",
                &[
                    ("loss.kind", json!("sigmoid")),
                    optional,
                    ("seed", json!(0)),
                ],
            ),
            named(
                "00000000bb",
                &[("loss.kind", json!("softmax")), ("seed", json!(1))],
            ),
        ]
    }

    fn columns(metrics: &[&str]) -> Result<Columns, MetricError> {
        let mut columns = Columns::of(&runs());
        columns.rows = series().names().map(str::to_owned).collect();
        columns.evaluations = evaluations()[0].metrics.keys().cloned().collect();
        let metrics: Vec<String> = metrics.iter().map(|&metric| metric.into()).collect();
        columns.keep(&metrics).map(|()| columns)
    }

    fn text(frames: &[Frame]) -> String {
        let mut file = csv::CsvFile::begin(Vec::new(), &frames[0]).unwrap();
        frames.iter().for_each(|frame| file.write(frame).unwrap());
        String::from_utf8(file.finish().unwrap()).unwrap()
    }

    #[test]
    fn a_row_a_step_with_what_tells_the_runs_apart() {
        let columns = columns(&[]).unwrap();
        let [one, other] = &runs();
        let series = series();
        let frames: Vec<Frame> = columns
            .rows(one, &series)
            .chain(columns.rows(other, &Series::default()))
            .collect();
        insta::assert_snapshot!(text(&frames), @r"
        run,loss.kind,loss.bias.init,seed,attempt,step,examples,seconds,'=1+2,grad_norm,loss
        00000000aa,sigmoid,-10,0,1,1,64,0.5,,1e-7,2.302585092994046
        00000000aa,sigmoid,-10,0,1,2,128,1,,,-0.30000000000000004
        00000000aa,sigmoid,-10,0,2,3,192,1.25,1e300,,2
        ");
        let evaluations = columns.evaluations(other, &evaluations());
        insta::assert_snapshot!(text(&[evaluations]), @r"
        run,loss.kind,loss.bias.init,seed,attempt,step,examples,at,zeroshot/top1
        00000000bb,softmax,,1,2,3,192,1700000000.123,0.3333333333333333
        ");
    }

    #[test]
    fn a_metric_is_chosen_by_name_and_an_unknown_one_is_refused() {
        let columns_of = |metrics: &[&str]| {
            columns(metrics).map(|columns| {
                let [one, _] = runs();
                let frame = columns.rows(&one, &series()).next().unwrap();
                frame
                    .columns
                    .into_iter()
                    .map(|(name, _)| name)
                    .skip(8)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(columns_of(&["loss"]).unwrap(), ["loss"]);
        let error = columns_of(&["los"]).unwrap_err().to_string();
        assert_eq!(
            error,
            "none of the runs has a metric `los`; there are =1+2, grad_norm, loss, zeroshot/top1"
        );
    }

    #[test]
    fn a_metric_with_the_name_of_another_column_is_refused_unless_left_out() {
        let mut columns = Columns::of(&runs());
        columns.rows.extend(["loss".into(), "seed".into()]);
        let taken = MetricError::Taken {
            metric: "seed".into(),
        };
        assert_eq!(columns.clone().keep(&[]), Err(taken));
        assert_eq!(columns.keep(&["loss".into()]), Ok(()));
    }

    #[test]
    fn parquet_has_the_same_columns_in_groups() {
        let columns = columns(&[]).unwrap();
        let [one, other] = &runs();
        let series = series();
        let frames: Vec<Frame> = columns
            .rows(one, &series)
            .chain(columns.rows(other, &series))
            .collect();
        let about = [("siglab", "0.1.0".to_owned())];
        let mut file = parquet::ParquetFile::begin(Vec::new(), &frames[0], &about).unwrap();
        frames.iter().for_each(|frame| file.write(frame).unwrap());
        let bytes = file.finish().unwrap();
        let mut stored = tempfile::tempfile().unwrap();
        stored.write_all(&bytes).unwrap();
        let read = SerializedFileReader::new(stored).unwrap();
        assert_eq!(read.num_row_groups(), 2);
        let about = read
            .metadata()
            .file_metadata()
            .key_value_metadata()
            .unwrap();
        assert_eq!(about[0].value.as_deref(), Some("0.1.0"));
        let rows = read
            .get_row_iter(None)
            .unwrap()
            .map(|row| row.unwrap().to_string() + "\n");
        insta::assert_snapshot!(rows.collect::<String>());
    }

    #[test]
    fn a_long_run_comes_in_parts() {
        let mut series = Series::default();
        for step in 1..=PART as u64 + 1 {
            let at = Position {
                attempt: 1,
                step,
                examples: step,
                seconds: 0.0,
            };
            series.push(at, [("loss", step as f64)]);
        }
        let columns = columns(&["loss"]).unwrap();
        let [one, _] = &runs();
        let rows: Vec<usize> = columns
            .rows(one, &series)
            .map(|frame| frame.rows())
            .collect();
        assert_eq!(rows, [PART, 1]);
    }
}
