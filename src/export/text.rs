//! Aligned columns for a terminal. Labels come from files, so nothing in them may drive it.

use super::{Scale, corner, heading, legend, marks, show, sign};
use crate::analysis::{Cell, Mark, Table};
use crate::util::printable;

pub fn write(tables: &[Table]) -> String {
    tables.iter().map(write_one).collect::<Vec<_>>().join("\n")
}

fn write_one(table: &Table) -> String {
    let scale = Scale::of(&table.metric);
    let cell = |cell: &Cell| {
        let best = if cell.mark == Mark::Best { " *" } else { "" };
        show(cell, scale) + best + sign(table, cell)
    };
    let head = std::iter::once(corner(table))
        .chain(table.columns.iter().cloned())
        .collect();
    let body = table.rows.iter().zip(&table.cells).map(|(label, cells)| {
        std::iter::once(label.clone())
            .chain(cells.iter().map(cell))
            .collect()
    });
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let marks = marks(table, "* best").map_or_else(String::new, |marks| marks + "\n");
    format!(
        "{}\n\n{}\n{}\n{marks}",
        printable(&heading(table)),
        align(&rows),
        printable(&legend(table))
    )
}

/// Rows of words in columns two spaces apart.
pub fn align(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|word| printable(word)).collect())
        .collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|word: &String| word.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let words: String = row
            .iter()
            .zip(&widths)
            .map(|(word, width)| format!("{word:<width$}  "))
            .collect();
        format!("{}\n", words.trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_gaps_are_marked() {
        insta::assert_snapshot!(write(&[super::super::example()]), @r"
        Zero-shot | top-1 (optim.lr = 0.001)

        train.batch_size / loss.kind  sigmoid        softmax
        64                            52.3 ± 1.2 *   50.0 (1/3, 2 diverged) ?
        128                           51.8 ± 2.0 =   40.2 ± 1.5
        =1+2                          missing (0/3)  excluded

        zeroshot/top1 in %: mean ± half-width of the 95 % interval over n = 3 seeds; (n/expected) where runs are missing
        * best; = not distinguishable from the best (paired t over seeds, Holm, 5 %); ? too few seeds to test
        ");
    }

    #[test]
    fn labels_cannot_drive_the_terminal() {
        assert!(!align(&[vec!["\x1b[31mred".into()]]).contains('\x1b'));
    }
}
