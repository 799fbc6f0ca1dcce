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

    /// The words of `text`, lower-cased and without punctuation.
    pub fn ids(&self, text: &str) -> impl Iterator<Item = i32> {
        words(text).map(|word| self.ids.get(&word).copied().unwrap_or(UNKNOWN))
    }

    /// The ids that are words.
    pub fn plain(&self) -> std::ops::Range<i32> {
        FIRST_WORD..self.size() as i32
    }
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .flat_map(|run| run.split_inclusive(is_ideograph).flat_map(apart))
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// What stands before an ideograph, and the ideograph itself.
fn apart(part: &str) -> [&str; 2] {
    let last = part.char_indices().next_back();
    let at = last
        .filter(|(_, c)| is_ideograph(*c))
        .map_or(part.len(), |(at, _)| at);
    let (before, ideograph) = part.split_at(at);
    [before, ideograph]
}

/// A character of the Unified Ideographs: Chinese puts no space between words.
fn is_ideograph(c: char) -> bool {
    ('\u{4E00}'..='\u{9FFF}').contains(&c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_known_in_any_case_and_others_marked() {
        let vocabulary = Vocabulary::new(["a red ring", "red, star"]);
        assert_eq!((vocabulary.size(), vocabulary.plain()), (6, 2..6));
        let ids = vocabulary.ids("Ring, (RED) a; blue");
        assert!(ids.eq([4, 3, 2, UNKNOWN]));
        assert_eq!(vocabulary.ids("").count(), 0);
    }

    #[test]
    fn scripts_without_spaces_are_read_by_character() {
        let vocabulary = Vocabulary::new(["红色的圆形", "a red"]);
        assert_eq!(vocabulary.size(), 2 + 5 + 2);
        assert!(vocabulary.ids("圆形, red").eq([5, 6, 8]));
    }
}
