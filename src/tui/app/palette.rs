//! The table of actions to look at and to pick from.

use crate::tui::action::{self, Action, Binding, View};
use crate::tui::asked::Asked;
use crate::tui::layer::{Item, Page, Picker};
use crate::tui::theme::Role;

fn keys(row: &Binding) -> String {
    row.keys.join(", ")
}

/// The command line that does what `row` does on `view`: a verb, or the screen with the key pressed.
fn command(view: View, row: &Binding) -> String {
    if let Some(command) = row.action.command() {
        return format!("$ {command}");
    }
    let key = row.keys[0];
    let key = if key.chars().count() == 1 {
        key.to_owned()
    } else {
        format!("<{key}>")
    };
    format!(
        "$ siglab FILE --view {} --keys '{key}' --print",
        view.name().to_lowercase()
    )
}

/// All that can be done on `view`.
pub(super) fn picker(view: View) -> Picker {
    let item = |row: &Binding| Item {
        label: row.help.to_owned(),
        detail: keys(row),
        doc: command(view, row),
        ticked: None,
    };
    Picker::new(
        Asked::Palette,
        "What would you do?",
        action::on(view).map(item).collect(),
    )
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
