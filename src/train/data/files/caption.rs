//! Captions as files have them: a text, a field of JSON, several, some with the language that they are in.

use serde_json::Value;

use crate::train::data::fault::Fault;

/// What is said of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caption {
    pub text: String,
    /// As the data has it: `en`, `iw`, `pt-BR`.
    pub language: Option<String>,
}

impl Caption {
    pub fn new(text: impl Into<String>) -> Self {
        let (text, language) = (text.into(), None);
        Self { text, language }
    }
}

/// The one caption that `bytes` are, without white space around it.
pub fn plain(bytes: &[u8]) -> Result<Vec<Caption>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
    said([Caption::new(text)])
}

/// The captions in a field of JSON, dotted where tables lie in tables: a text, a list of texts, or a table of texts, or of
/// lists of them, by language.
pub fn json(bytes: &[u8], field: &str) -> Result<Vec<Caption>, Fault> {
    let text = std::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
    let document: Value = serde_json::from_str(text).map_err(|_| Fault::BrokenJson)?;
    let inside = |value: Value, name: &str| match value {
        Value::Object(mut table) => table.remove(name),
        _ => None,
    };
    let value = field
        .split('.')
        .try_fold(document, inside)
        .ok_or(Fault::NoCaption)?;
    match value {
        Value::Object(table) => said(table.into_iter().flat_map(|(language, value)| {
            let language = Some(language);
            texts(value).into_iter().map(move |text| Caption {
                text,
                language: language.clone(),
            })
        })),
        Value::Null => Err(Fault::NoCaption),
        value => said(texts(value).into_iter().map(Caption::new)),
    }
}

fn texts(value: Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.into_iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// Those that say anything.
pub fn said(captions: impl IntoIterator<Item = Caption>) -> Result<Vec<Caption>, Fault> {
    let trimmed = captions.into_iter().map(|caption| Caption {
        text: caption.text.trim().to_owned(),
        ..caption
    });
    let said: Vec<Caption> = trimmed.filter(|caption| !caption.text.is_empty()).collect();
    match said.is_empty() {
        true => Err(Fault::EmptyCaption),
        false => Ok(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_come_alone_in_lists_and_by_language() {
        let texts = |found: Vec<Caption>| -> Vec<(String, Option<String>)> {
            found.into_iter().map(|c| (c.text, c.language)).collect()
        };
        assert_eq!(texts(plain(b" a cat\n").unwrap()), [("a cat".into(), None)]);
        let document =
            br#"{"a": {"b": "one"}, "many": ["one", "", "two"], "by": {"en": "cat", "iw": ["x"]}}"#;
        assert_eq!(
            texts(json(document, "a.b").unwrap()),
            [("one".into(), None)]
        );
        assert_eq!(texts(json(document, "many").unwrap()).len(), 2);
        let by = texts(json(document, "by").unwrap());
        assert_eq!(
            by,
            [
                ("cat".into(), Some("en".into())),
                ("x".into(), Some("iw".into()))
            ]
        );
    }

    #[test]
    fn what_is_no_caption_says_why() {
        assert_eq!(plain(b"  \n"), Err(Fault::EmptyCaption));
        assert_eq!(plain(b"\xff\xfe not text"), Err(Fault::NotUtf8));
        assert_eq!(json(b"{", "a"), Err(Fault::BrokenJson));
        assert_eq!(json(b"[1]", "a"), Err(Fault::NoCaption));
        assert_eq!(json(br#"{"a": null}"#, "a"), Err(Fault::NoCaption));
        assert_eq!(json(br#"{"a": 3}"#, "a"), Err(Fault::EmptyCaption));
        let deep = "[".repeat(100_000);
        assert_eq!(json(deep.as_bytes(), "a"), Err(Fault::BrokenJson));
    }
}
