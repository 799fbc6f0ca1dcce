//! Curves of runs over one x-axis, stacked so that a spike shows its causes: loss, gradient norm, update norm, and what
//! else is asked for. Spikes are marked, listed and gone to; a cursor reads the raw values.

mod lines;
mod panels;
mod side;

use std::collections::{BTreeMap, BTreeSet};

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde::{Deserialize, Serialize};

use self::lines::{Grouping, Line};
use crate::analysis::spikes::Spike;
use crate::store::{Along, Change, Delta, Query, Run, RunId, TOP1};
use crate::tui::action::Action;
use crate::tui::app::{Reply, Said};
use crate::tui::asked::Asked;
use crate::tui::desk::Desk;
use crate::tui::layer::{Item, Layer, Picker, Prompt};
use crate::tui::theme::Theme;
use crate::tui::widget::chart::{Scale, Smooth, View};
use crate::tui::widget::{log, text};
use crate::tui::world::World;

/// More lines than anybody tells apart.
const MOST_LINES: usize = 40;
/// Weights of the moving average, in the order of the key.
const WEIGHTS: [f64; 5] = [0.0, 0.6, 0.9, 0.97, 0.99];
/// Two metrics in one panel.
const TIE: &str = " + ";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Panels,
    Lines,
    Spikes,
}

#[derive(Debug)]
pub struct Watch {
    /// None: those of the experiment, or of the workspace where it has none.
    chosen: Option<Vec<RunId>>,
    query: String,
    hidden: BTreeSet<String>,
    grouping: Grouping,
    panels: Vec<String>,
    logarithmic: BTreeSet<String>,
    along: Along,
    /// None shows everything and goes on with the runs.
    view: Option<View>,
    /// What is shown while `view` is none.
    whole: Option<View>,
    cursor: Option<f64>,
    smoothing: usize,
    focus: Focus,
    panel: usize,
    first_panel: usize,
    maximised: bool,
    line: usize,
    spike: usize,
    log: bool,
    lines: Vec<Line>,
    stale: bool,
    smooth: BTreeMap<(RunId, String), Smooth>,
    caches: BTreeMap<String, panels::Kept>,
    /// Where plots were drawn, and of which panel.
    plots: Vec<(Rect, usize)>,
}

impl Default for Watch {
    fn default() -> Self {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>()
        };
        Self {
            chosen: None,
            query: String::new(),
            hidden: BTreeSet::new(),
            grouping: Grouping::default(),
            panels: names(&[
                "loss",
                "grad_norm",
                "update_norm",
                TOP1,
                "logit_scale",
                "bias",
                "positive_logit/mean + negative_logit/mean",
            ]),
            logarithmic: names(&["loss", "grad_norm"]).into_iter().collect(),
            along: Along::Examples,
            view: None,
            whole: None,
            cursor: None,
            smoothing: 0,
            focus: Focus::default(),
            panel: 0,
            first_panel: 0,
            maximised: false,
            line: 0,
            spike: 0,
            log: false,
            lines: Vec::new(),
            stale: true,
            smooth: BTreeMap::new(),
            caches: BTreeMap::new(),
            plots: Vec::new(),
        }
    }
}

/// What is kept for the next time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchMemory {
    chosen: Option<Vec<RunId>>,
    query: String,
    grouping: Grouping,
    panels: Vec<String>,
    logarithmic: BTreeSet<String>,
    along: usize,
    smoothing: usize,
    log: bool,
}

const ALONG: [(Along, &str); 3] = [
    (Along::Examples, "examples"),
    (Along::Steps, "steps"),
    (Along::Seconds, "time"),
];

impl Watch {
    pub fn take_in(&mut self, deltas: &[Delta], _world: &World) {
        for Delta { id, change } in deltas {
            match change {
                Change::Appeared => self.stale = true,
                Change::Vanished => {
                    // A run of this name that comes later has other rows.
                    self.smooth.retain(|(run, _), _| run != id);
                    self.stale = true;
                }
                Change::Rewound => {
                    self.smooth.retain(|(run, _), _| run != id);
                    self.caches.clear();
                }
                Change::State { .. }
                | Change::Prospects
                | Change::Waits
                | Change::Rows { .. }
                | Change::Evaluated { .. }
                | Change::Warned { .. } => {}
            }
        }
    }

    /// The experiment is another: which runs are its own changes.
    pub fn experiment_changed(&mut self) {
        self.stale = true;
    }

    /// Draw these runs from now on.
    pub fn show(&mut self, runs: Vec<RunId>, world: &World) {
        self.chosen = Some(runs);
        self.query.clear();
        self.hidden.clear();
        self.view = None;
        self.cursor = None;
        self.line = 0;
        self.stale = true;
        let _ = world;
    }

    /// Draw the runs that fit a query.
    pub fn choose(&mut self, text: &str, world: &World, reply: &mut Reply) {
        if text.is_empty() {
            self.chosen = None;
            self.query.clear();
            self.stale = true;
            return reply.say(Said::new("the runs of the experiment"));
        }
        let query: Query = match text.parse() {
            Ok(query) => query,
            Err(e) => return reply.problem(format!("{e}")),
        };
        let fits = |run: &&Run| query.fits(run, &world.label(run.id()));
        let runs: Vec<RunId> = world
            .store()
            .runs()
            .filter(fits)
            .map(|run| run.id().clone())
            .collect();
        if runs.is_empty() {
            return reply.problem(format!("no run fits {text}"));
        }
        self.show(runs, world);
        self.query = text.to_owned();
    }

    /// The metrics that are ticked are the panels, in the order they have, new ones last.
    pub fn set_panels(&mut self, items: &[Item]) {
        let ticked: Vec<&Item> = items
            .iter()
            .filter(|item| item.ticked == Some(true))
            .collect();
        let wanted = |name: &String| ticked.iter().any(|item| item.label == *name);
        self.panels.retain(wanted);
        for item in ticked {
            if !self.panels.contains(&item.label) {
                self.panels.push(item.label.clone());
            }
        }
        self.panel = 0;
    }

    /// The run whose log is to be shown, if one is.
    pub fn log_wanted(&self) -> Option<&RunId> {
        self.lines
            .get(self.line)
            .and_then(|line| line.runs.first())
            .filter(|_| self.log)
    }

    fn arrange(&mut self, desk: &Desk, world: &World) {
        if !self.stale && !self.lines.is_empty() {
            return;
        }
        self.stale = false;
        let ids = match &self.chosen {
            Some(chosen) => chosen.clone(),
            None => {
                let of_experiment: Vec<RunId> = desk
                    .specs()
                    .iter()
                    .map(|spec| spec.id.clone())
                    .filter(|id| world.run(id).is_some())
                    .collect();
                if of_experiment.is_empty() {
                    world.store().runs().map(|run| run.id().clone()).collect()
                } else {
                    of_experiment
                }
            }
        };
        self.lines = lines::lines(&ids, &self.grouping, world);
        self.lines.truncate(MOST_LINES);
        for line in &mut self.lines {
            line.hidden = self.hidden.contains(&line.label);
        }
        self.line = self.line.min(self.lines.len().saturating_sub(1));
        self.whole = None;
        self.caches.clear();
    }

    /// The lines that are drawn, with their numbers.
    fn drawn(&self) -> impl Iterator<Item = (usize, &Line)> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !line.hidden)
    }

    /// Let the panel of accuracy show the data set that the runs are evaluated on, where that is not their own.
    fn follow_accuracy(&mut self, world: &World) {
        let runs = self.lines.iter().flat_map(|line| &line.runs);
        let keys: BTreeSet<&str> = runs.filter_map(|id| world.run(id)?.top1_key()).collect();
        if let Some(&key) = keys.first()
            && !keys.contains(TOP1)
            && !self.panels.iter().any(|panel| panel == key)
            && let Some(panel) = self.panels.iter_mut().find(|panel| *panel == TOP1)
        {
            *panel = key.to_owned();
        }
    }

    /// First and last x of all that is drawn.
    fn extent(&self, world: &World) -> (f64, f64) {
        let runs = self
            .drawn()
            .flat_map(|(_, line)| &line.runs)
            .filter_map(|id| world.run(id));
        let ends = runs.filter(|run| !run.series.is_empty()).map(|run| {
            let last = run.series.len() - 1;
            (run.series.x(self.along, 0), run.series.x(self.along, last))
        });
        let all = ends.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
        // Training begins at nothing, whichever row was logged first.
        all.map_or((0.0, 1.0), |(_, last)| (0.0, last.max(1e-9)))
    }

    fn view(&mut self, world: &World) -> View {
        let extent = self.extent(world);
        match self.view {
            Some(view) => view,
            None => {
                let whole = match self.whole {
                    Some(view) if view.x.1 >= extent.1 => view,
                    Some(view) if world.any_running() => view.follow(extent.1),
                    _ => View::whole(extent, Scale::Linear),
                };
                self.whole = Some(whole);
                whole
            }
        }
    }

    /// Spikes of what is drawn, by where they begin, with the number of their line.
    fn spikes<'w>(&self, world: &'w World) -> Vec<(usize, &'w Run, &'w Spike)> {
        let mut all: Vec<_> = self
            .drawn()
            .flat_map(|(n, line)| line.runs.iter().map(move |id| (n, id)))
            .filter_map(|(n, id)| Some((n, world.run(id)?, world.spikes(id))))
            .flat_map(|(n, run, spikes)| spikes.iter().map(move |spike| (n, run, spike)))
            .collect();
        all.sort_by(|(_, a, x), (_, b, y)| self.onset(a, x).total_cmp(&self.onset(b, y)));
        all
    }

    fn onset(&self, run: &Run, spike: &Spike) -> f64 {
        run.series.x(self.along, spike.onset.row)
    }

    pub fn act(&mut self, action: Action, desk: &Desk, world: &World, reply: &mut Reply) {
        self.arrange(desk, world);
        let extent = self.extent(world);
        let view = self.view(world);
        let centre = self.cursor.unwrap_or((view.x.0 + view.x.1) / 2.0);
        let step = {
            let width = self
                .plots
                .first()
                .map_or(100, |(plot, _)| plot.width.max(1));
            (view.x.1 - view.x.0) / f64::from(width)
        };
        match action {
            Action::Up | Action::Down => {
                let by = if action == Action::Up { -1 } else { 1 };
                let go = |at: usize, count: usize| {
                    at.saturating_add_signed(by).min(count.saturating_sub(1))
                };
                match self.focus {
                    Focus::Panels => self.panel = go(self.panel, self.panels.len()),
                    Focus::Lines => self.line = go(self.line, self.lines.len()),
                    Focus::Spikes => {
                        self.spike = go(self.spike, self.spikes(world).len());
                        self.go_to_spike(self.spike, world, reply);
                    }
                }
            }
            Action::Top => self.panel = 0,
            Action::Bottom => self.panel = self.panels.len().saturating_sub(1),
            Action::Left | Action::Right => {
                let by = if action == Action::Left { -step } else { step };
                let start = self
                    .cursor
                    .unwrap_or(if by < 0.0 { view.x.1 } else { view.x.0 });
                self.put_cursor(start + by, view, extent);
            }
            Action::Focus => {
                self.focus = match self.focus {
                    Focus::Panels => Focus::Lines,
                    Focus::Lines if !self.spikes(world).is_empty() => Focus::Spikes,
                    Focus::Lines | Focus::Spikes => Focus::Panels,
                };
            }
            Action::ZoomIn => self.view = Some(view.zoom(centre, 0.5, extent)),
            Action::ZoomOut => {
                let wider = view.zoom(centre, 2.0, extent);
                self.view = (wider != View::whole(extent, Scale::Linear)).then_some(wider);
            }
            Action::Whole => self.view = None,
            Action::PanLeft => self.view = Some(view.pan(-0.5, extent)),
            Action::PanRight => self.view = Some(view.pan(0.5, extent)),
            Action::LogY => {
                if let Some(name) = self.panels.get(self.panel)
                    && !self.logarithmic.remove(name)
                {
                    self.logarithmic.insert(name.clone());
                }
            }
            Action::Smooth => {
                self.smoothing = (self.smoothing + 1) % WEIGHTS.len();
                self.smooth.clear();
                self.caches.clear();
                let words = match WEIGHTS[self.smoothing] {
                    0.0 => "no moving average".to_owned(),
                    weight => {
                        format!("moving average of weight {weight}; the raw line stays under it")
                    }
                };
                reply.say(Said::new(words));
            }
            Action::Group => {
                self.grouping = self.grouping.next(&desk.axis_keys());
                self.hidden.clear();
                self.stale = true;
                reply.say(Said::new(self.grouping.name()));
            }
            Action::Along => {
                let at = ALONG
                    .iter()
                    .position(|(along, _)| *along == self.along)
                    .unwrap_or(0);
                let (along, name) = ALONG[(at + 1) % ALONG.len()];
                (self.along, self.view, self.whole, self.cursor) = (along, None, None, None);
                reply.say(Said::new(format!("over {name}")));
            }
            Action::NextSpike | Action::LastSpike => {
                self.step_spike(action == Action::NextSpike, world, reply)
            }
            Action::Maximise if self.focus == Focus::Spikes => {
                self.go_to_spike(self.spike, world, reply);
                self.focus = Focus::Panels;
            }
            Action::Maximise => self.maximised = !self.maximised,
            Action::Panels => self.ask_panels(world, reply),
            Action::Select => {
                if let Some(line) = self.lines.get(self.line).map(|line| line.label.clone()) {
                    if !self.hidden.remove(&line) {
                        self.hidden.insert(line);
                    }
                    self.stale = true;
                }
            }
            Action::Log => self.log = !self.log,
            Action::Filter => {
                let hint = "A query as in the list of runs: loss.kind=sigmoid seed=0. Nothing: the runs of the experiment.";
                reply.ask(Layer::Prompt(Prompt::new(
                    Asked::WatchFilter,
                    "Draw which runs?",
                    hint,
                    &self.query,
                )));
            }
            Action::Back if self.maximised => self.maximised = false,
            Action::Back if self.view.is_some() => self.view = None,
            Action::Back if self.cursor.is_some() => self.cursor = None,
            Action::Back if self.focus != Focus::Panels => self.focus = Focus::Panels,
            Action::Back => {
                self.chosen = None;
                self.query.clear();
                self.stale = true;
            }
            _ => {}
        }
    }

    /// Put the cursor at `x`, and take the view along.
    fn put_cursor(&mut self, x: f64, view: View, extent: (f64, f64)) {
        let x = x.clamp(extent.0, extent.1);
        self.cursor = Some(x);
        if x < view.x.0 || x > view.x.1 {
            let share = (x - (view.x.0 + view.x.1) / 2.0) / (view.x.1 - view.x.0);
            self.view = Some(view.pan(share, extent));
        }
    }

    fn step_spike(&mut self, on: bool, world: &World, reply: &mut Reply) {
        let spikes = self.spikes(world);
        if spikes.is_empty() {
            return reply.problem("no spike in what is drawn");
        }
        let at = self
            .cursor
            .unwrap_or(if on { f64::NEG_INFINITY } else { f64::INFINITY });
        let onsets: Vec<f64> = spikes
            .iter()
            .map(|(_, run, spike)| self.onset(run, spike))
            .collect();
        // From the last on round to the first.
        let next = if on {
            onsets.iter().position(|x| *x > at).unwrap_or(0)
        } else {
            onsets
                .iter()
                .rposition(|x| *x < at)
                .unwrap_or(onsets.len() - 1)
        };
        self.go_to_spike(next, world, reply);
    }

    fn go_to_spike(&mut self, n: usize, world: &World, reply: &mut Reply) {
        let Some((line, x, words, id)) = self.spikes(world).get(n).map(|(line, run, spike)| {
            let words = side::sentence(*line, spike);
            (*line, self.onset(run, spike), words, run.id().clone())
        }) else {
            return;
        };
        self.spike = n;
        self.line = line;
        let (view, extent) = (self.view(world), self.extent(world));
        self.put_cursor(x, view, extent);
        reply.say(Said::new(words).by(format!("siglab spikes {id}")));
    }

    fn ask_panels(&self, world: &World, reply: &mut Reply) {
        let mut names: Vec<String> = self.panels.clone();
        for run in self
            .lines
            .iter()
            .flat_map(|line| &line.runs)
            .filter_map(|id| world.run(id))
        {
            let evaluated = run
                .evaluations
                .iter()
                .flat_map(|evaluation| evaluation.metrics.keys());
            for name in evaluated.map(String::as_str).chain(run.series.names()) {
                if !names.iter().any(|known| known == name) {
                    names.push(name.to_owned());
                }
            }
        }
        let item = |label: String| Item {
            ticked: Some(self.panels.contains(&label)),
            label,
            ..Item::default()
        };
        let items = names.into_iter().map(item).collect();
        reply.ask(Layer::Picker(Picker::new(
            Asked::Panels,
            "Which panels? Space ticks, Enter shows",
            items,
        )));
    }

    pub fn click(&mut self, at: Position) {
        if let Some((plot, panel)) = self
            .plots
            .iter()
            .find(|(plot, _)| plot.contains(at))
            .copied()
        {
            self.panel = panel;
            if let Some(view) = self.view.or(self.whole) {
                let part = (f64::from(at.x - plot.x) + 0.5) / f64::from(plot.width);
                self.cursor = Some(view.x.0 + part * (view.x.1 - view.x.0));
            }
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
        if self.lines.is_empty() {
            let words = "No run to watch yet: 1 shows the grid, L launches it.";
            text::put(
                buffer,
                area.x + 2,
                area.y + 1,
                area.width.saturating_sub(2),
                words,
                theme.style(crate::tui::theme::Role::Dim),
            );
            return;
        }
        let wide = area.width >= 110;
        let side_width = match (wide, self.focus == Focus::Panels && !self.log) {
            (true, _) => 44.min(area.width / 3),
            (false, true) => 0,
            (false, false) => area.width * 2 / 5,
        };
        let main = Rect {
            width: area.width - side_width,
            ..area
        };
        panels::draw(self, main, buffer, world, theme);
        if side_width > 0 {
            let side = Rect {
                x: main.right() + 1,
                width: side_width - 1,
                ..area
            };
            let log_height = if self.log { area.height / 3 } else { 0 };
            let upper = Rect {
                height: side.height - log_height,
                ..side
            };
            side::draw(self, upper, buffer, world, theme);
            if self.log {
                let lower = Rect {
                    y: upper.bottom(),
                    height: log_height,
                    ..side
                };
                log::draw(lower, buffer, self.log_wanted(), world, theme);
            }
        }
    }

    pub fn remember(&self) -> WatchMemory {
        WatchMemory {
            chosen: self.chosen.clone(),
            query: self.query.clone(),
            grouping: self.grouping.clone(),
            panels: self.panels.clone(),
            logarithmic: self.logarithmic.clone(),
            along: ALONG
                .iter()
                .position(|(along, _)| *along == self.along)
                .unwrap_or(0),
            smoothing: self.smoothing,
            log: self.log,
        }
    }

    pub fn recall(&mut self, memory: WatchMemory) {
        if memory.panels.is_empty() {
            return;
        }
        self.chosen = memory.chosen;
        self.query = memory.query;
        self.grouping = memory.grouping;
        self.panels = memory.panels;
        self.logarithmic = memory.logarithmic;
        self.along = ALONG[memory.along % ALONG.len()].0;
        self.smoothing = memory.smoothing % WEIGHTS.len();
        self.log = memory.log;
    }
}
