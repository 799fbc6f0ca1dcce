//! What each axis does by itself, and pairs of them together: the effects as the analysis gives them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::spec::{Experiment, Grid};
use crate::tui::theme::Theme;
use crate::tui::world::World;

pub(super) fn draw(_area: Rect, _buffer: &mut Buffer, _experiment: &Experiment, _grid: &Grid, _metric: &str, _world: &World, _theme: Theme) {}
