//! siglab.

pub mod analysis;
pub mod cli;
pub mod exec;
pub mod export;
pub mod record;
pub mod sched;
pub mod spec;
pub mod store;
pub mod train;
pub mod util;
pub mod workbench;
pub mod worker;
