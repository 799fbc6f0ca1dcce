//! LaTeX with booktabs' rules: one float a table, to be read by `\input`. What the numbers are of stands in comments.

use super::effects;
use super::words::{origin, words};
use crate::analysis::{Sheet, Table};
use crate::util::printable;

/// What a document has to have for the tables.
pub(super) const NEEDS: &str = "% \\usepackage{booktabs}\n";

pub fn write(sheets: &[Sheet]) -> String {
    let each = sheets.iter().map(|sheet| match sheet {
        Sheet::Table(table) => write_table(table),
        Sheet::Effects(effects) => effects::float(effects),
    });
    NEEDS.to_owned() + &each.collect::<Vec<_>>().join("\n")
}

fn write_table(table: &Table) -> String {
    let words = words(
        table,
        escape,
        |text| format!("\\textbf{{{text}}}"),
        "bold: best",
    );
    let each = words.iter().map(|words| {
        let caption = format!("{}. {}.", words.heading, words.below.join("; "));
        float(&escape(&caption), &words.rows, 1)
    });
    comment(&origin(table)) + &each.collect::<Vec<_>>().join("\n")
}

/// A float of rows that are escaped already, the first of them the heading, with numbers from the column `numbers` on.
pub(super) fn float(caption: &str, rows: &[Vec<String>], numbers: usize) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let sides: String = (0..columns)
        .map(|column| if column < numbers { 'l' } else { 'r' })
        .collect();
    let line = |words: &Vec<String>| format!("    {} \\\\\n", words.join(" & "));
    let (head, body) = rows.split_at(rows.len().min(1));
    let [head, body] = [head, body].map(|rows| rows.iter().map(line).collect::<String>());
    format!(
        "\\begin{{table}}\n  \\centering\n  \\caption{{{caption}}}\n  \\begin{{tabular}}{{{sides}}}\n    \\toprule\n\
         {head}    \\midrule\n{body}    \\bottomrule\n  \\end{{tabular}}\n\\end{{table}}\n"
    )
}

/// Lines that TeX skips.
pub(super) fn comment(lines: &[String]) -> String {
    lines
        .iter()
        .map(|line| format!("% {}\n", printable(line)))
        .collect()
}

/// Words that TeX sets as they stand.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        match c {
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => escaped.extend(['\\', c]),
            '\\' => escaped.push_str("\\textbackslash{}"),
            '^' => escaped.push_str("\\textasciicircum{}"),
            '~' => escaped.push_str("\\textasciitilde{}"),
            '<' => escaped.push_str("$<$"),
            '>' => escaped.push_str("$>$"),
            '|' => escaped.push_str("$|$"),
            '±' => escaped.push_str("$\\pm$"),
            '×' => escaped.push_str("$\\times$"),
            '−' => escaped.push_str("$-$"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_float_with_rules() {
        insta::assert_snapshot!(write(&[Sheet::Table(super::super::example())]));
    }

    #[test]
    fn words_are_set_as_they_stand() {
        assert_eq!(escape("a_b & 5 % ± {x}"), "a\\_b \\& 5 \\% $\\pm$ \\{x\\}");
        assert_eq!(
            escape("\\input{/etc/passwd}"),
            "\\textbackslash{}input\\{/etc/passwd\\}"
        );
    }

    /// Where there is a TeX, what hostile labels become compiles without an error.
    #[test]
    fn tex_takes_it() {
        let there = Command::new("pdflatex")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if there.is_err() {
            eprintln!("skipped: there is no pdflatex");
            return;
        }
        let mut table = super::super::example();
        table.rows[0] = "#$%&_{}\\^~<>|\"'`".into();
        let document = format!(
            "\\documentclass{{article}}\n\\usepackage{{booktabs}}\n\\begin{{document}}\n{}\\end{{document}}\n",
            write(&[Sheet::Table(table)])
        );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("table.tex"), document).unwrap();
        let done = Command::new("pdflatex")
            .args(["-halt-on-error", "-interaction=nonstopmode", "table.tex"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stdout)
        );
    }
}
