//! What tells two runs apart: their settings, the code and the machine of their last attempts, the files that these read,
//! and what came out. Whether a difference matters to the numbers is for people to judge, but for the seed: two runs that
//! differ in nothing else are replicates.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::at_end;
use crate::spec::path;
use crate::store::Run;

/// The setting that replicates differ in.
const SEED: &str = "seed";

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Diff {
    pub runs: [String; 2],
    /// Whether nothing differs but the seed; what came out does not count.
    pub replicates: bool,
    /// Defaults resolved; none where the kinds of a run have no such setting.
    pub settings: Vec<Item>,
    pub code: Vec<Item>,
    pub environment: Vec<Item>,
    pub data: Vec<Item>,
    /// How both stand and what they measured last, whether or not it differs.
    pub outcome: Vec<Item>,
    /// What has to be known to read this.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Item {
    pub what: String,
    /// None where it is not on record.
    pub values: [Option<Value>; 2],
}

impl Item {
    fn new(what: &str, values: [Option<Value>; 2]) -> Self {
        Self {
            what: what.to_owned(),
            values,
        }
    }

    fn differs(&self) -> bool {
        self.values[0] != self.values[1]
    }
}

pub fn diff(one: &Run, other: &Run) -> Diff {
    let runs = [one, other];
    let settings = settings(runs);
    let only = |items: Vec<Item>| items.into_iter().filter(Item::differs).collect::<Vec<_>>();
    let [code, environment, data] = [code(runs), environment(runs), data(runs)].map(only);
    let seed = settings.iter().all(|item| item.what == SEED);
    let replicates = seed
        && [&code, &environment, &data]
            .iter()
            .all(|items| items.is_empty());
    Diff {
        runs: runs.map(|run| run.id().to_string()),
        replicates,
        settings,
        code,
        environment,
        data,
        outcome: outcome(runs),
        notes: notes(runs),
    }
}

fn settings(runs: [&Run; 2]) -> Vec<Item> {
    let [one, other] = runs.map(|run| {
        let config = serde_json::to_value(&run.spec.config);
        path::flatten(&config.expect("settings are plain data with string keys"))
    });
    let differences = path::diff(&one, &other).into_iter();
    let mut items: Vec<Item> = differences
        .map(|difference| Item {
            what: difference.key,
            values: [difference.left, difference.right],
        })
        .collect();
    items.sort_by_key(|item| item.what == SEED);
    items
}

fn code(runs: [&Run; 2]) -> Vec<Item> {
    let git = runs.map(|run| run.provenance.git.as_ref());
    vec![
        Item::new(
            "siglab",
            runs.map(|run| run.siglab.as_ref().map(|it| json!(it))),
        ),
        Item::new(
            "git commit",
            git.map(|git| git.map(|git| json!(git.commit))),
        ),
        Item::new(
            "git tree",
            git.map(|git| Some(json!(if git?.dirty? { "changed" } else { "clean" }))),
        ),
    ]
}

fn environment(runs: [&Run; 2]) -> Vec<Item> {
    let word = |word: &String| (!word.is_empty()).then(|| json!(word));
    let mut items = vec![
        Item::new("host", runs.map(|run| run.host.as_ref().and_then(word))),
        Item::new("system", runs.map(|run| word(&run.provenance.os))),
        Item::new("cpu", runs.map(|run| word(&run.provenance.cpu))),
        Item::new("vectors", runs.map(|run| word(&run.provenance.vectors))),
        Item::new("products", runs.map(|run| word(&run.provenance.products))),
        Item::new(
            "devices",
            runs.map(|run| (!run.devices.is_empty()).then(|| json!(run.devices.join(", ")))),
        ),
        Item::new("threads", runs.map(|run| run.threads.map(|n| json!(n)))),
    ];
    let names: BTreeSet<&String> = runs
        .iter()
        .flat_map(|run| run.provenance.libraries.keys())
        .collect();
    items.extend(names.into_iter().map(|name| {
        let version = |run: &Run| run.provenance.libraries.get(name).map(|it| json!(it));
        Item::new(name, runs.map(version))
    }));
    items
}

fn data(runs: [&Run; 2]) -> Vec<Item> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|run| run.files.keys()).collect();
    let look = |key: &String| runs.map(|run| run.files.get(key).map(|look| json!(look)));
    keys.into_iter()
        .map(|key| Item::new(key, look(key)))
        .collect()
}

fn outcome(runs: [&Run; 2]) -> Vec<Item> {
    let mut items = vec![
        Item::new("state", runs.map(|run| Some(json!(run.state.name())))),
        Item::new("attempts", runs.map(|run| Some(json!(run.attempt)))),
        Item::new("examples", runs.map(|run| Some(json!(run.examples)))),
        Item::new(
            "seconds",
            runs.map(|run| Some(json!(run.busy.as_secs_f64()))),
        ),
    ];
    let mut metrics: BTreeSet<&str> = runs
        .iter()
        .filter_map(|run| run.evaluations.last())
        .flat_map(|evaluation| evaluation.metrics.keys())
        .map(String::as_str)
        .collect();
    metrics.insert("loss");
    let value = |metric| runs.map(|run| at_end(run, metric).map(|reading| json!(reading.value)));
    items.extend(
        metrics
            .into_iter()
            .map(|metric| Item::new(metric, value(metric))),
    );
    items.retain(|item| item.values.iter().any(Option::is_some));
    items
}

fn notes(runs: [&Run; 2]) -> Vec<String> {
    let mut notes = Vec::new();
    for run in runs {
        if run.attempt == 0 {
            notes.push(format!(
                "run {} has not started: where it will run is not known",
                run.id()
            ));
        } else if run.provenance.is_empty() {
            notes.push(format!(
                "run {} is from before siglab noted machine, libraries and git state",
                run.id()
            ));
        }
    }
    let changed = |run: &Run| {
        run.provenance
            .git
            .as_ref()
            .is_some_and(|git| git.dirty != Some(false))
    };
    if runs.map(changed) == [true; 2] {
        notes.push(
            "both were started in a working tree with changes, which may not have been the same"
                .into(),
        );
    }
    if let [Some(one), Some(other)] = runs.map(|run| run.starts.keys().next_back())
        && (*one > 1 || *other > 1)
    {
        notes.push("code, environment and data are those of the last attempt".into());
    }
    notes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::record::{Git, Provenance, RunDir};
    use crate::spec::{RunSpec, TrainConfig};
    use crate::store::{Evaluation, RunState};
    use crate::train::loss::{LossConfig, SoftmaxConfig};

    fn run(config: TrainConfig, top1: f64) -> Run {
        let mut run = Run::new(RunDir::new("x"), RunSpec::new(config));
        run.state = RunState::Completed;
        run.attempt = 1;
        run.starts = BTreeMap::from([(1, 0)]);
        run.siglab = Some("0.1.0".into());
        run.host = Some("here".into());
        run.threads = Some(2);
        run.devices = vec!["cpu".into()];
        run.files = BTreeMap::from([("data.path".into(), "2 files, abc".into())]);
        run.provenance = Provenance {
            os: "Linux 6.8 x86_64".into(),
            libraries: BTreeMap::from([("burn".into(), "0.22.1".into())]),
            git: Some(Git {
                commit: "abcdef".into(),
                dirty: Some(false),
            }),
            ..Provenance::default()
        };
        run.evaluations = vec![Evaluation {
            step: 1,
            metrics: BTreeMap::from([("zeroshot/top1".into(), top1)]),
            ..Evaluation::default()
        }];
        run
    }

    fn seeded(seed: u64) -> TrainConfig {
        TrainConfig {
            seed,
            ..TrainConfig::default()
        }
    }

    fn names(items: &[Item]) -> Vec<&str> {
        items.iter().map(|item| item.what.as_str()).collect()
    }

    #[test]
    fn runs_of_two_seeds_are_replicates_whatever_came_out() {
        let found = diff(&run(seeded(0), 0.5), &run(seeded(1), 0.25));
        assert!(found.replicates);
        assert_eq!(names(&found.settings), ["seed"]);
        assert_eq!(
            found.outcome.last().unwrap(),
            &Item::new("zeroshot/top1", [Some(json!(0.5)), Some(json!(0.25))])
        );
        assert_eq!(found.notes, [""; 0]);
    }

    #[test]
    fn settings_come_with_the_defaults_of_their_kinds() {
        let mut config = seeded(1);
        config.loss = LossConfig::Softmax(SoftmaxConfig::default());
        let found = diff(&run(seeded(0), 0.5), &run(config, 0.5));
        assert!(!found.replicates);
        let of = |key| found.settings.iter().find(|item| item.what == key).unwrap();
        assert_eq!(
            of("loss.kind").values,
            [Some(json!("sigmoid")), Some(json!("softmax"))]
        );
        assert_eq!(of("loss.bias.init").values, [Some(json!(-10.0)), None]);
        assert_eq!(names(&found.settings).last(), Some(&"seed"));
    }

    #[test]
    fn code_machine_and_data_count_and_what_is_not_on_record_does_too() {
        let one = run(seeded(0), 0.5);
        let changed = |change: fn(&mut Run)| {
            let mut other = run(seeded(1), 0.5);
            change(&mut other);
            let found = diff(&one, &other);
            let items = [&found.code, &found.environment, &found.data].map(|items| names(items));
            (
                items.concat().join(" "),
                found.replicates,
                found.notes.len(),
            )
        };
        let git = |run: &mut Run| {
            run.provenance.git = Some(Git {
                commit: "012345".into(),
                dirty: Some(true),
            });
        };
        assert_eq!(changed(git), ("git commit git tree".into(), false, 0));
        let library = |run: &mut Run| {
            run.provenance
                .libraries
                .insert("burn".into(), "0.23.0".into());
        };
        assert_eq!(changed(library), ("burn".into(), false, 0));
        let files = |run: &mut Run| run.files.clear();
        assert_eq!(changed(files), ("data.path".into(), false, 0));
        let old = |run: &mut Run| run.provenance = Provenance::default();
        assert_eq!(
            changed(old),
            ("git commit git tree system burn".into(), false, 1)
        );
    }

    #[test]
    fn two_changed_trees_are_told() {
        let dirty = |seed| {
            let mut run = run(seeded(seed), 0.5);
            run.provenance.git.as_mut().unwrap().dirty = Some(true);
            run
        };
        let found = diff(&dirty(0), &dirty(1));
        assert!(found.replicates && found.notes[0].starts_with("both were started"));
    }
}
