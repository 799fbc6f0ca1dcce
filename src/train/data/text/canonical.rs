//! The form of a text before it is split into tokens.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a text is changed to before it is split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Canonical {
    /// Nothing: what the tokenizer itself does is enough.
    #[default]
    None,
    /// Lower case.
    Lower,
    /// Lower case, without ASCII punctuation, underscores and runs of white space made one space each: big_vision's and
    /// open_clip's canonicalize_text, which SigLIP's prompts and captions go through.
    Siglip,
}

impl Canonical {
    pub fn of(self, text: &str) -> Cow<'_, str> {
        match self {
            Self::None => text.into(),
            Self::Lower => text.to_lowercase().into(),
            Self::Siglip => {
                let spaced = text.replace('_', " ");
                let bare: String = spaced
                    .chars()
                    .filter(|c| !c.is_ascii_punctuation())
                    .collect();
                let lower = bare.to_lowercase();
                let words: Vec<&str> = lower
                    .split(is_space)
                    .filter(|word| !word.is_empty())
                    .collect();
                words.join(" ").into()
            }
        }
    }
}

/// White space as Python's `str.split` knows it, which counts four separators of ASCII in.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\x1c'..='\x1f').contains(&c)
}
