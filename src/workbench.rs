//! The core that both faces use: open a workspace, put runs into it, say what is wanted of them, and turn the
//! scheduler's crank. It knows no terminal and no tensor, and keeps nothing that is not in the run directories.

mod background;
mod devices;
mod files;
mod launch;
mod outlook;
mod prospect;
mod why;
mod wish;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::exec::{Executor, Slot};
use crate::record::{RunDir, RunId, end_of_log};
use crate::sched::{SchedulerLock, holder, waits};
use crate::spec::RunSpec;
use crate::store::{Change, Delta, Hint, REFRESH, Run, Store, Watch, WorkspaceError};
use crate::util::disk::{sweep, temporary};
use crate::util::{dir_mode, printable, sync_dir};

pub use crate::exec::{DeviceError, Has, LibraryError, Local};
pub use crate::sched::{Limits, Notice, Scheduler, Standing, View, Wait, standing};
pub use devices::{at_a_time, each_device, has, instead, slots};
pub use files::{Absent, absent, changed};
pub use launch::Handover;
pub use outlook::outlook;
pub use prospect::{prospect, renew, require_sources};
pub use why::{blocked, why};
pub use wish::{Leave, Verb};

/// What a workspace is to others than its owner until somebody opens it to them: nothing.
const PRIVATE: u32 = 0o700;

fn make_dir(path: &Path, mode: u32) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
}

/// A run that the user named and the workspace cannot give.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    #[error("no run begins with `{prefix}` in {workspace}; `siglab ls` lists them")]
    Unknown { prefix: String, workspace: String },
    #[error("`{prefix}` may be {matches}: give more of the id")]
    Ambiguous { prefix: String, matches: String },
    #[error(
        "no run {id} to start from in {workspace}; name a `[runs.NAME]`, or a run that `siglab ls` lists"
    )]
    Source { id: RunId, workspace: String },
}

/// What one turn of the crank brought.
#[derive(Debug, Default)]
pub struct Turn {
    pub deltas: Vec<Delta>,
    pub notices: Vec<Notice>,
}

impl Turn {
    /// How long to wait before the next turn. Soon after something has happened more is likely to: a worker that has had
    /// its last word ends, a slot that came free is taken.
    pub fn pause(&self) -> Duration {
        let moved = |delta: &Delta| matches!(delta.change, Change::State { .. });
        match self.notices.is_empty() && !self.deltas.iter().any(moved) {
            true => Duration::from_millis(100),
            false => Duration::from_millis(10),
        }
    }
}

#[derive(Debug)]
pub struct Workbench {
    root: PathBuf,
    store: Store,
    /// Begun with the first wait: most verbs need none.
    watch: Option<Watch>,
    /// What was read on the way to something else, and is told with the next look.
    untold: Vec<Delta>,
}

impl Workbench {
    /// Read a workspace; one that does not exist yet is empty.
    pub fn open(root: &Path) -> Result<Self, WorkspaceError> {
        Ok(Self {
            root: root.to_owned(),
            store: Store::open(root)?,
            watch: None,
            untold: Vec::new(),
        })
    }

    /// The workspace before its runs are read, for a face that shows something at once and calls
    /// [`Workbench::refresh_within`] from then on.
    pub fn begin(root: &Path) -> Result<Self, WorkspaceError> {
        Ok(Self {
            root: root.to_owned(),
            store: Store::begin(root)?,
            watch: None,
            untold: Vec::new(),
        })
    }

    /// Have `waker` called, from another thread, when the runs have written something to refresh for.
    pub fn wake(&mut self, waker: impl Fn() + Send + 'static) {
        self.watch = Some(Watch::with_waker(&self.root, waker));
    }

    /// Read a workspace but for the rows, see [`Store::survey`].
    pub fn survey(root: &Path) -> Result<Self, WorkspaceError> {
        Ok(Self {
            root: root.to_owned(),
            store: Store::survey(root)?,
            watch: None,
            untold: Vec::new(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Make the workspace's directory if it is missing, for its owner alone. One that others may enter is a shared one: run
    /// directories are made as open as the workspace.
    pub fn create(&self) -> Result<(), WorkspaceError> {
        make_dir(&self.root, PRIVATE).map_err(|cause| WorkspaceError {
            path: self.root.clone(),
            cause,
        })
    }

    /// Give each run a directory unless it has one. Returns those that are new.
    pub fn submit(&mut self, specs: &[RunSpec]) -> anyhow::Result<Vec<RunId>> {
        self.create()?;
        sweep(&self.root, |name| name.parse::<RunId>().is_ok());
        // What another scheduler made since the workspace was read is no new run.
        let deltas = self.store.refresh_runs(specs.iter().map(|spec| &spec.id));
        self.untold.extend(deltas);
        let mut new = Vec::new();
        for spec in specs {
            if let Some(why) = self.store.unreadable().get(&spec.id) {
                bail!("run {} cannot be used: {}", spec.id, printable(why));
            }
            match self.store.get(&spec.id) {
                Some(run) if run.spec.config == spec.config => continue,
                Some(run) => bail!(
                    "run {} stands in {} with other settings: its spec.json was edited, or two ids collide",
                    spec.id,
                    run.dir.path().display()
                ),
                None => {}
            }
            self.make(spec)
                .with_context(|| format!("cannot make the directory of run {}", spec.id))?;
            new.push(spec.id.clone());
        }
        sync_dir(&self.root).with_context(|| format!("cannot write to {}", self.root.display()))?;
        let deltas = self.store.refresh_runs(&new);
        self.untold.extend(deltas);
        Ok(new)
    }

    /// A run directory appears with its specification in it or not at all.
    fn make(&self, spec: &RunSpec) -> io::Result<()> {
        let temporary = self.root.join(temporary(spec.id.as_str().as_ref()));
        let made = make_dir(&temporary, dir_mode(&self.root))
            .and_then(|()| spec.write(&RunDir::new(&temporary)))
            .and_then(|()| fs::rename(&temporary, self.root.join(spec.id.as_str())));
        if made.is_err() {
            // The first error is the one to tell; what is left behind has no run's name.
            let _ = fs::remove_dir_all(&temporary);
        }
        made
    }

    /// The run whose id begins with `prefix`.
    pub fn find(&self, prefix: &str) -> Result<&Run, FindError> {
        let matches: Vec<&Run> = self
            .store
            .runs()
            .filter(|run| run.id().as_str().starts_with(prefix))
            .collect();
        let prefix = printable(prefix);
        match matches[..] {
            [run] => Ok(run),
            [] => Err(FindError::Unknown {
                prefix,
                workspace: self.root.display().to_string(),
            }),
            _ => {
                let ids: Vec<&str> = matches
                    .iter()
                    .take(5)
                    .map(|run| run.id().as_str())
                    .collect();
                let more = if matches.len() > ids.len() {
                    ", …"
                } else {
                    ""
                };
                Err(FindError::Ambiguous {
                    prefix,
                    matches: format!("{}{more}", ids.join(", ")),
                })
            }
        }
    }

    /// Who schedules the workspace now, if anybody does.
    pub fn scheduler(&self) -> io::Result<Option<String>> {
        holder(&self.root)
    }

    /// How the runs stand and, if a scheduler is at work, why they wait.
    pub fn view(&self) -> View {
        View {
            waits: self.waits(),
            ..View::at_rest(&self.store)
        }
    }

    /// Why runs wait that are ready, as the scheduler at work says; nothing when none is.
    pub fn waits(&self) -> BTreeMap<RunId, Wait> {
        waits(&self.root)
    }

    /// A scheduler for the runs of `scope`, in their order, with workers on this machine. There is one a workspace.
    pub fn schedule(
        &self,
        scope: Vec<RunId>,
        slots: Vec<Slot>,
    ) -> anyhow::Result<Scheduler<Local>> {
        self.create()?;
        let lock = SchedulerLock::acquire(&self.root)?;
        let program = std::env::current_exe().context("cannot find the path of this programme")?;
        Ok(Scheduler::new(lock, Local::new(program, slots), scope))
    }

    /// Wait for `patience` and read what the runs wrote meanwhile.
    pub fn wait(&mut self, patience: Duration) -> anyhow::Result<Vec<Delta>> {
        let hint = self.watch().wait(patience);
        self.follow(&hint, REFRESH)
    }

    /// Read what the runs wrote, and go on with what is still unread, for about `budget` and without waiting. To be
    /// called when the waker says so, and once a second at least.
    pub fn refresh_within(&mut self, budget: Duration) -> anyhow::Result<Vec<Delta>> {
        let hint = self.watch().take();
        self.follow(&hint, budget)
    }

    /// Read all that the runs have written, whether or not the file system has given notice of it.
    pub fn read_all(&mut self) -> anyhow::Result<Vec<Delta>> {
        let mut deltas = std::mem::take(&mut self.untold);
        let more = self.store.read_all();
        deltas.extend(
            more.with_context(|| format!("cannot read the workspace {}", self.root.display()))?,
        );
        Ok(deltas)
    }

    fn watch(&mut self) -> &mut Watch {
        self.watch.get_or_insert_with(|| Watch::new(&self.root))
    }

    fn follow(&mut self, hint: &Hint, budget: Duration) -> anyhow::Result<Vec<Delta>> {
        let began = Instant::now();
        let mut deltas = std::mem::take(&mut self.untold);
        deltas.extend(self.store.refresh_runs(&hint.runs));
        let left = budget.saturating_sub(began.elapsed());
        if hint.all {
            let more = self
                .store
                .refresh_within(left)
                .with_context(|| format!("cannot read the workspace {}", self.root.display()))?;
            deltas.extend(more);
        } else {
            deltas.extend(self.store.go_on(left));
        }
        Ok(deltas)
    }

    /// Why changes are seen late, if they are.
    pub fn watch_notice(&self) -> Option<&str> {
        self.watch.as_ref().and_then(Watch::notice)
    }

    /// Wait for `patience`, then let the scheduler do what is due.
    pub fn turn<E: Executor>(
        &mut self,
        scheduler: &mut Scheduler<E>,
        patience: Duration,
    ) -> anyhow::Result<Turn> {
        let mut deltas = self.wait(patience)?;
        let (more, notices) = scheduler.tick(&mut self.store);
        deltas.extend(more);
        Ok(Turn { deltas, notices })
    }
}

/// The last lines of a run's log, safe to print; why it cannot be read, where that is so.
pub fn log_of(run: &Run, lines: usize) -> Vec<String> {
    match end_of_log(&run.dir, lines) {
        Ok(lines) => lines.iter().map(|line| printable(line)).collect(),
        Err(e) => vec![printable(&format!("no log: {e}"))],
    }
}
