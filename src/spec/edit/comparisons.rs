//! Claims, and the baselines of reports, when the axes that they speak of change.

use super::axes::Axes;
use super::layout::Layout;
use super::references::{conditions, met, speaks_of, with_conditions};
use super::{EditError, flat};

/// Where conditions stand that cells are compared by.
const PLACES: [(&str, &[&str]); 2] = [
    ("claim", &["higher", "lower", "equal", "than", "when"]),
    ("report", &["against"]),
];

/// `text` without the claims that no cell can meet any more, and without such baselines.
pub fn prune(text: &str) -> Result<String, EditError> {
    PLACES
        .iter()
        .try_fold(text.to_owned(), |text, (section, names)| {
            without_strays(text, section, names)
        })
}

fn without_strays(text: String, section: &str, names: &[&str]) -> Result<String, EditError> {
    if flat::elements(&text, section)?.is_empty() {
        return Ok(text);
    }
    let text = flat::array(&flat::array(&text, "zip")?, section)?;
    let layout = Layout::read(&text)?;
    let axes = Axes::of(&layout);
    let holds = met(&layout, &axes);
    let mut gone = Vec::new();
    for (index, element) in flat::elements(&text, section)?.iter().enumerate() {
        let stray = |name: &&&str| !conditions(&axes, element, name).iter().all(&holds);
        let Some(stray) = names.iter().find(stray) else {
            continue;
        };
        if section == "claim" {
            gone.extend(layout.element_bytes(section, index));
        } else {
            let statements = layout.of_element(section, index);
            let of = statements.filter(|s| s.path.get(1).is_some_and(|name| name == stray));
            gone.extend(of.map(|statement| statement.block.clone()));
        }
    }
    Ok(layout.without(gone))
}

/// `text` with other keys where claims and baselines speak of the axis `key`.
pub fn rename(
    text: &str,
    key: &str,
    renamed: impl Fn(&str) -> Option<String>,
) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for (section, names) in PLACES {
        let elements = flat::elements(&text, section)?;
        for (index, element) in elements.iter().enumerate() {
            for name in names {
                let axes = Axes::of(&Layout::read(&flat::array(&text, "zip")?)?);
                let all = conditions(&axes, element, name);
                // The axes have their new names already, so that conditions may have come apart at the points of the old one.
                if speaks_of(&all, key) {
                    text = flat::array(&text, section)?;
                    let all = all
                        .into_iter()
                        .map(|(other, value)| (renamed(&other).unwrap_or(other), value));
                    text = with_conditions(&text, section, index, name, &all.collect())?;
                }
            }
        }
    }
    Ok(text)
}
