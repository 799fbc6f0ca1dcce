//! siglab.

pub mod record;
pub mod train;
pub mod util;
pub mod spec;
pub mod store;
pub mod cli;
pub mod exec;
pub mod analysis;
pub mod export;
pub mod sched;
pub mod workbench;
pub mod worker;
