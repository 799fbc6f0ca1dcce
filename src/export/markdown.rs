//! GitHub's tables.

use super::{Scale, corner, heading, legend, marks, show, sign};
use crate::analysis::{Cell, Mark, Table};
use crate::util::printable;

pub fn write(tables: &[Table]) -> String {
    tables.iter().map(write_one).collect::<Vec<_>>().join("\n")
}

fn write_one(table: &Table) -> String {
    let scale = Scale::of(&table.metric);
    let cell = |cell: &Cell| match cell.mark {
        Mark::Best => format!("**{}**", show(cell, scale)),
        _ => show(cell, scale) + sign(table, cell),
    };
    let head = std::iter::once(&corner(table))
        .chain(&table.columns)
        .map(|word| escape(word))
        .collect();
    let body = table.rows.iter().zip(&table.cells).map(|(label, cells)| {
        std::iter::once(escape(label))
            .chain(cells.iter().map(cell))
            .collect()
    });
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let marks =
        marks(table, "**bold** best").map_or_else(String::new, |marks| format!("; {marks}"));
    format!(
        "**{}**\n\n{}\n{}{marks}\n",
        escape(&heading(table)),
        pipes(&rows, 1),
        escape(&legend(table))
    )
}

/// Rows of words that are escaped already, the first of them the heading, with numbers from the column `numbers` on.
pub(super) fn pipes(rows: &[Vec<String>], numbers: usize) -> String {
    let line = |words: &[String]| format!("| {} |\n", words.join(" | "));
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        text += &line(row);
        if i == 0 {
            let side = |column| if column < numbers { "---" } else { "---:" };
            text += &line(
                &(0..row.len())
                    .map(|column| side(column).into())
                    .collect::<Vec<_>>(),
            );
        }
    }
    text
}

/// A label as plain words of a cell.
pub(super) fn escape(text: &str) -> String {
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
        | 64 | **52.3 ± 1.2** | 50.0 (1/3, 2 diverged) ? |
        | 128 | 51.8 ± 2.0 = | 40.2 ± 1.5 |
        | =1+2 | missing (0/3) | excluded |

        zeroshot/top1 in %: mean ± half-width of the 95 % interval over n = 3 seeds; (n/expected) where runs are missing; **bold** best; = not distinguishable from the best (paired t over seeds, Holm, 5 %); ? too few seeds to test
        ");
    }
}
