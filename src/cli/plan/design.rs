//! The design of a grid that is not the full product, and what a fraction of it cannot tell apart.

use serde::Serialize;

use crate::spec::{Aliases, Experiment};
use crate::util::printable;

/// Words of a defining relation that a plan shows.
const MOST_WORDS: usize = 15;

#[derive(Debug, Serialize)]
pub struct Chosen {
    pub kind: &'static str,
    pub label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aliases: Option<Aliases>,
}

impl Chosen {
    /// None for the full product.
    pub fn of(experiment: &Experiment) -> Option<Self> {
        Some(Self {
            kind: experiment.design.kind(),
            label: experiment.design_label()?,
            aliases: experiment.aliases(),
        })
    }

    pub fn show(&self) -> String {
        let Some(aliases) = &self.aliases else {
            return format!("design: {}\n", printable(&self.label));
        };
        let shown: Vec<&str> = aliases
            .defining
            .iter()
            .take(MOST_WORDS)
            .map(String::as_str)
            .collect();
        let rest = match aliases.words - shown.len() {
            0 => String::new(),
            more => format!(" = {more} more"),
        };
        let mut text = format!(
            "design: {}, resolution {}\n  I = {}{rest}\n",
            self.label,
            aliases.roman(),
            shown.join(" = ")
        );
        let letters: Vec<String> = aliases
            .letters
            .iter()
            .map(|(letter, name)| format!("{letter} is {name}"))
            .collect();
        text += &format!("  where {}\n", letters.join(", "));
        if aliases.aliased.is_empty() {
            text += "  main effects and interactions of two axes can all be told apart\n";
        } else {
            text += "  cannot be told apart:\n";
        }
        for lot in &aliases.aliased {
            text += &format!("    {}\n", lot.label);
        }
        let lines = text.lines().map(|line| printable(line) + "\n");
        lines.collect()
    }
}
