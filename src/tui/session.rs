//! The app with the world around it: it reads what the runs wrote, hears of the experiment file, grants effects, and
//! keeps the memory. It is driven by a terminal, by a text of keys, or by a test; what only a terminal can grant, it
//! hands back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use crossterm::event::{Event, KeyEvent, KeyModifiers, MouseEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::action::View;
use super::app::{App, Msg, Said};
use super::desk::Desk;
use super::effect::{Effect, Launch, quoted};
use super::key::Key;
use super::memory::Memory;
use super::preferences::Preferences;
use super::theme::Theme;
use super::world::World;
use crate::store::{Delta, FileWatch};
use crate::util::{wall_clock_ms, write_atomic};
use crate::workbench::{Handover, Verb, Workbench};

/// Reading what the runs wrote may hold up a key for this long.
const BITE: Duration = Duration::from_millis(6);
/// The first picture is worth a longer bite: in this time most workspaces are listed whole.
const FIRST_BITE: Duration = Duration::from_millis(25);
/// Everything is looked at after this long, whatever the file system says.
const POLL: Duration = Duration::from_secs(1);
/// Lines of a log that are kept at hand.
const LOG_LINES: usize = 200;

/// How to open the workbench.
#[derive(Debug)]
pub struct Options {
    pub workspace: PathBuf,
    /// The experiment; else the one of the last time, or the quickstart.
    pub file: Option<PathBuf>,
    pub sets: Vec<(String, String)>,
    pub view: Option<View>,
    /// Runs to watch, by the beginnings of their ids.
    pub runs: Vec<String>,
    pub devices: Vec<String>,
    pub jobs: Option<usize>,
    pub theme: Theme,
    pub preferences: Preferences,
    /// Where the memory lies; none keeps none.
    pub memory: Option<PathBuf>,
}

/// What only a terminal can grant.
#[derive(Debug, PartialEq)]
pub enum Wanted {
    Quit,
    Suspend,
    Redraw,
    Mouse(bool),
    Editor(PathBuf),
}

pub struct Session<W> {
    pub app: App,
    pub world: World,
    devices: Vec<String>,
    jobs: Option<usize>,
    file: FileWatch,
    memory: Option<PathBuf>,
    /// Ends the wait of whoever drives the session.
    waker: W,
    polled: Instant,
    busy: bool,
    bite: Duration,
}

impl<W: Fn() + Clone + Send + 'static> Session<W> {
    /// Open a workspace; what its runs wrote is read from then on, a bite a [`Session::turn`].
    pub fn open(options: Options, waker: W) -> anyhow::Result<Self> {
        let memory = options
            .memory
            .as_deref()
            .map(Memory::load)
            .unwrap_or_default();
        let desk = Desk::open(options.file, options.sets, &memory)?;
        let bench = Workbench::begin(&options.workspace)?;
        let mut world = World::new(bench, options.preferences.spikes);
        world.now = wall_clock_ms();
        world.ask_for_scheduler()?;
        let file = FileWatch::new(desk.path(), waker.clone());
        let mut app = App::new(desk, options.theme, options.preferences.mouse);
        app.recall(memory);
        if let Some(view) = options.view {
            app.view = view;
        }
        world.bench.wake(waker.clone());
        let mut session = Self {
            app,
            world,
            devices: options.devices,
            jobs: options.jobs,
            file,
            memory: options.memory,
            waker,
            polled: Instant::now(),
            busy: true,
            bite: FIRST_BITE,
        };
        session
            .app
            .desk
            .launch_on(session.devices.clone(), session.jobs);
        session.world.stand(session.app.desk.specs());
        if !options.runs.is_empty() {
            session.read_all()?;
            let named = options
                .runs
                .iter()
                .map(|prefix| session.world.bench.find(prefix));
            let runs = named.map(|run| run.map(|run| run.id().clone()));
            let runs = runs.collect::<Result<Vec<_>, _>>()?;
            session.app.watch.show(runs, &session.world);
        }
        Ok(session)
    }

    /// Read all that the runs have written, however long that takes. Notices of it may still be on their way.
    pub fn read_all(&mut self) -> anyhow::Result<()> {
        let deltas = self.world.bench.read_all()?;
        self.take_in(deltas);
        loop {
            self.turn()?;
            if !self.busy {
                self.world.review();
                return Ok(());
            }
        }
    }

    /// Take in what happened since the last turn, some milliseconds' worth of it. True when the picture may have changed.
    pub fn turn(&mut self) -> anyhow::Result<bool> {
        self.world.now = wall_clock_ms();
        let due = self.polled.elapsed() >= POLL;
        let bite = std::mem::replace(&mut self.bite, BITE);
        let deltas = self.world.bench.refresh_within(bite)?;
        let mut changed = self.take_in(deltas);
        let looking = self.world.look_for_spikes();
        changed |= looking;
        self.busy = self.world.unread() > 0 || looking;
        if due {
            self.polled = Instant::now();
            self.world.review();
            changed |= self.world.ask_for_scheduler()? || self.app.has_clocks(&self.world);
        }
        changed |= self.world.ask_for_room();
        if self.file.changed() {
            let text = self
                .file
                .read()
                .with_context(|| format!("cannot read {}", self.file.path().display()))?;
            self.update(Msg::File(text));
            changed = true;
        }
        let log = self.app.log_wanted().cloned();
        changed |= self.world.read_log(log, LOG_LINES, due);
        Ok(changed)
    }

    /// Let the world and the screens know what changed. False when nothing did.
    fn take_in(&mut self, deltas: Vec<Delta>) -> bool {
        let changed = !deltas.is_empty();
        if changed {
            self.world.take_in(&deltas, self.app.desk.specs());
            self.update(Msg::Deltas(deltas));
        }
        changed
    }

    /// When the next turn is due though nothing happens.
    pub fn due(&self) -> Instant {
        if self.busy {
            Instant::now()
        } else {
            self.polled + POLL
        }
    }

    /// A terminal's event. Returns what only the terminal can grant.
    pub fn event(&mut self, event: Event) -> Vec<Wanted> {
        match event {
            Event::Key(key) if key.is_press() || key.is_repeat() => {
                self.update(Msg::Key(key.into(), Event::Key(key)))
            }
            Event::Paste(text) => self.update(Msg::Paste(text)),
            Event::Mouse(event) => self.mouse(event),
            Event::Key(_) | Event::Resize(..) | Event::FocusGained | Event::FocusLost => Vec::new(),
        }
    }

    fn mouse(&mut self, event: MouseEvent) -> Vec<Wanted> {
        self.update(Msg::Mouse(event))
    }

    /// Press keys by name, as tests and `--keys` do. Returns what only a terminal can grant.
    pub fn press(&mut self, keys: &[Key]) -> anyhow::Result<Vec<Wanted>> {
        let mut wanted = Vec::new();
        for key in keys {
            let modifiers = if key.control {
                KeyModifiers::CONTROL
            } else {
                KeyModifiers::NONE
            };
            wanted.extend(self.event(Event::Key(KeyEvent::new(key.code, modifiers))));
            self.turn()?;
        }
        Ok(wanted)
    }

    pub fn draw(&mut self, buffer: &mut Buffer) {
        self.app.draw(buffer, &self.world);
    }

    /// The screen as text, one line a row, without trailing blanks.
    pub fn picture(&mut self, width: u16, height: u16) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        self.draw(&mut buffer);
        buffer
    }

    /// Keep what was on the screen.
    pub fn keep(&self) {
        if let Some(place) = &self.memory {
            // Nobody is left to tell, and nothing but a view is lost.
            let _ = self.app.remember().store(place);
        }
    }

    fn update(&mut self, msg: Msg) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        let version = self.app.desk.version();
        let mut effects = self.app.update(msg, &self.world);
        while !effects.is_empty() {
            for effect in std::mem::take(&mut effects) {
                let msg = match effect {
                    Effect::Quit => {
                        wanted.push(Wanted::Quit);
                        continue;
                    }
                    Effect::Suspend => {
                        wanted.push(Wanted::Suspend);
                        continue;
                    }
                    Effect::Redraw => {
                        wanted.push(Wanted::Redraw);
                        continue;
                    }
                    Effect::Mouse(on) => {
                        wanted.push(Wanted::Mouse(on));
                        continue;
                    }
                    Effect::Editor { path } => {
                        wanted.push(Wanted::Editor(path));
                        continue;
                    }
                    Effect::Save { path, text } => match self.save(&path, &text) {
                        Ok(()) => Msg::Saved,
                        Err(e) => Msg::Said(Said::problem(format!("{e:#}"))),
                    },
                    effect => Msg::Said(
                        self.grant(effect)
                            .unwrap_or_else(|e| Said::problem(format!("{e:#}"))),
                    ),
                };
                effects.extend(self.app.update(msg, &self.world));
            }
        }
        if self.app.desk.version() != version {
            self.world.stand(self.app.desk.specs());
            self.app.runs.experiment_changed();
            self.app.watch.experiment_changed();
            self.app.results.experiment_changed();
            if self.file.path() != self.app.desk.path() {
                self.file = FileWatch::new(self.app.desk.path(), self.waker.clone());
            }
        }
        wanted
    }

    fn save(&mut self, path: &Path, text: &str) -> anyhow::Result<()> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        }
        write_atomic(path, text.as_bytes())
            .with_context(|| format!("cannot write {}", path.display()))?;
        // What we wrote ourselves is no news.
        self.file.changed();
        Ok(())
    }

    fn grant(&mut self, effect: Effect) -> anyhow::Result<Said> {
        match effect {
            Effect::Wish { verb, runs } => self.wish(verb, &runs),
            Effect::Launch(launch) => self.launch(&launch),
            Effect::Export { path, bytes } => {
                write_atomic(&path, &bytes)
                    .with_context(|| format!("cannot write {}", path.display()))?;
                Ok(Said::new(format!("wrote {}", path.display())))
            }
            Effect::Save { .. }
            | Effect::Editor { .. }
            | Effect::Mouse(_)
            | Effect::Suspend
            | Effect::Redraw
            | Effect::Quit => {
                unreachable!("granted above or by the terminal")
            }
        }
    }

    fn wish(&mut self, verb: Verb, runs: &[crate::store::RunId]) -> anyhow::Result<Said> {
        let mut changed = 0;
        for id in runs {
            if let Some(run) = self.world.run(id) {
                changed += usize::from(self.world.bench.wish(verb, run)?);
            }
        }
        let deltas = self.world.bench.look_at(runs);
        self.take_in(deltas);
        let names: Vec<&str> = runs.iter().map(|id| id.as_str()).collect();
        let argument = if let Verb::Priority(priority) = verb {
            format!("{priority} ")
        } else {
            String::new()
        };
        let plural = if changed == 1 { "run" } else { "runs" };
        Ok(
            Said::new(format!("{}: {changed} {plural}", verb.name())).by(format!(
                "siglab {} {argument}{}",
                verb.name(),
                names.join(" ")
            )),
        )
    }

    fn launch(&mut self, launch: &Launch) -> anyhow::Result<Said> {
        let said = match self.world.bench.launch(
            &launch.specs,
            launch.arguments().into_iter().map(Into::into).collect(),
        )? {
            Handover::Began { pid } => {
                format!("process {pid} schedules in the background; leaving stops nothing")
            }
            Handover::Over => "nothing is left to do".into(),
            Handover::Taken { by } => format!("handed to the scheduler at work ({by})"),
        };
        self.world.ask_for_scheduler()?;
        Ok(Said::new(said).by(launch.command()))
    }

    /// What an editor left, or that there is none.
    pub fn edited(&mut self, result: std::io::Result<()>) {
        if let Err(e) = result {
            self.update(Msg::Said(Said::problem(format!(
                "cannot start an editor ({e}); set EDITOR, as in EDITOR=vi siglab {}",
                quoted(&self.app.desk.path().display().to_string())
            ))));
        }
    }
}
