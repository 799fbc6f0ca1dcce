//! One HTML file that needs no other: every table, what its numbers are, and from which runs.

use super::effects;
use super::words::{origin, words};
use crate::analysis::{Sheet, Table};
use crate::util::printable;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
    <meta name=\"viewport\" content=\"width=device-width\">\n<title>siglab</title>\n<style>\n\
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }\n\
    table { border-collapse: collapse; border-top: 2px solid; border-bottom: 2px solid; }\n\
    caption { text-align: left; font-weight: bold; padding-bottom: .5em; }\n\
    th, td { padding: .2em .8em; text-align: right; font-variant-numeric: tabular-nums; }\n\
    .label { text-align: left; }\n\
    thead th { border-bottom: 1px solid; }\n\
    details { color: #555; }\n\
    </style>\n";

pub fn write(sheets: &[Sheet]) -> String {
    let each = sheets.iter().map(|sheet| match sheet {
        Sheet::Table(table) => write_table(table),
        Sheet::Effects(effects) => effects::element(effects),
    });
    page(&each.collect::<String>())
}

fn page(body: &str) -> String {
    format!("{HEAD}{body}</html>\n")
}

fn write_table(table: &Table) -> String {
    let words = words(
        table,
        escape,
        |text| format!("<strong>{text}</strong>"),
        "bold best",
    );
    let each = words.iter().map(|words| {
        format!(
            "{}<p>{}</p>\n",
            self::table(&escape(&words.heading), &words.rows, 1),
            escape(&words.below.join("; "))
        )
    });
    each.collect::<String>() + &details(&origin(table))
}

/// Where something is from, out of the way until it is asked for.
pub(super) fn details(origin: &[String]) -> String {
    let lines: String = origin
        .iter()
        .map(|line| format!("{}<br>\n", escape(line)))
        .collect();
    format!("<details><summary>Where this is from</summary>\n<p>{lines}</p></details>\n")
}

/// Rows of words that are escaped already, the first of them the heading, with numbers from the column `numbers` on.
pub(super) fn table(caption: &str, rows: &[Vec<String>], numbers: usize) -> String {
    let words = |row: &[String], heads: usize, scope: &str| -> String {
        let word = |(column, word): (usize, &String)| {
            let class = if column < numbers {
                " class=\"label\""
            } else {
                ""
            };
            if column < heads {
                format!("<th scope=\"{scope}\"{class}>{word}</th>")
            } else {
                format!("<td{class}>{word}</td>")
            }
        };
        row.iter().enumerate().map(word).collect()
    };
    let (head, body) = rows.split_first().expect("a table has a heading");
    let body: String = body
        .iter()
        .map(|row| format!("<tr>{}</tr>\n", words(row, 1, "row")))
        .collect();
    format!(
        "<table>\n<caption>{caption}</caption>\n<thead><tr>{}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n",
        words(head, head.len(), "col")
    )
}

pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in printable(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_by_itself() {
        insta::assert_snapshot!(write(&[Sheet::Table(super::super::example())]));
    }

    #[test]
    fn labels_are_no_elements() {
        let mut table = super::super::example();
        table.rows[0] = "<script>alert(1)</script>".into();
        assert!(!write(&[Sheet::Table(table)]).contains("<script>"));
    }
}
