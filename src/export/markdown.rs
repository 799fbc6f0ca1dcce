//! GitHub's tables.

use super::{Scale, corner, heading, legend, show};
use crate::analysis::Table;
use crate::util::printable;

pub fn write(tables: &[Table]) -> String {
    tables.iter().map(write_one).collect::<Vec<_>>().join("\n")
}

fn write_one(table: &Table) -> String {
    let scale = Scale::of(&table.metric);
    let line = |words: Vec<String>| format!("| {} |\n", words.join(" | "));
    let mut text = format!("**{}**\n\n", escape(&heading(table)));
    text += &line(
        std::iter::once(&corner(table))
            .chain(&table.columns)
            .map(|word| escape(word))
            .collect(),
    );
    text += &line(
        std::iter::once("---".into())
            .chain(table.columns.iter().map(|_| "---:".into()))
            .collect(),
    );
    for (label, cells) in table.rows.iter().zip(&table.cells) {
        text += &line(
            std::iter::once(escape(label))
                .chain(cells.iter().map(|cell| show(cell, scale)))
                .collect(),
        );
    }
    format!("{text}\n{}\n", escape(&legend(table)))
}

/// A label as plain words of a cell.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '|' | '\\' | '*' | '`' | '[' | ']' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_github() {
        insta::assert_snapshot!(write(&[super::super::example()]), @r"
        **Zero-shot \| top-1 (optim.lr = 0.001)**

        | train.batch_size / loss.kind | sigmoid | softmax |
        | --- | ---: | ---: |
        | 64 | 52.3 ± 1.2 | 50.0 (1/3, 2 diverged) |
        | =1+2 | missing (0/3) | excluded |

        zeroshot/top1 in %: mean ± half-width of the 95 % interval over n = 3 seeds; (n/expected) where runs are missing
        ");
    }
}
