//! siglab.

pub mod record;
pub mod train;
pub mod util;
pub mod spec;
pub mod store;
pub mod cli;
