//! What each axis does by itself, and pairs of them together, as the analysis tells it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::analysis;
use crate::export;
use crate::spec::{Experiment, Grid, Report};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;

/// Draw what every axis does to the metric of `report`.
pub(super) fn draw(
    area: Rect,
    buffer: &mut Buffer,
    experiment: &Experiment,
    grid: &Grid,
    report: &Report,
    world: &World,
    theme: Theme,
) {
    let found = analysis::effects(experiment, grid, report, |spec| world.run(&spec.id));
    let words = match found {
        Ok(found) => export::effects_text(&found),
        Err(e) => format!("{e:#}"),
    };
    let mut y = area.top();
    for (n, line) in words.lines().enumerate() {
        let role = if n == 0 { Role::Title } else { Role::Plain };
        // Columns are kept as they are; sentences are broken.
        let lines = if line.contains("  ") || text::width(line) <= area.width {
            vec![line.to_owned()]
        } else {
            text::wrap(line, area.width.into())
        };
        for line in lines {
            if y >= area.bottom() {
                return;
            }
            text::put(buffer, area.x, y, area.width, &line, theme.style(role));
            y += 1;
        }
    }
}
