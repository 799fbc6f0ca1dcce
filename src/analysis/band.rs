//! A metric of several runs as one line: the mean over runs and the 95 % interval of that mean, on a common grid of x.
//! Runs log at steps of their own, so each is brought to the grid first. It draws nothing.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::store::{Along, Column, Series};

/// The runs at one column of the grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BandPoint {
    /// The middle of the column.
    pub x: f64,
    /// Runs that have a value here.
    pub n: u32,
    /// None where no run has one.
    pub mean: Option<f64>,
    /// Half of the 95 % interval of the mean, t₀.₉₇₅(n − 1) · s / √n with s the standard deviation of the sample. None
    /// below two runs.
    pub half_width: Option<f64>,
}

/// Mean and interval over `runs` in each column `edges[c] <= x < edges[c + 1]`; one point for each column.
///
/// A run's value in a column is the mean of its raw rows there. Where it has none, it is read off the straight line
/// between its nearest rows on both sides, which may lie outside the grid, at the middle of the column. Before its
/// first row and after its last a run has no value.
pub fn band(runs: &[(&Series, &Column)], along: Along, edges: &[f64]) -> Vec<BandPoint> {
    let columns = edges.len().saturating_sub(1);
    let mut values = vec![Vec::with_capacity(runs.len()); columns];
    for (series, column) in runs {
        let sampled = sample(series, column, along, edges);
        for (values, value) in values.iter_mut().zip(sampled) {
            values.extend(value);
        }
    }
    let quantiles = quantiles(runs.len());
    let middles = edges.windows(2).map(|ends| ends[0] / 2.0 + ends[1] / 2.0);
    let point = |(x, values): (f64, Vec<f64>)| {
        let n = values.len();
        let mean = (n > 0).then(|| values.iter().sum::<f64>() / n as f64);
        let half_width = mean.filter(|_| n > 1).map(|mean| {
            let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            quantiles[n] * (squares / (n - 1) as f64 / n as f64).sqrt()
        });
        BandPoint {
            x,
            n: n as u32,
            mean,
            half_width,
        }
    };
    middles.zip(values).map(point).collect()
}

/// A run's value in each column of the grid.
fn sample(series: &Series, column: &Column, along: Along, edges: &[f64]) -> Vec<Option<f64>> {
    let rows = series.len().min(column.len());
    let point = |row: usize| Some((series.x(along, row), column.get(row)?));
    let mut start = series
        .first_at(along, edges.first().copied().unwrap_or(0.0))
        .min(rows);
    // The rows with a value on both sides of `start`.
    let mut before = column.last_before(start).and_then(point);
    let mut after = None;
    let mut sampled = Vec::with_capacity(edges.len());
    for ends in edges.windows(2) {
        let end = series.first_at(along, ends[1]).min(rows);
        if let Some(summary) = column.summary(start..end) {
            sampled.push(Some(summary.mean()));
            before = column.last_before(end).and_then(point);
            after = None;
        } else {
            if after.is_none() {
                after = column
                    .first_from(end)
                    .filter(|row| *row < rows)
                    .and_then(point);
            }
            let middle = ends[0] / 2.0 + ends[1] / 2.0;
            sampled.push(
                before
                    .zip(after)
                    .map(|((x0, y0), (x1, y1))| y0 + (y1 - y0) * ((middle - x0) / (x1 - x0))),
            );
        }
        start = end;
    }
    sampled
}

/// t₀.₉₇₅(n − 1) at `n`, for up to `most` runs.
fn quantiles(most: usize) -> Vec<f64> {
    let quantile = |n: usize| {
        let t = StudentsT::new(0.0, 1.0, n.saturating_sub(1) as f64);
        t.map_or(f64::NAN, |t| t.inverse_cdf(0.975))
    };
    (0..=most).map(quantile).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Position;

    fn run(rows: impl IntoIterator<Item = (u64, f64)>) -> Series {
        let mut series = Series::default();
        for (step, value) in rows {
            let at = Position {
                attempt: 1,
                step,
                examples: step,
                seconds: step as f64,
            };
            series.push(at, [("y", value)]);
        }
        series
    }

    /// Three runs that log √s + r·cos s from a step on, each at a pace of its own, against
    ///
    /// ```python
    /// import numpy as np
    /// from scipy import stats
    /// edges = [0., 10., 20., 30., 40., 50.]
    /// runs = []
    /// for r, (first, gap, n) in enumerate([(1, 3, 15), (5, 16, 3), (12, 32, 2)]):
    ///     s = np.array([first + gap * k for k in range(n)], float)
    ///     runs.append((s, np.sqrt(s) + r * np.cos(s)))
    /// for a, b in zip(edges, edges[1:]):
    ///     v, mid = [], (a + b) / 2
    ///     for s, y in runs:
    ///         m = (s >= a) & (s < b)
    ///         if m.any(): v.append(y[m].mean())
    ///         elif s[0] < mid < s[-1]: v.append(np.interp(mid, s, y))
    ///     v = np.array(v)
    ///     lo, hi = stats.t.interval(0.95, len(v) - 1, loc=v.mean(), scale=stats.sem(v))
    ///     print(len(v), v.mean(), (hi - lo) / 2)
    /// ```
    #[test]
    fn mean_and_interval_are_those_of_scipy() {
        let runs: Vec<Series> = [(1, 3, 15), (5, 16, 3), (12, 32, 2)]
            .into_iter()
            .enumerate()
            .map(|(r, (first, gap, n))| {
                run((0..n).map(|k| first + gap * k).map(|s: u64| {
                    let x = s as f64;
                    (s, x.sqrt() + r as f64 * x.cos())
                }))
            })
            .collect();
        let runs: Vec<(&Series, &Column)> = runs
            .iter()
            .map(|run| (run, run.column("y").unwrap()))
            .collect();
        let found = band(&runs, Along::Steps, &[0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
        let expected = [
            (2, 2.2008236333256064, 4.052091657275888),
            (3, 4.133389778404788, 2.2256141010461556),
            (3, 5.198278823046221, 3.174463755395185),
            (3, 6.776401833865402, 2.274147441492741),
            (2, 7.536966560162781, 13.925614603069477),
        ];
        for (found, (n, mean, half_width)) in found.iter().zip(expected) {
            assert_eq!(found.n, n);
            assert!(
                (found.mean.unwrap() - mean).abs() < 1e-12,
                "{found:?} {mean}"
            );
            assert!(
                (found.half_width.unwrap() - half_width).abs() < 1e-9,
                "{found:?} {half_width}"
            );
        }
        assert_eq!(
            found.iter().map(|point| point.x).collect::<Vec<_>>(),
            [5.0, 15.0, 25.0, 35.0, 45.0]
        );
    }

    #[test]
    fn a_run_counts_only_where_it_was() {
        let (long, short) = (
            run((0..40).map(|s| (s, 1.0))),
            run((10..20).map(|s| (s, 3.0))),
        );
        let runs = [
            (&long, long.column("y").unwrap()),
            (&short, short.column("y").unwrap()),
        ];
        let found = band(&runs, Along::Steps, &[0.0, 10.0, 20.0, 40.0, 50.0]);
        let seen: Vec<_> = found.iter().map(|point| (point.n, point.mean)).collect();
        assert_eq!(
            seen,
            [(1, Some(1.0)), (2, Some(2.0)), (1, Some(1.0)), (0, None)]
        );
        assert_eq!(band(&[], Along::Steps, &[0.0, 1.0])[0].n, 0);
    }

    /// A view between two rows still knows the line that joins them.
    #[test]
    fn rows_outside_the_grid_are_neighbours_too() {
        let run = run([(0, 0.0), (100, 10.0)]);
        let found = band(
            &[(&run, run.column("y").unwrap())],
            Along::Steps,
            &[40.0, 60.0, 80.0],
        );
        let means: Vec<_> = found.iter().filter_map(|point| point.mean).collect();
        assert_eq!(means, [5.0, 7.0]);
    }
}
