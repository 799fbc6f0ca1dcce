//! The files that runs read, which are no part of a run's name: which of them are not there before anything starts, and
//! which have changed since a run read them. It opens none.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::record::RunId;
use crate::spec::RunSpec;
use crate::store::Run;
use crate::util::printable;

/// A file that a setting names and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {path} is not there{hint}")]
pub struct Absent {
    pub key: &'static str,
    /// Safe to print.
    pub path: String,
    hint: String,
}

/// The first file of each setting that is not there, of all `specs`.
pub fn absent<'s>(specs: impl IntoIterator<Item = &'s RunSpec>) -> Vec<Absent> {
    let reads = specs.into_iter().flat_map(|spec| spec.config.reads());
    let reads: BTreeSet<_> = reads.collect();
    let of = |key, path: &Path| {
        let text = path.display().to_string();
        let hint = if text.contains(['*', '?', '[']) {
            "; a list is written {000000..000012} or {a,b}, and * stands for itself".to_owned()
        } else if path.is_relative() {
            let here = std::env::current_dir().unwrap_or_default();
            let here = printable(&here.display().to_string());
            format!("; what is relative begins where siglab is started, {here}")
        } else {
            String::new()
        };
        Absent {
            key,
            path: printable(&text),
            hint,
        }
    };
    reads
        .iter()
        .filter_map(|reads| Some(of(reads.key, reads.missing()?)))
        .collect()
}

/// For each setting whose files have changed since `runs` read them, a sentence. By length and time: a file that was
/// copied counts as another.
pub fn changed<'r>(runs: impl IntoIterator<Item = &'r Run>) -> Vec<String> {
    let mut looks = BTreeMap::new();
    let mut by_key: BTreeMap<&str, Vec<&RunId>> = BTreeMap::new();
    for run in runs.into_iter().filter(|run| !run.files.is_empty()) {
        for reads in run.spec.config.reads() {
            let Some(before) = run.files.get(reads.key) else {
                continue;
            };
            let key = reads.key;
            let now = looks
                .entry(reads)
                .or_insert_with_key(|reads| reads.missing().is_none().then(|| reads.look()));
            if now.as_ref().is_some_and(|now| now != before) {
                by_key.entry(key).or_default().push(run.id());
            }
        }
    }
    let sentence = |(key, runs): (&str, Vec<&RunId>)| {
        let (count, plural) = (runs.len(), if runs.len() == 1 { "" } else { "s" });
        format!(
            "{key}: its files have changed since {count} run{plural} read them ({}{}), and results stand as they are; to train \
             on the new ones give them another name",
            runs[0],
            if count > 1 { ", …" } else { "" }
        )
    };
    by_key.into_iter().map(sentence).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunDir;
    use crate::train::TrainConfig;

    #[test]
    fn a_file_that_was_written_over_is_told_with_the_runs_that_read_it() {
        let tmp = tempfile::tempdir().unwrap();
        let shard = tmp.path().join("0.tar");
        std::fs::write(&shard, "one").unwrap();
        let data = serde_json::json!({ "kind": "webdataset", "path": shard });
        let config = TrainConfig {
            data: serde_json::from_value(data).unwrap(),
            ..TrainConfig::default()
        };
        let mut run = Run::new(RunDir::new(tmp.path()), RunSpec::new(config));
        assert!(changed([&run]).is_empty(), "a run that read nothing");
        run.files = run.spec.config.look_of_files();
        assert!(changed([&run]).is_empty());
        std::fs::write(&shard, "another").unwrap();
        let [said] = &changed([&run, &run])[..] else {
            panic!("one setting");
        };
        assert!(
            said.starts_with("data.path: its files have changed since 2 runs"),
            "{said}"
        );
    }

    #[test]
    fn what_is_not_there_is_told_once_with_what_to_do() {
        let mut config = TrainConfig::default();
        let spec = |config: &TrainConfig| RunSpec::new(config.clone());
        assert_eq!(absent([&spec(&config)]), []);
        let text = r#"{ "kind": "webdataset", "path": "no/*.tar" }"#;
        config.data = serde_json::from_str(text).unwrap();
        let one = spec(&config);
        config.seed = 1;
        let [absent] = &absent([&one, &spec(&config)])[..] else {
            panic!("one file of two runs");
        };
        assert_eq!(absent.key, "data.path");
        let said = absent.to_string();
        assert!(
            said.starts_with("data.path: no/*.tar is not there; a list"),
            "{said}"
        );
    }
}
