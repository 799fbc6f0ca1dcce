//! From a text to the token ids that a text tower reads, always as many as its context: the canonical form of the text,
//! its split into tokens, and the frame around them. Captions and prompts go the same way. Where texts come from is not
//! known here.

mod bytes;
mod canonical;
mod file;
mod frame;
pub mod words;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::DataError;
use crate::train::config::{ConfigError, check};
pub use canonical::Canonical;
use file::File;
use frame::Frame;
pub use frame::Padding;
use words::Vocabulary;

/// How captions become token ids.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokensConfig {
    /// What splits a text into tokens.
    pub tokenizer: TokenizerConfig,
    /// What a text is changed to before that.
    pub canonicalise: Canonical,
    /// What stands around the tokens of a text, and behind them up to `model.text.context`. Texts that are too long lose
    /// their last tokens and keep what stands around them.
    pub padding: Padding,
    /// The token that starts a text, by its name in the tokenizer's file; empty is what the files beside it say.
    pub start: String,
    /// The token that ends a text, likewise.
    pub end: String,
    /// The token that fills the context, likewise.
    pub pad: String,
}

/// What splits a text into tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenizerConfig {
    /// That of the data: the words of `shapes`, all of which are known beforehand; `bytes` for texts from files.
    #[default]
    BuiltIn,
    /// UTF-8 bytes as ByT5 numbers them (arXiv 2105.13626): 259 ids that say everything in every language, at several
    /// tokens a word: set `model.text.context` accordingly.
    Bytes,
    /// A `tokenizer.json` of Hugging Face, or a folder with one.
    File(String),
}

impl TokensConfig {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let names = [
            ("data.text.start", &self.start),
            ("data.text.end", &self.end),
            ("data.text.pad", &self.pad),
        ];
        for (key, name) in names {
            let of_file = matches!(self.tokenizer, TokenizerConfig::File(_));
            check(key, name.is_empty() || of_file, || {
                "names a token of a tokenizer's file: set data.text.tokenizer = { file = \"FILE\" }"
                    .into()
            })?;
        }
        if let TokenizerConfig::File(path) = &self.tokenizer {
            check("data.text.tokenizer", !path.is_empty(), || {
                "the file has no name".into()
            })?;
        }
        Ok(())
    }
}

/// Makes token ids of texts.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    split: Split,
    canonical: Canonical,
    frame: Frame,
    context: usize,
    ids: usize,
    /// The ids that stand for text, in ascending order.
    plain: Arc<[i32]>,
}

#[derive(Clone, Debug)]
enum Split {
    Words(Vocabulary),
    Bytes,
    File(Arc<File>),
}

impl Tokenizer {
    /// The one that `config` describes, for texts of `context` tokens; `words` are those of the data, if all are known.
    ///
    /// # Errors
    /// A file that is not there or no tokenizer; tokens that it lacks; a context without room for any.
    pub fn open(
        config: &TokensConfig,
        words: Option<Vocabulary>,
        context: usize,
    ) -> Result<Self, DataError> {
        let (split, frame, plain, ids) = match (&config.tokenizer, words) {
            (TokenizerConfig::BuiltIn, Some(words)) => {
                let plain: Vec<i32> = words.plain().collect();
                let ids = words.size();
                (
                    Split::Words(words),
                    built_in(config, words::END)?,
                    plain,
                    ids,
                )
            }
            (TokenizerConfig::BuiltIn | TokenizerConfig::Bytes, _) => {
                let plain: Vec<i32> = bytes::plain().collect();
                (
                    Split::Bytes,
                    built_in(config, bytes::END)?,
                    plain,
                    bytes::SIZE,
                )
            }
            (TokenizerConfig::File(path), _) => {
                let file = File::open(path.as_ref())?;
                let frame = file.frame(config)?;
                let (plain, ids) = (file.plain(), file.size());
                (Split::File(Arc::new(file)), frame, plain, ids)
            }
        };
        if context < frame.around() + 1 {
            let problem = format!(
                "{context} tokens are no more than the {} that stand around every text",
                frame.around()
            );
            return Err(DataError::setting("model.text.context", problem));
        }
        Ok(Self {
            split,
            canonical: config.canonicalise,
            frame,
            context,
            ids,
            plain: plain.into(),
        })
    }

    /// Exactly `context` ids.
    ///
    /// # Errors
    /// A text that the tokenizer of a file gives up on.
    pub fn tokens(&self, text: &str) -> Result<Vec<i32>, DataError> {
        let text = self.canonical.of(text);
        Ok(match &self.split {
            Split::Words(words) => self.frame.close(words.ids(&text), self.context),
            Split::Bytes => self.frame.close(bytes::ids(&text), self.context),
            Split::File(file) => self.frame.close(file.ids(&text)?, self.context),
        })
    }

    /// The same for tokens that no text was split into.
    pub fn close(&self, tokens: impl IntoIterator<Item = i32>) -> Vec<i32> {
        self.frame.close(tokens, self.context)
    }

    /// Tokens that fit between those around every text.
    pub fn room(&self) -> usize {
        self.context - self.frame.around()
    }

    /// Tokens of a text, those around it and behind it included.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Number of ids; the greatest is one less.
    pub fn ids(&self) -> usize {
        self.ids
    }

    /// The ids that stand for text, in ascending order.
    pub fn plain(&self) -> &[i32] {
        &self.plain
    }

    /// The id that ends a text, which a tower may read its embedding from; none where texts have no end.
    pub fn end(&self) -> Option<i32> {
        self.frame.end()
    }

    /// A hash of all that the ids of a text depend on.
    pub fn identity(&self) -> blake3::Hash {
        let mut hash = blake3::Hasher::new();
        match &self.split {
            // Which words there are follows from the data's settings.
            Split::Words(_) | Split::Bytes => {}
            Split::File(file) => {
                hash.update(file.hash().as_bytes());
            }
        }
        hash.update(format!("{:?} {:?} {}", self.canonical, self.frame, self.context).as_bytes());
        hash.finalize()
    }
}

/// The frame of a tokenizer that has one token for the end and none for the start.
fn built_in(config: &TokensConfig, end: i32) -> Result<Frame, DataError> {
    match config.padding {
        Padding::Own | Padding::Siglip => Ok(Frame::new([], [end], end)),
        Padding::Clip => Err(DataError::setting(
            "data.text.padding",
            "\"clip\" wants a token that starts a text, which this tokenizer has not: take one from a file, or \"siglip\"",
        )),
    }
}

#[cfg(test)]
mod tests;
