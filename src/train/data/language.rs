//! Languages by their tags (BCP 47), whatever a data set calls them: the one place that knows which tags mean the same.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A language's tag in its canonical form: `he`, `pt-BR`, `zh-Hant`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Language(String);

/// What is no language's tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no tag of a language, such as en, he or pt-BR")]
pub struct NoLanguage(String);

/// Tags that were withdrawn, and others that data sets use, with those that took their place: the language subtag
/// registry of IANA, and for the last two lines ISO 639's parts 2 and 3, where BCP 47 wants the shortest code.
#[rustfmt::skip]
const ALIASES: [(&str, &str); 108] = [
    ("iw", "he"), ("in", "id"), ("ji", "yi"), ("jw", "jv"), ("mo", "ro"), ("sh", "sr-Latn"), ("tl", "fil"),
    ("cmn", "zh"), ("arb", "ar"), ("pes", "fa"), ("zsm", "ms"), ("swh", "sw"), ("npi", "ne"), ("ekk", "et"),
    ("lvs", "lv"), ("khk", "mn"), ("uzn", "uz"), ("azj", "az"), ("ydd", "yi"), ("plt", "mg"), ("als", "sq"),
    ("eng", "en"), ("deu", "de"), ("ger", "de"), ("fra", "fr"), ("fre", "fr"), ("heb", "he"), ("zho", "zh"),
    ("chi", "zh"), ("ara", "ar"), ("ben", "bn"), ("ces", "cs"), ("cze", "cs"), ("dan", "da"), ("ell", "el"),
    ("gre", "el"), ("spa", "es"), ("fas", "fa"), ("per", "fa"), ("fin", "fi"), ("tgl", "fil"), ("hin", "hi"),
    ("hrv", "hr"), ("hun", "hu"), ("ind", "id"), ("ita", "it"), ("jpn", "ja"), ("kor", "ko"), ("mri", "mi"),
    ("mao", "mi"), ("nld", "nl"), ("dut", "nl"), ("nor", "no"), ("nob", "nb"), ("nno", "nn"), ("pol", "pl"),
    ("por", "pt"), ("que", "qu"), ("ron", "ro"), ("rum", "ro"), ("rus", "ru"), ("swe", "sv"), ("swa", "sw"),
    ("tel", "te"), ("tha", "th"), ("tur", "tr"), ("ukr", "uk"), ("vie", "vi"), ("afr", "af"), ("amh", "am"),
    ("bul", "bg"), ("cat", "ca"), ("cym", "cy"), ("wel", "cy"), ("est", "et"), ("eus", "eu"), ("baq", "eu"),
    ("gle", "ga"), ("glg", "gl"), ("guj", "gu"), ("hye", "hy"), ("arm", "hy"), ("isl", "is"), ("ice", "is"),
    ("kan", "kn"), ("kat", "ka"), ("geo", "ka"), ("kaz", "kk"), ("lat", "la"), ("lav", "lv"), ("lit", "lt"),
    ("mal", "ml"), ("mar", "mr"), ("mkd", "mk"), ("mac", "mk"), ("msa", "ms"), ("may", "ms"), ("mya", "my"),
    ("bur", "my"), ("slk", "sk"), ("slo", "sk"), ("slv", "sl"), ("sqi", "sq"), ("alb", "sq"), ("srp", "sr"),
    ("tam", "ta"), ("urd", "ur"), ("yid", "yi"),
];

impl Language {
    /// The language that `tag` means, in whatever case, with hyphens or underscores.
    pub fn new(tag: &str) -> Result<Self, NoLanguage> {
        let refused = || NoLanguage(tag.chars().take(40).collect());
        let lower = tag.trim().to_ascii_lowercase();
        let mut subtags = lower.split(['-', '_']);
        let first = subtags.next().unwrap_or_default();
        let is_code =
            (2..=8).contains(&first.len()) && first.bytes().all(|b| b.is_ascii_lowercase());
        if !is_code {
            return Err(refused());
        }
        let alias = ALIASES.iter().find(|(old, _)| *old == first);
        let mut canonical = alias.map_or(first, |(_, new)| new).to_owned();
        for subtag in subtags {
            let well_formed = (1..=8).contains(&subtag.len())
                && subtag.bytes().all(|b| b.is_ascii_alphanumeric());
            if !well_formed {
                return Err(refused());
            }
            canonical.push('-');
            let is_word = subtag.bytes().all(|b| b.is_ascii_lowercase());
            match (subtag.len(), is_word) {
                (2, true) => canonical.push_str(&subtag.to_ascii_uppercase()),
                (4, true) => {
                    canonical.push_str(&subtag[..1].to_ascii_uppercase());
                    canonical.push_str(&subtag[1..]);
                }
                _ => canonical.push_str(subtag),
            }
        }
        Ok(Self(canonical))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is `range` or a variety of it, as zh-TW is of zh (RFC 4647, section 3.3.1).
    pub fn is_of(&self, range: &Self) -> bool {
        let rest = self.0.strip_prefix(&range.0);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

impl TryFrom<String> for Language {
    type Error = NoLanguage;

    fn try_from(tag: String) -> Result<Self, NoLanguage> {
        Self::new(&tag)
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(text: &str) -> String {
        Language::new(text).unwrap().to_string()
    }

    #[test]
    fn names_of_one_language_are_one() {
        for (other, canonical) in [
            ("iw", "he"),
            ("IW", "he"),
            ("heb", "he"),
            ("iw_IL", "he-IL"),
            ("in", "id"),
            ("ji", "yi"),
            ("tl", "fil"),
            ("sh-RS", "sr-Latn-RS"),
            ("EN_us", "en-US"),
            ("zh-hant-tw", "zh-Hant-TW"),
            ("cmn-Hans", "zh-Hans"),
            ("es-419", "es-419"),
            (" quz ", "quz"),
            ("de-1996", "de-1996"),
        ] {
            assert_eq!(tag(other), canonical, "{other}");
            assert_eq!(tag(canonical), canonical, "{canonical} stays");
        }
    }

    #[test]
    fn every_alias_leads_to_its_end() {
        for (old, new) in ALIASES {
            assert_eq!(tag(new), new);
            assert_eq!(tag(old), new);
            assert_eq!(
                ALIASES.iter().filter(|(other, _)| *other == old).count(),
                1,
                "{old}"
            );
        }
    }

    #[test]
    fn what_is_no_tag_is_refused() {
        for text in [
            "",
            "e",
            "english language",
            "12",
            "en-",
            "en--US",
            "עברית",
            "abcdefghi",
        ] {
            let error = Language::new(text).unwrap_err().to_string();
            assert!(error.contains(text) && error.contains("pt-BR"), "{error}");
        }
    }

    #[test]
    fn a_variety_is_of_its_language() {
        let is_of = |tag: &str, range: &str| {
            Language::new(tag)
                .unwrap()
                .is_of(&Language::new(range).unwrap())
        };
        assert!(is_of("zh-TW", "zh") && is_of("iw", "he") && is_of("en", "en"));
        assert!(!is_of("zh", "zh-TW") && !is_of("fil", "fi") && !is_of("en-US", "en-GB"));
    }

    #[test]
    fn settings_hold_the_canonical_form() {
        let read: Vec<Language> = serde_json::from_str(r#"["iw", "en-us"]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["he","en-US"]"#);
        assert!(serde_json::from_str::<Language>(r#""no such""#).is_err());
    }
}
