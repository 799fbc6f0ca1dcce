//! What was on the screen when it was left, so that opening it again shows the same: a small file for each workspace
//! under the XDG state directory. Losing it costs nothing but the view, except for a draft that was never saved.

use std::fs;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use super::action::View;
use super::screen::{ResultsMemory, RunsMemory, WatchMemory};
use crate::util::{disk, write_atomic};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Memory {
    pub view: View,
    /// The experiment that was open.
    pub file: Option<PathBuf>,
    /// Its text, where it was changed and not saved.
    pub draft: Option<Draft>,
    pub runs: RunsMemory,
    pub watch: WatchMemory,
    pub results: ResultsMemory,
}

/// An experiment as it stood on the screen and not on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    pub path: PathBuf,
    pub text: String,
    /// What the file held when the draft began.
    pub base: String,
}

/// Where the memory of `workspace` lies; none without a home directory.
pub fn place(workspace: &Path) -> Option<PathBuf> {
    let state = etcetera::choose_base_strategy().ok()?;
    let state = state.state_dir().unwrap_or_else(|| state.data_dir());
    // The same workspace by whatever path, and no path in a file's name.
    let workspace = std::path::absolute(workspace).ok()?;
    let workspace = workspace.canonicalize().unwrap_or(workspace);
    let name = blake3::hash(workspace.as_os_str().as_encoded_bytes()).to_hex();
    Some(state.join("siglab").join(format!("{}.json", &name[..16])))
}

impl Memory {
    /// What is kept at `place`; a memory that cannot be read is an empty one.
    pub fn load(place: &Path) -> Self {
        let bytes = disk::read_small(place).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    pub fn store(&self, place: &Path) -> std::io::Result<()> {
        if let Some(dir) = place.parent() {
            fs::create_dir_all(dir)?;
        }
        write_atomic(place, &serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_damage_is_forgotten() {
        let tmp = tempfile::tempdir().unwrap();
        let place = tmp.path().join("deep/memory.json");
        let memory = Memory {
            view: View::Watch,
            draft: Some(Draft {
                path: "x.toml".into(),
                text: "new".into(),
                base: "old".into(),
            }),
            ..Memory::default()
        };
        memory.store(&place).unwrap();
        assert_eq!(Memory::load(&place), memory);
        fs::write(&place, "{\"view\": \"elsewhere\"").unwrap();
        assert_eq!(Memory::load(&place), Memory::default());
    }
}
