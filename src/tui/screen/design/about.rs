//! What is to be said about a grid, a cell, a launch, a conflict, the file: words and where they stand.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::matrix;
use crate::analysis::forecast::Remaining;
use crate::spec::edit::Clash;
use crate::spec::{CellKind, Experiment, Grid, RunSpec, path};
use crate::tui::app::Reply;
use crate::tui::asked::Asked;
use crate::tui::desk::Desk;
use crate::tui::effect::Effect;
use crate::tui::layer::{self, Confirm, Layer, Note, Page, Picker};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;
use crate::workbench::{Standing, at_a_time, slots, standing};

/// The answers to a conflict.
pub(super) const OURS: &str = "keep what is on the screen";
const THEIRS: &str = "take what is in the file";

/// How many runs the grid has and how they stand, and how long what is left will take. Returns the lines it took.
pub(super) fn summary(
    area: Rect,
    buffer: &mut Buffer,
    experiment: &Experiment,
    grid: &Grid,
    desk: &Desk,
    world: &World,
    theme: Theme,
) -> u16 {
    let mut y = area.y;
    let counts = matrix::counts(experiment, grid, world);
    let runs = grid.runs().len();
    let mut pieces: Vec<(String, Role)> = vec![(format!("{runs} runs  "), Role::Title)];
    for (state, n) in &counts {
        let (sign, role) = matrix::sign(state, theme);
        pieces.push((format!("{sign} {n} {state}  "), role));
    }
    if !grid.prerequisites.is_empty() {
        pieces.push((format!("+ {} first", grid.prerequisites.len()), Role::Dim));
    }
    // The signs are their own legend: what does not fit goes on below.
    let mut x = area.x;
    for (words, role) in &pieces {
        if x + text::width(words.trim_end()) > area.right() && x > area.x {
            x = area.x;
            y += 1;
        }
        x = text::put(
            buffer,
            x,
            y,
            area.right().saturating_sub(x),
            words,
            theme.style(*role),
        );
    }
    y += 1;
    let forecast = forecast(desk, world);
    text::put(
        buffer,
        area.x,
        y,
        area.width,
        &forecast,
        theme.style(Role::Plain),
    );
    y += 1;
    if let Some(aliases) = experiment.aliases() {
        let lots: Vec<&str> = aliases
            .aliased
            .iter()
            .map(|lot| lot.label.as_str())
            .collect();
        let told = if lots.is_empty() {
            "main effects and pairs are clear".into()
        } else {
            format!("one in this design: {}", lots.join("; "))
        };
        let words = format!("resolution {}; {told}", aliases.resolution);
        let place = Rect {
            y,
            height: 3,
            ..area
        };
        y = text::put_wrapped(buffer, place, &words, theme.style(Role::Warn)).y;
    }
    y + 1 - area.y
}

/// The runs that a launch would start or go on with, and the part of each that is left.
fn remaining<'d>(desk: &'d Desk, world: &World) -> Vec<Remaining<'d>> {
    let starts = |spec: &&RunSpec| {
        matches!(
            standing(&world.view, &spec.id),
            Some(Standing::Ready | Standing::Waiting { .. } | Standing::Running)
        )
    };
    let left = |spec: &'d RunSpec| Remaining {
        spec,
        left: 1.0 - world.run(&spec.id).map_or(0.0, |run| run.progress()),
    };
    desk.specs().iter().filter(starts).map(left).collect()
}

/// How long a launch would take, as far as finished runs tell.
fn forecast(desk: &Desk, world: &World) -> String {
    let left = remaining(desk, world);
    if left.is_empty() {
        return "nothing is left to train".into();
    }
    let launch = desk.launch();
    let jobs = at_a_time(&launch.devices, launch.jobs, left.len());
    match world.forecast.grid(&left, jobs) {
        Some(total) => format!("{total}, {jobs} at a time on {}", launch.devices.join(", ")),
        None => format!(
            "how long it takes is unknown: no run has finished yet; {jobs} at a time on {}",
            launch.devices.join(", ")
        ),
    }
}

/// The cell under the cursor, in a line or a few.
pub(super) fn cell_below(
    area: Rect,
    buffer: &mut Buffer,
    (experiment, grid): (&Experiment, &Grid),
    cells: &[usize],
    world: &World,
    theme: Theme,
) {
    let Some(cell) = cells.first().map(|&i| &grid.cells[i]) else {
        let words = if grid.cells.is_empty() {
            ""
        } else {
            "the design takes no cell here"
        };
        text::put(
            buffer,
            area.x,
            area.y,
            area.width,
            words,
            theme.style(Role::Dim),
        );
        return;
    };
    let settings: Vec<String> = cell
        .settings()
        .map(|(key, value)| format!("{key} = {}", path::label(value)))
        .collect();
    let mut lines: Vec<Note> = vec![(settings.join("  "), Role::Dim)];
    for &i in cells {
        let cell = &grid.cells[i];
        let (state, why) = matrix::state(cell, experiment, world);
        let (sign, role) = matrix::sign(state, theme);
        let id = cell
            .run()
            .map_or_else(String::new, |spec| format!("  {}", spec.id));
        let why = why.map_or_else(String::new, |why| format!("  {why}"));
        lines.push((format!("{sign} seed {} {state}{id}{why}", cell.seed), role));
    }
    // One reason for all seeds is said once.
    let mut rest = lines.split_off(1);
    rest.dedup_by(|b, a| matches!((a.0.split_once("  "), b.0.split_once("  ")), (Some((_, x)), Some((_, y))) if x == y && x.contains(':')));
    lines.extend(rest);
    let mut rest = area;
    for (line, role) in lines {
        rest = text::put_wrapped(buffer, rest, &line, theme.style(role));
    }
}

/// All about a cell.
pub(super) fn cell(experiment: &Experiment, grid: &Grid, cells: &[usize], world: &World) -> Page {
    let mut lines: Vec<(String, Note)> = Vec::new();
    for (n, &i) in cells.iter().enumerate() {
        let cell = &grid.cells[i];
        if n == 0 {
            for (key, value) in cell.settings() {
                lines.push((key.clone(), (path::label(value), Role::Plain)));
            }
        }
        let (state, why) = matrix::state(cell, experiment, world);
        let id = cell
            .run()
            .map_or_else(String::new, |spec| spec.id.to_string());
        lines.push((
            format!("seed {}", cell.seed),
            (format!("{state}  {id}"), Role::Title),
        ));
        lines.extend(why.map(|why| (String::new(), (why, Role::Warn))));
        if let CellKind::Run(spec) = &cell.kind {
            if let Some(estimate) = world.forecast.run(spec) {
                lines.push((
                    String::new(),
                    (
                        format!(
                            "takes about {}, by {} finished runs",
                            estimate.span, estimate.from
                        ),
                        Role::Dim,
                    ),
                ));
            }
            if n == 0 {
                let changes = world.schema.changes(&spec.config);
                let words: Vec<String> = changes
                    .iter()
                    .map(|(key, value)| format!("{key} = {}", path::label(value)))
                    .collect();
                lines.push(("not the default".into(), (words.join(", "), Role::Dim)));
            }
        }
    }
    if cells.is_empty() {
        lines.push((
            String::new(),
            ("The design takes no cell here.".into(), Role::Dim),
        ));
    }
    Page::new("Cell", lines)
}

/// Ask once, naming what would start and where.
pub(super) fn launch(desk: &Desk, world: &World, reply: &mut Reply) {
    let (experiment, grid) = match desk.grid() {
        Ok(both) => both,
        Err(problem) => return reply.problem(problem),
    };
    if let Err(e) = grid.require_valid(experiment) {
        return reply.problem(format!("{e}; exclude such cells, or change their settings"));
    }
    if desk.conflict().is_some() {
        return reply.ask(conflict(desk));
    }
    let left = remaining(desk, world);
    if left.is_empty() {
        return reply
            .problem("every run of the grid has its result, or was stopped: nothing to launch");
    }
    let launch = desk.launch();
    let jobs = match slots(&launch.devices, launch.jobs, left.len()) {
        Ok(slots) => slots.len(),
        Err(e) => return reply.problem(e.to_string()),
    };
    let counts = matrix::counts(experiment, grid, world);
    let counts: Vec<String> = counts
        .iter()
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    let plural = if left.len() == 1 { "run" } else { "runs" };
    let mut lines = vec![
        format!(
            "{} {plural} on {}, {jobs} at a time.",
            left.len(),
            launch.devices.join(", ")
        ),
        format!("Of {} cells: {}.", grid.cells.len(), counts.join(", ")),
        format!("{}.", forecast(desk, world)),
    ];
    match &world.scheduler {
        Some(by) => lines.push(format!("The scheduler at work takes them on ({by}).")),
        None => lines.push(
            "They train in the background: leaving, or closing the terminal, stops nothing.".into(),
        ),
    }
    let mut effects = Vec::new();
    if desk.is_unsaved() {
        lines.push(format!("{} is saved first.", desk.path().display()));
        effects.extend(desk.save());
    }
    let command = launch.command();
    effects.push(Effect::Launch(launch));
    reply.ask(Layer::Confirm(Confirm {
        title: format!("Launch {} {plural}?", left.len()),
        lines,
        yes: "launch".into(),
        effects,
        command: Some(command),
        default: true,
    }));
}

/// Ask which of two changes holds, showing both.
pub(super) fn conflict(desk: &Desk) -> Layer {
    let doc = desk.conflict().map_or_else(String::new, |conflict| {
        let item = |clash: &Clash| {
            format!(
                "{}: {} here, {} there",
                clash.what, clash.mine, clash.theirs
            )
        };
        conflict
            .items
            .iter()
            .map(item)
            .collect::<Vec<_>>()
            .join("\n")
    });
    let item = |label: &str| layer::Item {
        label: label.into(),
        detail: "u brings the other one back".into(),
        doc: doc.clone(),
        ticked: None,
    };
    let title = format!(
        "{} was changed elsewhere, and here: which holds?",
        desk.name()
    );
    Layer::Picker(Picker::new(
        Asked::Conflict,
        title,
        vec![item(OURS), item(THEIRS)],
    ))
}

/// The file as it would be written, with what is not saved marked.
pub(super) fn toml(area: Rect, buffer: &mut Buffer, desk: &Desk, top: usize, theme: Theme) {
    let saved: std::collections::BTreeSet<&str> = desk.base().lines().collect();
    let lines: Vec<&str> = desk.text().lines().collect();
    let top = top.min(lines.len().saturating_sub(area.height.into()));
    for (y, (n, line)) in (area.top()..area.bottom()).zip(lines.iter().enumerate().skip(top)) {
        let number = format!("{:>3} ", n + 1);
        let x = text::put(buffer, area.x, y, 4, &number, theme.style(Role::Dim));
        let (sign, role) = match line.trim_start() {
            _ if !saved.contains(line) => ("+", Role::Good),
            rest if rest.starts_with('#') => (" ", Role::Dim),
            rest if rest.starts_with('[') => (" ", Role::Title),
            _ => (" ", Role::Plain),
        };
        let x = text::put(buffer, x, y, 1, sign, theme.style(Role::Good));
        text::put(
            buffer,
            x,
            y,
            area.right().saturating_sub(x),
            line,
            theme.style(role),
        );
    }
}
