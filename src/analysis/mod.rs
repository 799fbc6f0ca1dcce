//! Questions to answers, as data: an experiment's tables and the loss spikes of a run, from the runs of the store. It
//! draws nothing and writes no format; that is `export`'s and the faces'.

mod aggregate;
mod band;
mod metric;
pub mod spikes;
mod table;

pub use band::{BandPoint, band};
pub use metric::{UnknownMetric, require_metric};
pub use table::{Cell, Table, tables};
