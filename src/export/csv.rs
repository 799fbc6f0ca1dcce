//! One line a cell, numbers in full, for a spreadsheet or a script. Text that a spreadsheet would run is defused.

use anyhow::Context;

use crate::analysis::{Mark, Table, Test};

const HEADER: [&str; 18] = [
    "table",
    "metric",
    "given",
    "row_axis",
    "row",
    "column_axis",
    "column",
    "mean",
    "half_width",
    "n",
    "expected",
    "missing",
    "diverged",
    "failed",
    "mark",
    "test",
    "p",
    "p_adjusted",
];

pub fn write(tables: &[Table]) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEADER)?;
    for table in tables {
        let given: Vec<String> = table
            .given
            .iter()
            .map(|(axis, label)| format!("{axis}={label}"))
            .collect();
        let given = given.join("; ");
        for (row, cells) in table.rows.iter().zip(&table.cells) {
            for (column, cell) in table.columns.iter().zip(cells) {
                let words = [
                    &table.title,
                    &table.metric,
                    &given,
                    &table.row_axis,
                    row,
                    &table.column_axis,
                    column,
                ]
                .map(|word| inert(word));
                let reals = [cell.mean, cell.half_width]
                    .map(|x| x.map_or_else(String::new, |x| x.to_string()));
                let counts = [
                    cell.n,
                    cell.expected,
                    cell.missing,
                    cell.diverged,
                    cell.failed,
                ]
                .map(|n| n.to_string());
                let comparison = cell.against_best;
                let marks = [
                    mark(cell.mark).to_owned(),
                    comparison.map_or("", |c| test(c.test)).to_owned(),
                    comparison.map_or_else(String::new, |c| c.p.to_string()),
                    comparison.map_or_else(String::new, |c| c.adjusted.to_string()),
                ];
                let fields = words.iter().chain(&reals).chain(&counts).chain(&marks);
                writer.write_record(fields)?;
            }
        }
    }
    let bytes = writer
        .into_inner()
        .context("cannot write the table as CSV")?;
    Ok(String::from_utf8(bytes)?)
}

fn mark(mark: Mark) -> &'static str {
    match mark {
        Mark::None => "",
        Mark::Best => "best",
        Mark::Tied => "tied",
        Mark::Worse => "worse",
        Mark::Untested => "untested",
    }
}

fn test(test: Test) -> &'static str {
    match test {
        Test::Paired => "paired",
        Test::Welch => "welch",
    }
}

/// `text` with a quote in front if a spreadsheet would take it for a formula; numbers are none.
pub(super) fn inert(text: &str) -> String {
    let formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
    if formula {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_cell() {
        insta::assert_snapshot!(write(&[super::super::example()]).unwrap(), @r"
        table,metric,given,row_axis,row,column_axis,column,mean,half_width,n,expected,missing,diverged,failed,mark,test,p,p_adjusted
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,64,loss.kind,sigmoid,0.52341,0.012,3,3,0,0,0,best,,,
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,64,loss.kind,softmax,0.5,,1,3,0,2,0,untested,,,
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,128,loss.kind,sigmoid,0.518,0.02,3,3,0,0,0,tied,paired,0.125,0.25
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,128,loss.kind,softmax,0.402,0.015,3,3,0,0,0,worse,paired,0.002,0.004
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,'=1+2,loss.kind,sigmoid,,,0,3,3,0,0,,,,
        Zero-shot | top-1,zeroshot/top1,optim.lr=0.001,train.batch_size,'=1+2,loss.kind,softmax,,,0,0,0,0,0,,,,
        ");
    }

    #[test]
    fn formulas_are_defused_and_numbers_are_not() {
        assert_eq!(
            ["=1", "+x", "-10", "-a", "@b", "c"].map(inert),
            ["'=1", "'+x", "-10", "'-a", "'@b", "c"]
        );
    }
}
