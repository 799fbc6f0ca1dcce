//! What tells two runs apart, as a page to read.

use crate::analysis::Diff;
use crate::export::{DiffLine, diff_sections, diff_verdict};
use crate::tui::layer::{Note, Page};
use crate::tui::theme::Role;
use crate::util::printable;

pub(super) fn page(diff: &Diff) -> Page {
    let mut lines: Vec<(String, Note)> = Vec::new();
    for (name, items) in diff_sections(diff) {
        if !lines.is_empty() {
            lines.push((String::new(), (String::new(), Role::Plain)));
        }
        let runs = diff.runs.join("  |  ");
        lines.push((name.to_uppercase(), (printable(&runs), Role::Title)));
        let line = |(what, [one, other]): DiffLine| {
            let values = printable(&format!("{one}  |  {other}"));
            (printable(&what), (values, Role::Plain))
        };
        lines.extend(items.into_iter().map(line));
    }
    let note = |note: &String| (String::new(), (printable(note), Role::Warn));
    lines.extend(diff.notes.iter().map(note));
    Page::new(printable(&diff_verdict(diff)), lines)
}
