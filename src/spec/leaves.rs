//! The leaves of settings as they are serialised, key by key, with no table built in between: every cell of a grid,
//! every run of a workspace and every keystroke of a forecast asks for them. The keys and values are those of
//! [`path::flatten`](super::path::flatten).

use std::fmt;

use serde::ser::{
    Error as _, Impossible, Serialize, SerializeMap, SerializeStruct, SerializeStructVariant,
    Serializer,
};
use serde_json::{Error, Value};

/// What stands at a key: a scalar, a list, or a table with nothing in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Leaf<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
    Other(Value),
}

impl Leaf<'_> {
    pub fn value(self) -> Value {
        match self {
            Self::Bool(x) => x.into(),
            Self::Signed(x) => x.into(),
            Self::Unsigned(x) => x.into(),
            Self::Float(x) => x.into(),
            Self::Text(x) => x.into(),
            Self::Other(value) => value,
        }
    }

    pub fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool(x), Value::Bool(y)) => x == y,
            (Self::Text(x), Value::String(y)) => x == y,
            // A float and a whole number are not equal, whatever their size, and neither is JSON's idea of NaN a number.
            (Self::Float(x), Value::Number(y)) => y.is_f64() && y.as_f64() == Some(*x),
            (Self::Unsigned(x), Value::Number(y)) => y.as_u64() == Some(*x),
            (Self::Signed(x), Value::Number(y)) => y.as_i64() == Some(*x),
            (Self::Other(x), y) => x == y,
            (Self::Float(x), Value::Null) => !x.is_finite(),
            _ => false,
        }
    }

    pub fn is_number(&self) -> bool {
        matches!(self, Self::Signed(_) | Self::Unsigned(_) | Self::Float(_))
    }
}

impl fmt::Display for Leaf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(x) => write!(f, "{x}"),
            Self::Signed(x) => write!(f, "{x}"),
            Self::Unsigned(x) => write!(f, "{x}"),
            Self::Float(x) => write!(f, "{x}"),
            Self::Text(x) => f.write_str(x),
            Self::Other(x) => write!(f, "{x}"),
        }
    }
}

/// Call `see` with the dotted key of each leaf of `settings`, in the order of their fields.
///
/// # Errors
/// Of settings that are not plain data with string keys.
pub fn leaves(
    settings: &impl Serialize,
    see: impl FnMut(&str, Leaf),
) -> Result<(), serde_json::Error> {
    let mut walk = Walk {
        key: String::new(),
        see,
    };
    settings.serialize(&mut walk)
}

struct Walk<F> {
    key: String,
    see: F,
}

impl<F: FnMut(&str, Leaf)> Walk<F> {
    fn see(&mut self, leaf: Leaf) -> Result<(), Error> {
        (self.see)(&self.key, leaf);
        Ok(())
    }

    /// What stands at `name` of the table that is walked.
    fn inside<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        let length = self.key.len();
        if length > 0 {
            self.key.push('.');
        }
        self.key.push_str(name);
        let seen = value.serialize(&mut *self);
        self.key.truncate(length);
        seen
    }

    fn whole<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.see(Leaf::Other(serde_json::to_value(value)?))
    }
}

/// A table that is being walked; one that turns out empty is a leaf, but at the top.
struct Table<'w, F> {
    walk: &'w mut Walk<F>,
    empty: bool,
    /// Bytes to take off the key at the end.
    deeper: usize,
    /// The name that the next value of a map has.
    name: String,
}

impl<'w, F: FnMut(&str, Leaf)> Table<'w, F> {
    fn of(walk: &'w mut Walk<F>) -> Self {
        Self {
            walk,
            empty: true,
            deeper: 0,
            name: String::new(),
        }
    }

    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Error> {
        self.empty = false;
        self.walk.inside(name, value)
    }

    fn finish(self) -> Result<(), Error> {
        if self.empty && !self.walk.key.is_empty() {
            self.walk
                .see(Leaf::Other(Value::Object(Default::default())))?;
        }
        let length = self.walk.key.len() - self.deeper;
        self.walk.key.truncate(length);
        Ok(())
    }
}

/// The ways in which serde hands over the fields of a table.
macro_rules! tables {
    ($($kind:ident),*) => {
        $(impl<F: FnMut(&str, Leaf)> $kind for Table<'_, F> {
            type Ok = ();
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.field(name, value)
            }

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        })*
    };
}

tables! { SerializeStruct, SerializeStructVariant }

impl<F: FnMut(&str, Leaf)> SerializeMap for Table<'_, F> {
    type Ok = ();
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        match serde_json::to_value(key)? {
            Value::String(name) => {
                self.name = name;
                Ok(())
            }
            _ => Err(Error::custom("a key that is no text")),
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let name = std::mem::take(&mut self.name);
        self.field(&name, value)
    }

    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

/// Scalars that are leaves of a wider type.
macro_rules! scalars {
    ($($name:ident: $type:ty => $leaf:ident),* $(,)?) => {
        $(fn $name(self, x: $type) -> Result<(), Error> {
            self.see(Leaf::$leaf(x.into()))
        })*
    };
}

impl<'w, F: FnMut(&str, Leaf)> Serializer for &'w mut Walk<F> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = List<'w, F>;
    type SerializeTuple = List<'w, F>;
    type SerializeTupleStruct = List<'w, F>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Table<'w, F>;
    type SerializeStruct = Table<'w, F>;
    type SerializeStructVariant = Table<'w, F>;

    scalars! {
        serialize_bool: bool => Bool,
        serialize_i8: i8 => Signed,
        serialize_i16: i16 => Signed,
        serialize_i32: i32 => Signed,
        serialize_u8: u8 => Unsigned,
        serialize_u16: u16 => Unsigned,
        serialize_u32: u32 => Unsigned,
        serialize_u64: u64 => Unsigned,
        serialize_f32: f32 => Float,
        serialize_f64: f64 => Float,
    }

    /// JSON knows one kind of whole numbers: those from 0 up are unsigned.
    fn serialize_i64(self, x: i64) -> Result<(), Error> {
        self.see(u64::try_from(x).map_or(Leaf::Signed(x), Leaf::Unsigned))
    }

    fn serialize_char(self, x: char) -> Result<(), Error> {
        self.see(Leaf::Text(x.encode_utf8(&mut [0; 4])))
    }

    fn serialize_str(self, x: &str) -> Result<(), Error> {
        self.see(Leaf::Text(x))
    }

    fn serialize_bytes(self, x: &[u8]) -> Result<(), Error> {
        self.whole(x)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.see(Leaf::Other(Value::Null))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.see(Leaf::Other(Value::Null))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.see(Leaf::Other(Value::Null))
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<(), Error> {
        self.see(Leaf::Text(variant))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.inside(variant, value)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<List<'w, F>, Error> {
        Ok(List::of(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<List<'w, F>, Error> {
        Ok(List::of(self))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<List<'w, F>, Error> {
        Ok(List::of(self))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant, Error> {
        Err(Error::custom("a setting that is neither plain nor a table"))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Table<'w, F>, Error> {
        Ok(Table::of(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Table<'w, F>, Error> {
        Ok(Table::of(self))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Table<'w, F>, Error> {
        let before = self.key.len();
        if before > 0 {
            self.key.push('.');
        }
        self.key.push_str(variant);
        let deeper = self.key.len() - before;
        Ok(Table {
            deeper,
            ..Table::of(self)
        })
    }
}

/// A list that is being walked: one leaf.
struct List<'w, F> {
    walk: &'w mut Walk<F>,
    items: Vec<Value>,
}

impl<'w, F: FnMut(&str, Leaf)> List<'w, F> {
    fn of(walk: &'w mut Walk<F>) -> Self {
        Self {
            walk,
            items: Vec::new(),
        }
    }
}

/// The ways in which serde hands over the items of a list.
macro_rules! lists {
    ($($kind:ident: $method:ident),*) => {
        $(impl<F: FnMut(&str, Leaf)> serde::ser::$kind for List<'_, F> {
            type Ok = ();
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), Error> {
                self.items.push(serde_json::to_value(item)?);
                Ok(())
            }

            fn end(self) -> Result<(), Error> {
                self.walk.see(Leaf::Other(Value::Array(self.items)))
            }
        })*
    };
}

lists! {
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::spec::path::{self, Flat};
    use crate::train::TrainConfig;

    fn found(settings: &impl Serialize) -> Flat {
        let mut found = Flat::new();
        leaves(settings, |key, leaf| {
            let value = leaf.clone().value();
            assert!(leaf.is(&value), "{key}: {leaf:?} is {value}");
            assert_eq!(
                found.insert(key.to_owned(), value),
                None,
                "{key} comes once"
            );
        })
        .unwrap();
        found
    }

    #[test]
    fn leaves_are_those_of_flattened_settings() {
        for document in [
            json!({
                "a": {"b": -1.5e-3, "c": {}, "d": [1, "]", {"x": "}\"\\"}, [2]]},
                "text": "a \"quoted, {brace}\" \\", "minus": -7,
                "none": null, "yes": true, "é": "ü", "last": 7
            }),
            json!({"only": []}),
            json!({}),
        ] {
            assert_eq!(found(&document), path::flatten(&document));
        }
    }

    #[test]
    fn they_are_those_of_every_kind_of_run() {
        let mut config = TrainConfig::default();
        let same = |config: &TrainConfig| {
            assert_eq!(
                found(config),
                path::flatten(&serde_json::to_value(config).unwrap())
            );
        };
        same(&config);
        // Narrow floats that no wide one is equal to.
        for text in [
            r#"{"kind": "shapes", "noise": 0.1, "spread": 0.3}"#,
            r#"{"kind": "webdataset", "sources": [{"path": "a-{0..3}.tar", "weight": 0.7}]}"#,
        ] {
            if let Ok(data) = serde_json::from_str(text) {
                config.data = data;
                same(&config);
            }
        }
        for text in [r#"{"kind": "softmax"}"#, r#"{"kind": "classify"}"#] {
            config.loss = serde_json::from_str(text).unwrap();
            same(&config);
        }
        config.model.image.init =
            serde_json::from_value(json!({"file": "x", "partial": true})).unwrap();
        same(&config);
    }

    #[test]
    fn kinds_of_numbers_are_told_apart() {
        assert!(Leaf::Unsigned(1).is(&json!(1)) && !Leaf::Float(1.0).is(&json!(1)));
        assert!(Leaf::Float(1.0).is(&json!(1.0)) && !Leaf::Unsigned(1).is(&json!(1.0)));
        assert!(Leaf::Signed(-1).is(&json!(-1)) && !Leaf::Text("1").is(&json!(1)));
    }
}
