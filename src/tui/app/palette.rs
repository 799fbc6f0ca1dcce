//! The table of actions to look at and to pick from.

use crate::tui::action::{self, Action, Binding, View};
use crate::tui::asked::Asked;
use crate::tui::layer::{Item, Page, Picker};
use crate::tui::theme::Role;

fn keys(row: &Binding) -> String {
    row.keys.join(", ")
}

/// All that can be done on `view`.
pub(super) fn picker(view: View) -> Picker {
    let item = |row: &Binding| Item {
        label: row.help.to_owned(),
        detail: keys(row),
        ..Item::default()
    };
    Picker::new(Asked::Palette, "What would you do?", action::on(view).map(item).collect())
}

/// The action of item `i` of [`picker`].
pub(super) fn action(view: View, i: usize) -> Option<Action> {
    action::on(view).nth(i).map(|row| row.action)
}

/// The keys of `view`, its own first.
pub(super) fn help(view: View) -> Page {
    let (own, general): (Vec<_>, Vec<_>) = action::on(view).partition(|row| !row.views.is_empty());
    let line = |row: &&Binding| (keys(row), (row.help.to_owned(), Role::Plain));
    let heading = |words: &str| (String::new(), (words.to_owned(), Role::Title));
    let lines = std::iter::once(heading(view.name()))
        .chain(own.iter().map(line))
        .chain([heading(""), heading("Everywhere")])
        .chain(general.iter().map(line));
    Page::new("Keys", lines.collect())
}
