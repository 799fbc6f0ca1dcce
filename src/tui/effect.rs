//! What the app wants of the world beyond the screen. An effect is a wish as data; `session` grants it and tells the
//! app how it went.

use std::path::PathBuf;

use crate::spec::RunSpec;
use crate::store::RunId;
use crate::util::as_word;
use crate::workbench::Verb;

#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write the experiment file.
    Save {
        path: PathBuf,
        text: String,
    },
    /// Start a scheduler for the experiment in the background, or hand its runs to the one at work.
    Launch(Launch),
    /// Say something of runs.
    Wish {
        verb: Verb,
        runs: Vec<RunId>,
    },
    /// Let the user's editor have the terminal and this file.
    Editor {
        path: PathBuf,
    },
    /// Write what was exported.
    Export {
        path: PathBuf,
        bytes: Vec<u8>,
    },
    Mouse(bool),
    Suspend,
    Redraw,
    Quit,
}

/// An experiment to train.
#[derive(Clone, Debug, PartialEq)]
pub struct Launch {
    pub file: PathBuf,
    pub sets: Vec<(String, String)>,
    pub devices: Vec<String>,
    pub jobs: Option<usize>,
    /// Its runs, for a scheduler that is at work already.
    pub specs: Vec<RunSpec>,
}

impl Launch {
    /// The arguments after `siglab run`.
    pub fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![as_word(&self.file).display().to_string()];
        for (key, value) in &self.sets {
            arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
        }
        if self.devices != ["cpu"] {
            arguments.extend(["--device".to_owned(), self.devices.join(",")]);
        }
        if let Some(jobs) = self.jobs {
            arguments.extend(["--jobs".to_owned(), jobs.to_string()]);
        }
        arguments
    }

    /// The command line that does the same.
    pub fn command(&self) -> String {
        let words = self.arguments();
        let words = words.iter().map(|word| quoted(word));
        format!(
            "siglab run {} --detach",
            words.collect::<Vec<_>>().join(" ")
        )
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=,:@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_reads_as_the_command_that_does_the_same() {
        let launch = Launch {
            file: "my grid.toml".into(),
            sets: vec![("optim.lr".into(), "1e-3".into())],
            devices: vec!["cpu".into()],
            jobs: Some(2),
            specs: Vec::new(),
        };
        assert_eq!(
            launch.command(),
            "siglab run 'my grid.toml' --set optim.lr=1e-3 --jobs 2 --detach"
        );
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
