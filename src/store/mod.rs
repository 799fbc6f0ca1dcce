//! Every run's logs folded into memory. Nothing here writes: what is not in the logs did not happen. One thread
//! owns the store and asks it to catch up; a [`Watch`] says when that is worth while.

mod file;
mod fold;
mod query;
mod run;
mod series;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::record::RunDir;
pub use crate::record::RunId;
use crate::spec::RunSpec;
pub use file::FileWatch;
use fold::Fold;
pub use query::{Query, QueryError};
pub use run::{Evaluation, Run, RunState};
pub use series::{Along, Column, Position, Series, Summary};
pub use watch::{Hint, Watch};

/// Time that one [`Store::refresh`] may take before a face gets its turn.
const REFRESH: Duration = Duration::from_millis(50);
/// Rows of one run that are folded at a time.
const BITE: usize = 2_000;

/// What a refresh changed of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Delta {
    pub id: RunId,
    pub change: Change,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Appeared,
    Vanished,
    State {
        before: RunState,
    },
    /// Rows were taken back: what was read of the series and `evaluations` before is void.
    Rewound,
    /// Rows `from..` of the series are new.
    Rows {
        from: usize,
    },
    /// `evaluations[from..]` are new.
    Evaluated {
        from: usize,
    },
    /// `warnings[from..]` are new.
    Warned {
        from: usize,
    },
}

/// A place that holds no runs and cannot.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the workspace {}: {cause}; name another with --workspace DIR", .path.display())]
pub struct WorkspaceError {
    pub path: PathBuf,
    pub cause: io::Error,
}

#[derive(Debug)]
struct Entry {
    run: Run,
    fold: Fold,
}

/// The runs of one workspace.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    entries: BTreeMap<RunId, Entry>,
    /// Run directories that cannot be read, and why: a newer format, damage, no permission.
    unreadable: BTreeMap<RunId, String>,
    /// Where the last refresh ran out of time.
    resume_at: Option<RunId>,
}

impl Store {
    /// Everything that stands in the workspace. A directory that is missing is an empty one.
    pub fn open(root: &Path) -> Result<Store, WorkspaceError> {
        let mut store = Self {
            root: root.to_owned(),
            entries: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            resume_at: None,
        };
        store.discover().map_err(|cause| WorkspaceError {
            path: root.to_owned(),
            cause,
        })?;
        let ids: Vec<RunId> = store.entries.keys().cloned().collect();
        for id in &ids {
            while store.catch_up(id, &mut Vec::new()) {}
        }
        Ok(store)
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn get(&self, id: &RunId) -> Option<&Run> {
        self.entries.get(id).map(|entry| &entry.run)
    }

    /// All runs, by id.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.entries.values().map(|entry| &entry.run)
    }

    /// Run directories that cannot be read, and why.
    pub fn unreadable(&self) -> &BTreeMap<RunId, String> {
        &self.unreadable
    }

    /// Catch up with every run, in bites: what does not fit into 50 ms comes with the next call.
    pub fn refresh(&mut self) -> io::Result<Vec<Delta>> {
        let began = Instant::now();
        let mut deltas = self.discover()?;
        let mut ids: Vec<RunId> = self.entries.keys().cloned().collect();
        let first = self
            .resume_at
            .take()
            .map_or(0, |at| ids.partition_point(|id| *id < at));
        ids.rotate_left(first);
        for id in ids {
            if began.elapsed() > REFRESH {
                self.resume_at = Some(id);
                break;
            }
            self.catch_up(&id, &mut deltas);
        }
        Ok(deltas)
    }

    /// Catch up with these runs alone. Their states are exact afterwards; of rows at most a bite each is taken.
    pub fn refresh_runs<'a>(&mut self, ids: impl IntoIterator<Item = &'a RunId>) -> Vec<Delta> {
        let mut deltas = Vec::new();
        for id in ids {
            if !self.entries.contains_key(id) {
                self.admit(id.clone(), &mut deltas);
            }
            self.catch_up(id, &mut deltas);
        }
        deltas
    }

    /// Find the directories that came and went.
    fn discover(&mut self) -> io::Result<Vec<Delta>> {
        let mut present = BTreeSet::new();
        match fs::read_dir(&self.root) {
            Ok(entries) => {
                for entry in entries {
                    present.extend(
                        entry?
                            .file_name()
                            .to_str()
                            .and_then(|name| name.parse::<RunId>().ok()),
                    );
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let gone: Vec<RunId> = self
            .entries
            .keys()
            .filter(|id| !present.contains(id))
            .cloned()
            .collect();
        let mut deltas = Vec::new();
        for id in gone {
            self.entries.remove(&id);
            deltas.push(Delta {
                id,
                change: Change::Vanished,
            });
        }
        self.unreadable.retain(|id, _| present.contains(id));
        for id in present {
            if !self.entries.contains_key(&id) {
                self.admit(id, &mut deltas);
            }
        }
        Ok(deltas)
    }

    /// Take in a directory with a specification; one without is no run.
    fn admit(&mut self, id: RunId, deltas: &mut Vec<Delta>) {
        let dir = RunDir::new(self.root.join(id.as_str()));
        match RunSpec::read(&dir) {
            Ok(spec) if spec.id == id => {
                let fold = Fold::new(&dir);
                self.unreadable.remove(&id);
                self.entries.insert(
                    id.clone(),
                    Entry {
                        run: Run::new(dir, spec),
                        fold,
                    },
                );
                deltas.push(Delta {
                    id,
                    change: Change::Appeared,
                });
            }
            Ok(spec) => {
                let why = format!(
                    "{} is the specification of run {}",
                    dir.spec().display(),
                    spec.id
                );
                self.unreadable.insert(id, why);
            }
            Err(_) if !dir.spec().exists() => {}
            Err(e) => {
                self.unreadable.insert(id, e.to_string());
            }
        }
    }

    /// Fold what one run wrote since the last time. True while rows are left for another bite.
    fn catch_up(&mut self, id: &RunId, deltas: &mut Vec<Delta>) -> bool {
        let Some(Entry { run, fold }) = self.entries.get_mut(id) else {
            return false;
        };
        let (state, mut changes) = (run.state.clone(), Vec::new());
        let more = match fold.read(run, BITE, &mut changes) {
            Ok(more) => {
                self.unreadable.remove(id);
                more
            }
            Err(e) => {
                self.unreadable.insert(id.clone(), e.to_string());
                false
            }
        };
        if run.state != state {
            changes.push(Change::State { before: state });
        }
        deltas.extend(changes.into_iter().map(|change| Delta {
            id: id.clone(),
            change,
        }));
        more
    }
}

#[cfg(test)]
mod tests;
