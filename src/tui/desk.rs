//! The experiment that is open: its text, the changes since it was saved, what it means now and what it would mean if
//! the line being typed were entered. Changes are edits of the text, so that comments and order survive, can be taken
//! back, and can be made again on what somebody else wrote meanwhile. It touches no file but to open one.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::effect::{Effect, Launch, quoted};
use super::layer::{Confirm, Layer};
use super::memory::{Draft, Memory};
use crate::spec::edit::{self, Clash, Edit, EditError, Merge};
use crate::spec::{Experiment, Grid, RunSpec, SpecError, preset};
use crate::store::RunId;

/// What is opened where nothing was named and nothing is remembered.
const QUICKSTART: &str = "experiments/quickstart.toml";

/// What a text means.
#[derive(Debug)]
struct Reading {
    /// The experiment and its cells, or why it has none.
    grid: Result<(Experiment, Grid), String>,
    specs: Vec<RunSpec>,
}

impl Reading {
    fn of(path: &Path, text: &str, sets: &[(String, String)]) -> Self {
        let read = || -> Result<_, SpecError> {
            let experiment = Experiment::parse(path, text, sets)?;
            let grid = experiment.expand()?;
            Ok((experiment, grid))
        };
        let grid = read();
        let specs = match &grid {
            Ok((_, grid)) => grid.runs().into_iter().cloned().collect(),
            Err(_) => Vec::new(),
        };
        Self {
            grid: grid.map_err(|e| e.to_string()),
            specs,
        }
    }
}

/// The text at one time, and the edits that made it of what the file holds.
#[derive(Clone, Debug, Default)]
struct Version {
    text: String,
    edits: Vec<Edit>,
}

/// Two hands changed the same thing.
#[derive(Debug)]
pub struct Conflict {
    /// The file as it is now.
    pub theirs: String,
    pub items: Vec<Clash>,
}

#[derive(Debug)]
pub struct Desk {
    path: PathBuf,
    sets: Vec<(String, String)>,
    now: Version,
    /// What the file held when both sides last agreed; none while there is no file.
    base: Option<String>,
    before: Vec<Version>,
    after: Vec<Version>,
    reading: Reading,
    /// What it would mean if the line being typed were entered.
    preview: Option<Reading>,
    conflict: Option<Conflict>,
    /// Grows with every change of what the text means.
    version: u64,
    devices: Vec<String>,
    jobs: Option<usize>,
}

impl Desk {
    /// Open `file`, or the experiment of the last time, or the quickstart. A file that does not exist is a new one; a
    /// draft that was never saved is taken up again.
    pub fn open(
        file: Option<PathBuf>,
        sets: Vec<(String, String)>,
        memory: &Memory,
    ) -> anyhow::Result<Self> {
        let remembered = memory.file.clone().filter(|file| file.exists());
        let path = file.or(remembered).unwrap_or_else(|| QUICKSTART.into());
        let base = match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(e) if e.kind() == ErrorKind::NotFound => None,
            Err(e) => return Err(e).with_context(|| format!("cannot read {}", path.display())),
        };
        let fresh = if path == Path::new(QUICKSTART) {
            preset::QUICKSTART
        } else {
            preset::EMPTY
        };
        let text = base.clone().unwrap_or_else(|| fresh.to_owned());
        let mut desk = Self {
            reading: Reading::of(&path, &text, &sets),
            path,
            sets,
            now: Version {
                text,
                edits: Vec::new(),
            },
            base,
            before: Vec::new(),
            after: Vec::new(),
            preview: None,
            conflict: None,
            version: 0,
            devices: vec!["cpu".into()],
            jobs: None,
        };
        if let Some(draft) = memory
            .draft
            .as_ref()
            .filter(|draft| draft.path == desk.path && draft.text != desk.now.text)
        {
            // What the file holds stays one step back.
            desk.replace(draft.text.clone(), Vec::new());
        }
        Ok(desk)
    }

    /// Where launched runs go.
    pub fn launch_on(&mut self, devices: Vec<String>, jobs: Option<usize>) {
        (self.devices, self.jobs) = (devices, jobs);
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn quoted_path(&self) -> String {
        quoted(&self.path.display().to_string())
    }

    /// The file's name.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The file's name without its ending.
    pub fn stem(&self) -> String {
        self.path
            .file_stem()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// The name for the top line, with what is to be known about the file.
    pub fn title(&self) -> String {
        let state = match (&self.conflict, self.is_unsaved()) {
            (Some(_), _) => "  [conflict: w shows it]",
            (None, true) => "  [not saved]",
            (None, false) => "",
        };
        format!("{}{state}", self.path.display())
    }

    pub fn question(&self) -> &str {
        self.grid()
            .map_or("", |(experiment, _)| experiment.question.as_str())
    }

    pub fn text(&self) -> &str {
        &self.now.text
    }

    /// What the file held when both sides last agreed.
    pub fn base(&self) -> &str {
        self.base.as_deref().unwrap_or("")
    }

    /// Grows with every change of what the experiment is.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The experiment and its grid as they would be if the line being typed were entered; or why there are none.
    pub fn grid(&self) -> Result<(&Experiment, &Grid), &str> {
        match &self.preview.as_ref().unwrap_or(&self.reading).grid {
            Ok((experiment, grid)) => Ok((experiment, grid)),
            Err(problem) => Err(problem),
        }
    }

    /// Every run of the grid, prerequisites first.
    pub fn specs(&self) -> &[RunSpec] {
        &self.preview.as_ref().unwrap_or(&self.reading).specs
    }

    pub fn run_ids(&self) -> BTreeSet<RunId> {
        self.specs().iter().map(|spec| spec.id.clone()).collect()
    }

    /// The first key of each axis.
    pub fn axis_keys(&self) -> Vec<String> {
        let keys = |(experiment, _): (&Experiment, &Grid)| {
            experiment
                .axes
                .iter()
                .map(|axis| axis.keys[0].clone())
                .collect()
        };
        self.grid().map_or_else(|_| Vec::new(), keys)
    }

    pub fn is_unsaved(&self) -> bool {
        self.base.as_deref() != Some(self.now.text.as_str())
    }

    /// Whether there is anything to lose: a preset or a new file that nobody touched is none.
    pub fn is_touched(&self) -> bool {
        self.is_unsaved() && !(self.before.is_empty() && self.base.is_none())
    }

    /// What is on the screen and not on disk.
    pub fn draft(&self) -> Option<Draft> {
        self.is_touched().then(|| Draft {
            path: self.path.clone(),
            text: self.now.text.clone(),
            base: self.base.clone().unwrap_or_default(),
        })
    }

    /// Change the text. Refused edits leave it as it is.
    pub fn edit(&mut self, edit: Edit) -> Result<(), EditError> {
        let text = edit::apply(&self.now.text, &edit)?;
        if text != self.now.text {
            let edits = self.now.edits.iter().cloned().chain([edit]).collect();
            self.replace(text, edits);
        }
        Ok(())
    }

    /// The experiment as it stands, whatever is being typed.
    pub fn standing(&self) -> Option<&Experiment> {
        self.reading
            .grid
            .as_ref()
            .ok()
            .map(|(experiment, _)| experiment)
    }

    /// Show what the experiment would be after `edits`; none takes the preview away.
    pub fn set_preview(&mut self, edits: &[Edit]) -> Option<EditError> {
        let had = self.preview.take().is_some();
        let edited = edits
            .iter()
            .try_fold(self.now.text.clone(), |text, edit| edit::apply(&text, edit));
        let (preview, problem) = match edited {
            Ok(_) if edits.is_empty() => (None, None),
            Ok(text) => (Some(Reading::of(&self.path, &text, &self.sets)), None),
            Err(e) => (None, Some(e)),
        };
        // What grows stands for what is shown, so the preview counts.
        self.version += u64::from(had || preview.is_some());
        self.preview = preview;
        problem
    }

    /// Put another text in place of this one; it can be taken back.
    pub fn put(&mut self, text: String) {
        if text != self.now.text {
            self.replace(text, Vec::new());
        }
    }

    fn replace(&mut self, text: String, edits: Vec<Edit>) {
        self.after.clear();
        self.before
            .push(std::mem::replace(&mut self.now, Version { text, edits }));
        self.read();
    }

    fn read(&mut self) {
        self.preview = None;
        self.reading = Reading::of(&self.path, &self.now.text, &self.sets);
        self.version += 1;
    }

    /// Take the last change back. False when there is none.
    pub fn undo(&mut self) -> bool {
        let Some(version) = self.before.pop() else {
            return false;
        };
        self.after.push(std::mem::replace(&mut self.now, version));
        self.read();
        true
    }

    pub fn redo(&mut self) -> bool {
        let Some(version) = self.after.pop() else {
            return false;
        };
        self.before.push(std::mem::replace(&mut self.now, version));
        self.read();
        true
    }

    /// Turn to another file, whose text this is; none while there is no file.
    pub fn turn_to(&mut self, path: PathBuf, base: Option<String>) {
        let text = base.clone().unwrap_or_else(|| preset::EMPTY.to_owned());
        self.path = path;
        self.base = base;
        self.now = Version {
            text,
            edits: Vec::new(),
        };
        self.before.clear();
        self.after.clear();
        self.conflict = None;
        self.read();
    }

    /// Begin a new file at `path` with this text.
    pub fn begin(&mut self, path: PathBuf, text: String) {
        self.turn_to(path, None);
        self.now.text = text;
        self.read();
    }

    /// The effect that writes the file, unless a conflict stands in the way.
    pub fn save(&self) -> Option<Effect> {
        self.conflict.is_none().then(|| Effect::Save {
            path: self.path.clone(),
            text: self.now.text.clone(),
        })
    }

    /// The file was written as it stands here.
    pub fn saved(&mut self) {
        self.base = Some(self.now.text.clone());
        self.now.edits.clear();
        // Edits of older versions were made of another base: what they come to is all that counts now.
        for version in self.before.iter_mut().chain(&mut self.after) {
            version.edits.clear();
        }
    }

    /// Somebody wrote the file. Our changes are made again on what it holds now, unless both changed the same thing.
    pub fn file_changed(&mut self, theirs: String) -> Change {
        if self.base.as_deref() == Some(theirs.as_str()) && self.conflict.is_none() {
            return Change::Nothing;
        }
        if theirs == self.now.text {
            self.base = Some(theirs);
            self.now.edits.clear();
            self.conflict = None;
            return Change::Nothing;
        }
        if !self.is_unsaved() || !self.is_touched() {
            self.base = Some(theirs.clone());
            self.conflict = None;
            self.replace(theirs, Vec::new());
            return Change::Taken;
        }
        let remade = self
            .now
            .edits
            .iter()
            .try_fold(self.base().to_owned(), |text, edit| {
                edit::apply(&text, edit)
            });
        let merged = if remade.is_ok_and(|text| text == self.now.text) {
            edit::merge(self.base(), &self.now.edits, &theirs)
        } else {
            // A draft or a preset is more than edits of the file: there is nothing to make again.
            Merge::Conflict(vec![Clash {
                what: "the whole file".into(),
                mine: "another text".into(),
                theirs: "changed".into(),
            }])
        };
        match merged {
            Merge::Merged(text) => {
                let edits = self.now.edits.clone();
                self.base = Some(theirs);
                self.conflict = None;
                self.replace(text, edits);
                Change::Merged
            }
            Merge::Conflict(items) => {
                self.conflict = Some(Conflict { theirs, items });
                Change::Conflict
            }
        }
    }

    pub fn conflict(&self) -> Option<&Conflict> {
        self.conflict.as_ref()
    }

    /// Settle a conflict; what does not hold stays one step back.
    pub fn settle(&mut self, ours: bool) {
        let Some(Conflict { theirs, .. }) = self.conflict.take() else {
            return;
        };
        self.base = Some(theirs.clone());
        if ours {
            let now = self.now.clone();
            self.replace(theirs, Vec::new());
            self.replace(now.text, Vec::new());
        } else {
            self.replace(theirs, Vec::new());
        }
    }

    /// The question before leaving with changes.
    pub fn before_leaving(&self) -> Layer {
        Layer::Confirm(Confirm {
            title: "Leave with changes that are not saved?".into(),
            lines: vec![
                format!("{} was changed here and not saved.", self.path.display()),
                "The changes are kept as a draft: opening the file here again brings them back."
                    .into(),
            ],
            yes: "leave".into(),
            effects: vec![Effect::Quit],
            command: None,
            default: false,
        })
    }

    /// A launch of the experiment as it stands in the file.
    pub fn launch(&self) -> Launch {
        Launch {
            file: self.path.clone(),
            sets: self.sets.clone(),
            devices: self.devices.clone(),
            jobs: self.jobs,
            specs: self.reading.specs.clone(),
        }
    }
}

/// What an external edit came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Nothing,
    /// The screen shows the file as it is.
    Taken,
    /// Ours and theirs hold.
    Merged,
    Conflict,
}
