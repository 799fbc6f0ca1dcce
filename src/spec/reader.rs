//! Reads settings out of a document with errors that keep their parts: what was found, what was expected, which
//! choices there are. serde hands these over typed; the usual formats flatten them into a sentence.

use std::fmt;

use serde::Deserialize;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, Expected, IntoDeserializer, Unexpected, Visitor};
use serde_json::Value;

use crate::train::TrainConfig;

/// Why a document is no [`TrainConfig`].
#[derive(Clone, Debug, PartialEq)]
pub enum Misfit {
    Type {
        found: String,
        expected: String,
    },
    Choice {
        found: String,
        choices: &'static [&'static str],
    },
    Field {
        name: String,
    },
    Other(String),
}

/// The settings that `document` changes, on top of the defaults.
pub fn read(document: &Value) -> Result<TrainConfig, Misfit> {
    TrainConfig::deserialize(Document(document))
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type { found, .. } => write!(f, "found {found}"),
            Self::Choice { found, .. } => write!(f, "`{found}` is not one of the choices"),
            Self::Field { name } => write!(f, "`{name}` is not a setting"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Other(message.to_string())
    }

    fn invalid_type(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::Type {
            found: found.to_string(),
            expected: expected.to_string(),
        }
    }

    fn invalid_value(found: Unexpected, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(found: &str, choices: &'static [&'static str]) -> Self {
        Self::Choice {
            found: found.to_owned(),
            choices,
        }
    }

    fn unknown_field(name: &str, _fields: &'static [&'static str]) -> Self {
        Self::Field {
            name: name.to_owned(),
        }
    }
}

#[derive(Clone, Copy)]
struct Document<'a>(&'a Value);

impl<'de> IntoDeserializer<'de, Misfit> for Document<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for Document<'de> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), ..) => visitor.visit_u64(value),
                (_, Some(value), _) => visitor.visit_i64(value),
                (.., Some(value)) => visitor.visit_f64(value),
                _ => Err(Misfit::Other(format!("{number} is too large a number"))),
            },
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => {
                visitor.visit_seq(SeqDeserializer::new(values.iter().map(Document)))
            }
            Value::Object(table) => visitor.visit_map(MapDeserializer::new(
                table
                    .iter()
                    .map(|(name, value)| (name.as_str(), Document(value))),
            )),
        }
    }

    /// A choice is a word, or a table of one entry: the word and what comes with it.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        choices: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.0 {
            Value::String(word) => word
                .as_str()
                .into_deserializer()
                .deserialize_enum(name, choices, visitor),
            Value::Object(table) if table.len() == 1 => {
                let entries = table
                    .iter()
                    .map(|(name, value)| (name.as_str(), Document(value)));
                visitor.visit_enum(de::value::MapAccessDeserializer::new(MapDeserializer::new(
                    entries,
                )))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::train::model::TowerInit;

    #[test]
    fn what_serde_wrote_is_read_back() {
        let mut config = TrainConfig::default();
        config.model.image.init = TowerInit::From("0123456789".parse().unwrap());
        config.optim.lr = 3e-4;
        assert_eq!(read(&serde_json::to_value(&config).unwrap()), Ok(config));
    }

    #[test]
    fn errors_keep_their_parts() {
        assert_eq!(
            read(&json!({"loss": {"kind": "?"}})),
            Err(Misfit::Choice {
                found: "?".into(),
                choices: &["sigmoid", "softmax", "classify"]
            })
        );
        assert!(
            matches!(read(&json!({"optim": {"lr": "fast"}})), Err(Misfit::Type { expected, .. }) if expected == "f64")
        );
        assert_eq!(
            read(&json!({"optim": {"lrr": 1}})),
            Err(Misfit::Field { name: "lrr".into() })
        );
        assert!(
            matches!(read(&json!({"model": {"image": {"init": {"from": "x"}}}})), Err(Misfit::Other(message)) if message.contains("run id"))
        );
    }
}
