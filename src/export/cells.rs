//! Tables as columns for programs: one row a cell, numbers in full, each with what it is of and from.

use super::VERSION;
use super::frame::{Frame, Values};
use super::legend::{interval, moment};
use crate::analysis::{Cell, Comparison, Mark, Table, Test};

/// One cell and where it stands.
struct Line<'t> {
    table: &'t Table,
    row: &'t str,
    column: &'t str,
    cell: &'t Cell,
}

/// What a column has of a cell; no words are a gap.
enum Of {
    Words(fn(&Line) -> String),
    Real(fn(&Line) -> Option<f64>),
    Count(fn(&Line) -> u32),
}

/// A column's heading, and what it has of a cell.
const COLUMNS: [(&str, Of); 32] = [
    ("table", Of::Words(|line| line.table.title.clone())),
    ("metric", Of::Words(|line| line.table.metric.clone())),
    ("given", Of::Words(|line| given(line.table))),
    ("row_axis", Of::Words(|line| line.table.row_axis.clone())),
    ("row", Of::Words(|line| line.row.to_owned())),
    (
        "column_axis",
        Of::Words(|line| line.table.column_axis.clone()),
    ),
    ("column", Of::Words(|line| line.column.to_owned())),
    (
        "at",
        Of::Words(|line| moment(&line.table.asked).unwrap_or_default()),
    ),
    ("mean", Of::Real(|line| line.cell.mean)),
    ("sd", Of::Real(|line| line.cell.sd)),
    ("half_width", Of::Real(|line| line.cell.half_width)),
    (
        "low",
        Of::Real(|line| line.cell.interval.map(|ends| ends[0])),
    ),
    (
        "high",
        Of::Real(|line| line.cell.interval.map(|ends| ends[1])),
    ),
    (
        "evaluation_half_width",
        Of::Real(|line| line.cell.evaluation.map(|error| error.half_width)),
    ),
    (
        "evaluated",
        Of::Real(|line| line.cell.evaluation.map(|error| error.items)),
    ),
    ("n", Of::Count(|line| line.cell.n)),
    ("expected", Of::Count(|line| line.cell.expected)),
    ("missing", Of::Count(|line| line.cell.missing)),
    ("diverged", Of::Count(|line| line.cell.diverged)),
    ("failed", Of::Count(|line| line.cell.failed)),
    (
        "against",
        Of::Words(|line| line.table.against.clone().unwrap_or_else(|| "best".into())),
    ),
    ("mark", Of::Words(|line| mark(line.cell.mark).into())),
    (
        "test",
        Of::Words(|line| against(line).map_or("", |c| test(c.test)).into()),
    ),
    (
        "difference",
        Of::Real(|line| against(line).map(|c| c.difference)),
    ),
    (
        "difference_half_width",
        Of::Real(|line| against(line).map(|c| c.half_width)),
    ),
    ("p", Of::Real(|line| against(line).map(|c| c.p))),
    (
        "p_adjusted",
        Of::Real(|line| against(line).map(|c| c.adjusted)),
    ),
    ("seeds_needed", Of::Real(seeds_needed)),
    (
        "interval",
        Of::Words(|line| match line.cell.interval {
            Some(_) => interval(line.table.interval),
            None => String::new(),
        }),
    ),
    (
        "runs",
        Of::Words(|line| {
            let runs = line.cell.samples.iter().map(|sample| sample.run.as_str());
            runs.collect::<Vec<_>>().join(" ")
        }),
    ),
    (
        "experiment",
        Of::Words(|line| line.table.experiment.clone()),
    ),
    ("siglab", Of::Words(|_| VERSION.into())),
];

/// Every cell of every table.
pub fn frame(tables: &[&Table]) -> Frame {
    let lines: Vec<Line<'_>> = tables.iter().flat_map(|table| lines(table)).collect();
    let column = |(name, of): &(&str, Of)| {
        let lines = lines.iter();
        let values = match of {
            Of::Words(of) => Values::words(lines.map(of)),
            Of::Real(of) => Values::reals(lines.map(of)),
            Of::Count(of) => Values::counts(lines.map(|line| of(line).into())),
        };
        ((*name).to_owned(), values)
    };
    Frame {
        columns: COLUMNS.iter().map(column).collect(),
    }
}

fn lines(table: &Table) -> impl Iterator<Item = Line<'_>> {
    let rows = table.rows.iter().zip(&table.cells);
    rows.flat_map(move |(row, cells)| {
        let columns = table.columns.iter().zip(cells);
        columns.map(move |(column, cell)| Line {
            table,
            row,
            column,
            cell,
        })
    })
}

fn given(table: &Table) -> String {
    let given = table.given.iter();
    let given = given.map(|(axis, label)| format!("{axis}={label}"));
    given.collect::<Vec<_>>().join("; ")
}

fn against(line: &Line) -> Option<Comparison> {
    line.cell.comparison
}

/// What it would take to tell the difference that somebody asked about.
fn seeds_needed(line: &Line) -> Option<f64> {
    let cells = &line.table.resolution.as_ref()?.cells;
    let mut here = cells
        .iter()
        .filter(|cell| cell.row == line.row && cell.column == line.column);
    here.next()?.seeds.map(f64::from)
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::None => "",
        Mark::Best => "best",
        Mark::Baseline => "baseline",
        Mark::Better => "better",
        Mark::Worse => "worse",
        Mark::Differs => "differs",
        Mark::Tied => "tied",
        Mark::Untested => "untested",
    }
}

fn test(test: Test) -> &'static str {
    match test {
        Test::Paired => "paired",
        Test::Welch => "welch",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::csv;

    /// Read back with
    /// ```text
    /// import pandas, pyarrow.parquet, json    # after `siglab table FILE -o t.csv`, `t.parquet` and `t.json`
    /// p, c = pandas.read_parquet("t.parquet"), pandas.read_csv("t.csv", float_precision="round_trip")
    /// assert all((p[k].fillna(-9) == c[k].fillna(-9)).all() for k in p if p[k].dtype.kind in "fi")
    /// t = json.load(open("t.json"))
    /// assert [cell["mean"] for table in t for row in table["cells"] for cell in row] == p["mean"].tolist()
    /// pyarrow.parquet.read_schema("t.parquet").metadata    # siglab, experiment, interval, n, runs
    /// ```
    /// and the words of `t.html` with `pandas.read_html` (by lxml), in pandas 3.1.1 and pyarrow 26.0.1.
    #[test]
    fn one_line_a_cell() {
        let text = csv::bytes(&frame(&[&super::super::example()])).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"
        table,metric,given,row_axis,row,column_axis,column,at,mean,sd,half_width,low,high,evaluation_half_width,evaluated,n,expected,missing,diverged,failed,against,mark,test,difference,difference_half_width,p,p_adjusted,seeds_needed,interval,runs,experiment,siglab
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,64,loss.kind,sigmoid,,0.52341,0.006,0.012,0.51141,0.53541,,,3,3,0,0,0,best,best,,,,,,,95 % Student's t,0000000000 0000000001 0000000002,experiments/example.toml,0.1.0
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,64,loss.kind,softmax,,0.5,,,,,,,1,3,0,2,0,best,untested,,,,,,,,0000000000,experiments/example.toml,0.1.0
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,128,loss.kind,sigmoid,,0.518,0.01,0.02,0.498,0.538,,,3,3,0,0,0,best,tied,paired,-0.01,0.015,0.125,0.25,,95 % Student's t,0000000000 0000000001 0000000002,experiments/example.toml,0.1.0
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,128,loss.kind,softmax,,0.402,0.0075,0.015,0.387,0.41700000000000004,,,3,3,0,0,0,best,worse,paired,-0.01,0.015,0.002,0.004,,95 % Student's t,0000000000 0000000001 0000000002,experiments/example.toml,0.1.0
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,'=1+2,loss.kind,sigmoid,,,,,,,,,0,3,3,0,0,best,,,,,,,,,,experiments/example.toml,0.1.0
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,'=1+2,loss.kind,softmax,,,,,,,,,0,0,0,0,0,best,,,,,,,,,,experiments/example.toml,0.1.0
        ");
    }
}
