//! Every run's logs folded into memory. Nothing here writes: what is not in the logs did not happen. One thread
//! owns the store and asks it to catch up; a [`Watch`] says when that is worth while.
//!
//! Catching up goes in rounds. A round looks at the runs that can change by themselves, at new ones, and at a part of
//! those that are over; it folds their events, which are few, and so knows every run and its state. The rows, which are
//! many, follow in bites, in whatever time a face can spare.

mod entry;
mod file;
mod fold;
mod full;
mod kept;
mod names;
mod query;
mod run;
mod series;
mod watch;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rayon::prelude::*;

pub use crate::record::{RunId, gauge, gpu};
use entry::{Entry, News};
pub use file::FileWatch;
use fold::Reader;
pub use full::Full;
use names::Names;
pub use query::{Query, QueryError};
pub use run::{Evaluation, Run, RunState, TOP1};
pub use series::{Along, Column, Position, Series, Summary};
pub use watch::{Hint, Watch};

/// Time that one [`Store::refresh`] may take before a face gets its turn.
pub const REFRESH: Duration = Duration::from_millis(50);
/// Bytes of one run's rows that are folded at a time: a millisecond or two.
const BITE: usize = 256 << 10;
/// Directories that are looked at, and runs whose rows are read, between two looks at the clock.
const LOOKS: usize = 64;
const BITES: usize = 8;
/// Runs that are over are all looked at within this many rounds. Few of them are looked at in each.
const SWEEP: usize = 10;
const FEW: usize = 64;

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
    /// Something else is wanted of it, or an attempt came to a bad end: whether it starts is another question now.
    Prospects,
    /// Its worker has begun or ceased to wait for room on the disk.
    Waits,
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

/// How far the reading of a workspace has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Runs whose logs are read to the end.
    pub read: usize,
    /// Runs that were found.
    pub of: usize,
}

/// The runs of one workspace.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    /// By themselves: the nodes of a tree are half empty.
    entries: BTreeMap<RunId, Box<Entry>>,
    /// Run directories that cannot be read, and why: a newer format, damage, no permission.
    unreadable: BTreeMap<RunId, String>,
    /// Names in the workspace that are run ids, and whether they still are all.
    present: BTreeSet<RunId>,
    names: Names,
    /// Directories that the round under way has still to look at, and how many of them are new.
    due: VecDeque<RunId>,
    unseen: usize,
    /// The run that was the last to be looked at of those that are over, and the last whose rows were read.
    swept: Option<RunId>,
    bitten: Option<RunId>,
    reader: Reader,
}

impl Store {
    /// Everything that stands in the workspace. A directory that is missing is an empty one.
    pub fn open(root: &Path) -> Result<Store, WorkspaceError> {
        let mut store = Self::begin(root)?;
        store.go_on(Duration::MAX);
        Ok(store)
    }

    /// The workspace before any of its runs is read: what stands there comes with [`Store::refresh_within`].
    pub fn begin(root: &Path) -> Result<Store, WorkspaceError> {
        let mut store = Self {
            root: root.to_owned(),
            entries: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            present: BTreeSet::new(),
            names: Names::default(),
            due: VecDeque::new(),
            unseen: 0,
            swept: None,
            bitten: None,
            reader: Reader::default(),
        };
        store
            .begin_round(&mut Vec::new())
            .map_err(|cause| WorkspaceError {
                path: root.to_owned(),
                cause,
            })?;
        Ok(store)
    }

    /// Every run as its events tell it, with no rows: for who takes the rows of one run after the other, by
    /// [`whole`](Self::whole).
    pub fn survey(root: &Path) -> Result<Store, WorkspaceError> {
        let mut store = Self::begin(root)?;
        let ids: Vec<RunId> = store.due.drain(..).collect();
        store.unseen = 0;
        store.read(&ids, 0, &mut Vec::new());
        Ok(store)
    }

    /// A run read by itself, all its rows too, which are the caller's: nothing of them stays here.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn whole(&self, id: &RunId) -> Result<Run, String> {
        let gone = || format!("run {id} is not in {} any more", self.root.display());
        let mut entry = Entry::admit(&self.root, id)?.ok_or_else(gone)?;
        let mut reader = Reader::default();
        loop {
            let news = entry.read(&mut reader, BITE);
            if let Some(trouble) = news.trouble {
                return Err(trouble);
            }
            if !entry.fold.unread() {
                return Ok(entry.run);
            }
        }
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

    /// Whether the disk that the runs are on is full, asked anew of the file system and as of the last look at the workers.
    pub fn full(&self) -> Option<Full> {
        let waits = |entry: &&Entry| entry.run.waits;
        let entries = self.entries.values().map(Box::as_ref);
        Full::of(&self.root, entries.filter(waits).count())
    }

    /// How many of the runs are read to the end, as far as the last look at them told.
    pub fn reading(&self) -> Reading {
        let unread = self.entries.values().filter(|entry| entry.fold.unread());
        Reading {
            read: self.entries.len() - unread.count(),
            of: self.entries.len() + self.unseen,
        }
    }

    /// Catch up with the workspace: what does not fit into 50 ms comes with the next call.
    pub fn refresh(&mut self) -> io::Result<Vec<Delta>> {
        self.refresh_within(REFRESH)
    }

    /// Catch up with the workspace, or go on with that where the last call stopped: at first find all runs and fold
    /// their events, then read their rows in bites. It stops soon after `budget`, and never without having done
    /// something. Of the runs that are over a call looks at a part, so that ten calls see them all.
    pub fn refresh_within(&mut self, budget: Duration) -> io::Result<Vec<Delta>> {
        let mut deltas = Vec::new();
        if self.due.is_empty() {
            self.begin_round(&mut deltas)?;
        }
        deltas.extend(self.go_on(budget));
        Ok(deltas)
    }

    /// Go on where the last call stopped, and look for nothing that is newer.
    pub fn go_on(&mut self, budget: Duration) -> Vec<Delta> {
        let began = Instant::now();
        let mut deltas = Vec::new();
        while !self.due.is_empty() {
            let ids: Vec<RunId> = self.due.drain(..LOOKS.min(self.due.len())).collect();
            let new = ids.iter().filter(|id| !self.entries.contains_key(id));
            self.unseen = self.unseen.saturating_sub(new.count());
            self.read(&ids, 0, &mut deltas);
            if began.elapsed() >= budget && !self.due.is_empty() {
                return deltas;
            }
        }
        // Some of them may have been read for themselves meanwhile.
        self.unseen = 0;
        // A bite in any case: rounds that take the whole budget must not starve the rows.
        while self.read_rows(&mut deltas) && began.elapsed() < budget {}
        deltas
    }

    /// Look at every run now, those that are over too, and read all that is new, however long that takes.
    pub fn read_all(&mut self) -> io::Result<Vec<Delta>> {
        let mut deltas = Vec::new();
        self.begin_round(&mut deltas)?;
        self.due = self.present.iter().cloned().collect();
        deltas.extend(self.go_on(Duration::MAX));
        Ok(deltas)
    }

    /// Catch up with these runs alone. Their states are exact afterwards; of rows at most a bite each is taken.
    pub fn refresh_runs<'a>(&mut self, ids: impl IntoIterator<Item = &'a RunId>) -> Vec<Delta> {
        let ids: Vec<RunId> = ids.into_iter().cloned().collect();
        let mut deltas = Vec::new();
        self.read(&ids, BITE, &mut deltas);
        deltas
    }

    /// Find the directories that came and went, and choose those to look at.
    fn begin_round(&mut self, deltas: &mut Vec<Delta>) -> io::Result<()> {
        if self.names.may_differ(&self.root)? {
            self.present = list(&self.root)?;
            let present = &self.present;
            self.entries.retain(|id, _| {
                let stays = present.contains(id);
                if !stays {
                    deltas.push(Delta {
                        id: id.clone(),
                        change: Change::Vanished,
                    });
                }
                stays
            });
            self.unreadable.retain(|id, _| present.contains(id));
        }
        let settled =
            |id: &RunId, run: &Run| run.state.is_over() && !self.unreadable.contains_key(id);
        let (over, open): (Vec<_>, Vec<_>) =
            (self.entries.iter()).partition(|(id, entry)| settled(id, &entry.run));
        let mut due: Vec<&RunId> = open.into_iter().map(|(id, _)| id).collect();
        let known = due.len();
        if self.present.len() > self.entries.len() {
            due.extend(
                self.present
                    .iter()
                    .filter(|id| !self.entries.contains_key(*id)),
            );
        }
        self.unseen = due.len() - known;
        let part = over.len().div_ceil(SWEEP).max(FEW).min(over.len());
        let first = over.partition_point(|(id, _)| Some(*id) <= self.swept.as_ref());
        let swept = over
            .iter()
            .cycle()
            .skip(first)
            .take(part)
            .map(|(id, _)| *id);
        due.extend(swept.clone());
        self.due = due.into_iter().cloned().collect();
        self.swept = swept.last().cloned();
        Ok(())
    }

    /// Read what is new of these runs, of their rows `bite` bytes each, and take in those that were not known.
    fn read(&mut self, ids: &[RunId], bite: usize, deltas: &mut Vec<Delta>) {
        let (known, new): (Vec<&RunId>, Vec<&RunId>) =
            ids.iter().partition(|id| self.entries.contains_key(id));
        for id in known {
            if let Some(entry) = self.entries.get_mut(id) {
                let news = entry.read(&mut self.reader, bite);
                self.note(id, news, deltas);
            }
        }
        let root = &self.root;
        let admitted: Vec<_> = new
            .into_par_iter()
            .map_init(Reader::default, |reader, id| {
                let admitted = Entry::admit(root, id)
                    .map(|entry| entry.map(|mut entry| (entry.read(reader, bite), entry)));
                (id, admitted)
            })
            .collect();
        for (id, admitted) in admitted {
            match admitted {
                // Who names a run twice gets it once.
                Ok(Some(_)) if self.entries.contains_key(id) => {}
                Ok(Some((news, entry))) => {
                    self.present.insert(id.clone());
                    self.entries.insert(id.clone(), Box::new(entry));
                    deltas.push(Delta {
                        id: id.clone(),
                        change: Change::Appeared,
                    });
                    self.note(id, news, deltas);
                }
                Ok(None) => {}
                Err(why) => {
                    self.unreadable.insert(id.clone(), why);
                }
            }
        }
    }

    /// Read a bite of the rows of each of the next runs that have some. False when no run has any.
    fn read_rows(&mut self, deltas: &mut Vec<Delta>) -> bool {
        let mut batch = next_unread(&mut self.entries, self.bitten.as_ref());
        if batch.is_empty() {
            batch = next_unread(&mut self.entries, None);
        }
        if batch.is_empty() {
            return false;
        }
        self.bitten = batch.last().map(|(id, _)| (*id).clone());
        let news: Vec<(RunId, News)> = match &mut batch[..] {
            [(id, entry)] => vec![((*id).clone(), entry.read(&mut self.reader, BITE))],
            _ => batch
                .into_par_iter()
                .map_init(Reader::default, |reader, (id, entry)| {
                    (id.clone(), entry.read(reader, BITE))
                })
                .collect(),
        };
        for (id, news) in news {
            self.note(&id, news, deltas);
        }
        true
    }

    fn note(&mut self, id: &RunId, news: News, deltas: &mut Vec<Delta>) {
        match news.trouble {
            Some(why) => self.unreadable.insert(id.clone(), why),
            None => self.unreadable.remove(id),
        };
        deltas.extend(news.changes.into_iter().map(|change| Delta {
            id: id.clone(),
            change,
        }));
    }
}

/// The names in a workspace that are run ids. A directory that is missing is an empty one.
fn list(root: &Path) -> io::Result<BTreeSet<RunId>> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(e) => return Err(e),
    };
    let mut present = BTreeSet::new();
    for entry in entries {
        let name = entry?.file_name();
        present.extend(name.to_str().and_then(|name| name.parse::<RunId>().ok()));
    }
    Ok(present)
}

/// The first runs after `last` that have rows to read, some at a time.
fn next_unread<'e>(
    entries: &'e mut BTreeMap<RunId, Box<Entry>>,
    last: Option<&RunId>,
) -> Vec<(&'e RunId, &'e mut Box<Entry>)> {
    let from = last.map_or(Bound::Unbounded, Bound::Excluded);
    let later = entries.range_mut::<RunId, _>((from, Bound::Unbounded));
    let unread = later.filter(|(_, entry)| entry.fold.unread());
    unread.take(BITES).collect()
}

#[cfg(test)]
mod tests;
