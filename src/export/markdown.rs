//! GitHub's tables.

use super::effects;
use super::words::{origin, words};
use crate::analysis::{Sheet, Table};
use crate::util::printable;

pub fn write(sheets: &[Sheet]) -> String {
    let each = sheets.iter().map(|sheet| match sheet {
        Sheet::Table(table) => write_table(table),
        Sheet::Effects(effects) => effects::github(effects),
    });
    each.collect::<Vec<_>>().join("\n")
}

pub(super) fn write_table(table: &Table) -> String {
    let words = words(table, escape, |text| format!("**{text}**"), "**bold** best");
    let each = words.iter().map(|words| {
        let (legend, marks) = words.below.split_first().expect("numbers are explained");
        let marks: String = marks.iter().map(|marks| format!("; {marks}")).collect();
        format!(
            "**{}**\n\n{}\n{}{marks}\n\n",
            escape(&words.heading),
            pipes(&words.rows, 1),
            escape(legend)
        )
    });
    each.collect::<String>() + &comment(&origin(table))
}

/// Lines that no page shows.
pub(super) fn comment(lines: &[String]) -> String {
    // Two dashes would end the comment.
    let words = printable(&lines.join("; ")).replace("--", "- -");
    format!("<!-- {words} -->\n")
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
        insta::assert_snapshot!(write(&[Sheet::Table(super::super::example())]), @r"
        **Zero-shot \| top-1 (optim.lr = 0.001)**

        | train.batch_size / loss.kind | sigmoid | softmax |
        | --- | ---: | ---: |
        | 64 | **52.3 ± 1.2** | 50.0 (1/3, 2 diverged) ? |
        | 128 | 51.8 ± 2.0 = | 40.2 ± 1.5 |
        | =1+2 | missing (0/3) | excluded |

        zeroshot/top1 in %: mean ± half-width of the 95 % interval over n = 1 to 3 seeds; (n/expected) where runs are missing; **bold** best; = not distinguishable from the best (paired t over seeds, Holm, 5 %); ? too few seeds to test

        <!-- siglab 0.1.0, experiments/example.toml, intervals 95 % Student's t; 64 / sigmoid: n = 3, runs 0000000000 0000000001 0000000002; 64 / softmax: n = 1, runs 0000000000; 128 / sigmoid: n = 3, runs 0000000000 0000000001 0000000002; 128 / softmax: n = 3, runs 0000000000 0000000001 0000000002 -->
        ");
    }
}
