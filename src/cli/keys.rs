//! `siglab keys [WORDS…]`: the settings that an experiment can vary, from the settings' own documentation.

use super::{DONE, FAILED, print, tell};
use crate::spec::{KnownKey, catalogue};
use crate::util::printable;

#[derive(clap::Args, Debug)]
pub struct Args {
    /// Show only settings that have all these words in their key or in what is said of them.
    pub words: Vec<String>,
    /// One JSON list on standard output.
    #[arg(long)]
    pub json: bool,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut known = catalogue();
    known.retain(|key| key.has_words(&args.words));
    if args.json {
        print(&(serde_json::to_string_pretty(&known)? + "\n"))?;
    } else {
        let shown: Vec<String> = known.iter().map(show).collect();
        print(&shown.join("\n"))?;
    }
    if known.is_empty() {
        tell(format_args!(
            "no setting says `{}`; `siglab keys` lists them all",
            printable(&args.words.join(" "))
        ));
        return Ok(FAILED);
    }
    Ok(DONE)
}

/// The key and its default as a file would have them, then what is said of them.
fn show(known: &KnownKey) -> String {
    let mut text = format!("{} = {}\n", known.key, known.default_label());
    let condition = known
        .only_with
        .as_ref()
        .map_or_else(String::new, |kinds| format!(", only with {kinds}"));
    text += &format!("    {}{condition}\n", known.sort);
    if !known.about.is_empty() && known.about != known.doc {
        text += &format!("    {}\n", known.about);
    }
    text += &format!("    {}\n", known.doc);
    let described = known.choices.iter().filter(|choice| !choice.doc.is_empty());
    let longest = known.choices.iter().map(|choice| choice.word.len()).max();
    let width = longest.unwrap_or(0).max(10);
    for choice in described {
        text += &format!("    {:width$} {}\n", choice.word, choice.doc);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_shown_with_all_that_is_known_of_it() {
        let all = catalogue();
        let shown = |key: &str| {
            let known = all.iter().find(|known| known.key == key).unwrap();
            show(known)
        };
        insta::assert_snapshot!(shown("loss.bias.mode"), @r#"
        loss.bias.mode = learned
            one of "learned", "frozen", "none", only with loss.kind = "sigmoid"
            b, added to every logit.
            Whether there is a bias, and whether it is learned.
            frozen     Stays at init.
            none       No bias: init is not used.
        "#);
        insta::assert_snapshot!(shown("seed"), @r"
        seed = 0
            whole number from 0 up
            Replication: the initial weights and the order of the data follow from it.
        ");
    }
}
