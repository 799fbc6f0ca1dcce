//! Questions to answers, as data: an experiment's tables, which of their cells can be told apart, what each axis does,
//! the loss spikes of a run, and how long runs will take, from the runs of the store. It draws nothing and writes no
//! format; that is `export`'s and the faces'.

mod aggregate;
mod band;
mod compare;
mod effects;
pub mod forecast;
mod interval;
mod metric;
pub mod spikes;
mod table;

pub use band::{BandPoint, band};
pub use compare::{Comparison, Direction, Mark, Sample, Test};
pub use effects::{AxisEffect, Effects, Interaction, LevelEffect, Matched, effects};
pub use interval::Estimate;
pub use metric::{UnknownMetric, require_metric};
pub use table::{Cell, Reported, Table, tables};
