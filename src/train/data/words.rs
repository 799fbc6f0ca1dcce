//! A closed vocabulary for data sets whose captions come from templates: one id a word, nothing learned, nothing
//! split below the word. Free text wants a real tokenizer; this one only marks what it does not know.

use std::collections::BTreeMap;

/// Ends a text and fills the rest of its context: the last position is always this one (SigLIP's "sticky" end),
/// which is where a tower that pools the last position reads.
pub const END: i32 = 0;
/// Any word outside the vocabulary.
pub const UNKNOWN: i32 = 1;
const FIRST_WORD: i32 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    ids: BTreeMap<String, i32>,
}

impl Vocabulary {
    /// Ids go up in the order of first mention.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ids = BTreeMap::new();
        for text in texts {
            for word in words(text) {
                let next = FIRST_WORD + ids.len() as i32;
                ids.entry(word).or_insert(next);
            }
        }
        Self { ids }
    }

    /// Number of ids, the two that are no words included.
    pub fn size(&self) -> usize {
        FIRST_WORD as usize + self.ids.len()
    }

    /// `text` as exactly `context` ids: lower-cased, without punctuation, cut or filled with [`END`].
    pub fn tokenize(&self, text: &str, context: usize) -> Vec<i32> {
        let id = |word: String| self.ids.get(&word).copied().unwrap_or(UNKNOWN);
        let mut tokens: Vec<i32> = words(text)
            .map(id)
            .take(context.saturating_sub(1))
            .collect();
        tokens.resize(context, END);
        tokens
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_ids_of_one_length_that_end() {
        let vocabulary = Vocabulary::new(["a red ring", "red, star"]);
        assert_eq!(vocabulary.size(), 6);
        assert_eq!(
            vocabulary.tokenize("Ring, (RED) a; blue", 6),
            [4, 3, 2, UNKNOWN, END, END]
        );
        assert_eq!(vocabulary.tokenize("a red ring", 3), [2, 3, END]);
        assert_eq!(vocabulary.tokenize("", 2), [END, END]);
    }
}
