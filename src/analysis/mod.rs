//! Questions to answers, as data: an experiment's tables and figures, which of their cells can be told apart, what each
//! axis does, whether claims hold, the loss spikes of a run, what tells two runs apart, and how long runs will take, from
//! the runs of the store. It draws nothing and writes no format; that is `export`'s and the faces'.

mod aggregate;
mod anova;
mod answer;
mod band;
mod bootstrap;
mod claim;
mod compare;
mod diff;
mod effects;
mod figure;
mod findings;
pub mod forecast;
mod interval;
mod metric;
mod moment;
mod power;
mod sheet;
pub mod spikes;
mod table;

pub use anova::{Anova, Part, Source, Variance};
pub use answer::{Answer, Asked, Reading, answer};
pub use band::{BandPoint, band};
pub use bootstrap::{ENOUGH as SEEDS_TO_RESAMPLE, RESAMPLES};
pub use claim::{Outcome, Verdict, verdicts};
pub use compare::{Comparison, Direction, Mark, Sample, Test};
pub use diff::{Diff, Item, diff};
pub use effects::{AxisEffect, Effects, Interaction, LevelEffect, Matched, effects};
pub use figure::{Curve, Curves, Figure, Panel, Plot, Trace, figures};
pub use findings::{Cost, Findings, findings};
pub use interval::{Estimate, interval};
pub use metric::{UnknownMetric, share_in};
pub use moment::{NoBest, When};
// What the answers are made of, for those who know no experiment files.
pub use crate::spec::{Along, Budget, Interval, ReportKind};
pub use power::{MOST as MOST_SEEDS, Needed, Resolution, resolve, sd_reach};
pub use sheet::{Sheet, sheets};
pub use table::{Cell, EvaluationError, Reported, Table, tables};
