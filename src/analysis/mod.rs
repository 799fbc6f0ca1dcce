//! Questions to answers, as data: an experiment's tables and the loss spikes of a run, from the runs of the store. It
//! draws nothing and writes no format; that is `export`'s and the faces'.

mod aggregate;
mod metric;
pub mod spikes;
mod table;

pub use metric::{UnknownMetric, require_metric};
pub use table::{Cell, Table, tables};
