//! What a run did just before a spike: the gradient, the update, and the layer whose second moment fell behind first.
//! It states what came before and claims no cause.

use std::fmt;

use serde::Serialize;

use super::SpikeConfig;
use super::window::median;
use crate::store::Series;

/// Columns of this name hold √ mean(g²/v) of a layer: near 1 while the optimiser's second moment keeps up.
const STALENESS: &str = "staleness/";
/// Ratios from here on are worth a word.
const NOTABLE: f64 = 2.0;

/// What there was in the rows before an onset; a metric that is not logged is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preceding {
    /// Of `grad_norm`, the onset's row included.
    pub gradient: Option<Rise>,
    /// Of `update_norm`, the onset's row included.
    pub update: Option<Rise>,
    /// The layer that crossed the threshold first; none if no layer did.
    pub stale: Option<Stale>,
}

/// The largest value of a metric over its median before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rise {
    pub ratio: f64,
    pub row: usize,
    /// Steps before the onset.
    pub lead: u64,
}

/// A layer whose second moment fell behind its gradient.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stale {
    pub layer: String,
    /// The largest from the crossing up to the onset.
    pub staleness: f64,
    /// The row that was first above the threshold.
    pub row: usize,
    /// Steps before the onset.
    pub lead: u64,
}

/// Search the rows up to `onset`. `normal` are the rows that say what is usual.
pub(super) fn search(
    series: &Series,
    normal: &[usize],
    onset: usize,
    config: &SpikeConfig,
) -> Preceding {
    let first = onset.saturating_sub(config.look_back);
    let lead = |row: usize| series.steps()[onset] - series.steps()[row];
    let rise = |name: &str| {
        let column = series.column(name)?;
        let mut usual: Vec<f64> = normal.iter().filter_map(|row| column.get(*row)).collect();
        let usual = median(&mut usual).filter(|usual| *usual > 0.0)?;
        let values = (first..=onset).filter_map(|row| Some((row, column.get(row)?)));
        let (row, value) = values.max_by(|a, b| a.1.total_cmp(&b.1))?;
        Some(Rise {
            ratio: value / usual,
            row,
            lead: lead(row),
        })
    };
    let stale = |name: &str| {
        let layer = name.strip_prefix(STALENESS)?;
        let column = series.column(name)?;
        let above = |row: usize| column.get(row).is_some_and(|x| x > config.stale);
        // The onset's own gradient is of a loss that has already risen. A layer that is stale all along tells nothing.
        let row = (first.max(1)..onset).find(|&row| above(row) && !above(row - 1))?;
        let values = (row..onset).filter_map(|row| column.get(row));
        Some(Stale {
            layer: layer.to_owned(),
            staleness: values.fold(0.0, f64::max),
            row,
            lead: lead(row),
        })
    };
    let earlier = |a: &Stale, b: &Stale| {
        let by_row = a.row.cmp(&b.row);
        by_row.then(b.staleness.total_cmp(&a.staleness))
    };
    Preceding {
        gradient: rise("grad_norm"),
        update: rise("update_norm"),
        stale: series.names().filter_map(stale).min_by(earlier),
    }
}

/// `v of image.patch stale by 3.1, 4 steps before; gradient ×5.2, 1 step before`: what is worth a word, if anything.
impl fmt::Display for Preceding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stale = self.stale.iter().map(|stale| {
            format!(
                "second moment of {} stale ({:.1}) {}",
                stale.layer,
                stale.staleness,
                before(stale.lead)
            )
        });
        let rises = [("gradient", self.gradient), ("update", self.update)];
        let rises = rises.into_iter().filter_map(|(what, rise)| {
            let rise = rise.filter(|rise| rise.ratio >= NOTABLE)?;
            Some(format!("{what} ×{:.1} {}", rise.ratio, before(rise.lead)))
        });
        f.write_str(&stale.chain(rises).collect::<Vec<_>>().join(", "))
    }
}

fn before(lead: u64) -> String {
    match lead {
        0 => "at the onset".into(),
        1 => "1 step before".into(),
        n => format!("{n} steps before"),
    }
}
