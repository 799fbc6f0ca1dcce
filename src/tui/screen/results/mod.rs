//! The answer: a report's tables with their intervals, what is best and what cannot be told from it, what is missing,
//! and what each axis does. Metric, rows and columns can be turned; what is shown can be written to a file.

mod effect_lines;
mod figure;
mod grid;

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use serde::{Deserialize, Serialize};

use crate::analysis::{Outcome, Sheet, Table, Verdict, effects, tables, verdicts};
use crate::export::{self, Format};
use crate::spec::{Experiment, Report, ReportKind};
use crate::store::{Change, Delta, RunId};
use crate::tui::action::{Action, View};
use crate::tui::app::{Reply, Said};
use crate::tui::asked::Asked;
use crate::tui::desk::Desk;
use crate::tui::effect::{Effect, quoted};
use crate::tui::layer::{Item, Layer, Picker, Prompt};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;

#[derive(Debug, Default)]
pub struct Results {
    report: usize,
    /// What was turned, over what the report says: axes by their first key.
    metric: Option<String>,
    rows: Option<String>,
    columns: Option<String>,
    effects: bool,
    tables: Vec<Table>,
    /// What the runs say of the claims of the file.
    verdicts: Vec<Verdict>,
    problem: Option<String>,
    stale: bool,
    /// Table, row, column.
    cursor: (usize, usize, usize),
    top: usize,
    /// Where cells were drawn, for the mouse.
    places: Vec<(Rect, (usize, usize, usize))>,
}

/// What is kept for the next time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResultsMemory {
    report: usize,
    metric: Option<String>,
    rows: Option<String>,
    columns: Option<String>,
    effects: bool,
}

/// Claims that are shown above the tables; the page of answers has all.
const VERDICTS: usize = 6;

impl Results {
    pub fn take_in(&mut self, deltas: &[Delta], world: &World) {
        // Only runs that are over have a say: rows of those that train change nothing here.
        self.stale |= deltas.iter().any(|Delta { id, change }| match change {
            Change::Appeared | Change::Vanished | Change::State { .. } | Change::Rewound => true,
            Change::Rows { .. } | Change::Evaluated { .. } => {
                world.run(id).is_some_and(|run| run.state.is_over())
            }
            Change::Prospects | Change::Waits | Change::Warned { .. } => false,
        });
    }

    pub fn experiment_changed(&mut self) {
        self.stale = true;
    }

    /// The number in the file of the report that is shown; none where the file has none to show.
    fn number(&self, experiment: &Experiment) -> Option<usize> {
        let sheets = experiment.sheets();
        sheets[self.report.min(sheets.len() - 1)].0
    }

    /// The report as it is turned.
    fn asked_for(&self, experiment: &Experiment) -> Report {
        let number = self.number(experiment);
        let turned = experiment.sheets_with(
            number,
            self.rows.as_deref(),
            self.columns.as_deref(),
            self.metric.as_deref(),
        );
        // An axis of another experiment is no axis of this one: its own report then.
        let mut reports = turned.unwrap_or_else(|_| {
            let sheets = experiment.sheets().into_iter();
            sheets.skip(self.report).map(|(_, report)| report).collect()
        });
        match reports.is_empty() {
            true => experiment.tables().swap_remove(0),
            false => reports.swap_remove(0),
        }
    }

    /// Whether effects are shown: by a report of them, or by a key.
    fn shows_effects(&self, experiment: &Experiment) -> bool {
        self.effects || self.asked_for(experiment).kind == ReportKind::Effects
    }

    fn arrange(&mut self, desk: &Desk, world: &World) {
        if !self.stale && !self.tables.is_empty() {
            return;
        }
        self.stale = false;
        self.verdicts.clear();
        (self.tables, self.problem) = match desk.grid() {
            Ok((experiment, grid)) => {
                self.verdicts = verdicts(experiment, grid, |spec| world.run(&spec.id));
                let report = self.asked_for(experiment);
                match tables(experiment, grid, &report, |spec| world.run(&spec.id)) {
                    Ok(tables) => (tables, None),
                    Err(e) => (Vec::new(), Some(format!("{e:#}"))),
                }
            }
            Err(problem) => (Vec::new(), Some(problem.to_owned())),
        };
        self.clamp();
    }

    fn clamp(&mut self) {
        let (table, row, column) = self.cursor;
        let table = table.min(self.tables.len().saturating_sub(1));
        let (rows, columns) = self
            .tables
            .get(table)
            .map_or((1, 1), |t| (t.rows.len(), t.columns.len()));
        self.cursor = (
            table,
            row.min(rows.saturating_sub(1)),
            column.min(columns.saturating_sub(1)),
        );
    }

    /// Do what a key asks. When it goes to the curves, these are the runs to watch.
    pub fn act(
        &mut self,
        action: Action,
        desk: &Desk,
        world: &World,
        reply: &mut Reply,
    ) -> Vec<RunId> {
        self.arrange(desk, world);
        let (table, row, column) = self.cursor;
        match action {
            Action::Up if row == 0 && table > 0 => {
                let rows = self.tables[table - 1].rows.len();
                self.cursor = (table - 1, rows.saturating_sub(1), column);
            }
            Action::Up => self.cursor.1 = row.saturating_sub(1),
            Action::Down => {
                let rows = self.tables.get(table).map_or(0, |table| table.rows.len());
                self.cursor = match row + 1 < rows {
                    true => (table, row + 1, column),
                    false if table + 1 < self.tables.len() => (table + 1, 0, column),
                    false => self.cursor,
                };
            }
            Action::Left => self.cursor.2 = column.saturating_sub(1),
            Action::Right => self.cursor.2 = column + 1,
            Action::Top => self.cursor = (0, 0, column),
            Action::Bottom => self.cursor = (usize::MAX, usize::MAX, column),
            Action::PageDown => self.cursor.0 = table + 1,
            Action::PageUp => self.cursor.0 = table.saturating_sub(1),
            Action::Metric => self.ask_metric(desk, world, reply),
            Action::Rows | Action::Columns => self.turn(action, desk, reply),
            Action::NextReport | Action::LastReport => {
                self.go_report(action == Action::NextReport, desk, reply)
            }
            Action::Effects => {
                self.effects = !self.effects;
                if self.effects {
                    self.arrange_command(desk, reply);
                }
            }
            Action::Export => {
                let item = |format: Format| Item {
                    label: format.name().into(),
                    detail: format.purpose().into(),
                    ..Item::default()
                };
                reply.ask(Layer::Picker(Picker::new(
                    Asked::ExportFormat,
                    "Export the tables as",
                    Format::ALL.into_iter().map(item).collect(),
                )));
            }
            Action::Figure => self.ask_figure(desk, world, reply),
            Action::Open => {
                let runs = self.runs_under_cursor(desk);
                if runs.iter().any(|id| world.run(id).is_some()) {
                    reply.go = Some(View::Watch);
                    return runs;
                }
                reply.problem("this cell has no runs yet");
            }
            Action::Back => {
                (self.metric, self.rows, self.columns) = (None, None, None);
                self.stale = true;
            }
            _ => {}
        }
        self.clamp();
        Vec::new()
    }

    /// `siglab table` for what is shown.
    fn command(&self, desk: &Desk) -> String {
        let mut command = format!("siglab table {}", desk.quoted_path());
        if let Ok((experiment, _)) = desk.grid()
            && experiment.sheets().len() > 1
            && let Some(number) = self.number(experiment)
        {
            command += &format!(" --report {number}");
        }
        let [rows, columns] = match self.effects {
            true => [&None, &None],
            false => [&self.rows, &self.columns],
        };
        let flags = [
            ("metric", &self.metric),
            ("rows", rows),
            ("columns", columns),
        ];
        for (flag, value) in flags {
            if let Some(value) = value {
                command += &format!(" --{flag} {}", quoted(value));
            }
        }
        if self.effects {
            command += " --effects";
        }
        command
    }

    /// What is shown, for a file.
    fn sheets(&mut self, desk: &Desk, world: &World) -> anyhow::Result<Vec<Sheet>> {
        self.arrange(desk, world);
        match desk.grid() {
            Ok((experiment, grid)) if self.shows_effects(experiment) => {
                let report = self.asked_for(experiment);
                let found = effects(experiment, grid, &report, |spec| world.run(&spec.id))?;
                Ok(vec![Sheet::Effects(found)])
            }
            _ => Ok(self.tables.iter().cloned().map(Sheet::Table).collect()),
        }
    }

    /// The next axis into the rows or the columns.
    fn turn(&mut self, action: Action, desk: &Desk, reply: &mut Reply) {
        let Ok((experiment, _)) = desk.grid() else {
            return;
        };
        if experiment.axes.len() < 2 {
            return reply.problem("the experiment has one axis: there is nothing to turn");
        }
        let report = self.asked_for(experiment);
        let now = if action == Action::Rows {
            report.rows
        } else {
            report.columns
        };
        let next = now.map_or(0, |axis| (axis + 1) % experiment.axes.len());
        let key = experiment.axes[next].keys[0].clone();
        let flag = if action == Action::Rows {
            &mut self.rows
        } else {
            &mut self.columns
        };
        *flag = Some(key);
        self.stale = true;
        self.arrange_command(desk, reply);
    }

    fn arrange_command(&self, desk: &Desk, reply: &mut Reply) {
        reply.say(Said::new("").by(self.command(desk)));
    }

    fn go_report(&mut self, on: bool, desk: &Desk, reply: &mut Reply) {
        let Ok((experiment, _)) = desk.grid() else {
            return;
        };
        let count = experiment.sheets().len();
        if count < 2 {
            return reply.problem("the file has one report; [[report]] adds another");
        }
        self.report = (self.report + if on { 1 } else { count - 1 }) % count;
        (self.metric, self.rows, self.columns) = (None, None, None);
        self.stale = true;
        self.cursor = (0, 0, 0);
        self.arrange_command(desk, reply);
    }

    fn ask_metric(&self, desk: &Desk, world: &World, reply: &mut Reply) {
        let Ok((experiment, grid)) = desk.grid() else {
            return;
        };
        let mut evaluated = BTreeSet::new();
        let mut logged = BTreeSet::new();
        for run in grid.runs().iter().filter_map(|spec| world.run(&spec.id)) {
            if let Some(last) = run.evaluations.last() {
                evaluated.extend(last.metrics.keys().cloned());
            }
            logged.extend(run.series.names().map(str::to_owned));
        }
        if evaluated.is_empty() && logged.is_empty() {
            return reply.problem("no run of this experiment has measured anything yet");
        }
        let item = |detail: &'static str| {
            move |label: String| Item {
                label,
                detail: detail.into(),
                ..Item::default()
            }
        };
        let now = self.asked_for(experiment);
        let now = now.metric();
        let items = evaluated
            .into_iter()
            .map(item("evaluated"))
            .chain(logged.into_iter().map(item("logged, at the end")));
        reply.ask(Layer::Picker(
            Picker::new(Asked::Metric, "Which measurement?", items.collect()).at(now),
        ));
    }

    /// Take an answer to what this screen asked.
    pub fn answer(
        &mut self,
        asked: Asked,
        answer: &str,
        desk: &Desk,
        world: &World,
        reply: &mut Reply,
    ) {
        match asked {
            Asked::Metric => {
                self.metric = Some(answer.to_owned());
                self.stale = true;
                self.arrange_command(desk, reply);
            }
            Asked::ExportFormat => {
                let Ok(format) = answer.parse::<Format>() else {
                    return;
                };
                let ending = format.ending();
                let metric = self
                    .tables
                    .first()
                    .map_or("results", |table| table.metric.as_str());
                let name = format!("{}-{}.{ending}", desk.stem(), metric.replace('/', "-"));
                let hint = "A path; a file that is there is replaced.";
                reply.ask(Layer::Prompt(Prompt::new(
                    Asked::ExportPath { format },
                    "Write the tables to",
                    hint,
                    &name,
                )));
            }
            Asked::ExportPath { format } => {
                match self
                    .sheets(desk, world)
                    .and_then(|it| export::write(&it, format))
                {
                    Ok(bytes) => {
                        let path = answer.into();
                        reply.effects.push(Effect::Export { path, bytes });
                        let command = format!(
                            "{} --format {} -o {}",
                            self.command(desk),
                            format.name(),
                            quoted(answer)
                        );
                        reply.say(Said::new("").by(command));
                    }
                    Err(e) => reply.problem(format!("{e:#}")),
                }
            }
            Asked::FigurePath => self.draw_figure(answer, desk, world, reply),
            _ => {}
        }
    }

    /// The runs behind the cell under the cursor.
    fn runs_under_cursor(&self, desk: &Desk) -> Vec<RunId> {
        let Ok((experiment, grid)) = desk.grid() else {
            return Vec::new();
        };
        let Some(table) = self.tables.get(self.cursor.0) else {
            return Vec::new();
        };
        grid::runs(
            experiment,
            grid,
            &self.asked_for(experiment),
            table,
            (self.cursor.1, self.cursor.2),
        )
    }

    pub fn click(&mut self, at: Position) {
        if let Some((_, cursor)) = self.places.iter().find(|(place, _)| place.contains(at)) {
            self.cursor = *cursor;
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
        self.places.clear();
        let inner = Rect {
            x: area.x + 1,
            width: area.width.saturating_sub(2),
            ..area
        };
        if let Some(problem) = &self.problem {
            text::put_wrapped(buffer, inner, problem, theme.style(Role::Bad));
            return;
        }
        let question = desk.question();
        let mut y = inner.y;
        if !question.is_empty() && inner.height > 12 {
            let place = Rect { height: 2, ..inner };
            y = text::put_wrapped(buffer, place, question, theme.style(Role::Dim)).y + 1;
        }
        if !self.verdicts.is_empty() && inner.height > 20 {
            let lines = export::verdict_lines(&self.verdicts);
            for (verdict, line) in self.verdicts.iter().zip(&lines).take(VERDICTS) {
                let role = match verdict.outcome {
                    Outcome::Shown => Role::Good,
                    Outcome::Opposite => Role::Bad,
                    Outcome::NotSeen => Role::Plain,
                    Outcome::Untested => Role::Dim,
                };
                text::put(buffer, inner.x, y, inner.width, line, theme.style(role));
                y += 1;
            }
            y += 1;
        }
        let rest = Rect {
            y,
            height: inner.bottom().saturating_sub(y),
            ..inner
        };
        if let Ok((experiment, grid)) = desk.grid()
            && self.shows_effects(experiment)
        {
            let report = self.asked_for(experiment);
            effect_lines::draw(rest, buffer, experiment, grid, &report, world, theme);
            return;
        }
        let about = (rest.height / 3).clamp(2, 8);
        let upper = Rect {
            height: rest.height.saturating_sub(about),
            ..rest
        };
        let lower = Rect {
            y: upper.bottom(),
            height: rest.height.saturating_sub(upper.height),
            ..rest
        };
        grid::draw(self, upper, buffer, theme);
        if let Some(table) = self.tables.get(self.cursor.0)
            && let Ok((experiment, grid)) = desk.grid()
        {
            let runs = grid::runs(
                experiment,
                grid,
                &self.asked_for(experiment),
                table,
                (self.cursor.1, self.cursor.2),
            );
            grid::about(
                table,
                (self.cursor.1, self.cursor.2),
                &runs,
                lower,
                buffer,
                world,
                theme,
            );
        }
    }

    pub fn remember(&self) -> ResultsMemory {
        ResultsMemory {
            report: self.report,
            metric: self.metric.clone(),
            rows: self.rows.clone(),
            columns: self.columns.clone(),
            effects: self.effects,
        }
    }

    pub fn recall(&mut self, memory: ResultsMemory) {
        let ResultsMemory {
            report,
            metric,
            rows,
            columns,
            effects,
        } = memory;
        (
            self.report,
            self.metric,
            self.rows,
            self.columns,
            self.effects,
        ) = (report, metric, rows, columns, effects);
        self.stale = true;
    }
}
