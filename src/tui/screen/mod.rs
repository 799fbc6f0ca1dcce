//! The screens, one each: what it shows of the world, what its keys do, how it is drawn. None knows another.

mod design;
mod results;
mod runs;
mod watch;

pub use design::Design;
pub use results::{Results, ResultsMemory};
pub use runs::{Runs, RunsMemory};
pub use watch::{Watch, WatchMemory};
