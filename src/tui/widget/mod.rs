//! Pieces of a screen that several screens draw: words, frames, logs, charts. They take data and a place, and know no
//! screen.

pub mod chart;
pub mod frame;
pub mod log;
pub mod text;
