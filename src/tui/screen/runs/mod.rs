//! The list of runs: filtered by a query, sorted, grouped by an axis, with verbs over those that are selected.

mod column;
mod diff;
mod order;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde::{Deserialize, Serialize};

use self::column::layout;
use self::order::{Entry, SortBy};
use crate::analysis;
use crate::spec::{label, path};
use crate::store::{Change, Delta, Query, Run, RunId};
use crate::tui::action::{Action, View};
use crate::tui::app::{Reply, Said};
use crate::tui::asked::Asked;
use crate::tui::desk::Desk;
use crate::tui::effect::Effect;
use crate::tui::layer::{Confirm, Layer, Note, Prompt};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::{log, text};
use crate::tui::world::World;
use crate::util::capital;
use crate::workbench::Verb;

/// Runs that a question names one by one.
const NAMED: usize = 6;

/// What tells a run from the others that are listed.
#[derive(Clone, Debug, Default)]
struct Words {
    label: String,
    /// Values alone, for a narrow column.
    brief: String,
    /// Where the label stands among all of them.
    place: usize,
}

/// Milliseconds between two orders of the list that nothing but new rows asks for.
const REORDER: u64 = 1_000;
/// The same for runs that come and change while others are still being read: each order takes in all of them. It is also
/// so many times what the last order took, so that keys are answered meanwhile.
const POURS: u64 = 200;
const SHARE: u64 = 20;

/// What of the list may be out of date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stale {
    Nothing,
    /// Values that it may be ordered or chosen by.
    Rows,
    /// Runs came, went or changed their state.
    Runs,
    /// How they are to be listed.
    #[default]
    Order,
}

#[derive(Debug, Default)]
pub struct Runs {
    query: Query,
    query_text: String,
    sort: SortBy,
    reversed: bool,
    /// Key of the axis to group by.
    group: Option<String>,
    /// Runs of the experiment only; else of the whole workspace.
    experiment_only: bool,
    selected: BTreeSet<RunId>,
    entries: Vec<Entry>,
    stale: Stale,
    /// When the list was brought up to date, by the world's clock, and how many milliseconds that took.
    arranged: u64,
    took: u64,
    /// What tells the listed runs from each other.
    labels: BTreeMap<RunId, Words>,
    cursor: usize,
    top: usize,
    log: bool,
    list: Rect,
}

/// What is kept for the next time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunsMemory {
    query: String,
    sort: SortBy,
    reversed: bool,
    group: Option<String>,
    experiment_only: bool,
    log: bool,
}

impl Runs {
    pub fn take_in(&mut self, deltas: &[Delta]) {
        for Delta { change, .. } in deltas {
            let stale = match change {
                Change::Appeared | Change::Vanished | Change::State { .. } => Stale::Runs,
                Change::Prospects
                | Change::Waits
                | Change::Rewound
                | Change::Rows { .. }
                | Change::Evaluated { .. }
                | Change::Warned { .. } => Stale::Rows,
            };
            self.stale = self.stale.max(stale);
        }
    }

    /// The experiment is another: which runs are its own changes.
    pub fn experiment_changed(&mut self) {
        self.stale = Stale::Order;
    }

    /// The run under the cursor.
    pub fn under_cursor(&self) -> Option<&RunId> {
        match self.entries.get(self.cursor)? {
            Entry::Run(id) => Some(id),
            Entry::Group { .. } => None,
        }
    }

    /// The runs that a verb is about: those selected, else the one under the cursor, else its group.
    pub fn chosen(&self) -> Vec<RunId> {
        if !self.selected.is_empty() {
            return self.selected.iter().cloned().collect();
        }
        self.under_cursor_or_group()
    }

    fn under_cursor_or_group(&self) -> Vec<RunId> {
        match self.entries.get(self.cursor) {
            Some(Entry::Run(id)) => vec![id.clone()],
            Some(Entry::Group { .. }) => self.entries[self.cursor + 1..]
                .iter()
                .map_while(|entry| match entry {
                    Entry::Run(id) => Some(id.clone()),
                    Entry::Group { .. } => None,
                })
                .collect(),
            None => Vec::new(),
        }
    }

    /// All that there is to say about the run under the cursor, for where a column is too narrow.
    pub fn about(&self, world: &World) -> Option<String> {
        let run = world.run(self.under_cursor()?)?;
        let label = self
            .labels
            .get(run.id())
            .map(|words| words.label.clone())
            .filter(|label| !label.is_empty());
        let words = [
            Some(run.id().to_string()),
            label,
            Some(column::why(run, world)).filter(|why| !why.is_empty()),
        ];
        Some(words.into_iter().flatten().collect::<Vec<_>>().join("  "))
    }

    /// The run whose log is to be shown, if one is.
    pub fn log_wanted(&self) -> Option<&RunId> {
        self.under_cursor().filter(|_| self.log)
    }

    pub fn act(&mut self, action: Action, desk: &Desk, world: &World, reply: &mut Reply) {
        self.arrange(desk, world);
        let page = usize::from(self.list.height).max(1) as isize;
        match action {
            Action::Up => self.go(-1),
            Action::Down => self.go(1),
            Action::PageUp => self.go(-page),
            Action::PageDown => self.go(page),
            Action::Top => self.cursor = 0,
            Action::Bottom => self.cursor = self.entries.len().saturating_sub(1),
            Action::Open if self.chosen().is_empty() => reply.problem("no run to watch"),
            Action::Open => {
                let runs = self.chosen();
                let runs: Vec<&str> = runs.iter().map(RunId::as_str).collect();
                reply.say(
                    Said::new("").by(format!("siglab --view watch --runs {}", runs.join(","))),
                );
                reply.go = Some(View::Watch);
            }
            Action::Select => {
                for id in self.under_cursor_or_group() {
                    if !self.selected.remove(&id) {
                        self.selected.insert(id);
                    }
                }
                self.go(1);
            }
            Action::SelectAll => {
                let shown: BTreeSet<RunId> = self.shown().cloned().collect();
                self.selected = if self.selected == shown {
                    BTreeSet::new()
                } else {
                    shown
                };
            }
            Action::Back if !self.selected.is_empty() => self.selected.clear(),
            Action::Back if !self.query.is_all() => self.filter("", reply),
            Action::Filter => {
                let hint = "FIELD=VALUE with = != < <= > >= ~, words, -TERM; fields are settings, metrics, state, progress";
                let mut prompt = Prompt::new(
                    Asked::RunsFilter,
                    "Show runs that fit",
                    hint,
                    &self.query_text,
                );
                prompt.notes = self.query_notes(&self.query_text, world);
                reply.ask(Layer::Prompt(prompt));
            }
            Action::Sort => {
                self.sort = self.sort.next();
                self.stale = Stale::Order;
                reply.say(Said::new(format!("sorted by {}", self.sort.name())));
            }
            Action::SortBack => {
                self.reversed = !self.reversed;
                self.stale = Stale::Order;
            }
            Action::Group => self.group_by_next(desk, reply),
            Action::Scope => {
                self.experiment_only = !self.experiment_only;
                self.stale = Stale::Order;
                let said = if self.experiment_only {
                    Said::new("runs of the experiment")
                        .by(format!("siglab ls {}", desk.quoted_path()))
                } else {
                    Said::new("all runs of the workspace").by("siglab ls")
                };
                reply.say(said);
            }
            Action::Log => self.log = !self.log,
            Action::Diff => self.diff(world, reply),
            Action::Pause => self.wish(Verb::Pause, world, reply),
            Action::Resume => self.wish(Verb::Resume, world, reply),
            Action::Stop => self.wish(Verb::Stop, world, reply),
            Action::Retry => self.wish(Verb::Retry, world, reply),
            Action::Raise | Action::Lower => {
                let by = if action == Action::Raise { 1 } else { -1 };
                let runs = self.runs_chosen(world);
                let priority = runs.iter().map(|run| run.want.priority).max().unwrap_or(0);
                self.wish(Verb::Priority(priority.saturating_add(by)), world, reply);
            }
            _ => {}
        }
    }

    fn go(&mut self, by: isize) {
        let last = self.entries.len().saturating_sub(1);
        self.cursor = self.cursor.saturating_add_signed(by).min(last);
    }

    fn shown(&self) -> impl Iterator<Item = &RunId> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Run(id) => Some(id),
            Entry::Group { .. } => None,
        })
    }

    fn runs_chosen<'w>(&self, world: &'w World) -> Vec<&'w Run> {
        self.chosen()
            .iter()
            .filter_map(|id| world.run(id))
            .collect()
    }

    /// Show what tells two runs apart: those selected, or the selected one and the one under the cursor.
    fn diff(&self, world: &World, reply: &mut Reply) {
        let mut ids = self.selected.clone();
        if ids.len() == 1 {
            ids.extend(self.under_cursor().cloned());
        }
        let runs: Vec<&Run> = ids.iter().filter_map(|id| world.run(id)).collect();
        let [one, other] = runs[..] else {
            return reply.problem("two runs tell apart: select them with Space");
        };
        reply.say(Said::new("").by(format!("siglab diff {} {}", one.id(), other.id())));
        reply.ask(Layer::Page(diff::page(&analysis::diff(one, other))));
    }

    fn group_by_next(&mut self, desk: &Desk, reply: &mut Reply) {
        let mut keys: Vec<String> = desk.axis_keys();
        keys.push("seed".into());
        let next = match &self.group {
            None => keys.first().cloned(),
            Some(key) => {
                let at = keys.iter().position(|known| known == key);
                at.and_then(|at| keys.get(at + 1).cloned())
            }
        };
        let words = next
            .as_ref()
            .map_or("not grouped".into(), |key| format!("grouped by {key}"));
        reply.say(Said::new(words));
        self.group = next;
        self.stale = Stale::Order;
    }

    /// Say `verb` of the chosen runs that it changes; what holds runs up is asked about first.
    fn wish(&mut self, verb: Verb, world: &World, reply: &mut Reply) {
        let runs = self.runs_chosen(world);
        let touched: Vec<&Run> = runs
            .iter()
            .copied()
            .filter(|run| verb.applied(run, run.want).is_some())
            .collect();
        if touched.is_empty() {
            let words = match runs[..] {
                [] => format!("no run to {}", verb.name()),
                [run] => format!(
                    "{} is {}: nothing to {}",
                    run.id(),
                    run.state.name(),
                    verb.name()
                ),
                _ => format!("nothing to {} among {} runs", verb.name(), runs.len()),
            };
            return reply.problem(words);
        }
        let ids: Vec<RunId> = touched.iter().map(|run| run.id().clone()).collect();
        let names: Vec<&str> = ids.iter().map(RunId::as_str).collect();
        let argument = if let Verb::Priority(priority) = verb {
            format!("{priority} ")
        } else {
            String::new()
        };
        let command = format!("siglab {} {argument}{}", verb.name(), names.join(" "));
        let effects = vec![Effect::Wish { verb, runs: ids }];
        if !matches!(verb, Verb::Stop | Verb::Pause) {
            reply.effects.extend(effects);
            return reply.say(Said::new("").by(command));
        }
        let plural = if touched.len() == 1 { "run" } else { "runs" };
        let label = |run: &Run| {
            self.labels
                .get(run.id())
                .map_or_else(|| world.label(run.id()), |words| words.label.clone())
        };
        let name = |run: &&Run| format!("{}  {}, {}", run.id(), run.state.name(), label(run));
        let mut lines: Vec<String> = touched.iter().take(NAMED).map(name).collect();
        if touched.len() > NAMED {
            lines.push(format!("and {} more", touched.len() - NAMED));
        }
        lines.push(String::new());
        lines.push(match verb {
            Verb::Stop => "Their workers save a checkpoint and go; `retry` or `resume` takes them up again.".into(),
            _ => "Their workers save a checkpoint and go, and others take their place; `resume` lets them go on.".into(),
        });
        reply.ask(Layer::Confirm(Confirm {
            title: format!("{} {} {plural}?", capital(verb.name()), touched.len()),
            lines,
            yes: verb.name().into(),
            effects,
            command: Some(command),
            default: false,
        }));
    }

    /// Show the runs that fit `text` from now on.
    pub fn filter(&mut self, text: &str, reply: &mut Reply) {
        match text.parse() {
            Ok(query) => {
                self.query = query;
                self.query_text = text.to_owned();
                self.stale = Stale::Order;
                let command = if text.is_empty() {
                    "siglab ls".to_owned()
                } else {
                    format!("siglab ls --where {}", crate::tui::effect::quoted(text))
                };
                reply.say(Said::new("").by(command));
            }
            Err(e) => reply.problem(format!("{e}")),
        }
    }

    /// How many runs fit a query, or what is wrong with it.
    pub fn query_notes(&self, text: &str, world: &World) -> Vec<Note> {
        let query: Query = match text.trim().parse() {
            Ok(query) => query,
            Err(e) => return vec![(format!("{e}"), Role::Bad)],
        };
        let all: Vec<&Run> = world.store().runs().collect();
        if let Err(e) = query.require_fields(&all) {
            return vec![(format!("{e}"), Role::Warn)];
        }
        let count = all
            .iter()
            .filter(|run| query.fits(run, &world.label(run.id())))
            .count();
        vec![(
            format!("{count} of {} runs of the workspace fit", all.len()),
            Role::Good,
        )]
    }

    /// Bring the list up to date with the store, keeping the cursor on its run. New rows alone are worth it once a
    /// second: they come all the time.
    fn arrange(&mut self, desk: &Desk, world: &World) {
        let waited = world.now.saturating_sub(self.arranged);
        let rows_count = self.sort.follows_rows() || !self.query.is_all();
        let due = match self.stale {
            Stale::Nothing => false,
            Stale::Rows => rows_count && waited >= REORDER,
            Stale::Runs => waited >= POURS.max(SHARE * self.took) || world.unread() == 0,
            Stale::Order => true,
        };
        if !due && !self.entries.is_empty() {
            return;
        }
        let began = Instant::now();
        self.arranged = world.now;
        let under = self.under_cursor().cloned();
        let wanted = self.experiment_only.then(|| desk.run_ids());
        let fits = |run: &&Run| {
            wanted
                .as_ref()
                .is_none_or(|wanted| wanted.contains(run.id()))
                && (self.query.is_all() || self.query.fits(run, &world.label(run.id())))
        };
        let mut runs: Vec<&Run> = world.store().runs().filter(fits).collect();
        let same_runs = self.labels.keys().eq(runs.iter().map(|run| run.id()));
        if self.stale == Stale::Order || !same_runs {
            let changes: Vec<&path::Flat> =
                runs.iter().map(|run| world.changes(run.id())).collect();
            let mut told = label::distinguish(&world.schema, &changes);
            if told.iter().all(Vec::is_empty) {
                // Nothing tells them apart, as where there is but one: then what the experiment asks about.
                let keys: Vec<String> = desk
                    .axis_keys()
                    .into_iter()
                    .chain(["seed".to_owned()])
                    .collect();
                let value = |changes: &path::Flat, key: &String| {
                    Some((key.clone(), world.schema.setting(changes, key)?.clone()))
                };
                told = changes
                    .iter()
                    .map(|changes| keys.iter().filter_map(|key| value(changes, key)).collect())
                    .collect();
            }
            let told = || {
                told.iter()
                    .map(|told| told.iter().map(|(key, value)| (key.as_str(), value)))
            };
            let labels: Vec<String> = told().map(label::label).collect();
            let places = order::places(&labels);
            let words = labels.into_iter().zip(told().map(label::brief)).zip(places);
            let words = words.map(|((label, brief), place)| Words {
                label,
                brief,
                place,
            });
            self.labels = runs.iter().map(|run| run.id().clone()).zip(words).collect();
        }
        self.stale = Stale::Nothing;
        self.sort
            .order(&mut runs, &self.labels, world, self.reversed);
        self.entries = match &self.group {
            None => runs
                .iter()
                .map(|run| Entry::Run(run.id().clone()))
                .collect(),
            Some(key) => order::grouped(&runs, |run| {
                let value = world
                    .schema
                    .setting(world.changes(run.id()), key)
                    .map_or("-".into(), path::label);
                format!("{key} = {value}")
            }),
        };
        if let Some(at) = under.and_then(|id| {
            self.entries
                .iter()
                .position(|e| matches!(e, Entry::Run(other) if *other == id))
        }) {
            self.cursor = at;
        }
        self.go(0);
        self.selected.retain(|id| world.run(id).is_some());
        self.took = began.elapsed().as_millis() as u64;
    }

    pub fn click(&mut self, at: Position) {
        if self.list.contains(at) {
            self.cursor = self.top + usize::from(at.y - self.list.y);
            self.go(0);
        }
    }

    pub fn draw(
        &mut self,
        area: Rect,
        buffer: &mut Buffer,
        desk: &Desk,
        world: &World,
        theme: Theme,
    ) {
        self.arrange(desk, world);
        let log_height = if self.log {
            (area.height / 3).max(3)
        } else {
            0
        };
        let upper = Rect {
            height: area.height - log_height,
            ..area
        };
        self.heading(Rect { height: 1, ..upper }, buffer, desk, theme);
        let table = Rect {
            y: upper.y + 1,
            height: upper.height.saturating_sub(1),
            ..upper
        };
        if self.entries.is_empty() {
            self.nothing(table, buffer, world, theme);
        } else {
            self.table(table, buffer, world, theme);
        }
        if self.log {
            let place = Rect {
                y: upper.bottom(),
                height: log_height,
                ..area
            };
            log::draw(place, buffer, self.under_cursor(), world, theme);
        }
    }

    /// What is shown: scope, query, order, selection.
    fn heading(&self, place: Rect, buffer: &mut Buffer, desk: &Desk, theme: Theme) {
        let shown = self.shown().count();
        let scope = if self.experiment_only {
            format!("of {}", desk.name())
        } else {
            "of the workspace".into()
        };
        let direction = if self.reversed {
            theme.sign("↑", "^")
        } else {
            theme.sign("↓", "v")
        };
        let plural = if shown == 1 { "run" } else { "runs" };
        let mut pieces = vec![(format!(" {shown} {plural} {scope}"), Role::Plain)];
        pieces.push((format!("  by {} {direction}", self.sort.name()), Role::Dim));
        if let Some(group) = &self.group {
            pieces.push((format!("  grouped by {group}"), Role::Dim));
        }
        // A filter that is on stays in sight.
        if !self.query.is_all() {
            pieces.push((format!("  / {}", self.query_text), Role::Accent));
        }
        if !self.selected.is_empty() {
            pieces.push((format!("  {} selected", self.selected.len()), Role::Warn));
        }
        let pieces: Vec<_> = pieces
            .iter()
            .map(|(words, role)| (words.as_str(), theme.style(*role)))
            .collect();
        text::put_all(buffer, place, pieces);
    }

    fn nothing(&self, area: Rect, buffer: &mut Buffer, world: &World, theme: Theme) {
        let words = if !self.query.is_all() {
            "No run fits the filter; Esc takes it away."
        } else if self.experiment_only && world.store().runs().next().is_some() {
            "None of the runs of this experiment is in the workspace yet: 1 shows the grid, L launches it; w shows all runs."
        } else {
            "No runs yet: 1 shows the grid, L launches it."
        };
        let inner = Rect {
            x: area.x + 2,
            y: area.y + 1,
            width: area.width.saturating_sub(4),
            height: area.height.saturating_sub(1),
        };
        text::put_wrapped(buffer, inner, words, theme.style(Role::Dim));
    }

    fn table(&mut self, area: Rect, buffer: &mut Buffer, world: &World, theme: Theme) {
        let columns = layout(area.width);
        let mut x = area.x;
        for (column, width) in &columns {
            let sorted = self.sort.column() == Some(*column);
            let role = if sorted { Role::Accent } else { Role::Dim };
            column.put(
                buffer,
                Rect::new(x, area.y, *width, 1),
                column.heading(),
                theme.style(role),
            );
            x += width + 1;
        }
        let list = Rect {
            y: area.y + 1,
            height: area.height.saturating_sub(1),
            ..area
        };
        self.list = list;
        let height = usize::from(list.height);
        self.top = self
            .top
            .min(self.cursor)
            .max((self.cursor + 1).saturating_sub(height));
        let visible = self.entries.iter().enumerate().skip(self.top);
        for (y, (place, entry)) in (list.top()..list.bottom()).zip(visible) {
            let line = Rect {
                y,
                height: 1,
                ..list
            };
            match entry {
                Entry::Group { label, runs } => {
                    let plural = if *runs == 1 { "run" } else { "runs" };
                    let words = format!("{} {label}  {runs} {plural}", theme.sign("▾", "v"));
                    text::put(
                        buffer,
                        line.x + 1,
                        y,
                        line.width,
                        &words,
                        theme.style(Role::Title),
                    );
                }
                Entry::Run(id) => {
                    if let Some(run) = world.run(id) {
                        let words = self.labels.get(id).cloned().unwrap_or_default();
                        column::draw_run(line, buffer, &columns, (run, &words), world, theme);
                    }
                    if self.selected.contains(id) {
                        text::put(
                            buffer,
                            line.x,
                            y,
                            1,
                            theme.sign("┃", "*"),
                            theme.style(Role::Warn),
                        );
                    }
                }
            }
            if place == self.cursor {
                buffer.set_style(line, theme.style(Role::Cursor));
            }
        }
    }

    pub fn remember(&self) -> RunsMemory {
        RunsMemory {
            query: self.query_text.clone(),
            sort: self.sort,
            reversed: self.reversed,
            group: self.group.clone(),
            experiment_only: self.experiment_only,
            log: self.log,
        }
    }

    pub fn recall(&mut self, memory: RunsMemory) {
        // A query of another version that no longer reads is no reason to complain.
        if let Ok(query) = memory.query.parse() {
            (self.query, self.query_text) = (query, memory.query);
        }
        self.sort = memory.sort;
        self.reversed = memory.reversed;
        self.group = memory.group;
        self.experiment_only = memory.experiment_only;
        self.log = memory.log;
        self.stale = Stale::Order;
    }
}
