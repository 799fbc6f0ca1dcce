//! The whole face as one value: what is on the screen and what was asked. [`App::update`] turns a message into a
//! changed value and effects; [`App::draw`] only draws. It touches no file, process or terminal.

mod chrome;
mod palette;

use crossterm::event::{Event, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use super::action::{self, Action, View};
use super::asked::Asked;
use super::desk::Desk;
use super::effect::Effect;
use super::key::Key;
use super::layer::{Confirm, Heard, Layer};
use super::memory::Memory;
use super::screen::{Design, Results, Runs, Watch};
use super::theme::{Role, Theme};
use super::world::World;
use crate::store::{Delta, RunId};

/// What happened.
#[derive(Debug)]
pub enum Msg {
    /// A key, with the event that it came in.
    Key(Key, Event),
    Paste(String),
    Mouse(MouseEvent),
    /// The store took these in.
    Deltas(Vec<Delta>),
    /// The experiment file reads like this now; none when it is gone.
    File(Option<String>),
    /// The experiment was written as it stands.
    Saved,
    /// An effect was granted, or not.
    Said(Said),
}

/// A sentence for the bottom line.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub text: String,
    pub role: Role,
    /// The command line that does the same.
    pub command: Option<String>,
}

impl Said {
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            role: Role::Plain,
            command: None,
        }
    }

    pub fn problem(text: impl Into<String>) -> Self {
        Self {
            role: Role::Bad,
            ..Self::new(text)
        }
    }

    pub fn by(self, command: impl Into<String>) -> Self {
        Self {
            command: Some(command.into()),
            ..self
        }
    }
}

/// What a screen may do beside changing itself.
#[derive(Debug, Default)]
pub struct Reply {
    pub effects: Vec<Effect>,
    pub layers: Vec<Layer>,
    pub said: Option<Said>,
    /// Another screen to go to.
    pub go: Option<View>,
}

impl Reply {
    pub fn say(&mut self, said: Said) {
        self.said = Some(said);
    }

    pub fn problem(&mut self, text: impl Into<String>) {
        self.say(Said::problem(text));
    }

    pub fn ask(&mut self, layer: Layer) {
        self.layers.push(layer);
    }
}

#[derive(Debug)]
pub struct App {
    pub theme: Theme,
    pub view: View,
    pub desk: Desk,
    pub design: Design,
    pub runs: Runs,
    pub watch: Watch,
    pub results: Results,
    layers: Vec<Layer>,
    said: Option<Said>,
    mouse: bool,
    /// Where the names of the screens were drawn, for the mouse.
    tabs: Vec<(Rect, View)>,
    body: Rect,
}

impl App {
    pub fn new(desk: Desk, theme: Theme, mouse: bool) -> Self {
        Self {
            theme,
            view: View::Design,
            desk,
            design: Design::default(),
            runs: Runs::default(),
            watch: Watch::default(),
            results: Results::default(),
            layers: Vec::new(),
            said: None,
            mouse,
            tabs: Vec::new(),
            body: Rect::default(),
        }
    }

    /// Take in what happened; returns what is wanted of the world.
    pub fn update(&mut self, msg: Msg, world: &World) -> Vec<Effect> {
        let mut reply = Reply::default();
        match msg {
            Msg::Key(key, event) => self.key(key, &event, world, &mut reply),
            Msg::Paste(text) => {
                if let Some(layer) = self.layers.last_mut()
                    && layer.paste(&text) == Heard::Edited
                {
                    self.preview(world);
                }
            }
            Msg::Mouse(event) => self.mouse(event, world, &mut reply),
            Msg::Deltas(deltas) => {
                self.runs.take_in(&deltas);
                self.watch.take_in(&deltas, world);
                self.results.take_in(&deltas, world);
            }
            Msg::File(text) => self.design.file_changed(text, &mut self.desk, &mut reply),
            Msg::Saved => self.desk.saved(),
            // What an effect came to stands beside the command of the key that asked for it.
            Msg::Said(mut said) => {
                let asked = self.said.take().filter(|asked| asked.text.is_empty());
                said.command = said.command.or(asked.and_then(|asked| asked.command));
                reply.say(said);
            }
        }
        self.conclude(reply)
    }

    fn conclude(&mut self, reply: Reply) -> Vec<Effect> {
        let Reply {
            effects,
            layers,
            said,
            go,
        } = reply;
        if let Some(view) = go {
            self.view = view;
        }
        if said.is_some() {
            self.said = said;
        }
        self.layers.extend(layers);
        effects
    }

    fn key(&mut self, key: Key, event: &Event, world: &World, reply: &mut Reply) {
        self.said = None;
        // Also where letters are text: nobody is kept in a dialog.
        if key == Key::named("C-c").expect("a key") {
            return self.act(Action::Quit, world, reply);
        }
        let Some(layer) = self.layers.last_mut() else {
            if let Some(action) = action::of_key(self.view, key) {
                self.act(action, world, reply);
            }
            return;
        };
        match layer.hear(key, event) {
            Heard::Nothing => {}
            Heard::Edited => self.preview(world),
            Heard::Left => {
                self.layers.pop();
                self.desk.set_preview(&[]);
            }
            Heard::Answered => {
                self.desk.set_preview(&[]);
                if let Some(layer) = self.layers.pop() {
                    self.answered(layer, world, reply);
                }
            }
        }
    }

    /// Say what the line that is being typed would mean.
    fn preview(&mut self, world: &World) {
        let Some(Layer::Prompt(prompt)) = self.layers.last_mut() else {
            return;
        };
        let (asked, text) = (prompt.asked.clone(), prompt.value().to_owned());
        let notes = match &asked {
            Asked::RunsFilter | Asked::WatchFilter => self.runs.query_notes(&text, world),
            _ => self.design.notes(&asked, &text, &mut self.desk, world),
        };
        if let Some(Layer::Prompt(prompt)) = self.layers.last_mut() {
            prompt.notes = notes;
        }
    }

    /// An answer goes to the screen that asked.
    fn answered(&mut self, layer: Layer, world: &World, reply: &mut Reply) {
        let (asked, text, chosen, items) = match layer {
            Layer::Confirm(Confirm {
                effects, command, ..
            }) => {
                reply.effects.extend(effects);
                reply.said = command.map(|command| Said::new("").by(command));
                return;
            }
            Layer::Page(_) => return,
            Layer::Prompt(prompt) => (
                prompt.asked.clone(),
                prompt.value().trim().to_owned(),
                None,
                Vec::new(),
            ),
            Layer::Picker(picker) => {
                let chosen = picker.chosen();
                let label = chosen.map_or(String::new(), |i| picker.items[i].label.clone());
                (picker.asked, label, chosen, picker.items)
            }
        };
        match asked {
            Asked::Palette => {
                if let Some(action) = chosen.and_then(|i| palette::action(self.view, i)) {
                    self.act(action, world, reply);
                }
            }
            Asked::RunsFilter => self.runs.filter(&text, reply),
            Asked::WatchFilter => self.watch.choose(&text, world, reply),
            Asked::Panels => self.watch.set_panels(&items),
            Asked::Metric | Asked::ExportFormat | Asked::ExportPath { .. } | Asked::FigurePath => {
                self.results.answer(asked, &text, &self.desk, world, reply);
            }
            _ => self
                .design
                .answer(asked, &text, &mut self.desk, world, reply),
        }
    }

    fn act(&mut self, action: Action, world: &World, reply: &mut Reply) {
        match action {
            Action::Quit if self.desk.is_touched() => reply.ask(self.desk.before_leaving()),
            Action::Quit => reply.effects.push(Effect::Quit),
            Action::Help => reply.ask(Layer::Page(palette::help(self.view))),
            Action::Palette => reply.ask(Layer::Picker(palette::picker(self.view))),
            Action::Go(view) => self.view = view,
            Action::Suspend => reply.effects.push(Effect::Suspend),
            Action::Redraw => reply.effects.push(Effect::Redraw),
            Action::Mouse => {
                self.mouse = !self.mouse;
                reply.effects.push(Effect::Mouse(self.mouse));
                let state = if self.mouse {
                    "on"
                } else {
                    "off: the terminal selects text"
                };
                reply.say(Said::new(format!("the mouse is {state}")));
            }
            action => match self.view {
                View::Design => self.design.act(action, &mut self.desk, world, reply),
                View::Runs => {
                    self.runs.act(action, &self.desk, world, reply);
                    if reply.go == Some(View::Watch) {
                        self.watch.show(self.runs.chosen(), world);
                    }
                }
                View::Watch => self.watch.act(action, &self.desk, world, reply),
                View::Results => {
                    let runs = self.results.act(action, &self.desk, world, reply);
                    if reply.go == Some(View::Watch) {
                        self.watch.show(runs, world);
                    }
                }
            },
        }
    }

    fn mouse(&mut self, event: MouseEvent, world: &World, reply: &mut Reply) {
        let at = Position::new(event.column, event.row);
        if !self.layers.is_empty() {
            return;
        }
        let action = match event.kind {
            MouseEventKind::ScrollDown => Action::Down,
            MouseEventKind::ScrollUp => Action::Up,
            MouseEventKind::Down(MouseButton::Left) => {
                self.said = None;
                if let Some((_, view)) = self.tabs.iter().find(|(place, _)| place.contains(at)) {
                    self.view = *view;
                } else if self.body.contains(at) {
                    match self.view {
                        View::Design => self.design.click(at),
                        View::Runs => self.runs.click(at),
                        View::Watch => self.watch.click(at),
                        View::Results => self.results.click(at),
                    }
                }
                return;
            }
            _ => return,
        };
        self.act(action, world, reply);
    }

    /// The run whose log is to be shown, if one is.
    pub fn log_wanted(&self) -> Option<&RunId> {
        match self.view {
            View::Runs => self.runs.log_wanted(),
            View::Watch => self.watch.log_wanted(),
            View::Design | View::Results => None,
        }
    }

    /// What there is to say about the thing under the cursor while nothing else is to be said.
    fn about(&self, world: &World) -> Option<String> {
        (self.view == View::Runs)
            .then(|| self.runs.about(world))
            .flatten()
    }

    /// Whether the last picture may be wrong though nothing happened: clocks and rates of running workers.
    pub fn has_clocks(&self, world: &World) -> bool {
        matches!(self.view, View::Design | View::Runs) && world.any_running()
    }

    pub fn draw(&mut self, buffer: &mut Buffer, world: &World) {
        let area = buffer.area;
        if area.width < chrome::SMALLEST.0 || area.height < chrome::SMALLEST.1 {
            chrome::too_small(buffer, self.theme);
            return;
        }
        let (body, tabs) = chrome::draw(self, buffer, world);
        (self.body, self.tabs) = (body, tabs);
        let theme = self.theme;
        match self.view {
            View::Design => self.design.draw(body, buffer, &self.desk, world, theme),
            View::Runs => self.runs.draw(body, buffer, &self.desk, world, theme),
            View::Watch => self.watch.draw(body, buffer, &self.desk, world, theme),
            View::Results => self.results.draw(body, buffer, &self.desk, world, theme),
        }
        for layer in &mut self.layers {
            layer.draw(body, buffer, theme);
        }
        if theme.ascii() {
            chrome::to_ascii(buffer);
        }
    }

    /// What is worth keeping for the next time.
    pub fn remember(&self) -> Memory {
        Memory {
            view: self.view,
            file: Some(self.desk.path().to_owned()),
            draft: self.desk.draft(),
            runs: self.runs.remember(),
            watch: self.watch.remember(),
            results: self.results.remember(),
        }
    }

    /// Take up what was kept.
    pub fn recall(&mut self, memory: Memory) {
        self.view = memory.view;
        self.runs.recall(memory.runs);
        self.watch.recall(memory.watch);
        self.results.recall(memory.results);
    }
}
