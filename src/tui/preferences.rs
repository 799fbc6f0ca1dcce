//! What a person likes, in `$XDG_CONFIG_HOME/siglab/config.toml`. A file that is missing is all defaults; a key that is
//! wrong is an error with its place, not a silence.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use serde::Deserialize;

use crate::analysis::spikes::SpikeConfig;
use crate::util::{line_of, printable};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// Click and scroll in the terminal; off leaves selecting text to the terminal.
    pub mouse: bool,
    /// Draw with ASCII alone.
    pub ascii: bool,
    /// What counts as a spike.
    pub spikes: SpikeConfig,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            mouse: true,
            ascii: false,
            spikes: SpikeConfig::default(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", .path.display())]
pub struct PreferencesError {
    path: PathBuf,
    problem: String,
}

/// Where the file lies; none without a home directory.
pub fn place() -> Option<PathBuf> {
    let config = etcetera::choose_base_strategy().ok()?.config_dir();
    Some(config.join("siglab").join("config.toml"))
}

impl Preferences {
    /// What the user's file says, or the defaults.
    pub fn load() -> Result<Self, PreferencesError> {
        place().map_or_else(|| Ok(Self::default()), |path| Self::read(&path))
    }

    fn read(path: &Path) -> Result<Self, PreferencesError> {
        let wrong = |problem: String| PreferencesError {
            path: path.to_owned(),
            problem: printable(&problem),
        };
        match fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|e| {
                let line = e.span().map_or(1, |span| line_of(&text, span.start));
                wrong(format!("line {line}: {}", e.message()))
            }),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(wrong(e.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_key_is_told_with_its_line() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("config.toml");
        assert_eq!(Preferences::read(&path).unwrap(), Preferences::default());
        fs::write(&path, "ascii = true\n").unwrap();
        assert!(Preferences::read(&path).unwrap().ascii);
        fs::write(&path, "ascii = true\nmice = false\n").unwrap();
        let error = Preferences::read(&path).unwrap_err().to_string();
        assert!(
            error.contains("config.toml: line 2: unknown field `mice`"),
            "{error}"
        );
    }
}
