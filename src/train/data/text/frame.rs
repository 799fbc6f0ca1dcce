//! What stands around the tokens of a text, so that every text is equally long and its end is kept.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stands around the tokens of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// As the tokenizer's files say: its post-processor for what stands around a text, its padding token behind. The
    /// built-in ones end as `siglip` does.
    #[default]
    Own,
    /// The end token, and behind it the same up to the context, so that the last position is always an end (SigLIP's
    /// "sticky" end token, `</s>` with id 1).
    Siglip,
    /// The start token, the text, the end token, and the padding token up to the context.
    Clip,
}

/// Tokens before and after those of a text, and the one that fills the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    before: Vec<i32>,
    after: Vec<i32>,
    pad: i32,
}

impl Frame {
    pub fn new(before: impl Into<Vec<i32>>, after: impl Into<Vec<i32>>, pad: i32) -> Self {
        let (before, after) = (before.into(), after.into());
        Self { before, after, pad }
    }

    /// Tokens that stand around every text.
    pub fn around(&self) -> usize {
        self.before.len() + self.after.len()
    }

    /// The token that ends a text.
    pub fn end(&self) -> Option<i32> {
        self.after.last().copied()
    }

    /// `tokens` as exactly `context` ids: cut where there are too many, and filled where there are too few.
    pub fn close(&self, tokens: impl IntoIterator<Item = i32>, context: usize) -> Vec<i32> {
        let mut ids = Vec::with_capacity(context);
        ids.extend(&self.before);
        ids.extend(tokens.into_iter().take(context - self.around()));
        ids.extend(&self.after);
        ids.resize(context, self.pad);
        ids
    }
}
