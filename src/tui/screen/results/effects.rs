//! What each axis does by itself, and pairs of them together, as the analysis tells it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::analysis;
use crate::export::{self, Format};
use crate::spec::{Experiment, Grid};
use crate::tui::theme::{Role, Theme};
use crate::tui::widget::text;
use crate::tui::world::World;

/// Draw the effects on `metric` of every axis.
pub(super) fn draw(
    area: Rect,
    buffer: &mut Buffer,
    experiment: &Experiment,
    grid: &Grid,
    metric: &str,
    world: &World,
    theme: Theme,
) {
    let found = analysis::effects(experiment, grid, metric, |spec| world.run(&spec.id));
    let words = match export::write_effects(&[found], Format::Text) {
        Ok(words) => words,
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
