//! Where a tower's weights come from: a word or a table with one of two keys.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Deserialize as Derive, Serialize};

use crate::record::RunId;

/// Where a tower's weights come from: `"random"`; `{ from = "NAME" }`, a run that is done first; or
/// `{ file = "PATH" }`, a checkpoint of Hugging Face, open_clip, timm or big_vision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TowerInit {
    #[default]
    Random,
    /// The final weights of the same tower of another run of this workspace, all but the projection.
    From(RunId),
    /// The same tower of a checkpoint that another program wrote; `partial = true` beside it lets pass what does not fit.
    #[serde(untagged)]
    File(FileInit),
}

/// A checkpoint of another program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Derive, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileInit {
    /// A directory as Hugging Face writes it, a safetensors file, or big_vision's npz. A relative path is one from where
    /// siglab is started.
    pub file: String,
    /// Start at random what the file lacks or has in another shape, and pass over what it has besides; otherwise that is
    /// an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
}

impl TowerInit {
    /// The run to start from, if it is one.
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::From(id) => Some(id),
            Self::Random | Self::File(_) => None,
        }
    }

    /// The file to start from, if it is one.
    pub fn file(&self) -> Option<&FileInit> {
        match self {
            Self::File(file) => Some(file),
            Self::Random | Self::From(_) => None,
        }
    }
}

/// By hand, for errors that name the three forms and the key that is wrong.
impl<'de> Deserialize<'de> for TowerInit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;

        impl<'de> Visitor<'de> for Forms {
            type Value = TowerInit;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("\"random\", { from = \"RUN\" } or { file = \"PATH\" }")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<TowerInit, E> {
                match word {
                    "random" => Ok(TowerInit::Random),
                    other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TowerInit, A::Error> {
                let (mut from, mut file, mut partial) = (None, None, None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "from" => from = Some(map.next_value::<RunId>()?),
                        "file" => file = Some(map.next_value::<String>()?),
                        "partial" => partial = Some(map.next_value::<bool>()?),
                        other => {
                            return Err(de::Error::unknown_field(
                                other,
                                &["from", "file", "partial"],
                            ));
                        }
                    }
                }
                match (from, file, partial) {
                    (Some(id), None, None) => Ok(TowerInit::From(id)),
                    (None, Some(file), partial) => Ok(TowerInit::File(FileInit {
                        file,
                        partial: partial.unwrap_or_default(),
                    })),
                    _ => Err(de::Error::invalid_value(de::Unexpected::Map, &self)),
                }
            }
        }

        deserializer.deserialize_any(Forms)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_written_as_it_is_read() {
        let file = |partial| FileInit {
            file: "weights/siglip".into(),
            partial,
        };
        for (json, init) in [
            (json!("random"), TowerInit::Random),
            (
                json!({"from": "0123456789"}),
                TowerInit::From("0123456789".parse().unwrap()),
            ),
            (
                json!({"file": "weights/siglip"}),
                TowerInit::File(file(false)),
            ),
            (
                json!({"file": "weights/siglip", "partial": true}),
                TowerInit::File(file(true)),
            ),
        ] {
            assert_eq!(serde_json::to_value(&init).unwrap(), json);
            assert_eq!(serde_json::from_value::<TowerInit>(json).unwrap(), init);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let error = |json| {
            serde_json::from_value::<TowerInit>(json)
                .unwrap_err()
                .to_string()
        };
        assert!(error(json!("randon")).contains("{ file = \"PATH\" }"));
        assert!(error(json!({"fil": "x"})).contains("`fil`"));
        assert!(error(json!({"from": "0123456789", "file": "x"})).contains("expected"));
        assert!(error(json!({"from": "x"})).contains("run id"));
        assert!(error(json!({"partial": true})).contains("expected"));
    }
}
