//! Questions to tables, as data: what an experiment's reports ask, answered from the runs of the store. It draws
//! nothing and writes no format; that is `export`'s and the faces'.

mod aggregate;
mod band;
mod metric;
mod table;

pub use band::{BandPoint, band};
pub use metric::{UnknownMetric, require_metric};
pub use table::{Cell, Table, tables};
