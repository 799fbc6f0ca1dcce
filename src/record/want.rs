//! `want.json`: what the faces want of a run. The scheduler obeys it; the worker reads it once, at its start, to
//! learn whether a failure on record is to be tried again.

use std::io;

use serde::{Deserialize, Serialize};

use super::RunDir;

/// What is to become of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    #[default]
    Run,
    Pause,
    Stop,
}

/// The content of `want.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Want {
    pub wish: Wish,
    /// Higher runs start first.
    pub priority: i32,
    /// A failure or divergence of this attempt, or of an earlier one, no longer counts.
    pub forgive: u32,
    /// How often somebody has asked to try the run again: setbacks from before the last time no longer count.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Want {
    /// The wish on record; a run that nobody spoke about is wanted.
    pub fn read(dir: &RunDir) -> io::Result<Want> {
        match crate::util::disk::read_small(&dir.want()) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|e| io::Error::other(format!("{}: {e}", dir.want().display()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Want::default()),
            Err(e) => Err(e),
        }
    }

    pub fn write(&self, dir: &RunDir) -> io::Result<()> {
        crate::util::write_atomic(&dir.want(), &serde_json::to_vec_pretty(self)?)
    }
}
