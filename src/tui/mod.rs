//! The terminal face: what the workbench knows, as screens. ratatui and crossterm live here and nowhere else.

pub mod widget;
