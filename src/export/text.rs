//! Aligned columns for a terminal. Labels come from files, so nothing in them may drive it.

use super::effects;
use super::words::words;
use crate::analysis::{Sheet, Table};
use crate::util::printable;

pub fn write(sheets: &[Sheet]) -> String {
    let each = sheets.iter().map(|sheet| match sheet {
        Sheet::Table(table) => write_table(table),
        Sheet::Effects(effects) => effects::text(effects),
    });
    each.collect::<Vec<_>>().join("\n")
}

fn write_table(table: &Table) -> String {
    // Made safe by `align`.
    let words = words(table, str::to_owned, |text| text + " *", "* best");
    let each = words.iter().map(|words| {
        let below: String = words.below.iter().map(|text| wrap(text)).collect();
        let heading = printable(&words.heading);
        format!("{heading}\n\n{}\n{below}", align(&words.rows))
    });
    each.collect::<Vec<_>>().join("\n")
}

/// Columns that sentences take at most.
const WIDTH: usize = 80;

/// A sentence, made safe, in lines.
pub(super) fn wrap(text: &str) -> String {
    let mut lines = String::new();
    let mut used = 0;
    for word in printable(text).split(' ') {
        let width = word.chars().count();
        if used > 0 && used + 1 + width > WIDTH {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(word);
        used += width;
    }
    lines + "\n"
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
        insta::assert_snapshot!(write(&[Sheet::Table(super::super::example())]), @r"
        Zero-shot | top-1 (optim.lr = 0.001)

        train.batch_size / loss.kind  sigmoid        softmax
        64                            52.3 ± 1.2 *   50.0 (1/3, 2 diverged) ?
        128                           51.8 ± 2.0 =   40.2 ± 1.5
        =1+2                          missing (0/3)  excluded

        zeroshot/top1 in %: mean ± half-width of the 95 % interval over n = 1 to 3
        seeds; (n/expected) where runs are missing
        * best; = not distinguishable from the best (paired t over seeds, Holm, 5 %); ?
        too few seeds to test
        ");
    }

    #[test]
    fn labels_cannot_drive_the_terminal() {
        assert!(!align(&[vec!["\x1b[31mred".into()]]).contains('\x1b'));
    }
}
