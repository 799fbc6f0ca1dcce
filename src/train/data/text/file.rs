//! A tokenizer of Hugging Face: its `tokenizer.json`, and what the files beside it say of its special tokens.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokenizers::Tokenizer;

use super::TokensConfig;
use super::frame::{Frame, Padding};
use crate::train::data::error::DataError;

const NAME: &str = "tokenizer.json";
/// Files beside it that name special tokens, the first that says so counts.
const BESIDE: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];
/// Ten times what the largest vocabularies of the field take.
const MOST_BYTES: u64 = 512 << 20;
/// What such tokens are called where no file names them.
const STARTS: [&str; 5] = [
    "<s>",
    "<bos>",
    "<|startoftext|>",
    "[CLS]",
    "<|begin_of_text|>",
];
const ENDS: [&str; 5] = ["</s>", "<eos>", "<|endoftext|>", "[SEP]", "<|end_of_text|>"];
const PADS: [&str; 3] = ["<pad>", "[PAD]", "<|pad|>"];

#[derive(Debug)]
pub struct File {
    path: PathBuf,
    tokenizer: Tokenizer,
    /// What the files beside it hold.
    beside: Vec<Value>,
    hash: blake3::Hash,
}

impl File {
    /// `path` is the file, or a folder with it.
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let path = match path.is_dir() {
            true => path.join(NAME),
            false => path.to_owned(),
        };
        let bytes = read(&path)?;
        let whole: Value = serde_json::from_slice(&bytes)
            .map_err(|error| DataError::content(&path, format!("is no JSON: {error}")))?;
        if let Some(dropout) = whole["model"]["dropout"].as_f64().filter(|p| *p > 0.0) {
            let problem = format!(
                "its model drops {dropout} of its merges at random, so that no run could be repeated: set \"dropout\" to null"
            );
            return Err(DataError::content(&path, problem));
        }
        let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(|error| {
            let problem = format!("is not a tokenizer of Hugging Face: {error}");
            DataError::content(&path, problem)
        })?;
        tokenizer.with_padding(None);
        let uncut = tokenizer.with_truncation(None);
        uncut.map_err(|error| DataError::content(&path, error.to_string()))?;

        let mut beside = vec![whole["padding"].clone()];
        let mut hash = blake3::Hasher::new();
        hash.update(&bytes);
        for name in BESIDE {
            let path = path.with_file_name(name);
            if path.exists() {
                let bytes = read(&path)?;
                hash.update(&bytes);
                let value = serde_json::from_slice(&bytes);
                beside.push(
                    value.map_err(|error| {
                        DataError::content(&path, format!("is no JSON: {error}"))
                    })?,
                );
            }
        }
        Ok(Self {
            path,
            tokenizer,
            beside,
            hash: hash.finalize(),
        })
    }

    /// The tokens of `text` alone.
    pub fn ids(&self, text: &str) -> Result<impl Iterator<Item = i32>, DataError> {
        Ok(self.encode(text, false)?.into_iter().map(|(id, _)| id))
    }

    /// Number of ids; the greatest is one less.
    pub fn size(&self) -> usize {
        let greatest = self.tokenizer.get_vocab(true).into_values().max();
        greatest.map_or(0, |id| id as usize + 1)
    }

    /// The ids that stand for text, in ascending order.
    pub fn plain(&self) -> Vec<i32> {
        let added = self.tokenizer.get_added_tokens_decoder();
        let special = |id: &u32| added.get(id).is_some_and(|token| token.special);
        let mut ids: Vec<i32> = self
            .tokenizer
            .get_vocab(true)
            .into_values()
            .filter(|id| !special(id))
            .map(u32::cast_signed)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// A hash of the files.
    pub fn hash(&self) -> blake3::Hash {
        self.hash
    }

    /// What stands around a text.
    ///
    /// # Errors
    /// Tokens that `config` names and the file lacks, or wants and nothing names.
    pub fn frame(&self, config: &TokensConfig) -> Result<Frame, DataError> {
        let start = || self.token("data.text.start", &config.start, "bos_token", &STARTS);
        let end = || self.token("data.text.end", &config.end, "eos_token", &ENDS);
        match config.padding {
            Padding::Own => {
                let (before, after) = self.around()?;
                let pad = match self.pad(config)? {
                    Some(pad) => pad,
                    None => match after.last() {
                        Some(end) => *end,
                        None => return Err(self.lacks("data.text.pad", "fills the context")),
                    },
                };
                Ok(Frame::new(before, after, pad))
            }
            Padding::Siglip => {
                let end = end()?.ok_or_else(|| self.lacks("data.text.end", "ends a text"))?;
                let pad = match config.pad.as_str() {
                    "" => end,
                    name => self.named("data.text.pad", name)?,
                };
                Ok(Frame::new([], [end], pad))
            }
            Padding::Clip => {
                let start =
                    start()?.ok_or_else(|| self.lacks("data.text.start", "starts a text"))?;
                let end = end()?.ok_or_else(|| self.lacks("data.text.end", "ends a text"))?;
                Ok(Frame::new([start], [end], self.pad(config)?.unwrap_or(end)))
            }
        }
    }

    fn pad(&self, config: &TokensConfig) -> Result<Option<i32>, DataError> {
        self.token("data.text.pad", &config.pad, "pad_token", &PADS)
    }

    /// The token that the setting `key` names; where it is empty, the one that a file names in its field `field`, or one
    /// of the usual names.
    fn token(
        &self,
        key: &'static str,
        name: &str,
        field: &str,
        usual: &[&str],
    ) -> Result<Option<i32>, DataError> {
        if !name.is_empty() {
            return self.named(key, name).map(Some);
        }
        let said = self.beside.iter().find_map(|file| {
            let token = &file[field];
            token.as_str().or_else(|| token["content"].as_str())
        });
        if let Some(name) = said {
            return self.named(key, name).map(Some);
        }
        let known = usual
            .iter()
            .find_map(|name| self.tokenizer.token_to_id(name));
        Ok(known.map(u32::cast_signed))
    }

    fn named(&self, key: &'static str, name: &str) -> Result<i32, DataError> {
        let id = self.tokenizer.token_to_id(name).map(u32::cast_signed);
        id.ok_or_else(|| {
            DataError::setting(
                key,
                format!("{} has no token `{name}`", self.path.display()),
            )
        })
    }

    fn lacks(&self, key: &'static str, does: &str) -> DataError {
        let problem = format!(
            "no file says which token of {} {does}: name it",
            self.path.display()
        );
        DataError::setting(key, problem)
    }

    /// What the post-processor puts before and after a text.
    fn around(&self) -> Result<(Vec<i32>, Vec<i32>), DataError> {
        // Any text will do that comes to a token at all.
        for text in ["a", "1", "."] {
            let ids = self.encode(text, true)?;
            let own = |(_, special): &(i32, bool)| !special;
            if let (Some(first), Some(last)) = (ids.iter().position(own), ids.iter().rposition(own))
            {
                let of = |part: &[(i32, bool)]| part.iter().map(|(id, _)| *id).collect();
                return Ok((of(&ids[..first]), of(&ids[last + 1..])));
            }
        }
        let problem = "finds no token in \"a\", \"1\" or \".\", so that what stands around a text cannot be told";
        Err(DataError::content(&self.path, problem))
    }

    /// Ids, and whether they are what the post-processor adds.
    fn encode(&self, text: &str, around: bool) -> Result<Vec<(i32, bool)>, DataError> {
        let encoding = self.tokenizer.encode_fast(text, around).map_err(|error| {
            let start: String = text.chars().take(40).collect();
            DataError::content(&self.path, format!("cannot split \"{start}\": {error}"))
        })?;
        let ids = encoding.get_ids().iter().map(|id| id.cast_signed());
        let special = encoding
            .get_special_tokens_mask()
            .iter()
            .map(|mask| *mask == 1);
        Ok(ids.zip(special).collect())
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    let length = fs::metadata(path).map_err(DataError::file(path))?.len();
    if length > MOST_BYTES {
        let problem = format!("has {length} bytes, more than {MOST_BYTES}");
        return Err(DataError::content(path, problem));
    }
    fs::read(path).map_err(DataError::file(path))
}
