//! Where a grid is designed: the experiment as a list on the left, its cells on the right, the file behind them. Every
//! keystroke is shown in the cells at once; what is saved is the file with its comments in place.

mod about;
mod entry;
mod items;
mod matrix;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use self::items::{Item, Line};
use self::matrix::{InSight, Matrix, Shown};
use crate::spec::edit::Edit;
use crate::spec::{CellKind, Experiment, Grid, preset};
use crate::tui::action::Action;
use crate::tui::app::{Reply, Said};
use crate::tui::asked::Asked;
use crate::tui::desk::{Change, Desk};
use crate::tui::effect::Effect;
use crate::tui::layer::{Layer, Page, Picker};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::{frame, text};
use crate::tui::world::World;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Focus {
    #[default]
    Items,
    Cells,
}

#[derive(Debug, Default)]
pub struct Design {
    focus: Focus,
    /// Position in the list of items.
    item: usize,
    top: usize,
    /// Row and column of the matrix.
    cell: (usize, usize),
    first: (usize, usize),
    toml: bool,
    toml_top: usize,
    matrix: Matrix,
    /// What the matrix was made of.
    version: Option<u64>,
    list: Rect,
    places: Vec<(Rect, (usize, usize))>,
}

impl Design {
    fn lines(desk: &Desk) -> Vec<Line> {
        desk.grid()
            .map_or_else(|_| Vec::new(), |(experiment, _)| items::lines(experiment))
    }

    fn arrange(&mut self, desk: &Desk) {
        if self.version != Some(desk.version()) {
            self.version = Some(desk.version());
            self.matrix = desk.grid().map_or_else(
                |_| Matrix::default(),
                |(experiment, grid)| Matrix::of(experiment, grid),
            );
        }
        let (rows, columns) = self.matrix.size();
        self.cell = (
            self.cell.0.min(rows.saturating_sub(1)),
            self.cell.1.min(columns.saturating_sub(1)),
        );
        let lines = Self::lines(desk);
        self.item = self.item.min(lines.len().saturating_sub(1));
        // The first line that can be acted on.
        if lines
            .get(self.item)
            .is_some_and(|line| line.item == Item::Heading)
        {
            self.item += 1;
        }
    }

    fn item(&self, desk: &Desk) -> Item {
        let lines = Self::lines(desk);
        lines
            .get(self.item)
            .map_or(Item::Other, |line| line.item.clone())
    }

    fn go(&mut self, by: isize, desk: &Desk) {
        let lines = Self::lines(desk);
        let last = lines.len().saturating_sub(1);
        let mut at = self.item.saturating_add_signed(by).min(last);
        // Headings are passed over, in the direction of travel.
        while lines.get(at).is_some_and(|line| line.item == Item::Heading) && at < last {
            at = if by < 0 { at.saturating_sub(1) } else { at + 1 };
        }
        self.item = at;
    }

    pub fn act(&mut self, action: Action, desk: &mut Desk, world: &World, reply: &mut Reply) {
        self.arrange(desk);
        let scroll = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::PageUp => -10,
            Action::PageDown => 10,
            Action::Top => isize::MIN / 2,
            Action::Bottom => isize::MAX / 2,
            _ => 0,
        };
        match action {
            Action::Up
            | Action::Down
            | Action::PageUp
            | Action::PageDown
            | Action::Top
            | Action::Bottom => match self.focus {
                Focus::Items => self.go(scroll, desk),
                Focus::Cells if self.toml => {
                    self.toml_top = self.toml_top.saturating_add_signed(scroll)
                }
                Focus::Cells => self.cell.0 = self.cell.0.saturating_add_signed(scroll),
            },
            Action::Left if self.focus == Focus::Cells && self.cell.1 == 0 => {
                self.focus = Focus::Items
            }
            Action::Left if self.focus == Focus::Cells => self.cell.1 -= 1,
            Action::Right if self.focus == Focus::Items => self.focus = Focus::Cells,
            Action::Right => self.cell.1 += 1,
            Action::Focus => {
                self.focus = match self.focus {
                    Focus::Items => Focus::Cells,
                    Focus::Cells => Focus::Items,
                };
            }
            Action::Toml => self.toml = !self.toml,
            Action::Back if self.toml => self.toml = false,
            Action::Back => self.focus = Focus::Items,
            Action::Open if self.focus == Focus::Cells => {
                reply.ask(Layer::Page(self.cell_page(desk, world)))
            }
            Action::Open => entry::open(&self.item(desk), desk, reply),
            Action::AddAxis => entry::pick_key(
                Asked::AxisKey,
                "Add an axis over which setting?",
                desk,
                world,
                reply,
            ),
            Action::AddBase => entry::pick_key(
                Asked::BaseKey,
                "Set which setting for all cells?",
                desk,
                world,
                reply,
            ),
            Action::Seeds => entry::open(&Item::Seeds, desk, reply),
            Action::Designs => entry::open(&Item::Design, desk, reply),
            Action::Rename => match self.item(desk) {
                Item::Axis { key, .. } => {
                    let title = format!("Which setting in place of {key}?");
                    entry::pick_key(Asked::AxisRename { key }, &title, desk, world, reply);
                }
                _ => reply.problem("go to an axis to give it another setting"),
            },
            Action::MoveUp | Action::MoveDown => match self.item(desk) {
                Item::Axis { key, .. } => {
                    let later = action == Action::MoveDown;
                    if self.edit(
                        Edit::MoveAxis {
                            key: key.clone(),
                            later,
                        },
                        desk,
                        reply,
                    ) {
                        self.follow(&key, desk);
                    }
                }
                _ => reply.problem("go to an axis to move it"),
            },
            Action::Zip => self.zip(desk, reply),
            Action::Unzip => match self.item(desk) {
                Item::Axis { key, .. } => {
                    self.edit(Edit::Unzip { key }, desk, reply);
                }
                _ => reply.problem("go to a zip to take it apart"),
            },
            Action::Remove => self.remove(desk, reply),
            Action::Exclude | Action::ExcludeLine => {
                self.exclude(action == Action::ExcludeLine, desk, reply)
            }
            Action::Undo if desk.undo() => reply.say(Said::new("taken back; C-r makes it again")),
            Action::Undo => reply.problem("nothing to take back"),
            Action::Redo if desk.redo() => reply.say(Said::new("made again")),
            Action::Redo => reply.problem("nothing to make again"),
            Action::Save => self.save(desk, reply),
            Action::Editor => {
                if desk.conflict().is_some() {
                    return reply.ask(about::conflict(desk));
                }
                // The editor is to see what the screen shows.
                if desk.is_unsaved() {
                    reply.effects.extend(desk.save());
                }
                let path = desk.path().to_owned();
                reply.say(Said::new("").by(format!("$EDITOR {}", desk.quoted_path())));
                reply.effects.push(Effect::Editor { path });
            }
            Action::Preset => {
                let item = |preset: &preset::Preset| crate::tui::layer::Item {
                    label: preset.name.into(),
                    detail: preset.title.into(),
                    doc: preset.about(),
                    ..Default::default()
                };
                let items = preset::ALL.iter().map(item).collect();
                reply.ask(Layer::Picker(Picker::new(
                    Asked::Preset,
                    "Begin with an ablation of the paper",
                    items,
                )));
            }
            Action::OpenFile => entry::ask_file(desk, reply),
            Action::Launch => about::launch(desk, world, reply),
            _ => {}
        }
        self.arrange(desk);
    }

    /// Make a change and say the command that makes it; false when it was refused.
    fn edit(&mut self, edit: Edit, desk: &mut Desk, reply: &mut Reply) -> bool {
        entry::apply(edit, desk, reply)
    }

    /// Put the cursor on an axis that has moved.
    fn follow(&mut self, key: &str, desk: &Desk) {
        let at = |line: &Line| matches!(&line.item, Item::Axis { key: other, .. } if other == key);
        if let Some(found) = Self::lines(desk).iter().position(at) {
            self.item = found;
        }
    }

    fn zip(&mut self, desk: &mut Desk, reply: &mut Reply) {
        let Item::Axis { key, .. } = self.item(desk) else {
            return reply.problem("go to an axis to zip it with the one below");
        };
        let Ok((experiment, _)) = desk.grid() else {
            return;
        };
        let at = experiment.axis_of(&key).unwrap_or(0);
        let Some(next) = experiment.axes.get(at + 1) else {
            return reply.problem("there is no axis below to zip this one with; J and K move axes");
        };
        let keys = experiment.axes[at]
            .keys
            .iter()
            .chain(&next.keys)
            .cloned()
            .collect();
        if self.edit(Edit::Zip { keys }, desk, reply) {
            self.follow(&key, desk);
        }
    }

    fn remove(&mut self, desk: &mut Desk, reply: &mut Reply) {
        let edit = match self.item(desk) {
            Item::Axis { key, .. } => Edit::RemoveAxis { key },
            Item::Base { key } => Edit::UnsetBase { key },
            Item::Exclude(n) => {
                let Ok((experiment, _)) = desk.grid() else {
                    return;
                };
                let when = experiment.excludes[n].when.iter();
                Edit::RemoveExclude {
                    when: when
                        .map(|setting| (setting.key.clone(), setting.value.clone()))
                        .collect(),
                }
            }
            _ => {
                return reply
                    .problem("go to an axis, a shared setting or an exclusion to remove it");
            }
        };
        self.edit(edit, desk, reply);
    }

    /// Leave the cell under the cursor, or its row, out; or take it back in.
    fn exclude(&mut self, line: bool, desk: &mut Desk, reply: &mut Reply) {
        if self.focus == Focus::Items {
            self.focus = Focus::Cells;
            return reply.say(Said::new("go to a cell and press x to leave it out"));
        }
        let Ok((experiment, grid)) = desk.grid() else {
            return;
        };
        let under = self.matrix.at(self.cell.0, self.cell.1).first().copied();
        let Some(cell) = under
            .or_else(|| self.matrix.in_row(self.cell.0))
            .map(|i| &grid.cells[i])
        else {
            return reply.problem("there is no cell here: the design does not take it");
        };
        let across: &[String] = experiment.axes.last().map_or(&[], |axis| &axis.keys);
        let of_row = |key: &String| !line || !across.contains(key);
        let when: Vec<_> = cell
            .settings()
            .filter(|(key, _)| of_row(key))
            .cloned()
            .collect();
        if when.is_empty() {
            return reply.problem("the grid has one row: leaving it out would leave nothing");
        }
        let edit = match &cell.kind {
            CellKind::Excluded { by } => {
                let rule = &experiment.excludes[*by];
                let same: Vec<_> = rule
                    .when
                    .iter()
                    .map(|setting| (setting.key.clone(), setting.value.clone()))
                    .collect();
                if same.len() < when.len() {
                    let words = format!(
                        "left out by a wider rule: {}; d on it in the list takes it away",
                        rule.label()
                    );
                    return reply.problem(words);
                }
                Edit::RemoveExclude { when: same }
            }
            CellKind::Run(_) | CellKind::Invalid { .. } => Edit::AddExclude { when },
        };
        self.edit(edit, desk, reply);
    }

    fn save(&mut self, desk: &mut Desk, reply: &mut Reply) {
        match desk.save() {
            None => reply.ask(about::conflict(desk)),
            Some(_) if !desk.is_unsaved() => reply.say(Said::new("the file is as it stands here")),
            Some(effect) => {
                reply.effects.push(effect);
                reply.say(Said::new(format!("wrote {}", desk.path().display())));
            }
        }
    }

    /// The file on disk reads like this now; none when it is gone.
    pub fn file_changed(&mut self, theirs: Option<String>, desk: &mut Desk, reply: &mut Reply) {
        let Some(theirs) = theirs else {
            return reply.problem(format!(
                "{} is gone; w writes it again",
                desk.path().display()
            ));
        };
        match desk.file_changed(theirs) {
            Change::Nothing => {}
            Change::Taken => reply.say(Said::new(format!(
                "{} was changed and is read anew",
                desk.name()
            ))),
            Change::Merged => reply.say(Said::new(format!(
                "{} was changed elsewhere: both changes hold; w saves, u takes theirs back",
                desk.name()
            ))),
            Change::Conflict => reply.ask(about::conflict(desk)),
        }
    }

    /// What the line being typed would mean.
    pub fn notes(
        &mut self,
        asked: &Asked,
        text: &str,
        desk: &mut Desk,
        world: &World,
    ) -> Vec<crate::tui::layer::Note> {
        entry::notes(asked, text, desk, world)
    }

    /// Take an answer to what this screen asked.
    pub fn answer(
        &mut self,
        asked: Asked,
        answer: &str,
        desk: &mut Desk,
        world: &World,
        reply: &mut Reply,
    ) {
        let added = match &asked {
            Asked::AxisValues { key } => Some(key.clone()),
            Asked::AxisRename { .. } => Some(answer.to_owned()),
            _ => None,
        };
        entry::answer(asked, answer, desk, world, reply);
        self.arrange(desk);
        if let Some(key) = added {
            self.follow(&key, desk);
        }
    }

    fn cell_page(&self, desk: &Desk, world: &World) -> Page {
        let cells: &[usize] = self.matrix.at(self.cell.0, self.cell.1);
        match desk.grid() {
            Ok((experiment, grid)) => about::cell(experiment, grid, cells, world),
            Err(problem) => Page::of_notes("Cell", vec![(problem.to_owned(), Role::Bad)]),
        }
    }

    pub fn click(&mut self, at: Position) {
        if self.list.contains(at) {
            self.focus = Focus::Items;
            self.item = self.top + usize::from(at.y - self.list.y);
        } else if let Some((_, cell)) = self.places.iter().find(|(place, _)| place.contains(at)) {
            self.focus = Focus::Cells;
            self.cell = *cell;
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
        self.arrange(desk);
        let left = (area.width * 2 / 5).clamp(28, 56);
        let list = Rect {
            width: left,
            ..area
        };
        let right = Rect {
            x: area.x + left + 1,
            width: area.width.saturating_sub(left + 1),
            ..area
        };
        self.draw_items(list, buffer, desk, theme);
        match desk.grid() {
            Ok((experiment, grid)) => {
                self.draw_right(right, buffer, (experiment, grid), desk, world, theme)
            }
            Err(problem) => {
                let inner = frame::rule(buffer, right, "This is no experiment yet", false, theme);
                let words = Rect {
                    width: inner.width.saturating_sub(1),
                    ..inner
                };
                let below = text::put_wrapped(buffer, words, problem, theme.style(Role::Bad));
                let rest = Rect {
                    y: below.y + 1,
                    height: below.height.saturating_sub(1),
                    ..inner
                };
                about::toml(rest, buffer, desk, self.toml_top, theme);
            }
        }
    }

    fn draw_items(&mut self, area: Rect, buffer: &mut Buffer, desk: &Desk, theme: Theme) {
        let inner = frame::rule(buffer, area, "Grid", self.focus == Focus::Items, theme);
        self.list = inner;
        let lines = Self::lines(desk);
        let height = usize::from(inner.height);
        self.top = self
            .top
            .min(self.item)
            .max((self.item + 1).saturating_sub(height));
        let key_width = lines
            .iter()
            .filter(|line| !matches!(line.item, Item::Heading | Item::Question | Item::Exclude(_)))
            .map(|line| text::width(&line.name))
            .max()
            .unwrap_or(0)
            .min(inner.width / 2 + 4);
        for (y, (n, line)) in
            (inner.top()..inner.bottom()).zip(lines.iter().enumerate().skip(self.top))
        {
            let place = Rect {
                y,
                height: 1,
                ..inner
            };
            let wide = match line.item {
                Item::Heading => {
                    text::put(
                        buffer,
                        place.x,
                        y,
                        place.width,
                        &line.name,
                        theme.style(Role::Dim),
                    );
                    continue;
                }
                Item::Question => 9,
                Item::Exclude(_) => 0,
                _ => key_width + 1,
            };
            let name = if theme.ascii() {
                line.name.replace(['⎡', '⎢', '⎣'], "|")
            } else {
                line.name.clone()
            };
            text::put(
                buffer,
                place.x + 1,
                y,
                wide.saturating_sub(1),
                &name,
                theme.style(Role::Title),
            );
            let role = if line.item == Item::Other {
                Role::Dim
            } else {
                Role::Plain
            };
            text::put(
                buffer,
                place.x + 1 + wide,
                y,
                place.width.saturating_sub(wide + 1),
                &line.value,
                theme.style(role),
            );
            if n == self.item {
                let look = if self.focus == Focus::Items {
                    Role::Cursor
                } else {
                    Role::Accent
                };
                if self.focus == Focus::Items {
                    buffer.set_style(place, theme.style(look));
                } else {
                    text::put(
                        buffer,
                        place.x,
                        y,
                        1,
                        theme.sign("▸", ">"),
                        theme.style(look),
                    );
                }
            }
        }
    }

    fn draw_right(
        &mut self,
        area: Rect,
        buffer: &mut Buffer,
        (experiment, grid): (&Experiment, &Grid),
        desk: &Desk,
        world: &World,
        theme: Theme,
    ) {
        let focused = self.focus == Focus::Cells;
        let title = if self.toml { "File" } else { "Cells" };
        let inner = frame::rule(buffer, area, title, focused, theme);
        let used = about::summary(inner, buffer, experiment, grid, desk, world, theme);
        let rest = Rect {
            y: inner.y + used,
            height: inner.height.saturating_sub(used),
            ..inner
        };
        if self.toml {
            return about::toml(rest, buffer, desk, self.toml_top, theme);
        }
        let below = if rest.height > 12 { 4 } else { 1 };
        let upper = Rect {
            height: rest.height.saturating_sub(below),
            ..rest
        };
        let lower = Rect {
            y: upper.bottom(),
            height: rest.height.saturating_sub(upper.height),
            ..rest
        };
        let shown = Shown {
            experiment,
            grid,
            matrix: &self.matrix,
            cursor: self.cell,
            focused,
        };
        let InSight { first, places } =
            matrix::draw(&shown, upper, buffer, world, theme, self.first);
        (self.first, self.places) = (first, places);
        let cells = self.matrix.at(self.cell.0, self.cell.1);
        about::cell_below(lower, buffer, (experiment, grid), cells, world, theme);
    }
}
