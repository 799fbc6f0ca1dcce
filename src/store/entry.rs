//! One run directory of a workspace as the store keeps it: the run, and how far its logs are folded.

use std::path::Path;

use super::fold::{Fold, Reader};
use super::{Change, Run};
use crate::record::{RunDir, RunId};
use crate::spec::RunSpec;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) run: Run,
    pub(super) fold: Fold,
}

/// What reading a run brought, and why it could not be read whole, if so.
#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) changes: Vec<Change>,
    pub(super) trouble: Option<String>,
}

impl Entry {
    /// Take in the directory of run `id`; one without a specification is no run.
    pub(super) fn admit(root: &Path, id: &RunId) -> Result<Option<Self>, String> {
        let dir = RunDir::new(root.join(id.as_str()));
        match RunSpec::read(&dir) {
            Ok(spec) if spec.id == *id => Ok(Some(Self {
                fold: Fold::new(&dir),
                run: Run::new(dir, spec),
            })),
            Ok(spec) => Err(format!(
                "{} is the specification of run {}",
                dir.spec().display(),
                spec.id
            )),
            Err(_) if !dir.spec().exists() => Ok(None),
            Err(e) => Err(e.to_string()),
        }
    }

    /// Fold what the run wrote since the last time, of its rows about `bite` bytes.
    pub(super) fn read(&mut self, reader: &mut Reader, bite: usize) -> News {
        let before = self.run.state.clone();
        let mut changes = Vec::new();
        let outcome = self.fold.read(&mut self.run, reader, bite, &mut changes);
        if self.run.state != before {
            changes.push(Change::State { before });
        }
        News {
            changes,
            trouble: outcome.err().map(|e| e.to_string()),
        }
    }
}
